"""Three shops on a real server: d1, a twin d2 that differs only in what the analyst may not see, and the image: the
analyst's view made physical, by code that shares nothing with the guard."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

import asyncpg

from app.sql.postgres.bounds import bounded_tokens
from app.sql.postgres.placeholders import number
from app.sql.statement import Bind, JsonType, KeyBind, ParamBind, Rewritten, ValueBind
from tests.core.sql_postgres import world
from tests.servers import PostgresServer

CUSTOMERS, ORDERS = 3000, 4000
_KEY = hashlib.sha256(b"a key of the tests").digest()
_TEXT_CODED = ("numeric", "date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "record")

_IN_ORDER = "".join(
    f"CLUSTER {table} USING {table.removeprefix('hr.')}_pkey;"
    for table in ("customers", "logins", "remarks", "hr.salaries")
)
"""Rows of other sizes find other free space: the twins must lie in the same order to begin with."""


def _fill(twin: int) -> str:
    """`twin` changes rows of region 'hidden', hidden columns, and masked values inside their mask's kernel."""
    hidden = "i % 7 = 3"
    other = f"(i * {7919 if twin == 1 else 104729}) % 10007"
    return f"""
    INSERT INTO customers SELECT i,
        CASE WHEN {hidden} THEN 'H' || {other} ELSE 'Customer ' || i % 500 END,
        CASE WHEN i % 11 = 0 THEN NULL ELSE 'u' || {other} || '@example' || i % 5 || '.com' END,
        CASE WHEN {hidden} THEN 'h{twin}-' || {other} || '-' || i ELSE md5(i::text) END,
        CASE WHEN {hidden} THEN 'hidden' ELSE (ARRAY['eu', 'us', 'apac'])[1 + i % 3] END,
        timestamptz '2024-01-01' + CASE WHEN {hidden} THEN {other} ELSE i END * interval '1 hour',
        make_date(1950 + i % 50, 1 + {other} % 12, 1 + {other} % 28),
        (i % 40) * 100 + {other} % 100,
        CASE WHEN i % 13 = 0 THEN NULL ELSE 'n' || {other} || 'xy' END,
        's' || {other},
        {other}
        FROM generate_series(1, {CUSTOMERS}) AS i;
    INSERT INTO orders SELECT i, 1 + (i * 31) % {CUSTOMERS}, (i * 37) % 1000 / 4.0,
        (ARRAY['paid', 'open', 'void'])[1 + i % 3], timestamptz '2024-01-01' + i * interval '1 hour'
        FROM generate_series(1, {ORDERS}) AS i;
    INSERT INTO order_notes SELECT i, 'note ' || i FROM generate_series(1, 300) AS i;
    INSERT INTO remarks SELECT i, i % 80, CASE WHEN i % 40 = 0 THEN NULL ELSE
        (ARRAY['call', 'write', 'never mind'])[1 + i % 3]
        || CASE WHEN i % 9 = 0 THEN '' ELSE ' u' || ({other}) || '@example.org' END || ' asks ' || i % 5 END
        FROM generate_series(1, 300) AS i;
    INSERT INTO employees SELECT i, CASE WHEN i = 1 THEN NULL ELSE i / 2 END, 'e' || i FROM generate_series(1, 200) i;
    INSERT INTO products SELECT i, jsonb_build_object('color', (ARRAY['red', 'blue'])[1 + i % 2], 'size', i),
        ARRAY['a', 't' || i % 9] FROM generate_series(1, 100) AS i;
    INSERT INTO logins SELECT i, md5((i * 3)::text), md5('device' || i % 20)::uuid, {other} / 3.0
        FROM generate_series(1, 1000) AS i;
    INSERT INTO awkward SELECT i, date '2024-01-01' + i, i, i, 't', 'n' || i, 'v' || i, 'u', i, 'x'
        FROM generate_series(1, 20) AS i;
    INSERT INTO hr.salaries SELECT i, {other} FROM generate_series(1, 50) AS i;
    {_IN_ORDER}
    CREATE INDEX customers_secret ON customers (secret);
    CREATE INDEX customers_balance ON customers (balance, region);
    CREATE INDEX logins_score ON logins (score) INCLUDE (id);
    ANALYZE;
    """


def build(server: PostgresServer) -> None:
    for name, twin in (("d1", 1), ("d2", 2), ("image", 1)):
        server.create_database(name)
        server.psql(world.DDL + _fill(twin), database=name)
    server.create_role("analyst")
    for name in ("d1", "d2"):
        server.psql(
            "GRANT USAGE ON SCHEMA public, hr TO analyst; GRANT SELECT ON ALL TABLES IN SCHEMA public, hr TO analyst",
            database=name,
        )


