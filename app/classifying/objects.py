"""Samples of a few objects of every kind that lies in a store, each read in a process of its own, and what they
suggest."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from app.classifying.looking import Look, Sampling
from app.gateway.connections import Bucket
from app.masking.detectors.classifying import Find, classify
from app.objects.formats import ContentFormat, FormatKind, format_of
from app.objects.grouping import globs
from app.objects.keys import stored_key
from app.objects.sample_fields import (
    Field,
    column_fields,
    column_word,
    csv_fields,
    joined,
    path_fields,
    path_word,
)
from app.objects.sampling import Sampled, SampleJob
from app.policy.content_file import MAX_FIELDS, ObjectDocument, ObjectsDocument
from app.policy.globs import Globs, ties
from app.policy.proposing import Looked, Section
from app.policy.resources import object_resource
from app.workers.sampling import SampleFailed, sample
from connectors.contract import ConnectorError, ObjectInfo

_PAGE = 100
_MOST_PAGES = 1_000
_AT_A_TIME = 2
_CSV = (FormatKind.CSV, FormatKind.TSV)
_COLUMNAR = (FormatKind.PARQUET, FormatKind.ARROW)
_BY_BEGINNING = (*_CSV, FormatKind.NDJSON)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Objects of one glob and one format. `entry`: of the data file, None: it has none for them."""

    glob: str
    kind: FormatKind
    entry: ObjectDocument | None
    objects: list[tuple[ObjectInfo, ContentFormat]] = field(default_factory=list)


