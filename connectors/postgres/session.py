"""One physical connection: how it is opened, what its session promises, and its prepared statements.

asyncpg's own connection and protocol do the work. Three things differ from its public interface: a statement runs with
a row cap in one round trip, types are described from a cache that all connections share (no introspection in between),
and every byte that arrives is counted, so that an answer larger than allowed ends with its connection, not in memory.
"""

import asyncio
import itertools
import re
import socket
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from connectors.contract import ConnectorError, Failure, ResultColumn
from connectors.postgres.types import DESCRIBE, TypeCache

CONNECT_TIMEOUT_S = 10.0
_CACHED_STATEMENTS = 256
_CLOSE_TIMEOUT_S = 2.0
_SETTLE_TIMEOUT_S = 5.0
_OWN_PORTAL = "douane_own"
_OWN_BATCH = 500
_LARGEST_PLAN_BYTES = 8 * 1024 * 1024
_NO_BUDGET: Final = 1 << 62
_ids = itertools.count(1)
_READS = re.compile(r"[\s(]*(SELECT|WITH|VALUES|TABLE)\b", re.IGNORECASE)


def server_settings(statement_timeout_s: float) -> dict[str, str]:
    """What every session starts with. They win over ALTER ROLE, ALTER DATABASE and the DSN."""
    return {
        "application_name": "douane",
        "bytea_output": "hex",
        "client_encoding": "UTF8",
        "client_min_messages": "error",
        "DateStyle": "ISO, MDY",
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "on",
        "extra_float_digits": "1",
        "idle_in_transaction_session_timeout": str(int(statement_timeout_s * 1000) + 10_000),
        "IntervalStyle": "postgres",
        "jit": "off",
        "lock_timeout": str(int(min(statement_timeout_s, 10.0) * 1000)),
        "row_security": "on",
        "search_path": "",
        "standard_conforming_strings": "on",
        # A backstop: each request carries its own, shorter one.
        "statement_timeout": str(int(statement_timeout_s * 1000) + 2_000),
        "synchronize_seqscans": "off",
        "TimeZone": "UTC",
    }


_REPORTED = {
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "TimeZone": "UTC",
    "IntervalStyle": "postgres",
}
"""Settings that the server reports of its own accord: checked after connecting, because a proxy may swallow them."""


class SessionRefused(Exception):  # noqa: N818 - never leaves the connector
    """The server did not take the session settings that reading safely depends on."""


class Meter:
    """Stands between transport and protocol and counts. Above its budget it cuts the connection at once.

    It is an asyncio protocol by shape: whatever is not about counting is the inner protocol's own method.
    """

    __slots__ = (
        "_feed", "_transport", "budget", "connection_lost", "eof_received", "pause_writing", "received",
        "resume_writing", "tripped",
    )  # fmt: skip

    def __init__(self, inner: Any, transport: asyncio.Transport) -> None:
        self._feed = inner.data_received
        self._transport = transport
        self.connection_lost = inner.connection_lost
        self.pause_writing = inner.pause_writing
        self.resume_writing = inner.resume_writing
        self.eof_received = inner.eof_received
        self.received = 0
        self.budget = _NO_BUDGET
        self.tripped = False

    def begin(self, budget: int | None) -> None:
        self.received = 0
        self.budget = _NO_BUDGET if budget is None else budget

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self.received > self.budget:
            self.tripped = True
            self._transport.abort()
            return
        self._feed(data)


def _keep_alive(transport: asyncio.Transport) -> None:
    """A peer that vanished without a word is noticed within a minute, not within hours."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


@dataclass(slots=True, eq=False)
class Prepared:
    """`state` is asyncpg's; `portal` is free to be used once at a time."""

    state: Any
    columns: tuple[ResultColumn, ...]
    parameter_oids: tuple[int, ...]


