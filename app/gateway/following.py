"""stream_approvals: what happens to approvals, as it happens, to those who decide them.

No statement, parameter or row is in an event. Whoever follows is looked at again at every event and heartbeat.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson

from app.gateway.answer import Answer, Spool
from app.gateway.approvals import unavailable
from app.gateway.errors import ApprovalNotApprover, Overloaded
from app.gateway.feed import Cut, Event, Feed
from app.gateway.record import Record, rfc3339
from app.gateway.standing import standing_of
from app.policy.caller import Caller
from app.ports import Policies, StoreUnavailable

HEARTBEAT_S = 15.0
MAX_STREAMS = 500
RECONNECT_MS = 3_000

Enter = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamApprovals:
    """`after`: the last id that was seen; None: from now on."""

    after: int | None = None


class _Place(Spool):
    """An answer's body that is streamed: it holds nothing, and gives its place back when it is closed."""

    __slots__ = ("_left",)

    def __init__(self, left: Callable[[], None]) -> None:
        super().__init__()
        self._left: Callable[[], None] | None = left

    def close(self) -> None:
        left, self._left = self._left, None
        if left is not None:
            left()
        super().close()


class Following:
    """`admitted`: whether the caller's token still stands (nobody withdrew it); `enter` puts an entry on the trail at
    once: nobody waits for it."""

    def __init__(
        self,
        *,
        feed: Feed,
        policies: Policies,
        now: Callable[[], float],
        admitted: Callable[[Caller], bool],
        enter: Enter,
        heartbeat_s: float = HEARTBEAT_S,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        self._feed = feed
        self._policies = policies
        self._now = now
        self._admitted = admitted
        self._enter = enter
        self._heartbeat_s = heartbeat_s
        self._max_streams = max_streams
        self._streams = 0

    async def stream(self, caller: Caller, command: StreamApprovals, record: Record) -> Answer:
        record.policy_version = self._policies.current.version
        if self._ended(caller) is not None:
            raise ApprovalNotApprover(
                "Only who may decide approvals can follow them: get_approval with wait_seconds waits for your own."
            )
        if self._streams >= self._max_streams:
            raise Overloaded("Too many follow approvals at once: retry after a while.", retry_after_s=30)
        try:
            position = await self._feed.position()
        except StoreUnavailable as error:
            raise unavailable() from error
        self._streams += 1
        return Answer(
            status=200,
            opening=_Place(self._left),
            media_type="text/event-stream",
            stream=self._pieces(caller, command.after, position, record),
        )

    def _left(self) -> None:
        self._streams -= 1

    async def _pieces(
        self, caller: Caller, after: int | None, position: int, record: Record
    ) -> AsyncGenerator[bytes, None]:
        sent, why = 0, "client_left"
        try:
            with self._feed.follow(position) as follower:
                start = follower.position if after is None else min(after, follower.position)
                yield b"retry: %d\nid: %d\n\n" % (RECONNECT_MS, start)
                async with aclosing(self._feed.older(start, follower.position)) as older:
                    async for event in older:
                        if (ended := self._ended(caller)) is not None:
                            why = ended
                            return
                        if (piece := self._told(caller, event)) is not None:
                            sent += 1
                            yield piece
                while True:
                    left_s = caller.expires_at - self._now()
                    try:
                        event = await follower.next(min(self._heartbeat_s, max(left_s, 0.0)))
                    except TimeoutError:
                        piece = b": \n\n"
                    else:
                        piece = self._told(caller, event)
                    if (ended := self._ended(caller)) is not None:
                        why = ended
                        return
                    if piece is not None:
                        sent += piece != b": \n\n"
                        yield piece
        except Cut:
            why = "cut"
        except StoreUnavailable:
            why = "store_unavailable"
        finally:
            # Queued now, with or without anybody who waits for it: the stream may end because its task is cancelled.
            self._enter(self._entry(record, why, sent))

    def _ended(self, caller: Caller) -> str | None:
        if caller.expires_at <= self._now():
            return "token_expired"
        if not self._admitted(caller):
            return "token_revoked"
        return None if standing_of(self._policies.current, caller).decides else "right_lost"

    def _told(self, caller: Caller, event: Event) -> bytes | None:
        """None: this approval is not the caller's to know of."""
        approval, step = event.approval, event.change.step
        if not standing_of(self._policies.current, caller).may_know(approval):
            return None
        data = orjson.dumps(
            {
                "approval_id": approval.approval_id,
                "happening": step.happening.value,
                "state": step.state.value,
                "principal": approval.principal,
                "actor": approval.actor,
                "connection": approval.connection,
                "action": approval.action,
                "resources": approval.resources,
                "at": step.at,
                "expires_at": approval.expires_at,
            }
        )
        return b"id: %d\nevent: approval\ndata: %b\n\n" % (event.change.seq, data)

    def _entry(self, record: Record, why: str, sent: int) -> dict[str, Any]:
        entry = record.entry(self._now(), None, 0)
        return entry | {"time": rfc3339(self._now()), "outcome": "stream_ended", "reason": why, "events": sent}
