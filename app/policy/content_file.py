"""data/<connection>.yaml of objects and of messages, as it is written: globs of keys or topics to what is in them."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from app.policy.data_file import ColumnWord, Word
from app.policy.documents import PolicyModel
from app.policy.json_paths import PATH_FORM, PathError, parse_path
from app.policy.labels import LabelPattern

MAX_GLOBS = 1_000
MAX_FIELDS = 1_000
MAX_WILD_PATHS = 100

Format = Literal["csv", "tsv", "json", "ndjson", "parquet", "arrow", "text"]
OnFoundWord = Literal["allow", "mask", "approve", "deny"]

_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/(?:[a-z0-9][a-z0-9!#$&^_.+-]{0,126}|\*)")
_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")


def _path(text: object) -> object:
    if isinstance(text, str):
        try:
            parse_path(text)
        except PathError as wrong:
            raise PydanticCustomError(
                "path",
                "{text}: {what} at character {character}",
                {"text": repr(text), "what": wrong.what, "character": wrong.at + 1, "expected": PATH_FORM},
            ) from wrong
    return text


def _content_type(text: object) -> object:
    if isinstance(text, str) and not _TYPE.fullmatch(text):
        raise PydanticCustomError(
            "content_type",
            "{text} is no content type",
            {"text": repr(text), "expected": "a type in lower case without parameters: text/csv, or image/*"},
        )
    return text


def _header(text: object) -> object:
    if isinstance(text, str) and not _HEADER.fullmatch(text):
        raise PydanticCustomError(
            "header", "{text} is no header name", {"text": repr(text), "expected": "a name in lower case: trace-id"}
        )
    return text


def _delimiter(text: object) -> object:
    if isinstance(text, str) and (len(text) != 1 or not text.isascii() or text.isalnum() or text in "\"'\\\r\n\0"):
        raise PydanticCustomError(
            "delimiter", "{text} is no delimiter", {"text": repr(text), "expected": "one character such as ; or |"}
        )
    return text


JsonPath = Annotated[str, BeforeValidator(_path), Field(json_schema_extra={"pattern": r"^\$[.\[]"})]
ContentType = Annotated[str, BeforeValidator(_content_type), Field(json_schema_extra={"pattern": f"^{_TYPE.pattern}$"})]
HeaderName = Annotated[str, BeforeValidator(_header), Field(json_schema_extra={"pattern": f"^{_HEADER.pattern}$"})]
Found = dict[LabelPattern, OnFoundWord]


class PutDocument(PolicyModel):
    """What may be put at the keys of an entry."""

    types: list[ContentType] = Field(default_factory=list, max_length=100)
    max_bytes: int | None = Field(default=None, gt=0)


class EntryDocument(PolicyModel):
    """What keys and topics have in common."""

    content: Literal["masked", "raw"] = "masked"
    paths: dict[JsonPath, ColumnWord] = Field(default_factory=dict, max_length=MAX_FIELDS)
    default: Word | None = None
    found: Found = Field(default_factory=dict)
    description: str = ""


class ObjectDocument(EntryDocument):
    """The objects whose keys a glob covers."""

    format: Format | None = None
    columns: dict[str, ColumnWord] = Field(default_factory=dict, max_length=MAX_FIELDS)
    header: list[Annotated[str, Field(min_length=1)]] | None = Field(default=None, min_length=1, max_length=MAX_FIELDS)
    delimiter: Annotated[str, BeforeValidator(_delimiter)] | None = None
    put: PutDocument = Field(default_factory=PutDocument)


class TopicDocument(EntryDocument):
    """The messages of the topics that a glob covers."""

    schema_: dict[str, Any] | None = Field(
        default=None,
        alias="schema",
        description="A JSON Schema of draft 2020-12, or file: schemas/NAME.json below the policy folder",
    )
    headers: list[HeaderName] | None = Field(default=None, max_length=100)
    max_bytes: int | None = Field(default=None, gt=0)
    max_header_bytes: int | None = Field(default=None, gt=0, le=65_536)
    cloud_events: bool = False


class ObjectsDocument(PolicyModel):
    """The whole of data/<connection>.yaml, where the connection has objects."""

    default: Word = "mask"
    max_bytes: int | None = Field(default=None, gt=0)
    objects: dict[str, ObjectDocument] = Field(default_factory=dict, max_length=MAX_GLOBS)
    description: str = ""


class TopicsDocument(PolicyModel):
    """The whole of data/<connection>.yaml, where the connection has messages."""

    default: Word = "mask"
    max_bytes: int | None = Field(default=None, gt=0)
    topics: dict[str, TopicDocument] = Field(default_factory=dict, max_length=MAX_GLOBS)
    description: str = ""