async def look_at_objects(bucket: Bucket, document: ObjectsDocument, find: Find, sampling: Sampling) -> Look:
    """Raises ConnectorError when nothing can be listed."""
    look = Look()
    listed = await _listed(bucket, sampling, look)
    for group in _groups(bucket.name, document, listed, find, look):
        fields = await _fields(bucket, group, find, sampling, look)
        if fields is None:
            continue
        if len(fields) > MAX_FIELDS // 2:
            look.notes.append(f"{group.glob}: more than {MAX_FIELDS // 2} fields, the first ones were looked at")
        looked = tuple(_looked(group, one, find) for one in fields[: MAX_FIELDS // 2])
        new = group.entry is None
        fixed = ""
        if group.entry is not None and group.entry.content == "raw":
            fixed = "its content comes raw"
        elif new and any(section.name == group.glob for section in look.sections):
            fixed = "its objects have several formats"
            look.notes.append(f"{group.glob}: {fixed}: write an entry for each ending yourself")
        elif new and (other := _crossing(group.glob, document, look)) is not None:
            fixed = f"its glob crosses {other}"
            look.notes.append(f"{group.glob}: crosses {other}, and neither is the narrower: write an entry yourself")
        columnar = group.kind in _COLUMNAR or group.kind in _CSV
        look.sections.append(
            Section(
                name=group.glob,
                looked=looked,
                key="columns" if columnar else "paths",
                format=group.kind.value if new else None,
                fixed=fixed,
            )
        )
    return look


async def _listed(bucket: Bucket, sampling: Sampling, look: Look) -> list[ObjectInfo]:
    """A few of every folder: what fills one does not keep the others from being seen."""
    found: list[ObjectInfo] = []
    waiting = deque([""])
    pages = 0
    more = False
    while waiting and len(found) < sampling.objects and pages < _MOST_PAGES:
        page = await bucket.connector.list(waiting.popleft(), after="", limit=_PAGE, shallow=True)
        pages += 1
        found += [info for info in page.objects if info.size and stored_key(info.key) is not None]
        waiting.extend(page.prefixes)
        more = more or page.more
    if more or waiting or len(found) > sampling.objects:
        look.notes.append(f"not every object was listed: at most {_PAGE} of a folder, {sampling.objects} in all")
    return found[: sampling.objects]


def _groups(name: str, document: ObjectsDocument, listed: list[ObjectInfo], find: Find, look: Look) -> Iterable[_Group]:
    entries = Globs({f"{name}/{glob}": glob for glob in document.objects})
    covered = {info.key: entries.of(object_resource(name, info.key)) for info in listed}
    fresh = globs([key for key, glob in covered.items() if glob is None], find)
    groups: dict[tuple[str, FormatKind], _Group] = {}
    unknown: dict[str, int] = {}
    for info in listed:
        glob = covered[info.key] or fresh[info.key]
        entry = document.objects.get(glob)
        known = format_of(info.key, info.content_type, None if entry is None else entry.format)
        if known is None:
            unknown[glob] = unknown.get(glob, 0) + 1
            continue
        group = groups.setdefault((glob, known.kind), _Group(glob=glob, kind=known.kind, entry=entry))
        group.objects.append((info, known))
    for glob, count in unknown.items():
        look.notes.append(f"{glob}: {count} objects of no known format were not looked at")
    return groups.values()


def _crossing(glob: str, document: ObjectsDocument, look: Look) -> str | None:
    """A glob with which this one must not stand in one file."""
    others = [*document.objects, *(section.name for section in look.sections if not section.fixed)]
    return next((other for other in others if any(ties((other, glob)))), None)


async def _fields(bucket: Bucket, group: _Group, find: Find, sampling: Sampling, look: Look) -> list[Field] | None:
    """None: there is nothing to be labelled, or nothing could be read."""
    if group.kind is FormatKind.TEXT:
        look.notes.append(f"{group.glob}: running text has no fields; what detectors find in it comes masked")
        return None
    turns = asyncio.Semaphore(_AT_A_TIME)
    chosen = _spread(group.objects, sampling.per_group)

    async def one(info: ObjectInfo, known: ContentFormat) -> list[Field] | str:
        async with turns:
            return await _read(bucket, group, info, known, find, sampling)

    outcomes = await asyncio.gather(*(one(info, known) for info, known in chosen))
    read = [outcome for outcome in outcomes if not isinstance(outcome, str)]
    for why in sorted({outcome for outcome in outcomes if isinstance(outcome, str)}):
        look.notes.append(f"{group.glob}: {sum(why == each for each in outcomes)} of {len(chosen)} objects {why}")
    if not read:
        look.unread.append(group.glob)
        return None
    return joined(each for fields in read for each in fields)


async def _read(
    bucket: Bucket, group: _Group, info: ObjectInfo, known: ContentFormat, find: Find, sampling: Sampling
) -> list[Field] | str:
    """Or why there is none, as the end of a sentence."""
    most = sampling.part_bytes if known.kind in _BY_BEGINNING else sampling.whole_bytes
    if known.kind not in _BY_BEGINNING and info.size > most:
        return f"are larger than {most:,} bytes and were not looked at"
    entry = group.entry or ObjectDocument()
    job = SampleJob(
        format=known,
        rows=sampling.rows,
        cut=info.size > most,
        header=None if entry.header is None else tuple(entry.header),
        delimiter=entry.delimiter,
    )
    try:
        data = bytearray()
        async with bucket.connector.read(info.key, count=most) as read:
            async for chunk in read.chunks:
                data += chunk
        places = await sample(job, bytes(data))
    except ConnectorError as error:
        return f"cannot be read ({error.failure.value})"
    except SampleFailed as failed:
        return f"cannot be made sense of ({failed.code})"
    fields = _named(group, entry, places, find)
    return "have no line that is surely a header: name their columns with `header`" if fields is None else fields


def _named(group: _Group, entry: ObjectDocument, places: list[Sampled], find: Find) -> list[Field] | None:
    if group.kind in _CSV:
        return csv_fields(places, entry.header, entry.columns, find)
    return column_fields(places) if group.kind in _COLUMNAR else path_fields(places, find)


def _looked(group: _Group, one: Field, find: Find) -> Looked:
    entry = group.entry or ObjectDocument()
    name, word = one.name, None
    if entry.content == "raw":
        word = "allow"
    elif group.kind in _CSV or group.kind in _COLUMNAR:
        name, word = column_word(entry.columns, one.name, nested=group.kind in _COLUMNAR)
    else:
        word = path_word(entry.paths, one.name)
    suggestion = classify(find, _last_name(one.name), one.type, one.values)
    return Looked(name=name, word=word, suggestion=suggestion, sampled=len(one.values))


def _last_name(name: str) -> str:
    """What a path names; what lies around it may have a name that speaks for another label."""
    return name.removesuffix("[]").rpartition(".")[2]


def _spread(objects: list[tuple[ObjectInfo, ContentFormat]], count: int) -> list[tuple[ObjectInfo, ContentFormat]]:
    """The first, the last, and what lies evenly between them."""
    if len(objects) <= count:
        return objects
    return [objects[at * (len(objects) - 1) // max(count - 1, 1)] for at in range(count)]
