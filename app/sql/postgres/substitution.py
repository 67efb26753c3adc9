"""The caller's tree with every governed table replaced by the caller's view of it."""

from collections.abc import Mapping
from typing import Any

from postgast import pg_query_pb2 as pb

from app.policy.decision import TableView
from app.sql.postgres.conjuncts import Conjunct, leakproof
from app.sql.postgres.template import template_text, template_tree
from app.sql.postgres.tree import PgTree, at
from app.sql.statement import Bind, KeyBind
from connectors.contract import Catalog, TableKey

_AND = pb.BoolExprType.Value("AND_EXPR")


class Binds:
    """Numbers of everything that is bound: the caller's parameters first; one number per mask key."""

    def __init__(self, source: PgTree) -> None:
        self.all: list[Bind] = list(source.binds)
        self._keys: dict[KeyBind, int] = {}

    def __call__(self, bind: Bind) -> int:
        if isinstance(bind, KeyBind):
            number = self._keys.get(bind)
            if number is not None:
                return number
            self._keys[bind] = len(self.all) + 1
        self.all.append(bind)
        return len(self.all)


def substitute(
    source: PgTree,
    tree: Any,
    found: list[Conjunct],
    views: Mapping[TableKey, TableView],
    catalog: Catalog,
    binds: Binds,
) -> None:
    """Changes `tree` in place; `found` are the conjuncts of this very tree."""
    for index, reference in enumerate(source.references):
        if reference.path[-1] == "relation":
            continue  # the target of a write
        view = views[reference.table]
        node = at(tree, reference.path[:-1])
        pushed = pushed_down(index, found, view)
        template = template_tree(template_text(view, catalog.tables[reference.table], binds))
        derived = node.range_subselect
        derived.subquery.select_stmt.CopyFrom(template)
        derived.alias.aliasname = reference.alias
        for column in reference.columns:
            derived.alias.colnames.add().string.sval = column
        if pushed:
            add_conjuncts(derived.subquery.select_stmt.where_clause, pushed)


def pushed_down(index: int, found: list[Conjunct], view: TableView) -> list[Any]:
    """Copies of the caller's conjuncts that may run below the fence of this reference's template."""
    if view.row_filter is None:
        return []
    own = (conjunct for conjunct in found if conjunct.relation.reference == index)
    return [_inner(conjunct) for conjunct in own if leakproof(conjunct, view)]


def _inner(conjunct: Conjunct) -> Any:
    """A copy of the conjunct as the template sees it: the table's own column name, unqualified."""
    outer = list(conjunct.reference.fields)
    saved = [_copy(part) for part in outer]
    del conjunct.reference.fields[:]
    conjunct.reference.fields.add().string.sval = conjunct.column
    inner = _copy(conjunct.node)
    del conjunct.reference.fields[:]
    conjunct.reference.fields.extend(saved)
    return inner


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def add_conjuncts(where: Any, more: list[Any]) -> None:
    """In place: `where` AND all of `more`."""
    first = [_copy(where)] if where.bool_expr.boolop != _AND else [_copy(part) for part in where.bool_expr.args]
    where.Clear()
    where.bool_expr.boolop = _AND
    where.bool_expr.args.extend(first + more)
