"""Samples of objects: what is taken of each format, and that no name that is printed is a piece of data."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.masking.detectors import find
from app.objects.formats import format_of
from app.objects.grouping import globs
from app.objects.keys import KeyRefused, parse_key
from app.objects.refusal import ContentFault, ContentRefused
from app.objects.sample_fields import Field, column_fields, column_word, csv_fields, path_fields, path_word
from app.objects.sampling import ITEM, MOST_CHARACTERS, Sampled, SampleJob, read, sampled, written
from app.policy.resources import Pattern, object_resource

PEOPLE = "id,name,email\n1,Ada,ada@example.com\n2,Grace,grace@example.com\n"


def taken(key: str, data: bytes | str, **job: object) -> list[Sampled]:
    known = format_of(key, None, None)
    assert known is not None
    content = data.encode() if isinstance(data, str) else data
    return sampled(SampleJob(format=known, **{"rows": 5, **job}), content)  # type: ignore[arg-type]


def names(fields: list[Field] | None) -> list[str]:
    assert fields is not None
    return [one.name for one in fields]


def of_csv(text: str, *known: str, header: tuple[str, ...] | None = None) -> list[Field] | None:
    return csv_fields(taken("a.csv", text, header=header), header, known, find)


def of_json(document: object) -> list[str]:
    return names(path_fields(taken("a.json", json.dumps(document)), find))


def parquet(**columns: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_columns_of_csv_have_the_names_of_its_header() -> None:
    fields = of_csv(PEOPLE)
    assert names(fields) == ["id", "name", "email"]
    assert fields is not None
    assert fields[2].values == ("ada@example.com", "grace@example.com")


@pytest.mark.parametrize(
    "text",
    [
        "1,Ada,ada@example.com\n2,Grace,grace@example.com\n",
        "Ada Lovelace,London\nGrace Hopper,New York\n",
        "open,open\nopen,closed\n",
        "red,blue,red\n",
        "a,,b\n1,2,3\n",
        "2026-01-01,5\n2026-01-02,6\n",
    ],
)
def test_a_first_line_that_may_be_data_gives_no_names(text: str) -> None:
    assert of_csv(text) is None


def test_a_declared_header_or_a_known_column_settles_it() -> None:
    text = "Ada Lovelace,London\nGrace Hopper,New York\n"
    assert names(of_csv(text, header=("who", "where"))) == ["who", "where"]
    assert names(of_csv("Who,Where\nAda,London\n", "who")) == ["Who", "Where"]


def test_paths_of_json_say_where_values_are() -> None:
    order = {"id": 1, "customer": {"e-mail": "ada@example.com"}, "lines": [{"sku": "x"}, {"sku": "y"}]}
    assert of_json({"orders": [order]}) == [
        "$.orders[*].id",
        "$.orders[*].customer.e-mail",
        "$.orders[*].lines[*].sku",
    ]


@pytest.mark.parametrize(
    "people",
    [
        {"ada@example.com": {"age": 36}},
        {"Ada Lovelace": 36},
        {"customer 4711": 1, "customer_20260101": 2},
        {f"p{chr(97 + n % 26)}{chr(97 + n // 26)}": n for n in range(60)},
        {name: {"age": 1} for name in ("ada", "grace", "joan", "edith", "mary")},
    ],
)
def test_members_that_are_named_after_data_are_a_star(people: dict[str, object]) -> None:
    paths = of_json({"people": people})
    assert {path.removesuffix(".age") for path in paths} == {"$.people.*"}


def test_columns_of_parquet_are_dotted() -> None:
    data = parquet(
        email=["ada@example.com"],
        home=[{"street": "Mill Lane 1"}],
        lines=[[{"sku": "x"}]],
        born=pa.array([None], pa.date32()),
    )
    fields = column_fields(taken("a.parquet", data))
    assert [(one.name, one.type) for one in fields] == [
        ("email", "text"),
        ("home.street", "text"),
        ("lines[].sku", "text"),
        ("born", "date"),
    ]


def test_a_column_that_python_has_no_values_for_keeps_its_name() -> None:
    data = parquet(day=pa.array([10**8], pa.int32()).cast(pa.date32()), email=["ada@example.com"])
    assert names(column_fields(taken("a.parquet", data))) == ["email"]


def test_the_beginning_of_an_object_is_enough() -> None:
    cut = PEOPLE.encode()[:-5]
    assert [one.values[-1] for one in taken("a.csv", cut, cut=True)] == ["1", "Ada", "ada@example.com"]
    lines = b'{"a": 1}\n{"a": 2}\n{"a":'
    assert taken("a.ndjson", lines, cut=True) == [Sampled(("a",), "integer", ["1", "2"])]
    packed = gzip.compress(PEOPLE.encode() * 2_000)
    assert len(taken("a.csv.gz", packed[:-20], cut=True)) == 3


def test_only_so_many_values_are_taken() -> None:
    rows = "".join(f"{n},x\n" for n in range(100))
    assert [len(one.values) for one in taken("a.csv", "id,word\n" + rows)] == [6, 6]
    wide = json.dumps({"a": ["x" * 2_000] * 10_000})
    known = taken("a.json", wide, rows=10_000)
    assert sum(len(value) for one in known for value in one.values) <= MOST_CHARACTERS


@pytest.mark.parametrize(
    ("key", "data", "fault"),
    [
        ("a.json", b"{", ContentFault.UNDECODABLE),
        ("a.parquet", b"PAR1 this is none PAR1", ContentFault.UNDECODABLE),
        ("a.csv", b"a,b\n\xff,1\n", ContentFault.UNDECODABLE),
        ("a.csv", b"a\n" + b"x" * 200_000 + b"\n", ContentFault.TOO_LARGE),
        ("a.json", b"[" * 5_000 + b"]" * 5_000, ContentFault.TOO_DEEP),
        ("a.csv.gz", gzip.compress(b"\0" * (100 << 20)), ContentFault.BOMB),
    ],
)
def test_content_that_is_not_what_it_says_is_refused(key: str, data: bytes, fault: ContentFault) -> None:
    with pytest.raises(ContentRefused) as refused:
        taken(key, data)
    assert refused.value.code is fault


def test_a_sample_goes_from_process_to_process_as_it_is() -> None:
    known = [Sampled(("a", ITEM, "b"), "text", ["é", "2"]), Sampled((3,), "", [])]
    assert list(read(written(known))) == known
    with pytest.raises(ValueError, match="no sample"):
        list(read(b'[{"place": []}]'))


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("$.customer.email", "pii.email"),
        ("$.customer.id", "allow"),
        ("$.customer.address.street", "mask"),
        ("$.lines[*].sku", "allow"),
        ("$.other", None),
        ("$.by_day.*.email", "pii.email"),
    ],
)
def test_the_most_specific_path_speaks_for_a_place_and_what_lies_in_it(path: str, word: str | None) -> None:
    paths = {"$..email": "pii.email", "$.customer.id": "allow", "$.customer.address": "mask", "$.lines": "allow"}
    assert path_word(paths, path) == word


def test_a_column_is_found_whatever_its_case_and_nested_ones_by_what_is_around() -> None:
    columns = {"E-Mail": "pii.email", "home": "mask"}
    assert column_word(columns, "e-mail ", nested=False) == ("E-Mail", "pii.email")
    assert column_word(columns, "home.street", nested=True) == ("home.street", "mask")
    assert column_word(columns, "home[].street", nested=True) == ("home[].street", "mask")
    assert column_word(columns, "home.street", nested=False) == ("home.street", None)


@pytest.mark.parametrize(
    ("key", "glob"),
    [
        ("customers/2026.csv", "customers/*.csv"),
        ("a.json.gz", "*.json.gz"),
        ("logs/2026/06/01/x.ndjson", "logs/*/*/*/*.ndjson"),
        ("lake/dt=2026-06-01/part-0.parquet", "lake/dt=*/*.parquet"),
        ("users/ada@example.com/export.csv", "users/*/*.csv"),
        ("100%*/a.csv", "100%25%2A/*.csv"),
        ("1/2/3/4/5/6/7/a.csv", "**.csv"),
        ("README", "*"),
    ],
)
def test_a_glob_names_folder_and_ending_and_no_date_or_person(key: str, glob: str) -> None:
    assert globs([key], find) == {key: glob}


def test_folders_that_are_many_beside_each_other_are_a_star() -> None:
    keys = [f"teams/t{chr(97 + n)}/a.csv" for n in range(25)]
    assert set(globs(keys, find).values()) == {"teams/*/*.csv"}


SEGMENTS = st.text(st.sampled_from("ab.=*%19@-é "), min_size=1, max_size=6)


@given(st.lists(st.lists(SEGMENTS, min_size=1, max_size=9).map("/".join), max_size=30))
def test_every_key_lies_under_its_glob(drawn: list[str]) -> None:
    keys = []
    for text in drawn:
        try:
            keys.append(parse_key(text))
        except KeyRefused:
            continue
    for key, glob in globs(keys, find).items():
        assert Pattern(f"lake/{glob}").covers(object_resource("lake", key))
