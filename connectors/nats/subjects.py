"""Which topic is a subject of the stream, and how its durable consumer is called."""

import hashlib
import re
from collections.abc import Iterable

_TOKEN = re.compile(r"[^\s.*>\x00-\x20\x7f]+")
_MAX_SUBJECT = 250
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")


def literal(topic: str) -> bool:
    """A subject that one may publish to: no wildcards, and none of those that NATS keeps to itself."""
    return (
        0 < len(topic.encode("utf-8", "replace")) <= _MAX_SUBJECT
        and not topic.startswith(("$", "_"))
        and all(_TOKEN.fullmatch(token) for token in topic.split("."))
    )


def belongs(topic: str, patterns: Iterable[str]) -> bool:
    tokens = topic.split(".")
    return any(_matches(tokens, pattern.split(".")) for pattern in patterns)


def _matches(tokens: list[str], pattern: list[str]) -> bool:
    for place, wanted in enumerate(pattern):
        if wanted == ">":
            return len(tokens) > place
        if place >= len(tokens) or wanted not in ("*", tokens[place]):
            return False
    return len(tokens) == len(pattern)


def durable_name(prefix: str, topic: str) -> str:
    """Readable, and different for different topics. A name of a consumer has no dots."""
    digest = hashlib.sha256(topic.encode()).hexdigest()[:16]
    return f"{prefix}-{_NO_NAME.sub('_', topic)[:48]}-{digest}"
