"""RETURNING as a list of named values over the caller's view of the rows that were written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.policy.decision import TableView
from app.sql.postgres.binding import Binding
from app.sql.postgres.scope import Item, Joined, Relation, Use, Written
from app.sql.postgres.tree import bare_parse
from app.sql.statement import Refusal, SqlRefused

_A_COLUMN = bare_parse("SELECT a.b").stmts[0].stmt.select_stmt.target_list[0].res_target.val


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A source of UPDATE … FROM or DELETE … USING, whose columns RETURNING may read."""

    alias: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """One value: its column name, and the expression's node."""

    name: str
    node: Any


def carried(written: Written, view: TableView, binding: Binding) -> tuple[Carried, ...]:
    """The sources that RETURNING reads: all of them, or none where it names the target's columns alone."""
    scope = written.returning.scope
    sources = scope.relations[1:] if scope is not None else []
    own = {column.name for column in view.columns}
    if not sources or not _reads_sources(written, own):
        return ()
    if scope is not None and scope.joins:
        raise _unclear("RETURNING cannot name columns of a join that has an alias of its own.")
    if scope is not None and any(output.star == () for output in written.returning.outputs):
        for item in scope.items:
            _check_plain(item)
    return tuple(Carried(alias=source.alias, columns=_names(source, binding)) for source in sources)


def returned(exprs: Sequence[Any], written: Written, view: TableView, sources: Sequence[Carried]) -> list[Returned]:
    """The caller's list with every star written out."""
    target = Carried(alias=written.target.alias, columns=tuple(column.name for column in view.columns))
    found = []
    for entry, output in zip(exprs, written.returning.outputs, strict=True):
        value = entry.res_target.val
        if output.star is not None:
            if value.WhichOneof("node") != "column_ref":
                raise _unclear("RETURNING cannot expand (row).*.")
            found += _expanded(output.star, (target, *sources))
        elif output.name is None:
            raise _unclear("A value in RETURNING has no name.")
        else:
            found.append(Returned(name=output.name, node=value))
    return found


def _expanded(star: tuple[str, ...], relations: Sequence[Carried]) -> list[Returned]:
    meant = [one for one in relations if not star or one.alias == star[-1]]
    if not meant:
        raise SqlRefused(
            Refusal.UNKNOWN_TABLE, f"RETURNING names {star[-1]!r}, which is not in this statement. Use the alias."
        )
    return [
        Returned(name=name, node=column_node(one.alias, name))
        for one in (meant if not star else meant[:1])
        for name in one.columns
    ]


def column_node(alias: str, name: str) -> Any:
    node = type(_A_COLUMN)()
    node.CopyFrom(_A_COLUMN)
    for field, part in zip(node.column_ref.fields, (alias, name), strict=True):
        field.string.sval = part
    return node


def _check_plain(item: Item) -> None:
    """`*` over a join gives merged columns once, and first."""
    if isinstance(item, Joined):
        if item.natural or item.using:
            raise _unclear("RETURNING * cannot expand NATURAL JOIN and USING.")
        _check_plain(item.left)
        _check_plain(item.right)


def _reads_sources(written: Written, own: set[str]) -> bool:
    alias = written.target.alias
    for output in written.returning.outputs:
        if output.star is not None and output.star != (alias,):
            return True
        if any(not _of_target(use, alias, own, written) for use in output.uses):
            return True
    return False


def _of_target(use: Use, alias: str, own: set[str], written: Written) -> bool:
    if use.scope is not written.returning.scope:
        # Inside a sub-query of RETURNING a name may mean anything.
        return False
    return use.parts[0] == alias if len(use.parts) > 1 else use.parts[0] in own


def _names(source: Relation, binding: Binding) -> tuple[str, ...]:
    columns = binding.columns(source)
    names = [name for name, _ in columns or () if name is not None]
    if columns is None or len(names) != len(columns) or len(set(names)) != len(names):
        raise _unclear(f"The columns of {source.alias!r} are not known well enough to be returned.")
    return tuple(names)


def _unclear(what: str) -> SqlRefused:
    return SqlRefused(Refusal.CONSTRUCT, f"{what} Name columns of the table that is written, or give values an alias.")
