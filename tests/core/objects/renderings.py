"""Renders content in memory, with views that are told in one line."""

import io
from typing import Any

import pytest
from hypothesis import settings

from app.masking.masks import Constant, Generalise, Hide, Mask, Null, Partial, Pseudonym, Redact, Step
from app.objects.formats import ContentFormat, FormatKind, Wrapping
from app.objects.plan import Rendered, RenderLimits, RenderPlan
from app.objects.refusal import ContentRefused
from app.objects.render import render
from app.policy.content import ContentView, FieldView

UNHURRIED = settings(deadline=None)
KEYS = {"people": b"k" * 32}
RAW = FieldView()
EMAIL = FieldView(label="pii.email", mask=Partial(email=True))
NAME = FieldView(label="pii.name", mask=Pseudonym(domain="people"))
NOTE = FieldView(label="pii.note", mask=Null())
GONE = FieldView(label="secret.salary", mask=Hide())

MASKS: tuple[Mask, ...] = (
    Null(),
    Constant(value='x, "y"'),
    Constant(value=7),
    Constant(value=True),
    Partial(email=True),
    Partial(keep_last=2),
    Generalise(step=Step.YEAR),
    Generalise(step=Step.MONTH),
    Generalise(step=Step.BUCKET, size=10),
    Generalise(step=Step.PREFIX, size=3),
    Pseudonym(domain="people"),
    Redact(),
)


def plan(kind: str, view: ContentView, limits: RenderLimits | None = None, **of_format: Any) -> RenderPlan:
    return RenderPlan(
        format=ContentFormat(kind=FormatKind(kind), **of_format), view=view, keys=KEYS, limits=limits or RenderLimits()
    )


def rendered(
    kind: str, content: bytes, view: ContentView, limits: RenderLimits | None = None, **of_format: Any
) -> tuple[Rendered, bytes]:
    out = io.BytesIO()
    result = render(plan(kind, view, limits, **of_format), io.BytesIO(content), out, io.BytesIO())
    return result, out.getvalue()


def shown(kind: str, content: bytes, view: ContentView, **of_format: Any) -> bytes:
    return rendered(kind, content, view, **of_format)[1]


def refusal(
    kind: str, content: bytes, view: ContentView, limits: RenderLimits | None = None, **of_format: Any
) -> ContentRefused:
    with pytest.raises(ContentRefused) as caught:
        rendered(kind, content, view, limits, **of_format)
    return caught.value


GZIP = {"wrapping": Wrapping.GZIP}
ZSTD = {"wrapping": Wrapping.ZSTD}
