"""The kinds of masks. Every mask is total and keeps the type of its column; where it cannot, the value is NULL."""

from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """What a value is generalised to."""

    YEAR = "year"
    MONTH = "month"
    BUCKET = "bucket"
    PREFIX = "prefix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Null:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    value: str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """`***` and the last `keep_last` characters (fewer than twice as many characters: only `***`).

    With `email`, `***@` and the domain instead; a value with no "@" becomes `***`.
    """

    keep_last: int = 4
    email: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Generalise:
    """`size`: width of a numeric bucket (> 0), or how many leading characters a PREFIX keeps."""

    step: Step
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pseudonym:
    """HMAC-SHA-256 under the key of `domain`; equal values of one domain stay equal, across tables, files and
    types; but an integer of 32 bits has a form of its own, for want of room."""

    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hide:
    """`deny` in masks.yaml: the column does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redact:
    """Text in which what detectors find is replaced; what is no text has no such form. With `keep_others`, which no
    policy file can say, it stays: for content on its way in, of which only what was found is to be changed. A number in
    which something is found is NULL then, and lists and objects are gone through."""

    keep_others: bool = False


Mask = Null | Constant | Partial | Generalise | Pseudonym | Hide | Redact


def kind_of(mask: Mask) -> str:
    """The name that users see in answers and policy files."""
    match mask:
        case Null():
            return "null"
        case Constant():
            return "constant"
        case Partial():
            return "partial"
        case Generalise():
            return "generalise"
        case Pseudonym():
            return "pseudonym"
        case Hide():
            return "deny"
        case Redact():
            return "redact"
