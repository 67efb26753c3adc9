"""The statement that runs for a write: a SELECT over the one CTE that writes.

    WITH <the caller's queries>, w AS (
      UPDATE s.t AS x SET a = k.v1 FROM (
        SELECT b.t, b.i, <expression over the view> AS v1
        FROM (<template of t, with row addresses>) AS b CROSS JOIN LATERAL (SELECT <its visible columns>) AS <alias>, …
        WHERE <the caller's>) AS k
      WHERE x.tableoid = k.t AND x.ctid = k.i
      RETURNING <row filter on the new row> AS ok, <masked columns>)
    SELECT w.ok, r.* FROM w CROSS JOIN LATERAL (SELECT <visible columns>) AS <alias>
      CROSS JOIN LATERAL (VALUES (<the caller's RETURNING>)) AS r ORDER BY <row address before the write>

Every expression of the caller's stands in a query over views. A row is found again by its address in the snapshot, so
the table needs no key and a masked key stays inside. VALUES takes exactly what RETURNING takes (no aggregates, no
functions of sets): a write gives one row for each row it touched, whatever the list says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.policy.decision import TableView
from app.sql.postgres.masking import BindOne, masked
from app.sql.postgres.quoting import identifier
from app.sql.postgres.returning import Carried, Returned
from app.sql.postgres.rowfilter import predicate
from app.sql.postgres.tree import at, bare_parse
from app.sql.postgres.value_cap import measured
from connectors.contract import Table

_TWICE = "CASE WHEN {k}.{p}n > 1 THEN (SELECT {p}d.v FROM (VALUES (true), (true)) AS {p}d(v)) ELSE true END"
"""A row that several source rows would change in several ways: SQLSTATE 21000 (cardinality_violation)."""
_WRITER = ("stmts", 0, "stmt", "select_stmt", "with_clause", "ctes", 0, "common_table_expr", "ctequery")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Names of our own, which occur nowhere in the caller's statement and in no table it touches."""

    prefix: str

    def __call__(self, name: str) -> str:
        return self.prefix + name


