"""YAML as policy files may use it: plain data with the place of every value; nothing clever is understood.

No anchors, aliases, tags, merge keys or second documents, no duplicate key; `yes`, `no` and dates are text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from app.policy.findings import Finding

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
MAX_NODES = 1_000_000
MAX_DEPTH = 12

Path = tuple[str | int, ...]
Place = tuple[int, int]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]{1,2})?")


@dataclass(slots=True)
class Document:
    """`places` has line and column, from 1, of every value; `keys` of every mapping key."""

    file: str
    value: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)

    def place(self, path: Sequence[str | int]) -> Place:
        """Of the key or value, or of the nearest thing around it; parts that name no node are skipped."""
        known: Path = ()
        for part in path:
            if (*known, part) in self.places:
                known = (*known, part)
        return self.keys.get(known) or self.places[known]

    def finding(self, path: Sequence[str | int], what: str, expected: str = "") -> Finding:
        line, column = self.place(path)
        return Finding(file=self.file, line=line, column=column, what=what, expected=expected)


class _Refused(Exception):  # noqa: N818
    def __init__(self, mark: Any, what: str, expected: str) -> None:
        super().__init__(what)
        self.place = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        self.what = what
        self.expected = expected


def read_document(file: str, data: bytes, findings: list[Finding]) -> Document | None:
    """None after a finding. An empty file is an empty mapping."""
    try:
        return _built(file, data)
    except _Refused as refused:
        line, column = refused.place
        findings.append(Finding(file=file, line=line, column=column, what=refused.what, expected=refused.expected))
    return None


def _built(file: str, data: bytes) -> Document:
    if len(data) > MAX_DOCUMENT_BYTES:
        raise _Refused(None, "file too large", f"at most {MAX_DOCUMENT_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as broken:
        raise _Refused(None, "not UTF-8", "a file in UTF-8") from broken
    builder = _Builder(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as broken:
        problem = (broken.problem or "malformed").replace("\n", " ")
        raise _Refused(broken.problem_mark or broken.context_mark, f"YAML: {problem}", "well-formed YAML") from broken
    except yaml.YAMLError as broken:
        raise _Refused(None, "YAML: a character that YAML does not allow", "printable text") from broken
    return builder.document


@dataclass(slots=True)
class _Frame:
    value: Any
    path: Path
    key: str | None = None


class _Builder:
    def __init__(self, file: str) -> None:
        self.document = Document(file=file, value={}, places={(): (1, 1)})
        self._stack: list[_Frame] = []
        self._nodes = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise _Refused(event.start_mark, "a second YAML document", "one document per file")
            case yaml.AliasEvent():
                raise _Refused(event.start_mark, "an alias", "the value itself: anchors and aliases are not read")
            case yaml.ScalarEvent():
                self._check(event)
                self._scalar(event)
            case yaml.MappingStartEvent():
                self._check(event)
                self._open({}, event)
            case yaml.SequenceStartEvent():
                self._check(event)
                self._open([], event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._stack.pop()
            case _:
                return

    def _check(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _Refused(event.start_mark, "too many values", f"at most {MAX_NODES}")
        if event.anchor is not None:
            raise _Refused(event.start_mark, "an anchor", "the value itself: anchors and aliases are not read")
        if event.tag is not None:
            raise _Refused(event.start_mark, f"the tag {event.tag}", "a value without a tag")

    def _scalar(self, event: Any) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.value, dict) and frame.key is None:
            self._key(frame, event)
            return
        plain = event.implicit[0]
        self._place(_resolved(event.value) if plain else event.value, event)

    def _key(self, frame: _Frame, event: Any) -> None:
        if event.value in frame.value:
            raise _Refused(event.start_mark, f"the key {event.value!r} twice", "each key once")
        frame.key = event.value
        self.document.keys[(*frame.path, event.value)] = _place_of(event)

    def _open(self, container: Any, event: Any) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise _Refused(event.start_mark, "nested too deeply", f"at most {MAX_DEPTH} levels")
        path = self._place(container, event)
        self._stack.append(_Frame(container, path))

    def _place(self, value: Any, event: Any) -> Path:
        if not self._stack:
            self.document.value = {} if value is None else value
            self.document.places[()] = _place_of(event)
            return ()
        frame = self._stack[-1]
        if isinstance(frame.value, list):
            path: Path = (*frame.path, len(frame.value))
            frame.value.append(value)
        elif frame.key is None:
            raise _Refused(event.start_mark, "a key that is no text", "a plain key")
        else:
            path = (*frame.path, frame.key)
            frame.value[frame.key] = value
            frame.key = None
        self.document.places[path] = _place_of(event)
        return path


def _place_of(event: Any) -> Place:
    return (event.start_mark.line + 1, event.start_mark.column + 1)


def _resolved(text: str) -> Any:
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    return text


class PolicyModel(BaseModel):
    """Base of what YAML files hold: no coercion, and no key that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, value: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        unknown = [key for key in value if key not in known] if isinstance(value, dict) else []
        if unknown:
            raise PydanticCustomError(
                "unknown_key",
                "unknown key {key}",
                {"key": repr(unknown[0]), "at": unknown[0], "expected": ", ".join(known)},
            )
        return value


_Model = TypeVar("_Model", bound=PolicyModel)

_EXPECTED: Mapping[str, str] = {
    "missing": "this key",
    "dict_type": "a mapping",
    "list_type": "a list",
    "too_short": "at least one",
    "too_long": "fewer",
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "greater_than": "a larger number",
    "greater_than_equal": "a larger number",
    "less_than_equal": "a smaller number",
    "string_pattern_mismatch": "letters, digits, dots, dashes and underscores",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping, or a word that the reference names",
    "union_tag_not_found": "a mapping with this key",
}
_WHAT: Mapping[str, str] = {
    "union_tag_invalid": "unknown kind",
    "model_attributes_type": "neither a mapping nor a known word",
    "literal_error": "unknown word",
}
_REFERENCE = "what docs/reference/policy.md says"


def validated(model: type[_Model], document: Document, findings: list[Finding]) -> _Model | None:
    """The document as the model has it, or None after one finding for each fault."""
    try:
        return model.model_validate(document.value)
    except ValidationError as invalid:
        for fault in invalid.errors(include_url=False, include_input=False, include_context=True):
            context = fault.get("ctx", {})
            path = (*(part for part in fault["loc"] if part != "[key]"), *([context["at"]] if "at" in context else []))
            said = context.get("expected") or context.get("expected_tags")
            expected = str(said) if said else _EXPECTED.get(fault["type"], _REFERENCE)
            findings.append(document.finding(path, _WHAT.get(fault["type"], fault["msg"]), expected))
    return None
