"""A gateway for objects without a network: real policy, files, rendering and approvals; stores and trail that fail on
demand. Content is rendered in this process, as the worker would."""

import asyncio
import io
import json
import tempfile
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from app.api.problems import Problems
from app.approval.approval import Approval
from app.approval.machine import approve
from app.approval.people import Person
from app.gateway.admission import Admission
from app.gateway.answer import Answer
from app.gateway.approvals import ApprovalDesk, PreviewApproval, Register
from app.gateway.asking import Asking
from app.gateway.bulletin import Bulletin
from app.gateway.command import ExecuteApproval
from app.gateway.connections import Bucket
from app.gateway.cursor import Cursors
from app.gateway.executing import Executing
from app.gateway.idempotency import StoredKeys
from app.gateway.listing import Listing
from app.gateway.object_commands import DeleteObject, FetchContent, FetchObject, ListObjects, PutObject
from app.gateway.object_errands import OBJECT_KINDS, ObjectErrands
from app.gateway.object_planning import ObjectPlanner
from app.gateway.object_reading import ObjectReads
from app.gateway.object_tags import ObjectTags
from app.gateway.object_writing import ObjectWrites
from app.gateway.objects import Objects
from app.gateway.pipeline import Customs, UseCase
from app.gateway.record import rfc3339
from app.gateway.submitting import Submitting
from app.gateway.using import Uses
from app.objects.keys import parse_key, parse_prefix
from app.objects.plan import Rendered, RenderPlan
from app.objects.render import render
from app.policy.connections import ConnectionKind
from app.policy.load import load
from connectors.contract import ConnectorConfig, ConnectorError
from connectors.filesystem import FilesystemConnector
from tests.gateway.execution_fakes import START_S, MemoryHeld, MemoryKeys, Numbers, Outages, Store
from tests.gateway.fakes import FakeTokens, FakeTrail, caller, passage_of
from tests.integration.store.memory_approvals import MemoryApprovals

MODEL = (Path(__file__).parents[2] / "policies" / "model.conf").read_bytes()
MASKS = "masks:\n  pii.*: null\n  pii.email: {kind: partial, email: true}\n  pii.id: {kind: pseudonym, domain: ids}\n"
RULES = """\
p, client:cli, **, *, allow,
p, client:other, **, *, allow,
p, user:ana, lake/people/**, list, allow,
p, user:ana, lake/people/**, fetch, allow,
p, user:ana, lake/seen/**, list, allow,
p, user:ana, lake/asked/**, fetch, approve,
p, user:ana, lake/out/**, *, allow,
p, user:ana, lake/out/kept/**, put, approve,
p, user:ana, lake/out/**, delete, approve,
p, user:ana, lake/small/**, put, allow, bytes < 100
p, user:ana, label:pii.email, unmask, approve,
p, user:dee, lake/**, *, allow,
p, user:dee, label:pii.*, unmask, allow,
p, user:bob, lake/out/**, *, allow,
p, user:eve, lake/people/one.csv, fetch, allow,
p, user:max, douane/approvals, decide, allow,
"""
DATA = """\
default: mask
objects:
  people/*.csv:
    format: csv
    columns: {id: allow, name: pii.name, email: pii.email, ref: pii.id}
  people/*.json:
    format: json
    paths: {$.id: allow, $.email: pii.email}
  seen/**: {content: raw}
  people/raw/**: {content: raw}
  asked/*.csv:
    format: csv
    columns: {id: allow, email: pii.email}
  out/**:
    default: allow
    put: {types: [text/csv, application/json, text/plain, application/octet-stream], max_bytes: 100000}
    found: {pii.email: mask, pii.*: approve, pci.*: deny, secret.*: deny}
  out/free/**:
    default: allow
    found: {"*": allow}
"""
TERMS = "default: {approvers: [user:max], quorum: 1, expires: 1h, grant: once, preview: true}\n"
CSV = b"id,name,email,ref\n1,Ann,ann@example.org,A-1\n2,Bob,bob@example.org,A-2\n"


def policy(rules: str = RULES, data: str = DATA, terms: str = TERMS) -> Any:
    files = {"model.conf": MODEL, "policy.csv": rules.encode(), "masks.yaml": MASKS.encode()}
    files |= {"data/lake.yaml": data.encode(), "approvals.yaml": terms.encode()}
    return load(files, {"lake": ConnectionKind.OBJECTS})


class MaskKeys:
    def key(self, domain: str) -> bytes:
        return domain.encode().ljust(32, b".")


