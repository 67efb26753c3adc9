"""The rewritten SQL of a shape, with holes for the literals that no rule looks at.

A template is made by rewriting the statement once more with stand-ins for those literals, and is kept only if filling
the holes with the first statement's own literals gives the very tree that was rewritten for it. Everything in doubt
gives no template; the statement is then read the long way each time.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.sql.postgres.gate import PostgresGuard, guard
from app.sql.postgres.shape import Shape, shape
from app.sql.postgres.tree import PgTree, bare_parse
from app.sql.statement import ParamTypes, Rewritten, SqlRefused, Statement, Views
from connectors.contract import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeTemplate:
    """`parts` with a hole at each of `holes` (place, literal); `fixed` literals must come again as they were."""

    parts: tuple[str, ...]
    holes: tuple[tuple[int, int], ...]
    fixed: tuple[tuple[int, str], ...]

    def render(self, literals: Sequence[str]) -> str | None:
        """The SQL for a text of the same shape; None when a literal that a rule looked at differs."""
        for index, text in self.fixed:
            if literals[index] != text:
                return None
        parts = list(self.parts)
        for place, index in self.holes:
            parts[place] = literals[index]
        return "".join(parts)


def template_of(
    text: str,
    params: ParamTypes,
    statement: Statement,
    rewritten: Rewritten,
    views: Views,
    catalog: Catalog,
    found: Shape | None = None,
) -> ShapeTemplate | None:
    """The template of `text`'s shape for these parameter types, views and catalog, or None."""
    own = found or shape(text)
    source = statement.tree
    if own is None or not isinstance(source, PgTree):
        return None
    free = [index for index, place in enumerate(own.places) if place in source.free_constants]
    if not free:
        return ShapeTemplate(parts=(rewritten.sql,), holes=(), fixed=tuple(enumerate(own.literals)))
    stand_ins = {index: _stand_in(index, own) for index in free}
    if any(stand_in.strip("'") in text or stand_in.strip("'") in rewritten.sql for stand_in in stand_ins.values()):
        return None
    again = _rewritten(_replaced(text, own, stand_ins), params, views, catalog)
    if again is None or _but_sql(again) != _but_sql(rewritten):
        return None
    template = _cut(again.sql, stand_ins, own)
    if template is None:
        return None
    try:
        same = bare_parse(template.render(own.literals) or "") == bare_parse(rewritten.sql)
    except SqlRefused:
        return None
    return template if same else None


def _stand_in(index: int, own: Shape) -> str:
    """A literal of the same kind that occurs nowhere else."""
    literal = own.literals[index]
    if literal.startswith("'"):
        return f"'dq{index}zq'"
    if not literal.isdigit():
        return f"7{index:04d}1.{index:04d}17"
    if int(literal) < 2**31:
        return str(1_770_000_017 + index * 100)
    return str((7_770_000_000_000_000_017 if int(literal) < 2**63 else 77_700_000_000_000_000_000_017) + index * 100)


def _replaced(text: str, own: Shape, stand_ins: dict[int, str]) -> str:
    pieces: list[str] = []
    position = 0
    for index, stand_in in stand_ins.items():
        place = own.places[index]
        pieces += (text[position:place], stand_in)
        position = place + len(own.literals[index])
    pieces.append(text[position:])
    return "".join(pieces)


def _rewritten(text: str, params: ParamTypes, views: Views, catalog: Catalog) -> Rewritten | None:
    reader: PostgresGuard = guard
    try:
        return reader.rewrite(reader.inspect(text, params, catalog), views, catalog)
    except SqlRefused:
        return None


def _but_sql(rewritten: Rewritten) -> tuple[object, ...]:
    # ValueBind(1) equals ValueBind(True): the representation tells them apart.
    return (
        repr(rewritten.binds),
        rewritten.outputs,
        rewritten.keep_scan_order,
        rewritten.cacheable,
        rewritten.labels,
    )


def _cut(sql: str, stand_ins: dict[int, str], own: Shape) -> ShapeTemplate | None:
    by_text = {stand_in: index for index, stand_in in stand_ins.items()}
    pattern = re.compile("|".join(re.escape(stand_in) for stand_in in stand_ins.values()))
    parts: list[str] = []
    holes: list[tuple[int, int]] = []
    position = 0
    for hit in pattern.finditer(sql):
        before, after = sql[hit.start() - 1 : hit.start()], sql[hit.end() : hit.end() + 1]
        if before.isalnum() or after.isalnum() or (before and before in "_.'$") or (after and after in "_.'"):
            return None
        parts += (sql[position : hit.start()], "")
        holes.append((len(parts) - 1, by_text[hit.group()]))
        position = hit.end()
    parts.append(sql[position:])
    if {index for _, index in holes} != set(stand_ins):
        return None
    fixed = tuple((index, text) for index, text in enumerate(own.literals) if index not in stand_ins)
    return ShapeTemplate(parts=tuple(parts), holes=tuple(holes), fixed=fixed)
