import pytest

from app.objects.formats import ContentFormat, FormatKind, Wrapping, format_of


@pytest.mark.parametrize(
    ("key", "content_type", "declared", "kind", "wrapping"),
    [
        ("a/b.csv", None, None, "csv", "none"),
        ("a/b.CSV.GZ", "binary/octet-stream", None, "csv", "gzip"),
        ("b.csv.gz", "application/gzip", None, "csv", "gzip"),
        ("b.csv.gz", "text/csv", None, "csv", "gzip"),
        ("b.ndjson.zst", "application/x-ndjson; charset=utf-8", None, "ndjson", "zstd"),
        ("b.jsonl", None, None, "ndjson", "none"),
        ("b", "application/json", None, "json", "none"),
        ("b.csv", "text/plain", None, "csv", "none"),
        ("part-0001", "application/vnd.apache.parquet", None, "parquet", "none"),
        ("part-0001", None, "parquet", "parquet", "none"),
        ("part-0001.gz", "application/octet-stream", "csv", "csv", "gzip"),
        ("part-0001", "application/gzip", "csv", "csv", "gzip"),
        ("b.xml", "text/csv", "json", "json", "none"),
        ("b.log", "text/plain", None, "text", "none"),
        ("b.log", "text/plain; charset=iso-8859-1", None, "text", "none"),
        ("b.csv", 'text/csv; charset="UTF-8"; header=present', None, "csv", "none"),
        ("b.parquet", "application/vnd.apache.parquet; charset=whatever", None, "parquet", "none"),
    ],
)
def test_key_and_type_and_data_file_say_the_format(
    key: str, content_type: str | None, declared: str | None, kind: str, wrapping: str
) -> None:
    assert format_of(key, content_type, declared) == ContentFormat(kind=FormatKind(kind), wrapping=Wrapping(wrapping))


@pytest.mark.parametrize(
    ("key", "content_type", "declared"),
    [
        ("b", None, None),
        (".csv", None, None),
        ("b.gz", None, None),
        ("b.pdf", None, None),
        ("b.csv", "application/json", None),
        ("b.json", "text/csv", None),
        ("b.parquet", "text/plain", None),
        ("b.csv", "image/png", None),
        ("b.csv", "application/gzip", None),
        ("b.csv.gz", "application/zstd", None),
        ("b.csv.gz", "application/zstd", "csv"),
        ("b.csv", None, "pdf"),
        ("b.txt", "text/plain; charset=utf-7", None),
        ("b.csv", 'text/csv; header=present; Charset="UTF-7"', None),
        ("b.csv", "text/csv;charset=iso-2022-jp", "csv"),
        ("b.csv.gz", "text/csv; charset=hz-gb-2312", None),
    ],
)
def test_what_is_silent_or_contradicts_itself_has_no_format(
    key: str, content_type: str | None, declared: str | None
) -> None:
    assert format_of(key, content_type, declared) is None


@pytest.mark.parametrize(
    ("key", "content_type", "encoding", "wrapping"),
    [
        ("b.csv", "text/csv", "gzip", "gzip"),
        ("b.csv", None, "x-gzip", "gzip"),
        ("b.csv.gz", "text/csv", "GZIP", "gzip"),
        ("b.csv", "text/csv", "zstd", "zstd"),
        ("b.csv", "text/csv", "br", None),
        ("b.csv", "text/csv", "gzip, gzip", None),
        ("b.csv.zst", "text/csv", "gzip", None),
        ("b.csv", "application/gzip", "zstd", None),
    ],
)
def test_what_is_stored_as_packed_is_unpacked_or_of_no_known_format(
    key: str, content_type: str | None, encoding: str, wrapping: str | None
) -> None:
    known = format_of(key, content_type, None, encoding)
    assert (None if known is None else known.wrapping) == wrapping


def test_a_rendering_is_served_as_what_it_is() -> None:
    assert ContentFormat(kind=FormatKind.CSV).content_type == "text/csv; charset=utf-8"
    assert ContentFormat(kind=FormatKind.CSV, wrapping=Wrapping.GZIP).content_type == "application/gzip"
    stream = format_of("b.arrows", None, None)
    assert stream is not None
    assert stream.content_type == "application/vnd.apache.arrow.stream"
