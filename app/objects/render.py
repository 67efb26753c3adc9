"""The masked rendering of one object: from the bytes of a source to the bytes of a sink, in constant memory.

Pure but for the files it is given. Nothing that is masked shows in the output, its size included: two objects that
differ only in masked fields render to the same bytes.
"""

import io
from dataclasses import replace
from typing import BinaryIO

from app.masking.masks import Redact
from app.objects.formats import FormatKind, Wrapping
from app.objects.plan import Rendered, RenderPlan
from app.objects.redacting import covering
from app.objects.refusal import ContentFault, ContentRefused
from app.objects.sink import Sink
from app.objects.unwrapping import Source, too_large, unwrapped
from app.policy.content import FieldView


def render(plan: RenderPlan, source: BinaryIO, sink: BinaryIO, scratch: BinaryIO | None = None) -> Rendered:
    """`scratch`: an empty file that can be read and written, for formats that are read from their end while they are
    compressed; `source` must be seekable for the others of these (ContentFormat.seekable). A plan that looks writes
    nothing.

    Raises ContentRefused, before which part of the output may have been written.
    """
    if plan.looks:
        return Rendered(rows=None, labels_masked=_labels(plan, source, scratch), bytes_out=0, sha256="")
    if plan.view.raw:
        raise ValueError("raw content is not rendered")
    out = Sink(sink, plan.format.wrapping, plan.limits.max_output_bytes)
    rows, labels = _rendered(plan, source, out, scratch)
    out.close()
    return Rendered(rows=rows, labels_masked=labels, bytes_out=out.count, sha256=out.hexdigest())


def _rendered(
    plan: RenderPlan, raw: BinaryIO, out: Sink, scratch: BinaryIO | None
) -> tuple[int | None, tuple[str, ...]]:
    if plan.view.scanned and plan.view.default.mask is None:
        # Text that comes raw by default alone is searched; of what is no text, nothing comes then.
        plan = replace(plan, view=replace(plan.view, default=FieldView(mask=Redact())))
    # Each format's libraries are loaded when it is asked for: a process that starts has to be quick.
    kind = plan.format.kind
    cover = covering(plan.view, plan.keys)
    redact = cover.redactor(plan.detectors.find)
    match kind:
        case FormatKind.TEXT:
            from app.objects.text import render_text

            if not isinstance(plan.view.text.mask, Redact | None):
                raise _no_text()
            return None, render_text(_source(plan, raw), out, cover, plan.detectors.find)
        case FormatKind.JSON | FormatKind.NDJSON:
            from app.objects.json_document import render_json
            from app.objects.json_places import JsonPlaces
            from app.objects.ndjson import render_ndjson

            places = JsonPlaces(plan.view, plan.keys, redact)
            rows = None
            if kind is FormatKind.JSON:
                render_json(_source(plan, raw), out, places, plan.limits)
            else:
                rows = render_ndjson(_source(plan, raw), out, places, plan.limits)
            return rows, places.labels_met()
        case FormatKind.CSV | FormatKind.TSV:
            from app.objects.csv_rendering import render_csv

            return render_csv(_source(plan, raw), out, plan, redact)
        case FormatKind.PARQUET | FormatKind.ARROW:
            from app.objects.columnar import render_columnar

            if plan.format.wrapping is Wrapping.NONE:
                _check_size(raw, plan.limits.max_input_bytes)
            else:
                raw = _copied(_source(plan, raw), scratch)
            return render_columnar(raw, out, plan, redact)


def _labels(plan: RenderPlan, raw: BinaryIO, scratch: BinaryIO | None) -> tuple[str, ...]:
    from app.objects.looking import look

    names: set[str] = set()
    source = unwrapped(raw, plan.format.wrapping, plan.limits, names.add)
    if not plan.format.seekable:
        labels = look(plan, source, plan.detectors.find)
    else:
        content = raw if plan.format.wrapping is Wrapping.NONE else _copied(source, scratch)
        labels = look(plan, content, plan.detectors.find)
    beside = {one.label for name in names for one in plan.detectors.find(name)}
    return tuple(sorted(beside.union(labels)))


def _no_text() -> ContentRefused:
    return ContentRefused(
        ContentFault.UNKNOWN_TYPE,
        "Running text does not come here under masks. Ask for an object that has fields, or have the data file name "
        "the format text for this one.",
    )


def _source(plan: RenderPlan, raw: BinaryIO) -> Source:
    return unwrapped(raw, plan.format.wrapping, plan.limits)


def _check_size(raw: BinaryIO, max_bytes: int) -> None:
    if raw.seek(0, io.SEEK_END) > max_bytes:
        raise too_large(max_bytes)
    raw.seek(0)


def _copied(source: Source, scratch: BinaryIO | None) -> BinaryIO:
    if scratch is None:
        raise ValueError("compressed content that is read from its end needs a scratch file")
    while chunk := source.read(1 << 18):
        scratch.write(chunk)
    scratch.seek(0)
    return scratch
