"""Statements from text to answer with the real guard and the real policy, on a large database that is not there."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.approval.approval import Approval
from app.gateway.answer import Answer
from app.gateway.connections import Catalogs, Connection
from app.gateway.errors import IdempotencyMismatch, InvalidRequest, Overloaded, Refused
from app.gateway.planning import Planner
from app.gateway.query import QueryCommand
from app.gateway.record import Record
from app.gateway.rows import exact
from app.policy.connections import ConnectionKind
from app.policy.load import load
from app.sql.guards import guard_of
from connectors.contract import (
    Catalog,
    Column,
    Dialect,
    Limits,
    ReadOutcome,
    ResultColumn,
    Runnable,
    Table,
    TableKind,
    WriteLimits,
    WriteOutcome,
    WriteRunnable,
)
from tests.gateway.execution_fakes import MemoryHeld, MemoryKeys, Outages, Store, use_cases
from tests.gateway.fakes import caller

MODEL = (Path(__file__).parents[2] / "policies" / "model.conf").read_bytes()
MASKS = b"masks:\n  pii.*: null\n"
DATA = b"default: allow\ntables:\n  main.people:\n    columns:\n      email: pii.email\n"
RULES = """\
p, client:cli, **, *, allow,
p, user:ana, shop/main.*, select, allow,
p, user:dee, shop/main.*, select, allow,
p, user:dee, label:pii.email, unmask, allow,
p, user:bob, shop/main.people, select, allow,
p, user:ana, shop/main.t1, select, approve, rows > 100
p, user:ana, shop/main.t2, delete, approve,
p, *, shop/main.secrets, *, deny,
"""


def files(rules: str = RULES) -> dict[str, bytes]:
    return {
        "model.conf": MODEL,
        "policy.csv": rules.encode(),
        "masks.yaml": MASKS,
        "data/shop.yaml": DATA,
    }


class Policies:
    broken = ()

    def __init__(self, rules: str = RULES, data: bytes = DATA) -> None:
        self.current = load({**files(rules), "data/shop.yaml": data}, {"shop": ConnectionKind.SQL})


def table(name: str, *columns: str) -> Table:
    return Table(
        schema="main",
        name=name,
        kind=TableKind.TABLE,
        columns=tuple(Column(name=column, type="integer") for column in columns),
    )


TABLES = [table("people", "id", "email"), table("secrets", "id"), *(table(f"t{n}", "id") for n in range(200))]


class Connector:
    """Answers one row; `estimates` is what its planner says."""

    dialect = Dialect.SQLITE

    def __init__(self, version: str = "c1") -> None:
        self.estimates: int | None = None
        self.ran: list[str] = []
        tables = {each.key: each for each in TABLES}
        self._catalog = Catalog(dialect=Dialect.SQLITE, version=version, server_version=3040001, tables=tables)

    def catalog(self) -> Catalog:
        return self._catalog

    async def read(
        self, statement: Runnable, limits: Limits, sink: Any, on_columns: Callable[..., None] | None = None
    ) -> ReadOutcome:
        self.ran.append(statement.sql)
        columns = (ResultColumn(name="id", type="integer"),)
        if on_columns is not None:
            on_columns(columns)
        sink([(1,)])
        return ReadOutcome(columns=columns, row_count=1)

    async def write(
        self, statement: WriteRunnable, limits: WriteLimits, sink: Any, on_columns: Any = None
    ) -> WriteOutcome:
        assert limits.dry_run
        return WriteOutcome(affected=1)

    async def estimate(self, statement: Runnable, timeout_s: float) -> int | None:
        return self.estimates


class Heavy:
    """Counts, and says no."""

    def __init__(self) -> None:
        self.tables: list[int] = []

    async def inspect(self, guard: Any, text: str, params: Any, catalog: Catalog) -> Any:
        self.tables.append(len(catalog.tables))
        raise Overloaded("not here")


class Site:
    """`ask` gives the answer's document, or why it was refused."""

    def __init__(self, rules: str = RULES, data: bytes = DATA) -> None:
        self.connector, self.outages, self.heavy, self.policies = Connector(), Outages(), Heavy(), Policies(rules, data)
        self.store, self.intents = SlowStore(self.outages), list[Record]()
        any_connector: Any = self.connector
        any_heavy: Any = self.heavy
        connections = {
            "shop": Connection(
                name="shop",
                kind="sqlite",
                connector=any_connector,
                guard=guard_of(Dialect.SQLITE),
                max_rows=100,
                max_bytes=10_000,
                max_value_bytes=1_000,
                timeout_s=5,
            )
        }
        self.planner = Planner(catalogs=Catalogs(connections, lambda _name, _catalog: None), heavy=any_heavy)
        any_policies: Any = self.policies
        self.query, self.explaining, _ = use_cases(
            connections=connections,
            planner=self.planner,
            policies=any_policies,
            store=self.store,
            held=MemoryHeld(self.outages),
            keys=MemoryKeys(self.outages),
            intend=self._intend,
        )

    async def _intend(self, record: Record) -> None:
        self.intents.append(record)

    async def ask(self, who: str, sql: str, *, explain: bool = False, **more: Any) -> Any:
        record = Record(operation="query_sql", method="POST", path="/", trace_id="0", started=0.0)
        command = QueryCommand(connection="shop", sql=sql, params=more.pop("params", {}), **more)
        use = self.explaining.explain if explain else self.query.run
        try:
            answer: Answer = await use(caller(who), command, record)
        except Refused as refused:
            return (type(refused).__name__, refused.stable_code, refused.detail, refused.suggestion, refused.rules)
        return json.loads(b"".join(answer.opening.pieces()) + b"}")


