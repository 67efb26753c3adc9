"""Instants as the approvals carry them: UTC, RFC 3339 with microseconds and `Z`, so that they compare as text."""

import re
from datetime import UTC, datetime, timedelta

_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_LAST = datetime.max.replace(tzinfo=UTC)


def instant(text: str) -> datetime:
    """Raises ValueError for any other spelling: it would not compare as text."""
    if _FORM.fullmatch(text) is None:
        raise ValueError("an instant is written as 2026-01-31T23:59:59.000000Z")
    return datetime.fromisoformat(text)


def spelled(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond:06d}Z"


def plus(at: str, seconds: int) -> str:
    """The instant `seconds` after `at`; the end of the calendar, when that is earlier."""
    start = instant(at)
    try:
        return spelled(start + timedelta(seconds=seconds))
    except OverflowError:
        return spelled(_LAST)


def reached(deadline: str, at: str) -> bool:
    """Whether `deadline` is `at` or earlier."""
    instant(deadline)
    instant(at)
    return deadline <= at
