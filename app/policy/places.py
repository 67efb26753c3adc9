"""Which resource patterns a policy file may write: one that could never cover anything is refused.

A deny that is never met protects nothing, and terms that are never met bind nobody.
"""

import re
import unicodedata
from collections.abc import Mapping

from app.policy.connections import ConnectionKind, actions_on
from app.policy.decision import Action
from app.policy.resources import EVERYTHING, LABEL_PREFIX, MAX_STARS, Pattern

ANY_ACTION = "*"
ADMIN_SURFACE = "douane"
RESOURCE_FORM = "connection/path, label:NAME or **"

_CONNECTION = re.compile(r"[^\s*/:]+|\*")
_LABEL = re.compile(r"[\w.*-]+")
_TOPIC = re.compile(r"[\w.*-]+", re.ASCII)
_NO_KEY = re.compile(r"//|(?:^|/)\.{1,2}(?:/|$)|\\|%(?!25|2A)")
"""Segments and escapes that no normalised key has."""


class BadPlace(Exception):  # noqa: N818 - becomes a finding
    """What is wrong with a resource pattern, and what would be right."""

    def __init__(self, what: str, expected: str) -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected


def resource_pattern(text: str, action: str, connections: Mapping[str, ConnectionKind]) -> Pattern:
    """`action` is one word of Action, or "*". Raises BadPlace."""
    if text.startswith(LABEL_PREFIX):
        if not _LABEL.fullmatch(text.removeprefix(LABEL_PREFIX)):
            raise BadPlace(f"malformed label {text!r}", "label:pii.email or label:pii.*")
        if action not in (Action.UNMASK, ANY_ACTION):
            raise BadPlace(f"{action} does not apply to a label", "unmask, or a connection/path")
    elif text != EVERYTHING:
        _check_place(text, action, connections)
    if "***" in text or text.count("*") > MAX_STARS:
        raise BadPlace(f"too many stars in {text!r}", f"* or **, at most {MAX_STARS} stars")
    return Pattern(text)


def actions_at(text: str, connections: Mapping[str, ConnectionKind]) -> frozenset[Action]:
    """The actions that anything under a good pattern can have."""
    if text == EVERYTHING:
        return frozenset(Action)
    if text.startswith(LABEL_PREFIX):
        return frozenset({Action.UNMASK})
    connection = text.partition("/")[0]
    if connection == "*":
        return frozenset(Action) - {Action.UNMASK}
    return actions_on(None if connection == ADMIN_SURFACE else connections[connection])


def _check_place(text: str, action: str, connections: Mapping[str, ConnectionKind]) -> None:
    connection, slash, path = text.partition("/")
    if not slash or not path or not _CONNECTION.fullmatch(connection):
        raise BadPlace(f"malformed resource {text!r}", RESOURCE_FORM)
    if action == Action.UNMASK:
        raise BadPlace("unmask applies to labels", "label:NAME or **")
    if connection in ("*", ADMIN_SURFACE):
        return
    kind = connections.get(connection)
    if kind is None:
        known = ", ".join(sorted(connections)) or "none is configured"
        raise BadPlace(f"unknown connection {connection!r}", f"one of: {known}")
    match kind:
        case ConnectionKind.SQL:
            if not _can_be_a_table(path):
                raise BadPlace(f"{path!r} is no table", f"{connection}/schema.table, {connection}/schema.*")
        case ConnectionKind.OBJECTS:
            if not _can_be_a_key(path):
                raise BadPlace(f"{path!r} is no object", f"{connection}/folder/name.csv, {connection}/folder/**")
        case ConnectionKind.MESSAGES:
            if not _TOPIC.fullmatch(path):
                raise BadPlace(f"{path!r} is no topic", f"{connection}/orders.created, {connection}/orders.*")


def _can_be_a_table(path: str) -> bool:
    return "**" in path or ("/" not in path and ("*" in path or path.count(".") == 1))


def _can_be_a_key(path: str) -> bool:
    """As resources.key_path spells keys."""
    if path.startswith("/") or path.endswith("/") or _NO_KEY.search(path) or not unicodedata.is_normalized("NFC", path):
        return False
    return all(character.isprintable() or unicodedata.category(character) == "Zs" for character in path)