@pytest.mark.parametrize("explain", [False, True])
@pytest.mark.parametrize(
    "template",
    [
        "SELECT * FROM {}",
        "SELECT nope FROM {}",
        "SELECT * FROM people p JOIN {} x ON x.id = p.id",
        "DELETE FROM {} WHERE id = 1",
        "DROP TABLE {}",
        "CREATE TABLE {} (id int)",
        "CREATE INDEX i ON {}(id)",
        "SELECT {}.id FROM people",
    ],
)
async def test_a_denied_table_answers_as_one_that_never_was(template: str, explain: bool) -> None:
    site = Site()
    for who in ("ana", "bob"):
        denied = await site.ask(who, template.format("secrets"), explain=explain)
        absent = await site.ask(who, template.format("zzzzzzz"), explain=explain)
        assert repr(denied).replace("secrets", "zzzzzzz") == repr(absent)


async def test_plans_are_not_shared_by_callers_who_see_differently() -> None:
    site = Site()
    for who in ("dee", "ana", "dee", "bob", "ana"):
        answer = await site.ask(who, "SELECT email FROM people")
        assert (answer["columns"][0]["mask"] is None) == (who == "dee")
    assert (await site.ask("bob", "SELECT id FROM t5"))[1] == "sql_table_not_found"
    assert (await site.ask("ana", "SELECT id FROM t5"))["row_count"] == 1


async def test_a_new_policy_is_in_force_at_once_for_texts_that_were_planned_before() -> None:
    site = Site()
    assert (await site.ask("dee", "SELECT email FROM people"))["columns"][0]["mask"] is None
    site.policies.current = Policies(RULES.replace("p, user:dee, label:pii.email, unmask, allow,\n", "")).current
    assert (await site.ask("dee", "SELECT email FROM people"))["columns"][0]["mask"] == "null"


@pytest.mark.parametrize(("estimate", "effect"), [(None, "approve"), (1_000, "approve"), (10, "allow")])
async def test_a_row_estimate_decides_anew_for_every_request_and_an_unknown_one_asks(
    estimate: int | None, effect: str
) -> None:
    site = Site()
    site.connector.estimates = 10
    assert (await site.ask("ana", "SELECT id FROM t1"))["status"] == "completed"
    site.connector.estimates = estimate
    status = (await site.ask("ana", "SELECT id FROM t1"))["status"]
    assert status == ("completed" if effect == "allow" else "pending_approval")
    assert (await site.ask("ana", "SELECT id FROM t1", explain=True))["effect"] == effect


async def test_no_estimate_is_shown_where_masks_hide_how_many_values_there_are() -> None:
    site = Site()
    site.connector.estimates = 7
    assert (await site.ask("ana", "SELECT id FROM t3", explain=True))["estimated_rows"] == 7
    assert (await site.ask("ana", "SELECT DISTINCT email FROM people", explain=True))["estimated_rows"] is None
    assert (await site.ask("dee", "SELECT DISTINCT email FROM people", explain=True))["estimated_rows"] == 7


HIDDEN = "default: allow\ntables:\n  main.people:\n    columns:\n      email: deny\n"


