"""approvals.yaml as it is written: on which terms people may approve what a rule asks them."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.policy.decision import Action
from app.policy.documents import PolicyModel
from app.policy.places import ANY_ACTION
from app.policy.subjects import ANYBODY, is_named

APPROVALS_FILE = "approvals.yaml"
APPROVER_FORM = "user:NAME, role:NAME or group:NAME"
MAX_RULES = 5_000
MAX_APPROVERS = 100
MAX_ROWS = 10**12

_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION_FORM = "[1-9][0-9]{0,8}[smhd]"
_DURATION = re.compile(_DURATION_FORM)
_DURATION_SCHEMA = {"type": "string", "pattern": f"^{_DURATION_FORM}$", "examples": ["90s", "15m", "24h", "7d"]}
_WORDS = (*(action.value for action in Action), ANY_ACTION)
_MAPPING = "a mapping"
_WORD = "a word"


def seconds_of(text: object, *, least_s: int, most_s: int, bounds: str) -> int:
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise PydanticCustomError(
            "duration", "{text} is no duration", {"text": repr(text), "expected": "a number with s, m, h or d: 30m"}
        )
    found = int(text[:-1]) * _UNIT_S[text[-1]]
    if not least_s <= found <= most_s:
        raise PydanticCustomError("duration", "{text} is out of bounds", {"text": text, "expected": bounds})
    return found


def _lifetime(text: object) -> int:
    return seconds_of(text, least_s=60, most_s=30 * 86_400, bounds="from 1m to 30d")


def _window(text: object) -> int:
    return seconds_of(text, least_s=1, most_s=7 * 86_400, bounds="at most 7d")


def _delay(text: object) -> int:
    return seconds_of(text, least_s=1, most_s=30 * 86_400, bounds="less than the request's lifetime")


def _person(text: object) -> object:
    """A client is no person: what asks for a human is not answered by a machine."""
    if isinstance(text, str) and (not is_named(text) or text.startswith("client:")):
        raise PydanticCustomError("approver", "{text} is no approver", {"text": repr(text), "expected": APPROVER_FORM})
    return text


def _person_or_anybody(text: object) -> object:
    return text if text == ANYBODY else _person(text)


def _anybody_alone(approvers: list[str]) -> list[str]:
    if ANYBODY in approvers and len(approvers) > 1:
        raise PydanticCustomError(
            "approvers", "'*' makes the other approvers meaningless", {"expected": f"'*' alone, or {APPROVER_FORM}"}
        )
    return approvers


def _known_action(text: object) -> object:
    if isinstance(text, str) and text not in _WORDS:
        raise PydanticCustomError(
            "action", "unknown action {text}", {"text": repr(text), "expected": ", ".join(_WORDS)}
        )
    return text


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _form(value: object) -> str:
    return _WORD if isinstance(value, str) else _MAPPING


_PERSON_SCHEMA = Field(json_schema_extra={"pattern": "^(user|role|group):."})

Lifetime = Annotated[int, BeforeValidator(_lifetime), WithJsonSchema(_DURATION_SCHEMA)]
Window = Annotated[int, BeforeValidator(_window), WithJsonSchema(_DURATION_SCHEMA)]
Delay = Annotated[int, BeforeValidator(_delay), WithJsonSchema(_DURATION_SCHEMA)]
Person = Annotated[str, BeforeValidator(_person), _PERSON_SCHEMA]
Approver = Annotated[
    str, BeforeValidator(_person_or_anybody), Field(json_schema_extra={"pattern": r"^((user|role|group):.|\*$)"})
]
Approvers = Annotated[list[Approver], Field(min_length=1, max_length=MAX_APPROVERS), AfterValidator(_anybody_alone)]
ActionWord = Annotated[str, BeforeValidator(_known_action), Field(json_schema_extra={"enum": list(_WORDS)})]
Actions = Annotated[
    Annotated[list[ActionWord], Field(min_length=1, max_length=len(_WORDS))],
    BeforeValidator(_as_list, json_schema_input_type=ActionWord | list[ActionWord]),
]


class WindowDocument(PolicyModel):
    """A grant that lasts: `uses` and `rows` (read, or touched by writes) end it before the window closes."""

    window: Window
    uses: int | None = Field(default=None, ge=1, le=1_000_000)
    rows: int | None = Field(default=None, ge=1, le=MAX_ROWS)


class EscalationDocument(PolicyModel):
    """When nobody decided, others may as well."""

    after: Delay
    to: list[Person] = Field(min_length=1, max_length=MAX_APPROVERS)


Grant = Annotated[
    Annotated[Literal["once"], Tag(_WORD)] | Annotated[WindowDocument, Tag(_MAPPING)], Discriminator(_form)
]
Escalation = Annotated[
    Annotated[Literal["never"], Tag(_WORD)] | Annotated[EscalationDocument, Tag(_MAPPING)], Discriminator(_form)
]


class TermsDocument(PolicyModel):
    """What is left out comes from `default`; what that leaves out too, from the built-in terms."""

    approvers: Approvers | None = None
    quorum: int | None = Field(default=None, ge=1, le=10)
    expires: Lifetime | None = None
    grant: Grant | None = None
    preview: bool | None = None
    escalate: Escalation | None = None
    description: str = ""


class RuleDocument(TermsDocument):
    """The terms of one resource, or of one label to unmask."""

    resource: str | None = None
    label: str | None = None
    action: Actions | None = None


class ApprovalsDocument(PolicyModel):
    """The whole of approvals.yaml."""

    default: TermsDocument = Field(default_factory=TermsDocument)
    rules: list[RuleDocument] = Field(default_factory=list, max_length=MAX_RULES)
