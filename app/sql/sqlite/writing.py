"""What runs of an INSERT, UPDATE or DELETE: one row comes back for each it touched, its check first.

    DELETE FROM main.t AS x WHERE x.key IN (SELECT key FROM <template> AS t WHERE <condition>) RETURNING 1, …
    UPDATE main.t AS x SET a = s.n FROM (SELECT key, <value> AS n FROM …, <template> AS t WHERE …) AS s
        WHERE x.key = s.key
    INSERT INTO main.t (a, b) <rows over templates>

The caller's expressions stand where reads stand, over templates that carry the raw key under a name of ours; the raw
table is named once, as the target. The check finds the new row again through the row filter itself: RETURNING would
compare it without the collations of its columns.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from app.sql.sqlite.binds import Binds
from app.sql.sqlite.columns import resolve
from app.sql.sqlite.lexis import fold, quoted
from app.sql.sqlite.nodes import Assignment, From, Join, Output, Parenthesis, Query, Select, Values, Write
from app.sql.sqlite.placing import Placing
from app.sql.sqlite.relations import Bound
from app.sql.sqlite.rendering import CTE_PREFIX, Rendering
from app.sql.sqlite.returning import returned
from app.sql.sqlite.second_reading import agree_on_write
from app.sql.sqlite.summaries import none_of_the_rows_themselves
from app.sql.sqlite.templates import Shown, condition, key_name
from app.sql.sqlite.writable import assigned, check_written, key_of
from app.sql.statement import OutputColumn, ParamTypes, Refusal, SqlRefused
from connectors.contract import TableKey

_TARGET = quoted("douane target")
_ROWS = quoted("douane rows")
_PLACE = quoted("douane place")
_CHECKED = quoted("douane check")
_OLDEST = 3_035_000
"""RETURNING, and before it UPDATE … FROM."""
_NOTHING = Select("", (), None, None, (), None, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    sql: str
    outputs: tuple[OutputColumn, ...]


def rewritten(
    write: Write,
    key: TableKey,
    bound: Bound,
    views: Mapping[TableKey, Shown],
    text: str,
    params: ParamTypes,
    mentioned: tuple[str, ...] | None,
    binds: Binds,
    server_version: int,
) -> Written:
    """`key`: the target's; `views` has it and every table that is read. Raises SqlRefused."""
    view = views[key]
    if server_version < _OLDEST:
        raise SqlRefused(
            Refusal.STATEMENT_CLASS, "This database's SQLite is older than 3.35: it can only be read here."
        )
    columns = _columns(write, view)
    check_written(write, view, columns)
    query = _as_query(write)
    keys = () if write.kind == "insert" else key_of(view)
    if write.kind != "insert":
        bound = replace(bound, targets={**bound.targets, write.target: key})
    resolved = resolve(query, text, bound, views)
    for expr in (*(assignment.value for assignment in write.assignments), write.where):
        if expr is not None:
            none_of_the_rows_themselves(expr, resolved.local, bound)
    placing = Placing(query, views, mentioned, resolved.owners, bound, {write.target: keys})
    rendering = Rendering(text, params, bound, resolved.booleans, binds, placing.template)
    placing.rendering = rendering
    match write.kind:
        case "insert":
            _same_width(write, columns, len(resolved.outputs))
            sql = _insert(write, columns, query, view, rendering)
        case "update":
            sql = _update(write, query, view, keys, rendering)
        case _:
            sql = _delete(write, query, view, keys, rendering)
    back = returned(write, view, text, params, bound, binds)
    sql += f" RETURNING {', '.join((_check(write, view, binds), *back.sql))}"
    tables = Counter([*placing.placed, view.table.name])
    if _is_checked(write, view):
        tables[view.table.name] += 1
    agree_on_write(sql, tables, len(binds.ordered), write.kind, view.table.name)
    return Written(sql=sql, outputs=back.outputs)


def _columns(write: Write, view: Shown) -> tuple[str, ...]:
    """An INSERT that names no columns means all that its caller sees, but those that are computed."""
    if write.kind != "insert" or write.columns or write.query is None:
        return write.written
    computed = {fold(column.name) for column in view.table.columns if column.generated_from}
    return tuple(column.name for name, column in view.columns.items() if name not in computed)


def _as_query(write: Write) -> Query:
    """The read inside the write, for everything that knows reads: names, lineage, templates, required predicates."""
    if write.kind == "insert":
        rows = write.query or Query((), False, (_NOTHING,), (), (), None, "", None)
        return Query(
            (*write.ctes, *rows.ctes),
            write.recursive or rows.recursive,
            rows.arms,
            rows.operators,
            rows.order,
            rows.limit,
            rows.limit_sign,
            rows.offset,
        )
    # The target stands last: NATURAL and USING among the sources must not see its columns.
    joins = (*write.source.joins, Join(",", write.target)) if write.source is not None else (Join("", write.target),)
    outputs = tuple(Output(assignment.value, None) for assignment in write.assignments)
    select = Select("", outputs, From(joins), write.where, (), None, ())
    return Query(write.ctes, write.recursive, (select,), (), (), None, "", None)


