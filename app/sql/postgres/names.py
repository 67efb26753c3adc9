"""How PostgreSQL names what has no name: target list items and the columns of functions in FROM."""

from collections.abc import Iterable
from typing import Any

from app.sql.postgres.functions import FIELDS
from app.sql.postgres.scope import STAR
from app.sql.statement import Refusal, SqlRefused

_BY_NODE = {
    "case_expr": "case",
    "coalesce_expr": "coalesce",
    "a_array_expr": "array",
    "row_expr": "row",
    "grouping_func": "grouping",
    "json_object_constructor": "json_object",
    "json_array_constructor": "json_array",
    "json_array_query_constructor": "json_array",
    "json_object_agg": "json_objectagg",
    "json_array_agg": "json_arrayagg",
}
_VALUE_FUNCTIONS = {
    1: "current_date",
    2: "current_time",
    3: "current_time",
    4: "current_timestamp",
    5: "current_timestamp",
    6: "localtime",
    7: "localtime",
    8: "localtimestamp",
    9: "localtimestamp",
}


def strings(fields: Iterable[Any]) -> list[str]:
    """The parts of a name; a star is STAR."""
    return [STAR if part.HasField("a_star") else part.string.sval for part in fields]


def implied_name(node: Any) -> str | None:
    """PostgreSQL's own choice (FigureColname), or None where this reading is not sure of it."""
    strength, name = _figured(node)
    return name if strength else "?column?" if name is not None else None


def _figured(node: Any) -> tuple[int, str | None]:
    """(strength, name): 2 a good name, 1 a type's name, 0 none; a name of None means unknown."""
    which = node.WhichOneof("node")
    match which:
        case "column_ref":
            parts = strings(node.column_ref.fields)
            return (0, None) if parts[-1] is STAR else (2, parts[-1])
        case "func_call":
            return 2, node.func_call.funcname[-1].string.sval
        case "a_indirection":
            named = [part.string.sval for part in node.a_indirection.indirection if part.HasField("string")]
            return (2, named[-1]) if named else _figured(node.a_indirection.arg)
        case "type_cast":
            strength, name = _figured(node.type_cast.arg)
            return (strength, name) if strength > 1 else (1, node.type_cast.type_name.names[-1].string.sval)
        case "collate_clause":
            return _figured(node.collate_clause.arg)
        case "case_expr":
            strength, name = _figured(node.case_expr.defresult)
            return (strength, name) if strength > 1 else (1, "case")
        case "min_max_expr":
            return 2, "greatest" if node.min_max_expr.op == 1 else "least"
        case "sqlvalue_function":
            return 2, _VALUE_FUNCTIONS.get(node.sqlvalue_function.op)
        case "a_expr":
            return (2, "nullif") if node.a_expr.kind == 6 else (0, "?column?")
        case "sub_link":
            return _of_sub_link(node.sub_link)
        case _:
            return (2, _BY_NODE[which]) if which in _BY_NODE else (0, "?column?")


def _of_sub_link(link: Any) -> tuple[int, str | None]:
    if link.sub_link_type == 1:
        return 2, "exists"
    if link.sub_link_type == 7:
        return 2, "array"
    if link.sub_link_type != 5:
        return 0, "?column?"
    select = link.subselect.select_stmt
    while select.HasField("larg"):
        select = select.larg
    if not select.target_list:
        return 0, "?column?"
    target = select.target_list[0].res_target
    return (2, target.name) if target.name else _figured(target.val)


def function_columns(message: Any) -> tuple[str, ...] | None:
    """Column names of a RangeFunction before its column aliases; None where they are not known."""
    names: list[str] = []
    alone = len(message.functions) == 1
    for function in message.functions:
        items = function.list.items
        definitions = items[1].list.items if len(items) > 1 and items[1].HasField("list") else ()
        if alone and message.coldeflist:
            definitions = message.coldeflist
        name = implied_name(items[0]) or ""
        if definitions:
            names += [definition.column_def.colname for definition in definitions]
        elif name in FIELDS:
            names += FIELDS[name]
        elif name.endswith(("_populate_record", "_populate_recordset")):
            return None
        elif name == "unnest" and len(items[0].func_call.args) > 1:
            names += ["unnest"] * len(items[0].func_call.args)
        else:
            names.append(message.alias.aliasname if alone and message.HasField("alias") else name)
    if message.ordinality:
        names.append("ordinality")
    return tuple(names)


def attribute_refused(name: str, position: int | None) -> SqlRefused:
    return SqlRefused(
        Refusal.UNKNOWN_COLUMN,
        f"The column {name!r} was not found. Name a column of a table in FROM; functions are called as f(x).",
        position=position,
    )