class Session:
    """Used by one read at a time. `generation` is that of the secret it was opened with."""

    __slots__ = (
        "_connection",
        "_doomed",
        "_prepared",
        "_types",
        "generation",
        "loop",
        "meter",
        "protocol",
        "scan_order",
    )

    def __init__(self, connection: Any, types: TypeCache, generation: int) -> None:
        self._connection = connection
        self.protocol = connection._protocol
        self._types = types
        self.generation = generation
        self.scan_order = False
        self.loop = asyncio.get_running_loop()
        self._prepared: OrderedDict[tuple[str, bool], Prepared] = OrderedDict()
        self._doomed: list[Any] = []
        transport = connection._transport
        self.meter = Meter(self.protocol, transport)
        transport.set_protocol(self.meter)
        _keep_alive(transport)

    @property
    def usable(self) -> bool:
        return bool(self.protocol.is_connected()) and not self.meter.tripped

    @property
    def in_transaction(self) -> bool:
        return bool(self.protocol.is_in_transaction())

    @property
    def idle(self) -> bool:
        """Nothing runs, no transaction is open, no cancellation is under way. A dead session is idle, too."""
        protocol = self.protocol
        return not (protocol.is_in_transaction() or protocol._is_cancelling()) or not self.usable

    @property
    def backend_pid(self) -> int:
        return int(self.protocol.get_server_pid())

    def reported(self, name: str) -> str:
        return str(getattr(self.protocol.get_settings(), name, ""))

    def check_reported(self) -> None:
        for name, value in _REPORTED.items():
            if self.reported(name) != value:
                raise SessionRefused(name)

    @property
    def server_version(self) -> int:
        version = self._connection.get_server_version()
        return int(version.major) * 10_000 + int(version.minor)

    async def prepare(self, sql: str, *, keep: bool, timeout_s: float) -> Prepared:
        """A statement ready to run; kept ones are named and survive, others replace the last unnamed one."""
        if not keep:
            return await self._prepare("", sql, timeout_s)
        key = (sql, self.scan_order)
        prepared = self._prepared.get(key)
        if prepared is not None:
            self._prepared.move_to_end(key)
            return prepared
        await self._close_doomed(timeout_s)
        prepared = await self._prepare(f"d{next(_ids)}", sql, timeout_s)
        self._prepared[key] = prepared
        if len(self._prepared) > _CACHED_STATEMENTS:
            self._doomed.append(self._prepared.popitem(last=False)[1].state)
        return prepared

    def known(self, sql: str) -> Prepared | None:
        """The kept statement of that text, at once."""
        return self._prepared.get((sql, self.scan_order))

    def forget(self, sql: str) -> None:
        """The plan of this text is stale: the next use prepares it anew."""
        prepared = self._prepared.pop((sql, self.scan_order), None)
        if prepared is not None:
            self._doomed.append(prepared.state)

    async def prepare_read(self, sql: str, *, keep: bool, timeout_s: float) -> Prepared:
        """As `prepare`, for text from outside: SET, SHOW, EXPLAIN and their like are not reads."""
        if _READS.match(sql) is None:
            raise ConnectorError(Failure.REFUSED_BY_WALL)
        return await self.prepare(sql, keep=keep, timeout_s=timeout_s)

    async def _prepare(self, name: str, sql: str, timeout_s: float) -> Prepared:
        state = await self._parse(name, sql, timeout_s)
        needed: set[int] = set()
        # Registering a scalar drops the arrays registered before: what this statement needs of them comes once more.
        while missing := set(state._init_types() or ()) - needed:
            needed |= missing
            if await self.learn(missing, timeout_s) and not name:
                # Describing the types took the unnamed statement's place.
                state = await self._parse(name, sql, timeout_s)
            self._types.register(self.protocol.get_settings(), needed)
        state._init_codecs()
        columns = tuple(ResultColumn(name=a.name, type=self._types.name(a.type.oid)) for a in state._get_attributes())
        return Prepared(state, columns, tuple(p.oid for p in state._get_parameters()))

    async def _parse(self, name: str, sql: str, timeout_s: float) -> Any:
        return await self.protocol.prepare(name, sql, timeout_s, record_class=asyncpg.Record, ignore_custom_codec=False)

    async def learn(self, oids: Iterable[int], timeout_s: float, *, builtin: bool = False) -> bool:
        """Describes types that nobody described yet; whether that took a round trip."""
        wanted = self._types.unknown(oids)
        asked = False
        while wanted or builtin:
            state = await self._parse("", DESCRIBE, timeout_s)
            state._init_codecs()
            rows = await self.protocol.bind_execute(state, (wanted, builtin), "", 0, False, timeout_s)
            self._types.add(rows)
            asked, builtin = True, False
            seen, wanted = wanted, self._types.unknown(oids)
            if wanted == seen:
                break
        return asked

    async def _close_doomed(self, timeout_s: float) -> None:
        while self._doomed:
            await self.protocol.close_statement(self._doomed.pop(), timeout_s)

    async def run(self, sql: str, timeout_s: float) -> None:
        """A constant command of our own: BEGIN, ROLLBACK, SET."""
        await self.protocol.query(sql, timeout_s)

    async def rows(self, sql: str, args: Sequence[Any], timeout_s: float) -> list[Any]:
        """All rows of a query of our own."""
        self.meter.begin(None)
        prepared = await self.prepare(sql, keep=False, timeout_s=timeout_s)
        fetched: list[Any] = await self.protocol.bind_execute(prepared.state, args, "", 0, False, timeout_s)
        return fetched

    async def many_rows(self, sql: str, args: Sequence[Any], timeout_s: float) -> list[tuple[Any, ...]]:
        """As `rows`, in batches that keep the loop free; only inside a transaction."""
        self.meter.begin(None)
        prepared = await self.prepare(sql, keep=False, timeout_s=timeout_s)
        state = prepared.state
        fetched: list[tuple[Any, ...]] = []
        batch, _, done = await self.protocol.bind_execute(state, args, _OWN_PORTAL, _OWN_BATCH, True, timeout_s)
        # Plain tuples of plain values: the garbage collector loses interest in them, which it never does in records.
        fetched.extend(map(tuple, batch))
        while not done:
            batch, _, done = await self.protocol.execute(state, _OWN_PORTAL, _OWN_BATCH, True, timeout_s)
            fetched.extend(map(tuple, batch))
        await self.protocol.close_portal(_OWN_PORTAL, timeout_s)
        return fetched

    async def explain(self, prepared: Prepared, args: Sequence[Any], timeout_s: float) -> list[Any]:
        self.meter.begin(_LARGEST_PLAN_BYTES)
        rows: list[Any] = await self.protocol.bind_execute(prepared.state, args, "", 0, False, timeout_s)
        return rows

    async def settle(self) -> bool:
        """After an interrupted command: waits for the server to acknowledge, ends the transaction, and proves that
        the connection answers again. False: it must be closed."""
        try:
            async with asyncio.timeout(_SETTLE_TIMEOUT_S):
                await self.protocol._wait_for_cancellation()
                if not self.usable:
                    return False
                self.meter.begin(None)
                await self.run("ROLLBACK" if self.in_transaction else "SELECT 1", _SETTLE_TIMEOUT_S)
        except Exception:  # whatever it is, the connection is not worth keeping
            return False
        return self.usable and not self.in_transaction

    async def set_scan_order(self, wanted: bool) -> None:
        """Index scans off (bitmap scans keep heap order), and groups sorted, because hash tables are as large as
        statistics of hidden values say; or on again. Plans are kept apart by this flag."""
        value = "off" if wanted else "on"
        names = ("enable_indexscan", "enable_indexonlyscan", "enable_hashagg")
        await self.run("; ".join(f"SET {name} = {value}" for name in names), CONNECT_TIMEOUT_S)
        self.scan_order = wanted

    def abort(self) -> None:
        """Closes without a word to the server."""
        self._connection.terminate()

    async def close(self) -> None:
        """Says goodbye, for a short while."""
        try:
            await self._connection.close(timeout=_CLOSE_TIMEOUT_S)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._connection.terminate()


async def connect(dsn: str, types: TypeCache, *, statement_timeout_s: float, generation: int) -> Session:
    """A new session. Raises what asyncpg raises, or SessionRefused."""
    connection = await asyncpg.connect(
        dsn,
        timeout=CONNECT_TIMEOUT_S,
        statement_cache_size=0,
        server_settings=server_settings(statement_timeout_s),
    )
    session = Session(connection, types, generation)
    try:
        session.check_reported()
        if types.empty:
            await session.learn((), CONNECT_TIMEOUT_S, builtin=True)
        types.register_builtin(session.protocol.get_settings())
    except BaseException:
        session.abort()
        raise
    return session
