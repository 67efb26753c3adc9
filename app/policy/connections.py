"""What kind of thing a connection is, and which actions make sense there."""

from enum import StrEnum

from app.policy.decision import Action


class ConnectionKind(StrEnum):
    SQL = "sql"
    OBJECTS = "objects"
    MESSAGES = "messages"


_ADMIN = frozenset({Action.READ, Action.WRITE, Action.DECIDE})
_ACTIONS = {
    ConnectionKind.SQL: frozenset({Action.SELECT, Action.INSERT, Action.UPDATE, Action.DELETE, Action.DDL}),
    ConnectionKind.OBJECTS: frozenset({Action.LIST, Action.FETCH, Action.PUT, Action.DELETE}),
    ConnectionKind.MESSAGES: frozenset({Action.PUBLISH, Action.RECEIVE}),
}


def actions_on(kind: ConnectionKind | None) -> frozenset[Action]:
    """None: Douane's own admin surface."""
    return _ADMIN if kind is None else _ACTIONS[kind]
