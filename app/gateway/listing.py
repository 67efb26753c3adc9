"""list_objects: the names below a prefix that a caller may list, and of each how it would come.

Names are filtered one by one before they are counted or folded, so that a folder shows only through an object in it
that its caller may list. Size and ETag tell of content, so they are told of what comes raw alone.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from app.gateway.answer import Answer, json_answer, next_link
from app.gateway.connections import Bucket
from app.gateway.cursor import Cursors
from app.gateway.object_commands import ListObjects
from app.gateway.object_faults import refusal_of_store
from app.gateway.object_planning import ObjectPlanner
from app.gateway.object_tags import ObjectTags
from app.gateway.record import Record
from app.objects.formats import format_of
from app.objects.keys import ObjectKey, stored_key
from app.policy.caller import Caller
from app.policy.content import ContentView, spoken
from app.policy.decision import Action, Allow, Deny
from app.policy.resources import object_resource
from app.policy.snapshot import PolicySnapshot
from app.ports import Policies
from connectors.contract import ConnectorError, Failure, ObjectInfo

PAGE = 1_000
MAX_SCANNED = 20_000
"""Names that are looked at for one page. Who may list few of very many gets a short page, with a cursor."""
LAST = "\U0010ffff"
"""Sorts behind every character of a key."""


@dataclass(slots=True)
class _Page:
    """`last`: behind which name, as the store has them in order, the next one is asked for; below a folder that was
    folded it is behind all of them. `looked_at`: names that the store gave, whoever may see them."""

    objects: list[dict[str, Any]] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    last: str = ""
    looked_at: int = 0

    def __len__(self) -> int:
        return len(self.objects) + len(self.folders)

    @property
    def folded(self) -> str | None:
        return self.last.removesuffix(LAST) if self.last.endswith(f"/{LAST}") else None


class Listing:
    def __init__(
        self,
        *,
        policies: Policies,
        planner: ObjectPlanner,
        tags: ObjectTags,
        cursors: Cursors,
        public_url: str,
        now: Callable[[], float],
    ) -> None:
        self._policies = policies
        self._planner = planner
        self._tags = tags
        self._cursors = cursors
        self._public_url = public_url
        self._now = now

    async def list_objects(self, caller: Caller, command: ListObjects, record: Record) -> Answer:
        snapshot = self._policies.current
        bucket = self._planner.find(caller, command.connection, snapshot, record)
        record.action, record.resources = Action.LIST.value, (object_resource(bucket.name, command.prefix),)
        binding = (
            "list_objects", caller.issuer, caller.principal, caller.actor, bucket.name, command.prefix,
            str(command.shallow),
        )  # fmt: skip
        after = "" if command.cursor is None else str(self._cursors.read(binding, command.cursor)[0])
        page = _Page(last=after)
        more = False
        try:
            async for info in self._names(bucket, command.prefix, page):
                self._take(snapshot, caller, bucket, command, info, page)
                if len(page) >= command.limit or page.looked_at >= MAX_SCANNED:
                    more = True
                    break
        except ConnectorError as error:
            if error.failure is not Failure.NOT_FOUND:
                raise refusal_of_store(error) from error
        record.rows = len(page)
        cursor = self._cursors.issue(binding, [page.last]) if more else None
        url = f"{self._public_url}/v1/connections/{bucket.name}/objects"
        asked = {"limit": str(command.limit)}
        asked |= {"prefix": command.prefix} if command.prefix else {}
        asked |= {"shallow": "true"} if command.shallow else {}
        return json_answer(
            200,
            {
                "connection": bucket.name,
                "prefix": command.prefix,
                "objects": page.objects,
                "prefixes": page.folders,
                "next_cursor": cursor,
                "policy_version": snapshot.version,
            },
            headers=next_link(url, cursor, asked),
        )

    async def _names(self, bucket: Bucket, prefix: str, page: _Page) -> AsyncIterator[ObjectInfo]:
        """Everything behind `page.last`, which the one who takes them may move on over a whole folder. The order is the
        store's, not always that of the names, so no name is left out for coming before another."""
        while True:
            after = page.last
            found = await bucket.connector.list(prefix, after=after, limit=PAGE, shallow=False)
            for info in found.objects:
                page.looked_at += 1
                if page.folded is None or not info.key.startswith(page.folded):
                    yield info
            if not found.more:
                return
            last = found.objects[-1].key if found.objects else after
            if page.folded is None or not last.startswith(page.folded):
                page.last = last
            if page.last == after:
                # It says that names follow and gives none: asked again, it would say so for ever.
                raise ConnectorError(Failure.UNAVAILABLE)

    def _take(
        self,
        snapshot: PolicySnapshot,
        caller: Caller,
        bucket: Bucket,
        command: ListObjects,
        info: ObjectInfo,
        page: _Page,
    ) -> None:
        page.last = info.key
        key = stored_key(info.key)
        if key is None:
            return
        context = self._planner.context(caller, key, None) | {"bytes": info.size}
        resource = object_resource(bucket.name, key)
        if not isinstance(snapshot.decide(caller, resource, Action.LIST, context), Allow):
            return
        folder, slash, _ = info.key[len(command.prefix) :].partition("/")
        if command.shallow and slash:
            page.folders.append(command.prefix + folder + slash)
            page.last = command.prefix + folder + slash + LAST
            return
        page.objects.append(self._object(snapshot, caller, bucket, key, info, context))

    def _object(
        self,
        snapshot: PolicySnapshot,
        caller: Caller,
        bucket: Bucket,
        key: ObjectKey,
        info: ObjectInfo,
        context: dict[str, Any],
    ) -> dict[str, Any]:
        view = snapshot.content_view(caller, bucket.name, key, context, ())
        known = context | {"labels": spoken(view.labels)}
        decision = snapshot.decide(caller, object_resource(bucket.name, key), Action.FETCH, known)
        tells = view.raw and isinstance(decision, Allow)
        return {
            "key": key,
            "comes": "closed" if isinstance(decision, Deny) else _comes(view, key),
            "size": info.size if tells else None,
            "etag": self._tags.of(bucket.name, info) if tells else None,
            "last_modified": info.last_modified,
        }


def _comes(view: ContentView, key: ObjectKey) -> str:
    if view.raw:
        return "raw"
    # A listing does not tell content types; where the key's ending says nothing, they decide.
    return "masked" if format_of(key, None, view.format) is not None else "by_type"
