"""get_identity, list_connections, describe_connection: what a caller is, may use and will see."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.gateway.answer import Answer, json_answer, next_link
from app.gateway.connections import Broker, Bucket, Connection
from app.gateway.cursor import Cursors
from app.gateway.describing import object_place, topic_place
from app.gateway.errors import UnknownConnection
from app.gateway.lens import Lens
from app.gateway.planning import Planner
from app.gateway.record import Record
from app.masking.masks import kind_of
from app.policy.caller import Caller
from app.policy.decision import ColumnView, TableView
from app.policy.snapshot import PolicySnapshot
from app.ports import Policies
from connectors.contract import Family, Table, TableKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ListConnections:
    limit: int
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeConnection:
    connection: str
    limit: int
    cursor: str | None = None
    table: str | None = None
    """Only tables of this name, or `schema.name`; of objects and messages only this key, topic or pattern."""


class Discovery:
    def __init__(
        self,
        *,
        connections: Mapping[str, Connection],
        buckets: Mapping[str, Bucket],
        brokers: Mapping[str, Broker],
        policies: Policies,
        planner: Planner,
        cursors: Cursors,
        now: Callable[[], float],
        public_url: str,
    ) -> None:
        self._connections = connections
        self._everything: Mapping[str, Connection | Bucket | Broker] = {**connections, **buckets, **brokers}
        self._policies = policies
        self._planner = planner
        self._cursors = cursors
        self._now = now
        self._public_url = public_url

    async def identity(self, caller: Caller, command: None, record: Record) -> Answer:
        snapshot = self._policies.current
        record.policy_version = snapshot.version
        return json_answer(
            200,
            {
                "principal": caller.principal,
                "actor": caller.actor,
                "actor_chain": caller.actor_chain,
                "client": caller.client,
                "issuer": caller.issuer,
                "roles": sorted(s.removeprefix("role:") for s in caller.principal_subjects if s.startswith("role:")),
                "subjects": sorted(caller.principal_subjects),
                "actor_subjects": sorted(caller.actor_subjects),
                "scopes": sorted(caller.scopes),
                "expires_at": caller.expires_at,
                "policy_version": snapshot.version,
            },
        )

    async def list_connections(self, caller: Caller, command: ListConnections, record: Record) -> Answer:
        snapshot = self._policies.current
        record.policy_version = snapshot.version
        binding = ("list_connections", caller.issuer, caller.principal, caller.actor)
        after = "" if command.cursor is None else str(self._cursors.read(binding, command.cursor)[0])
        usable = [
            (connection, actions)
            for name, connection in sorted(self._everything.items())
            if name > after and (actions := snapshot.reachable(caller, name))
        ]
        page = usable[: command.limit]
        cursor = self._cursors.issue(binding, [page[-1][0].name]) if len(usable) > len(page) else None
        return json_answer(
            200,
            {
                "connections": [
                    {**_summary(connection), "actions": sorted(action.value for action in actions)}
                    for connection, actions in page
                ],
                "next_cursor": cursor,
            },
            headers=next_link(f"{self._public_url}/v1/connections", cursor, {"limit": str(command.limit)}),
        )

    async def describe_connection(self, caller: Caller, command: DescribeConnection, record: Record) -> Answer:
        snapshot = self._policies.current
        connection = self._everything.get(command.connection)
        if connection is None or not snapshot.reachable(caller, command.connection):
            raise UnknownConnection("There is no such connection: list_connections names those that you can use.")
        record.connection, record.policy_version = connection.name, snapshot.version
        binding = (
            "describe_connection", caller.issuer, caller.principal, caller.actor, connection.name, command.table or ""
        )  # fmt: skip
        after = () if command.cursor is None else tuple(map(str, self._cursors.read(binding, command.cursor)))
        if isinstance(connection, Connection):
            kind = "tables"
            page, last = await self._tables(connection, caller, command, snapshot, after)
        else:
            kind = "objects" if isinstance(connection, Bucket) else "topics"
            page, last = await self._places(connection, caller, command, snapshot, after)
        cursor = None if last is None else self._cursors.issue(binding, last)
        asked = {"limit": str(command.limit)} | ({} if command.table is None else {"table": command.table})
        return json_answer(
            200,
            {
                "connection": connection.name,
                **_family(connection),
                **{each: page if each == kind else [] for each in ("tables", "objects", "topics")},
                "next_cursor": cursor,
                "policy_version": snapshot.version,
            },
            headers=next_link(f"{self._public_url}/v1/connections/{connection.name}", cursor, asked),
        )

    async def _tables(
        self,
        connection: Connection,
        caller: Caller,
        command: DescribeConnection,
        snapshot: PolicySnapshot,
        after: tuple[str, ...],
    ) -> tuple[list[dict[str, Any]], tuple[str, ...] | None]:
        """A page, and its last key where there are more."""
        seen = await self._planner.lens(connection, caller, snapshot, (), self._now())
        keys = sorted(key for key in seen.views if key > after and _named(key, command.table))
        page = keys[: command.limit]
        return [_table(seen, key) for key in page], page[-1] if len(keys) > len(page) else None

    async def _places(
        self,
        connection: Bucket | Broker,
        caller: Caller,
        command: DescribeConnection,
        snapshot: PolicySnapshot,
        after: tuple[str, ...],
    ) -> tuple[list[dict[str, Any]], tuple[str, ...] | None]:
        """A page, and its last resource where there are more."""
        # The first time every entry is held against every grant: too much for the loop.
        places = await asyncio.to_thread(snapshot.described, caller, connection.name)
        left = [place for place in places if (place.resource,) > after and command.table in (None, place.name)]
        page = left[: command.limit]
        shown = object_place if isinstance(connection, Bucket) else topic_place
        found = [shown(snapshot, caller, connection.name, place, self._now()) for place in page]
        return found, (page[-1].resource,) if len(left) > len(page) else None


def _family(connection: Connection | Bucket | Broker) -> dict[str, Any]:
    if isinstance(connection, Connection):
        return {"family": Family.SQL.value, "dialect": connection.connector.dialect.value}
    return {"family": connection.connector.family.value, "dialect": None}


def _summary(connection: Connection | Bucket | Broker) -> dict[str, Any]:
    return {
        "name": connection.name,
        "kind": connection.kind,
        **_family(connection),
        "max_rows": connection.max_rows if isinstance(connection, Connection) else None,
        "max_bytes": connection.max_bytes,
    }


def _named(key: TableKey, wanted: str | None) -> bool:
    return wanted is None or wanted in (key[1], f"{key[0]}.{key[1]}")


def _table(seen: Lens, key: TableKey) -> dict[str, Any]:
    table: Table = seen.catalog.tables[key]
    view: TableView = seen.views[key]
    shown = {column.name for column in view.columns}
    nullable = {column.name: column.nullable for column in table.columns}
    return {
        "schema": key[0],
        "name": key[1],
        "kind": table.kind.value,
        "actions": sorted(action.value for action in seen.actions[key]),
        "columns": [_column(column, nullable[column.name]) for column in view.columns],
        "primary_key": list(table.primary_key) if set(table.primary_key) <= shown else [],
        "row_filtered": view.row_filter is not None,
        "required_predicates": view.required,
        "max_rows": view.max_rows,
    }


def _column(column: ColumnView, nullable: bool) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "nullable": nullable,
        "label": column.label,
        "mask": None if column.mask is None else kind_of(column.mask),
        "comes": "raw" if column.mask is None else "masked",
    }
