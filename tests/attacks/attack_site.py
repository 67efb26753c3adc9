"""Twins that differ only in what the analyst may not see, behind the real stack: policy files, lens, guard, connector.

`Site.answer` gives what would leave the gateway: column names and encoded rows in the engine's order, or the refusal,
or the class of the failure.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from app.gateway.lens import lens
from app.gateway.parameters import Binder, param_types
from app.gateway.rows import RowEncoder
from app.policy.caller import Caller
from app.policy.casbin_model import MODEL
from app.policy.connections import ConnectionKind
from app.policy.load import load
from app.secrets.mask_keys import MaskKeyring
from app.sql.guards import guard_of
from app.sql.statement import Rewritten, SqlRefused
from connectors.contract import (
    Catalog,
    ConnectorError,
    Dialect,
    Limits,
    ResultColumn,
    Runnable,
    SqlConnector,
    SqlConnectorConfig,
)
from connectors.postgres.connector import PostgresConnector
from tests.servers import PostgresServer

MASKS = """
masks:
  m.null: null
  m.text: {kind: partial, keep_last: 4}
  m.email: {kind: partial, email: true}
  m.pseudo: {kind: pseudonym, domain: people}
  m.const: {kind: constant, value: "?"}
  m.year: {kind: generalise, step: year}
  m.month: {kind: generalise, step: month}
  m.bucket: {kind: generalise, step: bucket, size: 100}
  m.pair: {kind: generalise, step: bucket, size: 2}
  m.prefix: {kind: generalise, step: prefix, size: 2}
  m.deny: deny
"""
RULES = """
p, client:app, **, *, allow,
p, role:analyst, db/*, select, allow,
p, role:analyst, db/*.payroll, select, deny,
"""
ANALYST = Caller(
    issuer="https://idp.example/",
    principal="ana",
    actor="app",
    actor_chain=(),
    client="app",
    principal_subjects=frozenset({"user:ana", "role:analyst"}),
    actor_subjects=frozenset({"client:app"}),
    scopes=frozenset(),
    claims={"tenant": "t1"},
    token_id="t",
    expires_at=0,
    policy_key="ana",
)
MASTER_KEY = bytes(range(32))
KEYS = MaskKeyring(MASTER_KEY)
LIMITS = Limits(max_rows=20_000, max_bytes=20_000_000, max_value_bytes=4_000_000, timeout_s=5.0)

Answer = tuple[Any, ...]


class Site:
    """`one` and `two` are connectors of the twins; the catalog is that of `one`, as the gateway would read it."""

    def __init__(self, dialect: Dialect, data: str, one: SqlConnector, two: SqlConnector) -> None:
        files = {"model.conf": MODEL, "policy.csv": RULES, "masks.yaml": MASKS, "data/db.yaml": data}
        self.policy = load({name: text.encode() for name, text in files.items()}, {"db": ConnectionKind.SQL})
        self.guard = guard_of(dialect)
        self.one, self.two = one, two
        self._dynamic = dialect is Dialect.SQLITE
        self._runner = asyncio.Runner()
        self.wait(one.open())
        self.wait(two.open())
        self.catalogs: dict[int, Catalog] = {id(c): self.wait(c.refresh()) for c in (one, two)}

    def wait(self, awaited: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(awaited)

    def close(self) -> None:
        self.wait(self.one.close())
        self.wait(self.two.close())
        self._runner.close()

    def planned(
        self, sql: str, params: Mapping[str, Any] | None = None, where: SqlConnector | None = None
    ) -> Rewritten:
        """Raises SqlRefused."""
        seen = lens(self.policy, ANALYST, "db", self.catalogs[id(where or self.one)], {}, (), "k")
        statement = self.guard.inspect(sql, param_types(params or {}), seen.catalog)
        return self.guard.rewrite(statement, seen.view, seen.catalog)

    def answer(self, sql: str, params: Mapping[str, Any] | None = None, *, two: bool = False) -> Answer:
        where = self.two if two else self.one
        try:
            made = self.planned(sql, params, where)
        except SqlRefused as refused:
            return ("refused", refused.refusal.value, refused.detail)
        return self.wait(self._read(where, made, params or {}))

    async def _read(self, where: SqlConnector, made: Rewritten, params: Mapping[str, Any]) -> Answer:
        columns: tuple[ResultColumn, ...] = ()
        encoded: list[bytes] = []

        def announce(found: tuple[ResultColumn, ...]) -> None:
            nonlocal columns
            columns = found

        def sink(rows: Any) -> int:
            encoded.append(RowEncoder(columns, dynamic=self._dynamic).encode(rows))
            return len(encoded[-1])

        runnable = Runnable(
            sql=made.sql, args=Binder(KEYS).args(made.binds, params), keep_scan_order=made.keep_scan_order
        )
        try:
            outcome = await where.read(runnable, LIMITS, sink, announce)
        except ConnectorError as failed:
            return ("failed", failed.failure.value, failed.fault and failed.fault.value, failed.parameter)
        return ("rows", tuple(c.name for c in columns), b",".join(e for e in encoded if e), outcome.stopped)

    def twins(self, sql: str, params: Mapping[str, Any] | None = None) -> tuple[Answer, Answer]:
        return self.answer(sql, params), self.answer(sql, params, two=True)


def postgres_twin(server: PostgresServer, database: str) -> PostgresConnector:
    dsn = server.dsn("analyst", "analyst", database)
    return PostgresConnector(SqlConnectorConfig(name="db", secret=lambda: dsn, pool_max=2))
