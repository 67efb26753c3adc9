"""SET: which columns get which values, and which of these have to be worked out over the view."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.sql.postgres.quoting import identifier
from app.sql.postgres.tree import bare_parse
from app.sql.postgres.write_tree import Names
from app.sql.statement import Refusal, SqlRefused


@dataclass(slots=True, kw_only=True)
class Assignments:
    """`values[k]` is what the writing statement assigns to `names[k]`: a constant, or a column of the query that finds
    the rows, which works out `computed`. `more_sources`: FROM items for `(a, b) = (SELECT …)`."""

    names: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    computed: list[Any] = field(default_factory=list)
    defaulted: set[str] = field(default_factory=set)
    more_sources: list[Any] = field(default_factory=list)

    @property
    def quoted(self) -> list[str]:
        return [identifier(name) for name in self.names]


def assignments(targets: Sequence[Any], names: Names) -> Assignments:
    found = Assignments()
    sub_query = ""
    for entry in targets:
        target = entry.res_target
        if target.indirection:
            raise SqlRefused(
                Refusal.CONSTRUCT, f"SET {target.name}[…] and {target.name}.f are not allowed. Assign the whole column."
            )
        value = target.val
        if value.WhichOneof("node") == "multi_assign_ref":
            several = value.multi_assign_ref
            kind = several.source.WhichOneof("node")
            if kind == "row_expr":
                if len(several.source.row_expr.args) != several.ncolumns:
                    raise SqlRefused(Refusal.SYNTAX, "SET (…) = (…) needs as many values as columns.")
                value = several.source.row_expr.args[several.colno - 1]
            elif kind == "sub_link":
                if several.colno == 1:
                    sub_query = names(f"m{len(found.more_sources) + 1}")
                    found.more_sources.append(_lateral(several, sub_query, names))
                value = _column(f"{sub_query}.{names(f'a{several.colno}')}")
            else:
                raise SqlRefused(Refusal.CONSTRUCT, "SET (…) = takes a list of values or a SELECT.")
        found.names.append(target.name)
        if _is_constant(value):
            if value.WhichOneof("node") == "set_to_default":
                found.defaulted.add(target.name)
            found.values.append(value)
        else:
            found.computed.append(_single(value))
            found.values.append(_column(f"{names('k')}.{names(f'v{len(found.computed)}')}"))
    return found


def _is_constant(node: Any) -> bool:
    """It takes the column's type where it stands, which it would not behind a query."""
    which = node.WhichOneof("node")
    return which in ("a_const", "param_ref", "set_to_default") or (
        which == "type_cast" and node.type_cast.arg.WhichOneof("node") in ("a_const", "param_ref")
    )


def _single(value: Any) -> Any:
    """CASE takes no function that gives a set, just as SET does not: one row stays one row."""
    node = _column("CASE WHEN true THEN NULL END")
    node.case_expr.args[0].case_when.result.CopyFrom(value)
    return node


def _column(text: str) -> Any:
    return bare_parse(f"SELECT {text}").stmts[0].stmt.select_stmt.target_list[0].res_target.val


def _lateral(several: Any, alias: str, names: Names) -> Any:
    """No row gives NULLs, as in SET; a second row makes the target's row come twice, which ends the statement."""
    columns = ", ".join(names(f"a{number}") for number in range(1, several.ncolumns + 1))
    text = f"SELECT FROM (SELECT 1) AS {alias}_one LEFT JOIN LATERAL (SELECT 1) AS {alias}({columns}) ON true"
    item = bare_parse(text).stmts[0].stmt.select_stmt.from_clause[0]
    query = several.source.sub_link.subselect.select_stmt
    if len(query.target_list) > several.ncolumns or (query.values_lists and _width(query) != several.ncolumns):
        raise SqlRefused(Refusal.SYNTAX, "SET (…) = (SELECT …) needs as many values as columns.")
    item.join_expr.rarg.range_subselect.subquery.select_stmt.CopyFrom(query)
    return item


def _width(query: Any) -> int:
    return len(query.values_lists[0].list.items)
