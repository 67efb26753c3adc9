"""What is put or deleted: looked through before anything is decided on it, and done for good only after that."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from app.gateway.answer import Answer, Spool, json_answer
from app.gateway.arriving_type import media_type_of
from app.gateway.connections import Bucket
from app.gateway.envelope import Closing, closing_members
from app.gateway.errors import (
    BodyTooLarge,
    ContentDenied,
    FieldError,
    NoSpaceForAnswer,
    ObjectChanged,
    UnsupportedMediaType,
)
from app.gateway.object_commands import Body
from app.gateway.object_faults import refusal_of_content, refusal_of_store
from app.gateway.object_planning import ObjectPlan
from app.gateway.object_reading import render_plan
from app.gateway.object_tags import ObjectTags
from app.gateway.record import Record
from app.masking.masks import Redact
from app.objects.formats import format_of
from app.objects.keys import ObjectKey
from app.objects.plan import RenderLimits, RenderPlan
from app.objects.refusal import ContentFault, ContentRefused
from app.policy.caller import Caller
from app.policy.content import ContentView, FieldView, Intake, OnFound
from app.policy.decision import Action
from app.policy.resources import object_resource
from app.policy.snapshot import PolicySnapshot
from app.ports import MaskKeys, Renderer
from connectors.contract import CHUNK_BYTES, ConnectorError, ObjectInfo


@dataclass(slots=True, kw_only=True)
class Arriving:
    """Content on its way in: what would be stored. `labels`: found in it; `masked`: those of them that are masked in
    `spool`; `asks`: some of them wait for a human."""

    spool: Spool
    content_type: str
    labels: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    asks: bool = False

    @property
    def kept(self) -> tuple[str, ...]:
        """Labels that are still in it."""
        return tuple(label for label in self.labels if label not in self.masked)

    def close(self) -> None:
        self.spool.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """`as_seen`: over nothing else than what the plan saw."""

    if_match: str | None = None
    if_absent: bool = False
    as_seen: bool = False


class ObjectWrites:
    """`intend` makes an intent durable: nothing is changed without one."""

    def __init__(
        self,
        *,
        renderer: Renderer,
        mask_keys: MaskKeys,
        intend: Callable[[Record], Awaitable[None]],
        tags: ObjectTags,
    ) -> None:
        self._renderer = renderer
        self._mask_keys = mask_keys
        self._intend = intend
        self._tags = tags

    async def arrive(
        self,
        bucket: Bucket,
        caller: Caller,
        snapshot: PolicySnapshot,
        key: ObjectKey,
        content_type: str | None,
        body: Body,
        record: Record,
        *,
        again: bool = False,
    ) -> Arriving:
        """Read, looked through, and masked where policy wants that. Raises Refused; the caller closes it. `again`: it
        came before, was masked then, and waited: a field that is masked is not masked twice."""
        intake = snapshot.intake(bucket.name, key)
        kind = media_type_of(content_type, key)
        if not intake.takes(kind):
            raise UnsupportedMediaType(
                f"This key takes {', '.join(intake.types)}: send one of them, or choose another key.",
                code="content_type_not_allowed",
            )
        arriving = Arriving(spool=Spool(), content_type=kind)
        max_bytes = min(bucket.max_object_bytes, intake.max_bytes or bucket.max_object_bytes)
        try:
            async for chunk in body(max_bytes):
                arriving.spool.add(chunk)
            if looks_through(intake) or _rules_ask(caller, snapshot, object_resource(bucket.name, key)):
                await self._screen(bucket, snapshot, key, intake, arriving, again=again)
                # Masks may have made it larger.
                takes_at_most(max_bytes, arriving.spool.size)
        except OSError as error:
            arriving.close()
            raise NoSpaceForAnswer(
                "There is no room to take an object this large right now: retry later.", retry_after_s=5
            ) from error
        except BaseException:
            arriving.close()
            raise
        record.facts |= {
            "content_sha256": arriving.spool.digest(),
            "content_bytes": arriving.spool.size,
            "content_type": kind,
        }
        record.labels = arriving.labels
        return arriving

    async def _screen(
        self,
        bucket: Bucket,
        snapshot: PolicySnapshot,
        key: ObjectKey,
        intake: Intake,
        arriving: Arriving,
        *,
        again: bool,
    ) -> None:
        view = snapshot.arriving_view(bucket.name, key)
        form = format_of(key, arriving.content_type, view.format)
        if form is None:
            raise ContentDenied(
                "Content of this type cannot be looked through, so policy does not let it in here: put CSV, TSV, JSON, "
                "NDJSON, Parquet, Arrow or text, or choose another key.",
                code=ContentFault.UNKNOWN_TYPE.value,
            )
        limits = RenderLimits(
            max_input_bytes=bucket.max_object_bytes,
            max_expanded_bytes=bucket.max_object_bytes,
            max_output_bytes=bucket.max_object_bytes,
        )
        plan = render_plan(form, view, limits, self._mask_keys)
        try:
            labels = await self._renderer.found(plan, _pieces(arriving.spool))
            denied = [label for label in labels if intake.on_found(label) is OnFound.DENY]
            if denied:
                raise ContentDenied(
                    f"The content holds {', '.join(denied)}, which policy does not let in here: leave it out, or "
                    "choose another key.",
                    errors=[FieldError(pointer="/content", detail=f"holds {label}") for label in denied],
                )
            arriving.labels = labels
            arriving.asks = any(intake.on_found(label) is OnFound.APPROVE for label in labels)
            arriving.masked = tuple(label for label in labels if intake.on_found(label) is OnFound.MASK)
            looking = replace(plan, view=replace(view, columns={}, paths={}))
            wanted = arriving.masked
            if again and wanted:
                wanted = await self._left(looking, arriving)
            if wanted:
                await self._mask(replace(plan, view=only_masking(view, wanted)), looking, arriving)
        except ContentRefused as refused:
            raise refusal_of_content(refused) from refused

    async def _mask(self, plan: RenderPlan, looking: RenderPlan, arriving: Arriving) -> None:
        async with self._renderer.job(plan) as job:
            async for chunk in _pieces(arriving.spool):
                await job.write(chunk)
            rendered, file = await job.finish()
        arriving.spool.close()
        arriving.spool = Spool()
        arriving.spool.adopt(file, rendered.bytes_out, rendered.sha256)
        # Where no mask reaches (names of members, say), what was to be masked is still there.
        left = await self._left(looking, arriving)
        if left:
            raise ContentDenied(
                f"The content holds {', '.join(left)} where it cannot be masked: leave it out.",
                errors=[FieldError(pointer="/content", detail=f"holds {label}") for label in left],
            )

    async def _left(self, looking: RenderPlan, arriving: Arriving) -> tuple[str, ...]:
        """Labels to be masked that detectors find in it all the same."""
        found = await self._renderer.found(looking, _pieces(arriving.spool))
        return tuple(label for label in found if label in arriving.masked)

    async def put(
        self,
        plan: ObjectPlan,
        conditions: Conditions,
        arriving: Arriving,
        record: Record,
        closing: Closing | None = None,
    ) -> Answer:
        """For good; the intent is on the trail already. Raises Refused when nothing was changed, and OutcomeUnknown."""
        try:
            info = await plan.bucket.connector.put(
                plan.key,
                _pieces(arriving.spool),
                size=arriving.spool.size,
                content_type=arriving.content_type,
                if_match=self.expected(plan, conditions),
                if_absent=conditions.if_absent or (conditions.as_seen and plan.info is None),
            )
        except ConnectorError as error:
            raise refusal_of_store(error) from error
        _stored(record, info)
        tag = self._tags.of(plan.bucket.name, info)
        return json_answer(
            200,
            {
                "status": "completed",
                "connection": plan.bucket.name,
                "key": plan.key,
                "etag": tag,
                "version": info.version,
                "size": info.size,
                "content_type": arriving.content_type,
                "replaced": plan.info is not None,
                "labels": arriving.labels,
                "masked_labels": arriving.masked,
                **closing_members(plan.policy_version, closing),
            },
            headers={"etag": f'"{tag}"'},
        )

    async def delete(
        self, plan: ObjectPlan, conditions: Conditions, record: Record, closing: Closing | None = None
    ) -> Answer:
        """For good; the intent is on the trail already. Raises Refused when nothing was changed, and OutcomeUnknown."""
        try:
            await plan.bucket.connector.delete(plan.key, if_match=self.expected(plan, conditions))
        except ConnectorError as error:
            raise refusal_of_store(error) from error
        return json_answer(
            200,
            {
                "status": "completed",
                "connection": plan.bucket.name,
                "key": plan.key,
                "deleted": True,
                **closing_members(plan.policy_version, closing),
            },
        )

    def expected(self, plan: ObjectPlan, conditions: Conditions) -> str | None:
        """The store's own ETag of what has to be in the place of the key; None: anything may. Raises ObjectChanged.

        Asked before anybody is asked or anything is sent; the store looks again when it counts."""
        if conditions.if_absent and plan.info is not None:
            raise _changed()
        if conditions.if_match is None:
            return plan.info.etag if conditions.as_seen and plan.info is not None else None
        if plan.info is None or conditions.if_match not in ("*", self._tags.of(plan.bucket.name, plan.info)):
            raise _changed()
        return plan.info.etag

    async def intend(self, plan: ObjectPlan, record: Record) -> None:
        record.statement_run = self.runs(plan)
        await self._intend(record)

    def runs(self, plan: ObjectPlan) -> str:
        """What is done, and over what: bound when people approve it, so that another object is not overwritten."""
        if plan.info is None:
            return f"{plan.action.value} {plan.resource} (none there)"
        tag = self._tags.of(plan.bucket.name, plan.info)[:16]
        return f"{plan.action.value} {plan.resource} (over {tag})"


def _changed() -> ObjectChanged:
    return ObjectChanged(
        "The object there is not the one that the request names (if_match), or there is one (if_none_match), so "
        "nothing was changed. The ETag of masked content names that content and no object; that of raw content, of a "
        "listing and of the answer to a put does: look at it again, then repeat with its present ETag."
    )


def takes_at_most(max_bytes: int, size: int) -> None:
    """Of what would be stored, masks and all. Raises BodyTooLarge."""
    if size > max_bytes:
        raise BodyTooLarge(f"This key takes at most {max_bytes} bytes, as they would be stored: put less.")


def looks_through(intake: Intake) -> bool:
    """Whether it matters what is in the content."""
    return "*" not in intake.found or any(effect is not OnFound.ALLOW for effect in intake.found.values())


def _rules_ask(caller: Caller, snapshot: PolicySnapshot, resource: str) -> bool:
    """Whether a condition of somebody's rules wants to know what is in the content."""
    return "labels" in snapshot.names_needed(caller, resource, Action.PUT)


def only_masking(view: ContentView, labels: tuple[str, ...]) -> ContentView:
    """Of everything that could be masked, these labels alone, wherever they are found; the rest stays as it is."""
    chosen = frozenset(labels)
    rest = FieldView(mask=Redact(keep_others=True))

    def fields(views: Mapping[str, FieldView]) -> dict[str, FieldView]:
        return {name: each if each.label in chosen else replace(rest, label=each.label) for name, each in views.items()}

    return replace(
        view,
        raw=False,
        columns=fields(view.columns),
        paths=fields(view.paths),
        found={label: each if label in chosen else FieldView(label=label) for label, each in view.found.items()},
        default=rest,
        text=rest,
        default_found=FieldView(),
    )


def _stored(record: Record, info: ObjectInfo) -> None:
    record.facts["object_etag"] = info.etag
    if info.version is not None:
        record.facts["object_version"] = info.version


async def _pieces(spool: Spool) -> AsyncIterator[bytes]:
    """What is in the spool, in pieces that a connector may pass on as they are."""
    for piece in spool.pieces():
        for start in range(0, len(piece), CHUNK_BYTES):
            yield piece[start : start + CHUNK_BYTES]
