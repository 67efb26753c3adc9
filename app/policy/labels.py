"""masks.yaml: which mask a label wears. The most specific entry wins; a label that nothing names wears Null."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from app.masking.masks import Constant, Generalise, Hide, Mask, Null, Partial, Pseudonym, Redact, Step
from app.policy.documents import PolicyModel

MASKS_FILE = "masks.yaml"
LABEL_FORM = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+"
_PATTERN_FORM = rf"(?:{LABEL_FORM}|(?:[A-Za-z0-9_-]+\.)*\*)"
_LABEL_PATTERN = re.compile(_PATTERN_FORM)


class NullMask(PolicyModel):
    kind: Literal["null"]
    description: str = ""


class DenyMask(PolicyModel):
    kind: Literal["deny"]
    description: str = ""


class ConstantMask(PolicyModel):
    kind: Literal["constant"]
    value: str | int | float | bool
    description: str = ""


class PartialMask(PolicyModel):
    kind: Literal["partial"]
    keep_last: int = Field(default=4, ge=0, le=64)
    email: bool = False
    description: str = ""


class GeneraliseMask(PolicyModel):
    kind: Literal["generalise"]
    step: Literal["year", "month", "bucket", "prefix"]
    size: int = Field(default=0, ge=0, le=1_000_000_000)
    description: str = ""

    @model_validator(mode="after")
    def _size_belongs_to_step(self) -> "GeneraliseMask":
        if (self.step in ("bucket", "prefix")) != (self.size > 0):
            raise PydanticCustomError(
                "mask_size", "size does not fit step", {"expected": "size > 0 with bucket and prefix, no size else"}
            )
        return self


class PseudonymMask(PolicyModel):
    kind: Literal["pseudonym"]
    domain: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]{0,64}$")
    """Without one, the label is the domain: values of one label stay joinable among themselves."""
    description: str = ""


class RedactMask(PolicyModel):
    kind: Literal["redact"]
    description: str = ""


def _spelled_out(value: Any) -> Any:
    """`null` and `deny` need no braces."""
    if value is None or value == "null":
        return {"kind": "null"}
    return {"kind": "deny"} if value == "deny" else value


MaskEntry = Annotated[
    Annotated[
        NullMask | DenyMask | ConstantMask | PartialMask | GeneraliseMask | PseudonymMask | RedactMask,
        Field(discriminator="kind"),
    ],
    BeforeValidator(
        _spelled_out,
        json_schema_input_type=None
        | Literal["null", "deny"]
        | NullMask
        | DenyMask
        | ConstantMask
        | PartialMask
        | GeneraliseMask
        | PseudonymMask
        | RedactMask,
    ),
]


def _label_pattern(text: str) -> str:
    if not _LABEL_PATTERN.fullmatch(text):
        raise PydanticCustomError(
            "label", "malformed label {text}", {"text": repr(text), "expected": "a label such as pii.email, pii.* or *"}
        )
    return text


LabelPattern = Annotated[
    str, BeforeValidator(_label_pattern), Field(json_schema_extra={"pattern": f"^{_PATTERN_FORM}$"})
]


class MasksDocument(PolicyModel):
    """The whole of masks.yaml."""

    masks: dict[LabelPattern, MaskEntry] = Field(default_factory=dict)


class Masks:
    """Label patterns to masks."""

    def __init__(self, entries: Mapping[str, Mask]) -> None:
        self.entries = dict(entries)

    @cached_property
    def _prefixes(self) -> list[tuple[str, Mask]]:
        found = [(name[:-1], mask) for name, mask in self.entries.items() if name.endswith("*")]
        return sorted(found, key=lambda entry: len(entry[0]), reverse=True)

    def of(self, label: str) -> Mask:
        exact = self.entries.get(label)
        found = exact if exact is not None else next((m for p, m in self._prefixes if label.startswith(p)), Null())
        return Pseudonym(domain=label) if found == Pseudonym(domain="") else found


def masks_of(document: MasksDocument) -> Masks:
    return Masks({label: _mask(entry) for label, entry in document.masks.items()})


def _mask(entry: MaskEntry) -> Mask:
    match entry:
        case NullMask():
            return Null()
        case DenyMask():
            return Hide()
        case ConstantMask(value=value):
            return Constant(value=value)
        case PartialMask(keep_last=keep_last, email=email):
            return Partial(keep_last=keep_last, email=email)
        case GeneraliseMask(step=step, size=size):
            return Generalise(step=Step(step), size=size)
        case PseudonymMask(domain=domain):
            return Pseudonym(domain=domain)
        case RedactMask():
            return Redact()