async def make_image(connection: asyncpg.Connection) -> None:
    """Masks worked out in Python, written over the raw values, in the same physical order."""
    await connection.execute("DELETE FROM customers WHERE region = 'hidden'")
    rows = await connection.fetch(
        "SELECT id, email, ssn, extract(year FROM birth)::int AS y, balance::int AS b, note FROM customers"
    )
    masked = [
        (
            row["id"],
            None if row["email"] is None else "***@" + row["email"].rsplit("@", 1)[1],
            _pseudonym("ssn", row["ssn"]).hex()[:32],
            f"{row['y']}-01-01",
            row["b"] // 100 * 100,
            _last_two(row["note"]),
        )
        for row in rows
    ]
    await connection.execute("CREATE TEMP TABLE m (id int, email text, ssn text, birth text, balance int, note text)")
    await connection.copy_records_to_table("m", records=masked)
    await connection.execute(
        "UPDATE customers c SET email = m.email, ssn = m.ssn, birth = m.birth::date, balance = m.balance, "
        "note = m.note FROM m WHERE m.id = c.id"
    )
    await connection.execute("ALTER TABLE customers DROP COLUMN secret, DROP COLUMN version")
    logins = await connection.fetch("SELECT id, ssn, device::text FROM logins")
    await connection.execute("CREATE TEMP TABLE l (id bigint, ssn text, device text)")
    await connection.copy_records_to_table(
        "l",
        records=[
            (row["id"], _pseudonym("ssn", row["ssn"]).hex()[:32], _pseudonym("device", row["device"]).hex()[:32])
            for row in logins
        ],
    )
    await connection.execute(
        "UPDATE logins SET ssn = l.ssn, device = l.device::uuid, score = NULL FROM l WHERE l.id = logins.id"
    )
    await connection.execute(
        r"UPDATE remarks SET body = regexp_replace(body, '\mu[0-9]+@example\.org', '[redacted]') WHERE body LIKE '%@%'"
    )
    await connection.execute("UPDATE hr.salaries SET amount = 0")
    await connection.execute("DROP TABLE m; DROP TABLE l")
    for one in _IN_ORDER.rstrip(";").split(";"):
        await connection.execute(one)
    await connection.execute("ANALYZE")


def _last_two(value: str | None) -> str | None:
    if value is None:
        return None
    return "***" + value[-2:] if len(value) >= 4 else "***"


def _pseudonym(domain: str, value: str) -> bytes:
    return hmac.digest(_domain_key(domain), value.encode(), "sha256")


def _domain_key(domain: str) -> bytes:
    return hashlib.sha256(_KEY + domain.encode()).digest()


def bound(bind: Bind, params: dict[str, Any]) -> Any:
    match bind:
        case KeyBind(domain=domain, part=part):
            pad = {"inner": 0x36, "outer": 0x5C}[part]
            return bytes(byte ^ pad for byte in _domain_key(domain).ljust(64, b"\0"))
        case ValueBind(value=value):
            return value
        case ParamBind(name=name, type=kind):
            return _converted(params[name], kind)


def _converted(value: Any, kind: JsonType) -> Any:
    if kind is JsonType.NUMERIC:
        return str(value)
    return json.dumps(value) if kind is JsonType.JSON else value


class Shops:
    """The three connections and one event loop for all of a module's tests."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._runner = asyncio.Runner()
        self._connections: dict[str, asyncpg.Connection] = {}
        for name in ("d1", "d2", "image"):
            self._runner.run(self._connect(server, name))

    async def _connect(self, server: PostgresServer, name: str) -> None:
        image = name == "image"
        dsn = server.dsn(database=name) if image else server.dsn("analyst", "analyst", name)
        connection = await asyncpg.connect(dsn)
        if image:
            await make_image(connection)
        await connection.execute(
            "SET search_path = " + ("public, hr" if image else "''") + "; SET statement_timeout = '20s'; "
            "SET default_transaction_read_only = on; SET synchronize_seqscans = off; SET timezone = 'UTC'"
        )
        for kind in _TEXT_CODED:
            await connection.set_type_codec(kind, schema="pg_catalog", encoder=str, decoder=str, format="text")
        self._connections[name] = connection

    def close(self) -> None:
        for connection in self._connections.values():
            self._runner.run(connection.close())
        self._runner.close()

    def execute(self, name: str, sql: str) -> None:
        """As the superuser."""
        self._server.psql(sql, database=name)

    def column_types(self, name: str, rewritten: Rewritten) -> list[str]:
        """Canonical names of the output types."""
        connection = self._connections[name]
        prepared = self._runner.run(connection.prepare(rewritten.sql))
        oids = [attribute.type.oid for attribute in prepared.get_attributes()]
        return [self._runner.run(connection.fetchval("SELECT pg_catalog.format_type($1, NULL)", oid)) for oid in oids]

    def run(self, name: str, rewritten: Rewritten, params: dict[str, Any]) -> tuple[Any, ...]:
        args = [bound(bind, params) for bind in rewritten.binds]
        return self._runner.run(self._run(name, rewritten.sql, args, rewritten.keep_scan_order))

    def run_plain(self, name: str, sql: str, params: dict[str, Any]) -> tuple[Any, ...]:
        """The caller's own text; only for the image."""
        types = world.types_of(params)
        numbered = number(sql, bounded_tokens(sql), types)
        args = [_converted(params[one], types[one]) for one in numbered.names]
        return self._runner.run(self._run(name, numbered.text, args, False))

    async def _run(self, name: str, sql: str, args: Sequence[Any], keep_scan_order: bool) -> tuple[Any, ...]:
        """(column names, rows) or (SQLSTATE,); order and duplicates as the server gives them."""
        connection = self._connections[name]
        try:
            async with connection.transaction(readonly=True):
                if keep_scan_order:
                    await connection.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off")
                prepared = await connection.prepare(sql)
                rows = await prepared.fetch(*args)
                names = tuple(attribute.name for attribute in prepared.get_attributes())
                return names, [tuple(row) for row in rows]
        except asyncpg.PostgresError as error:
            return (error.sqlstate,)