def fresh_names(data: bytes, views: Mapping[Any, TableView], catalog_tables: Mapping[Any, Table]) -> Names:
    taken = [data.lower()]
    for key in views:
        table = catalog_tables[key]
        taken += [column.name.encode().lower() for column in (*table.columns, *table.concealed)]
    number = 0
    while any(f"douane{number}_".encode() in one for one in taken):
        number += 1
    return Names(prefix=f"douane{number}_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What the frame of a write is made of; the caller's nodes are put into the tree afterwards."""

    names: Names
    view: TableView
    table: Table
    alias: str
    bind: BindOne

    @property
    def target(self) -> str:
        return f"{identifier(self.view.schema)}.{identifier(self.view.name)}"

    def addressed(self) -> str:
        """The template of the target with the address of each row, under its visible columns' own names."""
        p, text = self.names, f"SELECT tableoid AS {self.names('t')}, ctid AS {self.names('i')}"
        for number, column in enumerate(self.view.columns, start=1):
            text += f", {masked(column, self.bind)} AS {p(f'c{number}')}"
        text += f" FROM {self.target}"
        if self.view.row_filter is not None:
            text += f" WHERE {predicate(self.view.row_filter, self.table, self.bind)} OFFSET 0"
        return text

    def visible(self, source: str) -> str:
        """The view's row, made of numbered columns of `source`."""
        items = ", ".join(
            f"{source}.{self.names(f'c{number}')} AS {identifier(column.name)}"
            for number, column in enumerate(self.view.columns, start=1)
        )
        return f"CROSS JOIN LATERAL (SELECT {items}) AS {identifier(self.alias)}"

    def written_row(self, *, checked: bool, returned: bool) -> str:
        """RETURNING of the writing statement: the check, then the row as the view shows it, where it is asked for."""
        check = "true"
        if checked and self.view.row_filter is not None:
            check = f"({predicate(self.view.row_filter, self.table, self.bind)}) IS TRUE"
        items = [f"{check} AS {self.names('ok')}"]
        if returned:
            items += [
                f"{masked(column, self.bind)} AS {self.names(f'c{number}')}"
                for number, column in enumerate(self.view.columns, start=1)
            ]
        return ", ".join(items)

    def keyed(self, sources: Sequence[Carried], *, once: bool, values: int) -> str:
        """The query that finds the rows to write and what to write into them."""
        p, b = self.names, self.names("b")
        items = [f"{b}.{p('t')} AS {p('t')}", f"{b}.{p('i')} AS {p('i')}"]
        if once:
            items.append(f"pg_catalog.count(*) OVER (PARTITION BY {b}.{p('t')}, {b}.{p('i')}) AS {p('n')}")
        items += [f"NULL AS {p(f'v{number}')}" for number in range(1, values + 1)]
        items += [
            f"{identifier(source.alias)}.{identifier(column)} AS {p(f's{place}_{number}')}"
            for place, source in enumerate(sources, start=1)
            for number, column in enumerate(source.columns, start=1)
        ]
        return f"SELECT {', '.join(items)} FROM ({self.addressed()}) AS {b} {self.visible(b)} WHERE true"  # noqa: S608

    def joined(self, *, once: bool) -> str:
        p, x, k = self.names, self.names("x"), self.names("k")
        text = f"{x}.tableoid = {k}.{p('t')} AND {x}.ctid = {k}.{p('i')}"
        return f"{text} AND {_TWICE.format(k=k, p=p.prefix)}" if once else text

    def kept(self, sources: Sequence[Carried]) -> str:
        """More of RETURNING: the row's address before the write, and the columns of the sources."""
        p, k = self.names, self.names("k")
        items = [f"{k}.{p('t')} AS {p('t')}", f"{k}.{p('i')} AS {p('i')}"]
        for place, source in enumerate(sources, start=1):
            items += [f"{k}.{p(f's{place}_{n}')} AS {p(f's{place}_{n}')}" for n in range(1, len(source.columns) + 1)]
        return ", ".join(items)

    def around(
        self,
        writing: str,
        sources: Sequence[Carried],
        returned: Sequence[Returned] | None,
        *,
        addressed: bool,
        cap: bool,
    ) -> Any:
        """The tree of the whole statement; the caller's expressions of RETURNING are in their place."""
        p, w, r = self.names, self.names("w"), self.names("r")
        items, tables = [f"{w}.{p('ok')} AS {p('ok')}"], [w]
        ordered = ""
        if returned is not None:
            tables.append(self.visible(w))
            for place, source in enumerate(sources, start=1):
                columns = ", ".join(
                    f"{w}.{p(f's{place}_{number}')} AS {identifier(column)}"
                    for number, column in enumerate(source.columns, start=1)
                )
                tables.append(f"CROSS JOIN LATERAL (SELECT {columns}) AS {identifier(source.alias)}")
            outputs = [p(f"o{number}") for number in range(1, len(returned) + 1)]
            if outputs:
                nulls = ", ".join("NULL" for _ in outputs)
                tables.append(f"CROSS JOIN LATERAL (VALUES ({nulls})) AS {r}({', '.join(outputs)})")
            for output, one in zip(outputs, returned, strict=True):
                value = f"{r}.{output}"
                items.append(f"{measured(value) if cap else value} AS {identifier(one.name)}")
            if addressed:
                ordered = f" ORDER BY {w}.{p('t')}, {w}.{p('i')}"
        text = f"WITH {w} AS ({writing}) SELECT {', '.join(items)} FROM {' '.join(tables)}{ordered}"  # noqa: S608
        tree = bare_parse(text)
        if returned:
            row = at(tree, ("stmts", 0, "stmt", "select_stmt", "from_clause", 0, "join_expr", "rarg", "range_subselect",
                            "subquery", "select_stmt", "values_lists", 0, "list"))  # fmt: skip
            for place, one in enumerate(returned):
                row.items[place].CopyFrom(one.node)
        return tree


def writer_of(tree: Any, which: str) -> Any:
    """The writing statement's own message in a tree made by `Frame.around`."""
    return getattr(at(tree, _WRITER), which)
