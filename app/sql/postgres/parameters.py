"""Placeholders in the tree: each gets the type that the literal of the same JSON value would have.

One request parameter may take several `$k`: PostgreSQL gives each `$k` one type for the whole statement, but
`:day IS NULL OR created_at >= :day` uses one value in two ways. Equal uses share a number, so that
`GROUP BY date_trunc(:unit, t)` still matches the target list.
"""

from collections.abc import Sequence
from typing import Any

from app.sql.statement import JsonType, ParamBind, ParamTypes

_TYPE = {
    JsonType.BOOL: ("bool", False),
    JsonType.INT4: ("int4", False),
    JsonType.INT8: ("int8", False),
    JsonType.NUMERIC: ("numeric", False),
    JsonType.INT_ARRAY: ("int8", True),
    JsonType.NUMERIC_ARRAY: ("numeric", True),
    JsonType.BOOL_ARRAY: ("bool", True),
    JsonType.TEXT_ARRAY: ("text", True),
    JsonType.JSON: ("jsonb", False),
}
_AS_TEXT = frozenset({"text", "varchar", "bpchar"})
_TEXT_CODED = _AS_TEXT | frozenset(
    {"date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "numeric"}
)
"""Types whose values the connector sends as text: a string parameter can be bound to them as it is."""


class Parameters:
    """Collects the binds of one statement while its tree is read."""

    def __init__(self, names: Sequence[str], types: ParamTypes) -> None:
        self.binds: list[ParamBind] = []
        self._names = names
        self._types = types
        self._slots: dict[tuple[str, str], int] = {}

    def typed(self, node: Any, path: Sequence[str | int]) -> None:
        """A placeholder with no cast of the caller's own. `path` ends with its place in the tree."""
        name = self._names[node.param_ref.number - 1]
        kind = self._types[name]
        if kind in (JsonType.TEXT, JsonType.NULL):
            if _assigned(path):
                # A number of its own: two columns may have two types.
                node.param_ref.number = self._slot(name, f"={path}")
            elif _untyped_place(path):
                self._wrap(node, name, "text", False)
            else:
                node.param_ref.number = self._slot(name, "")
        elif kind is JsonType.TEXT_ARRAY and len(path) > 2 and path[-3:-1] == ["a_expr", "rexpr"]:
            node.param_ref.number = self._slot(name, "")
        else:
            base, array = _TYPE[kind]
            self._wrap(node, name, base, array)

    def cast(self, node: Any, target: str) -> None:
        """A placeholder directly under the caller's cast to `target` ("int4", "text[]")."""
        name = self._names[node.param_ref.number - 1]
        kind = self._types[name]
        if kind is JsonType.NULL or (kind is JsonType.TEXT and target in _TEXT_CODED):
            node.param_ref.number = self._slot(name, target)
        elif kind is JsonType.TEXT:
            self._wrap(node, name, "text", False)
        elif kind is JsonType.TEXT_ARRAY and target in ("text[]", "varchar[]"):
            node.param_ref.number = self._slot(name, target)
        else:
            base, array = _TYPE[kind]
            self._wrap(node, name, base, array)

    def _slot(self, name: str, use: str) -> int:
        number = self._slots.get((name, use))
        if number is None:
            self.binds.append(ParamBind(name=name, type=self._types[name]))
            number = self._slots[name, use] = len(self.binds)
        return number

    def _wrap(self, node: Any, name: str, base: str, array: bool) -> None:
        number = self._slot(name, base + "[]" if array else base)
        cast = node.type_cast
        cast.arg.param_ref.number = number
        if base not in ("text", "jsonb"):
            cast.type_name.names.add().string.sval = "pg_catalog"
        cast.type_name.names.add().string.sval = base
        cast.type_name.typemod = -1
        if array:
            cast.type_name.array_bounds.add().integer.ival = -1


def _untyped_place(path: Sequence[str | int]) -> bool:
    """Whether PostgreSQL would have nothing to infer the type of `$k` from."""
    if len(path) < 3:
        return False
    if path[-3:-1] == ["null_test", "arg"] or path[-3:-1] == ["res_target", "val"]:
        return True
    return len(path) > 3 and path[-4:-2] == ["func_call", "args"]


def _assigned(path: Sequence[str | int]) -> bool:
    """A value for one column, in SET, VALUES, or the SELECT list that INSERT takes its rows from: it has the column's
    type."""
    if path[3:5] == ["update_stmt", "target_list"]:
        return len(path) == 9
    if path[3:6] != ["insert_stmt", "select_stmt", "select_stmt"]:
        return False
    return (path[6:7] == ["target_list"] and len(path) == 11) or (path[6:7] == ["values_lists"] and len(path) == 12)
