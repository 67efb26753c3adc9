"""What approvals add to a gateway: those who wait, those who tell them, the operations on both, and the sweep."""

import secrets
import time
from collections.abc import Awaitable, Callable

from app.connecting import refresh_quietly
from app.gateway.admission import Admission
from app.gateway.approvals import ApprovalDesk, Register
from app.gateway.asking import Asking
from app.gateway.bulletin import Bulletin
from app.gateway.connections import Connection
from app.gateway.cursor import Cursors
from app.gateway.errand import Errands
from app.gateway.executing import Executing
from app.gateway.explaining import Explain
from app.gateway.feed import Feed
from app.gateway.following import Following
from app.gateway.idempotency import StoredKeys
from app.gateway.judging import Judging
from app.gateway.parameters import Binder
from app.gateway.pipeline import UseCase
from app.gateway.planning import Planner
from app.gateway.previewing import Previews
from app.gateway.query import Query
from app.gateway.reading import Reads
from app.gateway.record import Record
from app.gateway.statement_errands import STATEMENT_KINDS, StatementErrands
from app.gateway.statements import Statements
from app.gateway.submitting import Submitting
from app.gateway.sweeping import Discards, Sweep
from app.gateway.using import Uses
from app.gateway.waiting import WaitingRoom
from app.gateway.writing import Writes
from app.parts import Parts
from app.store.held import HeldStore
from app.store.write_keys import WriteKeyStore

Intend = Callable[[Record], Awaitable[None]]


class Waiting:
    """What those share who wait for a human, and those who tell them."""

    def __init__(self, parts: Parts) -> None:
        self.room = WaitingRoom()
        self.bulletin = Bulletin(parts.store, room=self.room)
        self.feed = Feed(parts.store)
        self.held = HeldStore(parts.store.engine, parts.approval_keys.held)
        self.keys = WriteKeyStore(parts.store.engine, parts.approval_keys.answers)
        self.discards = Discards(self.held)
        self.admission = Admission(
            now=time.time, withdrawn=lambda caller: parts.verifier.revocations.revoked(caller) is not None
        )

    def close(self) -> None:
        self.bulletin.close()
        self.feed.close()


class Desk:
    """Asking people and using their yes, written once for statements, objects and messages: each family puts in who
    plans its requests anew, by kind of outcome."""

    def __init__(self, parts: Parts, waiting: Waiting, intend: Intend, public_url: str) -> None:
        self.errands: dict[str, Errands] = {}
        background = parts.background.start
        self.keys = StoredKeys(keys=waiting.keys, now=time.time, background=background)
        asking = Asking(
            approvals=parts.store,
            held=waiting.held,
            keys=self.keys,
            bulletin=waiting.bulletin,
            now=time.time,
            random=secrets.token_bytes,
            public_url=public_url,
            intend=intend,
            background=background,
        )
        uses = Uses(
            approvals=parts.store,
            held=waiting.held,
            bulletin=waiting.bulletin,
            now=time.time,
            background=background,
        )
        self.executing = Executing(
            approvals=parts.store,
            held=waiting.held,
            policies=parts.policies,
            errands=self.errands,
            uses=uses,
            keys=self.keys,
            bulletin=waiting.bulletin,
            now=time.time,
            public_url=public_url,
            intend=intend,
            background=background,
        )
        self.submitting = Submitting(
            asking=asking, executing=self.executing, keys=self.keys, admission=waiting.admission
        )


def statement_use_cases(
    parts: Parts, desk: Desk, planner: Planner, cursors: Cursors, intend: Intend, public_url: str
) -> dict[str, UseCase]:
    def refresh_soon(connection: Connection) -> None:
        parts.background.start(refresh_quietly(parts.catalogs, connection))

    statements = Statements(
        connections=parts.connections, planner=planner, binder=Binder(parts.mask_keys), now=time.time
    )
    reads = Reads(statements=statements, cursors=cursors, public_url=public_url, refresh_soon=refresh_soon)
    writes = Writes(statements=statements, keys=desk.keys, intend=intend, refresh_soon=refresh_soon)
    previews = Previews(
        statements=statements,
        reads=reads,
        writes=writes,
        random=secrets.token_bytes,
        max_held_bytes=parts.max_held_bytes,
    )
    errands = StatementErrands(statements=statements, reads=reads, writes=writes, previews=previews)
    desk.errands.update(dict.fromkeys(STATEMENT_KINDS, errands))
    query = Query(
        policies=parts.policies,
        statements=statements,
        reads=reads,
        writes=writes,
        errands=errands,
        submitting=desk.submitting,
    )
    explain = Explain(statements=statements, policies=parts.policies)
    return {"query_sql": query.run, "explain_sql": explain.explain, "execute_approval": desk.executing.execute}


def approval_use_cases(
    parts: Parts, waiting: Waiting, cursors: Cursors, intend: Intend, public_url: str
) -> dict[str, UseCase]:
    """What requesters and approvers do with approvals, but for their use."""
    register = Register(approvals=parts.store, policies=parts.policies, public_url=public_url, now=time.time)
    desk = ApprovalDesk(
        register=register,
        approvals=parts.store,
        held=waiting.held,
        bulletin=waiting.bulletin,
        cursors=cursors,
        public_url=public_url,
        admission=waiting.admission,
    )
    judging = Judging(
        register=register,
        approvals=parts.store,
        bulletin=waiting.bulletin,
        intend=intend,
        discard=waiting.discards,
    )
    following = Following(
        feed=waiting.feed,
        policies=parts.policies,
        now=time.time,
        admitted=lambda caller: parts.verifier.revocations.revoked(caller) is None,
        enter=parts.trail.append,
    )
    return {
        "list_approvals": desk.list_approvals,
        "get_approval": desk.get_approval,
        "preview_approval": desk.preview_approval,
        "decide_approval": judging.decide,
        "cancel_approval": judging.cancel,
        "revoke_approval": judging.revoke,
        "stream_approvals": following.stream,
    }


def sweep_of(parts: Parts, waiting: Waiting) -> Sweep:
    timeouts_s = [connection.timeout_s for connection in parts.connections.values()]
    timeouts_s += [bucket.timeout_s for bucket in parts.buckets.values()]
    timeouts_s += [broker.timeout_s for broker in parts.brokers.values()]
    longest_s = max(timeouts_s, default=0.0)
    return Sweep(
        approvals=parts.store,
        held=waiting.held,
        keys=waiting.keys,
        discards=waiting.discards,
        bulletin=waiting.bulletin,
        enter=parts.trail.append,
        now=time.time,
        longest_s=longest_s,
    )