class _Job:
    def __init__(self, plan: RenderPlan) -> None:
        self._plan = plan
        self._chunks: list[bytes] = []

    async def write(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    async def finish(self) -> tuple[Rendered, IO[bytes]]:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the gateway closes it
        try:
            done = render(self._plan, io.BytesIO(b"".join(self._chunks)), file, io.BytesIO())
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return done, file


class InlineRenderer:
    """Implements ports.Renderer."""

    def __init__(self) -> None:
        self.jobs: list[RenderPlan] = []

    @asynccontextmanager
    async def job(self, plan: RenderPlan) -> AsyncIterator[_Job]:
        self.jobs.append(plan)
        yield _Job(plan)

    async def found(self, plan: RenderPlan, chunks: AsyncIterator[bytes]) -> tuple[str, ...]:
        async with self.job(replace(plan, looks=True)) as job:
            async for chunk in chunks:
                await job.write(chunk)
            done, file = await job.finish()
        file.close()
        return done.labels_masked


class Files(FilesystemConnector):
    """`error`: what the next call to the store ends with; `after`: once it has happened. `gate` holds a put back."""

    def __init__(self, root: Path) -> None:
        super().__init__(ConnectorConfig(name="lake", options={"root": str(root)}))
        self.root = root
        self.error: ConnectorError | None = None
        self.after = False
        self.gate: asyncio.Event | None = None
        self.puts = 0
        self.encoding: str | None = None
        """What every object is told to be packed with."""

    async def put(self, key: str, body: AsyncIterator[bytes], **more: Any) -> Any:
        self.puts += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None and not self.after:
            raise self.error
        info = await super().put(key, body, **more)
        if self.error is not None:
            raise self.error
        return info

    async def head(self, key: str) -> Any:
        if self.error is not None and not self.after:
            raise self.error
        return replace(await super().head(key), content_encoding=self.encoding)

    def file(self, key: str, content: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def content(self, key: str) -> bytes | None:
        path = self.root / key
        return path.read_bytes() if path.is_file() else None


@dataclass
class Told:
    status: int
    body: dict[str, Any]
    raw: bytes
    headers: Mapping[str, str]
    answer: Answer = field(repr=False)

    @property
    def code(self) -> str | None:
        return self.body.get("code")


class ObjectSite:
    def __init__(self, root: Path, *, rules: str = RULES, data: str = DATA, terms: str = TERMS) -> None:
        self.now = START_S
        self.outages = Outages()
        self.store = Store(self.outages)
        self.held = MemoryHeld(self.outages)
        self.keys = MemoryKeys(self.outages)
        self.files = Files(root)
        self.renderer = InlineRenderer()
        self.trail = FakeTrail()
        self.current = policy(rules, data, terms)
        self.faults: list[BaseException] = []
        self.beside: set[asyncio.Task[None]] = set()
        self.numbers = Numbers()
        self.problems = Problems(docs_url="https://docs.test", challenge=lambda *_: "Bearer")
        self.tokens = {name: caller(name) for name in ("ana", "bob", "dee", "eve", "max")}
        self.max_bytes, self.max_object_bytes, self.max_held_bytes = 10_000, 1_000_000, 20_000
        self.restart()

    async def __aenter__(self) -> "ObjectSite":
        await self.files.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        while self.beside:
            await self.beside.pop()
        await self.files.close()

    def restart(self) -> None:
        """A process of its own on the same stores: it remembers nothing."""
        now = lambda: self.now  # noqa: E731 - handed to many
        self.customs = Customs(
            tokens=FakeTokens(known=self.tokens),
            trail=self.trail,
            now=now,
            render=self.problems.render,
            report=lambda fault, _trace: self.faults.append(fault),
            started=lambda: None,
            settled=lambda _record, _size: None,
        )
        intend, url = self.customs.intend, "https://gate.test"
        bucket = Bucket(
            name="lake",
            kind="filesystem",
            connector=self.files,
            max_bytes=self.max_bytes,
            max_object_bytes=self.max_object_bytes,
            timeout_s=5,
        )
        planner = ObjectPlanner(buckets={"lake": bucket}, now=now)
        tags = ObjectTags(b"t" * 32)
        reads = ObjectReads(renderer=self.renderer, mask_keys=MaskKeys(), tags=tags)
        writes = ObjectWrites(renderer=self.renderer, mask_keys=MaskKeys(), intend=intend, tags=tags)
        errands = ObjectErrands(
            planner=planner, reads=reads, writes=writes, random=self.numbers, max_held_bytes=self.max_held_bytes
        )
        keys = StoredKeys(keys=self.keys, now=now, background=self.background, sleep=self.sleep)
        self.bulletin = Bulletin(self.store, poll_s=0.01)
        common: dict[str, Any] = {
            "approvals": self.store, "held": self.held, "bulletin": self.bulletin, "now": now,
            "background": self.background, "sleep": self.sleep,
        }  # fmt: skip
        asking = Asking(keys=keys, random=self.numbers, public_url=url, intend=intend, **common)
        self.executing = Executing(
            policies=self,
            errands=dict.fromkeys(OBJECT_KINDS, errands),
            uses=Uses(**common),
            keys=keys,
            public_url=url,
            intend=intend,
            **common,
        )
        admission = Admission(now=now, withdrawn=lambda _: False)
        submitting = Submitting(asking=asking, executing=self.executing, keys=keys, admission=admission)
        self.objects = Objects(
            policies=self,
            planner=planner,
            reads=reads,
            writes=writes,
            errands=errands,
            submitting=submitting,
            keys=keys,
        )
        cursors = Cursors(b"c" * 32)
        self.listing = Listing(policies=self, planner=planner, tags=tags, cursors=cursors, public_url=url, now=now)
        self.desk = ApprovalDesk(
            register=Register(approvals=self.store, policies=self, public_url=url, now=now),
            approvals=self.store,
            held=self.held,
            bulletin=self.bulletin,
            cursors=cursors,
            public_url=url,
            admission=admission,
        )

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        self.beside.add(asyncio.ensure_future(work))

    async def sleep(self, pause_s: float) -> None:
        await asyncio.sleep(0)

    passage = staticmethod(passage_of)

    async def _call(self, who: str, use_case: UseCase, command: Any, operation: str) -> Told:
        answer: Answer = await self.customs.passage(self.passage(who, use_case, command, operation))
        raw = b"".join(answer.opening.pieces())
        if answer.stream is not None:
            raw = b"".join([piece async for piece in answer.stream])
            await answer.stream.aclose()
            assert answer.ended is not None
            await answer.ended(len(raw), "digest", None)
        answer.opening.close()
        plain = answer.stream is not None or answer.bare
        return Told(
            status=answer.status, body={} if plain else json.loads(raw), raw=raw, headers=answer.headers, answer=answer
        )

    async def list(self, who: str, prefix: str = "", **more: Any) -> Told:
        command = ListObjects(connection="lake", prefix=parse_prefix(prefix), **({"limit": 100} | more))
        return await self._call(who, self.listing.list_objects, command, "list_objects")

    def fetching(self, key: str, **more: Any) -> FetchObject:
        return FetchObject(connection="lake", key=parse_key(key), **more)

    async def fetch(self, who: str, key: str, **more: Any) -> Told:
        return await self._call(who, self.objects.fetch_object, self.fetching(key, **more), "fetch_object")

    async def content(self, who: str, key: str, *, if_match: frozenset[str] | None = None, **more: Any) -> Told:
        command = FetchContent(fetch=self.fetching(key, if_match=if_match), **more)
        return await self._call(who, self.objects.fetch_content, command, "fetch_content")

    def putting(self, key: str, content: bytes, content_type: str | None = "text/csv", **more: Any) -> PutObject:
        async def body(max_bytes: int) -> AsyncIterator[bytes]:
            for start in range(0, len(content), 7_000):
                yield content[start : start + 7_000]

        return PutObject(connection="lake", key=parse_key(key), body=body, content_type=content_type, **more)

    async def put(self, who: str, key: str, content: bytes, content_type: str | None = "text/csv", **more: Any) -> Told:
        command = self.putting(key, content, content_type, **more)
        return await self._call(who, self.objects.put_object, command, "put_object")

    async def delete(self, who: str, key: str, **more: Any) -> Told:
        command = DeleteObject(connection="lake", key=parse_key(key), **more)
        return await self._call(who, self.objects.delete_object, command, "delete_object")

    async def execute(self, who: str, approval_id: str, key: str | None = None) -> Told:
        command = ExecuteApproval(approval_id=approval_id, idempotency_key=key)
        return await self._call(who, self.executing.execute, command, "execute_approval")

    async def preview(self, who: str, approval_id: str) -> Told:
        command = PreviewApproval(approval_id=approval_id)
        return await self._call(who, self.desk.preview_approval, command, "preview_approval")

    async def said_yes(self, approval_id: str) -> Approval:
        before = await self.stored(approval_id)
        person = Person.of(self.tokens["max"], frozenset({"user:max"}))
        after = approve(before, person, at=rfc3339(self.now), reason="fine")
        assert await MemoryApprovals.replace(self.store, before, after)
        self.bulletin.changed(approval_id)
        return after

    async def stored(self, approval_id: str) -> Approval:
        found = await MemoryApprovals.get(self.store, approval_id)
        assert found is not None
        return found

    def outcomes(self) -> Sequence[str]:
        return [str(entry["outcome"]) for entry in self.trail.entries]