async def test_a_row_filter_on_a_hidden_column_does_not_tell_its_name() -> None:
    site = Site(data=(HIDDEN + "    rows:\n      '*': email = 5\n").encode())
    explained = await site.ask("ana", "SELECT id FROM people", explain=True)
    assert explained["effect"] == "allow"
    assert "email" not in repr(explained)
    assert (await site.ask("ana", "SELECT id FROM people"))["status"] == "completed"
    assert "email" in site.connector.ran[0]
    shown = Site(data=(HIDDEN + "    rows:\n      '*': id = 5\n").encode())
    assert "id" in (await shown.ask("ana", "SELECT id FROM people", explain=True))["rewritten_sql"]


async def test_a_required_predicate_names_visible_columns_only() -> None:
    site = Site(data=(HIDDEN + "    required: [email]\n").encode())
    assert (await site.ask("ana", "SELECT id FROM people"))[1] == "sql_table_not_found"
    both = Site(data=(HIDDEN + "    required: [email, id]\n").encode())
    refused = await both.ask("ana", "SELECT id FROM people")
    assert refused[1] == "sql_predicate_required"
    assert "email" not in repr(refused)
    assert (await both.ask("ana", "SELECT id FROM people WHERE id = 1"))["status"] == "completed"


async def test_an_unmask_nobody_allows_is_refused_however_the_label_is_called() -> None:
    site = Site()
    real = await site.ask("ana", "SELECT email FROM people", unmask=("pii.email",))
    made_up = await site.ask("ana", "SELECT email FROM people", unmask=("zzz.zzzzz",))
    assert repr(real).replace("pii.email", "zzz.zzzzz") == repr(made_up)


class SlowStore(Store):
    """`create` takes effect, and then takes its time."""

    slow: asyncio.Event | None = None

    async def create(self, approval: Approval) -> None:
        await super().create(approval)
        if self.slow is not None:
            await self.slow.wait()


async def test_one_wish_is_asked_once_even_when_its_client_left_while_it_was_stored() -> None:
    site = Site()
    site.store.slow = asyncio.Event()
    asking = asyncio.create_task(site.ask("ana", "DELETE FROM t2", idempotency_key="k"))
    while not site.store.all:
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    site.store.slow = None
    again = await site.ask("ana", "DELETE FROM t2", idempotency_key="k")
    assert [each.approval_id for each in site.store.all] == [again["approval_id"]]
    other = await site.ask("dee", "SELECT id FROM t2", idempotency_key="k")
    assert other["status"] == "completed"
    for more in ({"max_rows": 5}, {"purpose": "x"}, {"params": {"a": 1}}, {"cursor": "x"}, {"unmask": ("a.b",)}):
        refused = await site.ask("ana", "DELETE FROM t2", idempotency_key="k", **more)
        assert refused[0] == IdempotencyMismatch.__name__


async def test_what_no_human_would_read_is_not_put_before_one() -> None:
    site = Site()
    refused = await site.ask("ana", "DELETE FROM t2 WHERE id IN (:a)", params={"a": "x" * 20_000})
    assert refused[0] == InvalidRequest.__name__
    assert not site.store.all
    assert not site.intents


@pytest.mark.parametrize(
    "text",
    [
        "SELECT id FROM t7 WHERE " + " OR ".join(f"id = {n}" for n in range(300)),
        "SELECT 1 FROM " + ", ".join(f"t7 a{n}" for n in range(50)),
        "select 1 from t7\n" + "join t7 using (id)\n" * 20,
        " UNION ALL ".join(["SELECT id FROM t7"] * 20),
    ],
)
async def test_a_costly_statement_is_planned_elsewhere_with_the_tables_it_can_mean(text: str) -> None:
    site = Site()
    refused = await site.ask("ana", text)
    assert refused[0] == Overloaded.__name__
    assert site.heavy.tables == [1]


async def test_a_long_list_of_values_is_not_costly() -> None:
    site = Site()
    ids = ", ".join(str(n) for n in range(200))
    assert (await site.ask("ana", f"SELECT id, id, id FROM t7 WHERE id IN ({ids}) ORDER BY id"))["row_count"] == 1
    assert site.heavy.tables == []


def test_answers_show_integers_beyond_53_bits_as_text() -> None:
    assert exact({"a": [2**53, 2**70, -(2**70), 1]}) == {"a": [str(2**53), str(2**70), str(-(2**70)), 1]}
