"""Content that is put and hides what it holds from the look through it."""

import io
from dataclasses import replace

import pytest

from app.objects.refusal import ContentFault, ContentRefused
from app.objects.render import render
from app.policy.content import ContentView
from tests.core.objects.renderings import EMAIL, NAME, NOTE, RAW, plan, shown

VIEW = ContentView(columns={"name": NAME, "email": EMAIL}, default=RAW)


def labels(kind: str, content: bytes, view: ContentView = VIEW) -> tuple[str, ...]:
    looking = replace(plan(kind, view), looks=True)
    return render(looking, io.BytesIO(content), io.BytesIO(), io.BytesIO()).labels_masked


@pytest.mark.parametrize(
    "content",
    [
        b"id,name\n1,Al\n",
        b"\n\r\nid,name\n1,Al\n",
        b'"i\nd",name\n1,Al\n',
        b'"i""d,\r\n",name\n1,Al\n',
        b"id,name\r1,Al\r",
        b'id,"name"',
        "id,name\n1,Al\n".encode("utf-16"),
        "\ufeff\ufeffname,id\nAl,1\n".encode(),
        "id,na\u200bme\u00ad\n1,Al\n".encode(),
    ],
)
def test_a_look_sees_the_columns_that_a_rendering_has(content: bytes) -> None:
    assert labels("csv", content) == ("pii.name",)


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_header_without_an_end_is_refused_by_a_look(size: int) -> None:
    content = "é,".encode() * (size // 3)
    with pytest.raises(ContentRefused) as refused:
        labels("csv", content + b"name")
    assert refused.value.place == "line 1"


def test_a_name_that_no_parser_takes_is_refused_by_a_look() -> None:
    with pytest.raises(ContentRefused) as refused:
        labels("csv", b"x" * 300_000 + b",name\n")
    assert refused.value.code is ContentFault.TOO_LARGE


def test_a_header_whose_quotes_have_two_readings_is_refused_by_a_look() -> None:
    with pytest.raises(ContentRefused) as refused:
        labels("csv", b'id,"a"b",name\n1,2,3\n')
    assert refused.value.code is ContentFault.UNDECODABLE


def test_a_look_takes_rows_with_stray_quotes_as_long_as_their_header_has_one_reading() -> None:
    assert labels("csv", b'id,size\n1,6" pipe\n') == ()
    assert labels("csv", b'id,size\n1,6" pipe of ann@example.org\n') == ("pii.email",)


@pytest.mark.parametrize("name", ["\ufeffemail", "em\u200bail", "e\u00admail", "\u2060Email "])
def test_a_column_whose_name_only_looks_the_same_is_masked_as_the_same(name: str) -> None:
    view = ContentView(columns={"email": NOTE}, default=RAW)
    assert b"ann@" not in shown("csv", f"id,{name}\n1,ann@example.org\n".encode(), view)
