"""What format an object has, from its key and its content type; when they disagree or say nothing, none is known.

What is not known cannot be masked, so a wrong guess must not happen: nothing is concluded from the bytes.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class FormatKind(StrEnum):
    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    ARROW = "arrow"
    TEXT = "text"


class Wrapping(StrEnum):
    """One layer of compression around the whole object."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFormat:
    """`streamed`: of Arrow, that it comes in the streaming format instead of the file format."""

    kind: FormatKind
    wrapping: Wrapping = Wrapping.NONE
    streamed: bool = False

    @property
    def content_type(self) -> str:
        """Of a masked rendering."""
        inside = _ARROW_STREAM if self.streamed else _SERVED_TYPE[self.kind]
        return _WRAPPED_TYPE.get(self.wrapping, inside)

    @property
    def seekable(self) -> bool:
        """The rendering starts at the end of the content, so that it has to be there as a whole."""
        return self.kind in _BINARY


_BINARY = frozenset({FormatKind.PARQUET, FormatKind.ARROW})
_CHARSET = re.compile(r""";\s*charset\s*=\s*["']?([^"';\s]*)""")
_READ_ALIKE = re.compile(
    r"utf-?8|(?:us-)?ascii|binary|utf-?16(?:le|be)?|iso-?8859-?\d{1,2}|latin-?1|(?:windows|cp)-?125\d"
)
"""What is not ASCII in them is no UTF-8, and refused where it is met."""
_ARROW_STREAM = "application/vnd.apache.arrow.stream"
_ENDINGS = {
    "csv": FormatKind.CSV,
    "tsv": FormatKind.TSV,
    "tab": FormatKind.TSV,
    "json": FormatKind.JSON,
    "ndjson": FormatKind.NDJSON,
    "jsonl": FormatKind.NDJSON,
    "parquet": FormatKind.PARQUET,
    "arrow": FormatKind.ARROW,
    "arrows": FormatKind.ARROW,
    "feather": FormatKind.ARROW,
    "txt": FormatKind.TEXT,
    "text": FormatKind.TEXT,
    "log": FormatKind.TEXT,
    "md": FormatKind.TEXT,
}
_WRAPPING_ENDINGS = {"gz": Wrapping.GZIP, "gzip": Wrapping.GZIP, "zst": Wrapping.ZSTD, "zstd": Wrapping.ZSTD}
_TYPES = {
    "text/csv": FormatKind.CSV,
    "application/csv": FormatKind.CSV,
    "text/tab-separated-values": FormatKind.TSV,
    "application/json": FormatKind.JSON,
    "application/x-ndjson": FormatKind.NDJSON,
    "application/ndjson": FormatKind.NDJSON,
    "application/jsonl": FormatKind.NDJSON,
    "application/x-jsonlines": FormatKind.NDJSON,
    "application/vnd.apache.parquet": FormatKind.PARQUET,
    "application/x-parquet": FormatKind.PARQUET,
    "application/vnd.apache.arrow.file": FormatKind.ARROW,
    _ARROW_STREAM: FormatKind.ARROW,
    "text/plain": FormatKind.TEXT,
    "text/markdown": FormatKind.TEXT,
}
_WRAPPING_TYPES = {
    "application/gzip": Wrapping.GZIP,
    "application/x-gzip": Wrapping.GZIP,
    "application/zstd": Wrapping.ZSTD,
}
_WRAPPING_ENCODINGS = {"gzip": Wrapping.GZIP, "x-gzip": Wrapping.GZIP, "zstd": Wrapping.ZSTD}
_SILENT_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream"})
"""What stores say when nobody told them."""
_PLAIN = frozenset({FormatKind.CSV, FormatKind.TSV, FormatKind.JSON, FormatKind.NDJSON})
"""Are plain text as well: "text/plain" does not contradict their endings."""
_SERVED_TYPE = {
    FormatKind.CSV: "text/csv; charset=utf-8",
    FormatKind.TSV: "text/tab-separated-values; charset=utf-8",
    FormatKind.JSON: "application/json",
    FormatKind.NDJSON: "application/x-ndjson",
    FormatKind.PARQUET: "application/vnd.apache.parquet",
    FormatKind.ARROW: "application/vnd.apache.arrow.file",
    FormatKind.TEXT: "text/plain; charset=utf-8",
}
_WRAPPED_TYPE = {Wrapping.GZIP: "application/gzip", Wrapping.ZSTD: "application/zstd"}


def essence_of(content_type: str) -> str:
    """Without parameters, in lower case: what policy compares."""
    return content_type.partition(";")[0].strip().lower()


def is_media_type(text: str) -> bool:
    """Of the form that a header can hold: `type/subtype` and parameters, in printable ASCII."""
    essence = essence_of(text)
    return essence.count("/") == 1 and " " not in essence and text.isascii() and text.isprintable() and len(text) <= 200


def format_of(
    key: str, content_type: str | None, declared: str | None, encoding: str | None = None
) -> ContentFormat | None:
    """The format of the object, None when it is not known for sure.

    `declared` (by the data file) decides the kind alone; a word that names no kind is None. The wrapping is said by the
    key's ending, the content type or the `encoding` that is stored with it. A content type may describe what is inside
    the wrapping.
    """
    ending, wrapping = _by_key(key)
    if encoding is not None:
        coded = _WRAPPING_ENCODINGS.get(encoding.lower())
        if coded is None or wrapping not in (Wrapping.NONE, coded):
            return None
        wrapping = coded
    kind = None if ending is None else _ENDINGS.get(ending)
    bare = essence_of(content_type or "")
    if (by_type := _WRAPPING_TYPES.get(bare)) not in (None, wrapping):
        if wrapping is not Wrapping.NONE or (kind is not None and declared is None):
            return None
        wrapping = by_type or wrapping
    if declared is not None:
        kind = FormatKind(declared) if declared in _KINDS else None
    elif bare in _TYPES:
        kind = _agreed(kind, _TYPES[bare])
    elif bare not in _SILENT_TYPES and bare not in _WRAPPING_TYPES:
        return None
    if kind is None or (kind not in _BINARY and not _is_read_as_stated(content_type or "")):
        return None
    streamed = kind is FormatKind.ARROW and (ending == "arrows" or bare == _ARROW_STREAM)
    return ContentFormat(kind=kind, wrapping=wrapping, streamed=streamed)


_KINDS = frozenset(FormatKind)


def _is_read_as_stated(content_type: str) -> bool:
    """Content is read as UTF-8, or as UTF-16 by its mark. What a reader who keeps to the stated charset would read
    differently, as ASCII that stands for something else (UTF-7, say), is looked through by nobody."""
    stated = _CHARSET.search(content_type.lower())
    return stated is None or _READ_ALIKE.fullmatch(stated[1]) is not None


def _agreed(ending: FormatKind | None, by_type: FormatKind) -> FormatKind | None:
    if ending is None or ending is by_type:
        return by_type
    return ending if by_type is FormatKind.TEXT and ending in _PLAIN else None


def _by_key(key: str) -> tuple[str | None, Wrapping]:
    """The ending that says what is inside, in lower case, and the wrapping. A name that is only an ending has none."""
    name, _, ending = key.rpartition("/")[2].lower().rpartition(".")
    wrapping = _WRAPPING_ENDINGS.get(ending, Wrapping.NONE) if name else Wrapping.NONE
    if wrapping is not Wrapping.NONE:
        name, _, ending = name.rpartition(".")
    return (ending if name else None), wrapping