def _same_width(write: Write, columns: tuple[str, ...], width: int) -> None:
    if write.query is None:
        return
    uneven = any(len(row.parts) != width for arm in write.query.arms if isinstance(arm, Values) for row in arm.rows)
    if width != len(columns) or uneven:
        raise SqlRefused(
            Refusal.SYNTAX, f"The rows have {width} values for {len(columns)} columns: name the columns you write."
        )


def _insert(write: Write, columns: tuple[str, ...], query: Query, view: Shown, rendering: Rendering) -> str:
    rows = "DEFAULT VALUES"
    if write.query is not None:
        names = ", ".join(quoted(view.columns[fold(name)].name) for name in columns)
        rows = f"({names}) {rendering.query(query)}"
    return f"INSERT INTO {_table(view)} {rows}"


def _delete(write: Write, query: Query, view: Shown, keys: tuple[str, ...], rendering: Rendering) -> str:
    found = _found(write, query, len(keys), (), rendering)
    own = ", ".join(f"{_TARGET}.{quoted(name)}" for name in keys)
    row = own if len(keys) == 1 else f"({own})"
    return f"DELETE FROM {_target(view)} WHERE {row} IN ({found})"  # noqa: S608


def _update(write: Write, query: Query, view: Shown, keys: tuple[str, ...], rendering: Rendering) -> str:
    names = [quoted(view.columns[fold(name)].name) for name in write.written]
    values = [value for assignment in write.assignments for value in _values(assignment, rendering)]
    found = _found(write, query, len(keys), values, rendering)
    if write.source is not None:
        found = _one_per_row(found, len(keys), len(values))
    sets = ", ".join(f"{name} = {_ROWS}.{_value_name(place)}" for place, name in enumerate(names))
    same = " AND ".join(
        f"{_TARGET}.{quoted(name)} = {_ROWS}.{quoted(key_name(place))}" for place, name in enumerate(keys)
    )
    return f"UPDATE {_target(view)} SET {sets} FROM ({found}) AS {_ROWS} WHERE {same}"  # noqa: S608


def _found(write: Write, query: Query, keys: int, values: tuple[str, ...] | list[str], rendering: Rendering) -> str:
    """The rows that the caller means, by their keys, with their new values."""
    select = query.arms[0]
    assert isinstance(select, Select)
    assert select.source is not None
    alias = quoted(write.target.alias if write.target.alias is not None else write.target.name)
    names = [quoted(key_name(place)) for place in range(keys)]
    outputs = [f"{alias}.{name} AS {name}" for name in names]
    outputs += [f"{value} AS {_value_name(place)}" for place, value in enumerate(values)]
    with_clause = rendering.with_clause(query)
    words = [*with_clause, "SELECT", ", ".join(outputs), "FROM", rendering.sources(select.source)]
    if write.where is not None:
        words += ["WHERE", rendering.expression(write.where)]
    return " ".join(words)


def _one_per_row(found: str, keys: int, values: int) -> str:
    """A row that several source rows match takes the least of the values, not whichever the plan meets last."""
    by = ", ".join(quoted(key_name(place)) for place in range(keys))
    order = ", ".join(f"{_value_name(place)} COLLATE BINARY, typeof({_value_name(place)})" for place in range(values))
    ranked = f"SELECT *, row_number() OVER (PARTITION BY {by} ORDER BY {order}) AS {_PLACE} FROM ({found}) AS {_ROWS}"  # noqa: S608
    return f"SELECT * FROM ({ranked}) AS {_ROWS} WHERE {_PLACE} = 1"  # noqa: S608


def _values(assignment: Assignment, rendering: Rendering) -> list[str]:
    width, wanted = assigned(assignment), len(assignment.columns)
    if width is not None and width != wanted:
        raise SqlRefused(Refusal.SYNTAX, f"{wanted} columns are assigned {width} values.")
    only = assignment.value.items[0]
    if wanted == 1:
        return [rendering.expression(assignment.value)]
    if isinstance(only, Parenthesis):
        return [rendering.expression(part) for part in only.parts]
    row = quoted(f"{CTE_PREFIX}row")
    names = [_value_name(place) for place in range(wanted)]
    # A query's row cannot be taken apart: asked once for each of its columns.
    return [
        f"(WITH {row} ({', '.join(names)}) AS {rendering.expression(assignment.value)} SELECT {name} FROM {row})"  # noqa: S608
        for name in names
    ]


def _check(write: Write, view: Shown, binds: Binds) -> str:
    if not _is_checked(write, view) or view.row_filter is None:
        return f"1 AS {_CHECKED}"
    table = quoted(view.table.name)
    same = " AND ".join(f"{_CHECKED}.{quoted(name)} = {table}.{quoted(name)}" for name in key_of(view))
    visible = condition(view.row_filter, binds)
    return f"EXISTS (SELECT 1 FROM {_table(view)} AS {_CHECKED} WHERE {same} AND {visible}) AS {_CHECKED}"  # noqa: S608


def _is_checked(write: Write, view: Shown) -> bool:
    return view.row_filter is not None and write.kind != "delete"


def _table(view: Shown) -> str:
    return f"{quoted('main')}.{quoted(view.table.name)}"


def _target(view: Shown) -> str:
    # Rows are touched, and handed back, in the order of their numbers: never in that of an index.
    hint = "" if view.table.without_rowid else " NOT INDEXED"
    return f"{_table(view)} AS {_TARGET}{hint}"


def _value_name(place: int) -> str:
    return quoted(f"douane value {place}")
