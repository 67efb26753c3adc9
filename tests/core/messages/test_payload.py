"""What a message may be made of, whoever sends it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages.cloudevents import Event, event_of, opened, structured
from app.messages.payload import (
    Form,
    Misfit,
    Payload,
    encoded,
    headers_of,
    json_bytes,
    key_of,
    payload_of,
    pointer_to,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def wrong(call: Any) -> list[str]:
    with pytest.raises(Misfit) as caught:
        call()
    return [complaint.pointer for complaint in caught.value.complaints]


@given(JSON)
def test_bodies_say_what_was_sent(value: Any) -> None:
    assert json.loads(json_bytes(value)) == value


@given(st.dictionaries(st.text(), st.integers()))
def test_equal_payloads_have_one_body(value: dict[str, int]) -> None:
    assert json_bytes(value) == json_bytes(dict(reversed(value.items())))


def test_payloads_come_in_three_forms() -> None:
    assert payload_of({"a": 1}, None, None, None) == Payload(
        form=Form.JSON, value={"a": 1}, content_type="application/json"
    )
    assert payload_of(False, None, None, None).value is False
    assert payload_of(None, "", None, None) == Payload(form=Form.TEXT, value="", content_type="text/plain")
    assert payload_of(None, None, "AAE=", "image/PNG") == Payload(
        form=Form.BINARY, value=b"\0\1", content_type="image/png"
    )
    spelled = payload_of(None, "[1]", None, "application/json")
    assert (spelled.form, spelled.value, spelled.member) == (Form.JSON, [1], "text")
    assert payload_of({}, None, None, "application/vnd.x+json; charset=utf-8").content_type == "application/vnd.x+json"


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ((None, None, None, None), ""),
        (({}, "x", None, None), ""),
        (({}, None, None, "text/plain"), "/content_type"),
        ((None, "x", None, "image/png"), "/content_type"),
        ((None, "{", None, "application/json"), "/text"),
        ((None, "NaN", None, "application/json"), "/text"),
        ((None, None, "AAE=", None), "/content_type"),
        ((None, None, "AAE", "a/b"), "/base64"),
        ((None, None, "A A=", "a/b"), "/base64"),
        ((None, None, "é", "a/b"), "/base64"),
        ((None, "x", None, "text"), "/content_type"),
        ((None, "x", None, "text/plain; boundary=x"), "/content_type"),
        ((None, "x", None, "text/plain\r\nx: y"), "/content_type"),
    ],
)
def test_other_payloads_are_refused_where_they_are_wrong(sent: tuple[Any, ...], pointer: str) -> None:
    assert wrong(lambda: payload_of(*sent)) == [pointer]


def test_text_that_has_no_utf8_form_is_refused() -> None:
    assert wrong(lambda: encoded(Form.TEXT, "\ud800"))
    assert wrong(lambda: encoded(Form.JSON, {"a": "\ud800"}))


def test_headers_come_sorted() -> None:
    assert list(headers_of({"b": "1", "a-b": "two words"})) == ["a-b", "b"]


@pytest.mark.parametrize(
    "name",
    [
        "Upper", "under_score", "", "-a", "a-", "a b", "é", "a\n", "x" * 65, "content-length", "nats-msg-id", "x-death",
        "ce-type", "x-delay", "x-amz-trace", "traceparent\0", "transfer-encoding", "cc", "x-first-death-queue",
        "dedup-id", "message-id", "douane-key", "douane-headers",
    ],
)  # fmt: skip
def test_header_names_that_mean_something_to_others_are_refused(name: str) -> None:
    assert wrong(lambda: headers_of({name: "x"}))


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "\0", "\x7f", " a", "a ", "é", "x" * 1_025])
def test_header_values_that_could_end_a_header_are_refused(value: str) -> None:
    assert wrong(lambda: headers_of({"a": value})) == ["/headers/a"]


def test_headers_of_a_topic_are_bounded() -> None:
    assert headers_of({"a": "x"}, allowed=("a",)) == {"a": "x"}
    assert wrong(lambda: headers_of({"b": "x"}, allowed=("a",))) == ["/headers/b"]
    assert wrong(lambda: headers_of({"a": "x" * 20}, max_bytes=20)) == ["/headers"]
    assert wrong(lambda: headers_of({f"a{n}": "" for n in range(33)})) == ["/headers"]


@pytest.mark.parametrize("key", ["", "a b", "a\n", "é", "x" * 129])
def test_keys_are_short_and_plain(key: str) -> None:
    assert key_of(None) is None
    assert key_of("order-42") == "order-42"
    assert wrong(lambda: key_of(key)) == ["/key"]


def test_pointers_escape_names() -> None:
    assert pointer_to("a/b", 0, "~") == "/a~1b/0/~0"


def test_an_event_opens_to_what_it_was_made_of() -> None:
    event = Event(
        type="order.created", source="/shop", subject="42", dataschema="https://x.test/s", extensions={"n": 1}
    )
    payload = Payload(form=Form.JSON, value={"a": 1}, content_type="application/json")
    sent = structured(event, payload, id="i", time="2026-01-01T00:00:00Z")
    assert sent["specversion"] == "1.0"
    found, inner = opened(sent, "payload")
    assert inner == payload
    assert found.attributes() == event.attributes() | {"id": "i", "time": "2026-01-01T00:00:00Z"}
    assert structured(found, inner, id="other", time="other") == sent


@pytest.mark.parametrize(
    ("attributes", "pointers"),
    [
        ({"type": "t"}, ["/e"]),
        ({"type": "", "source": "s"}, ["/e/type"]),
        ({"type": 3, "source": "s"}, ["/e/type"]),
        ({"type": "t", "source": "s\n"}, ["/e/source"]),
        ({"type": "t", "source": "s", "time": "yesterday"}, ["/e/time"]),
        ({"type": "t", "source": "s", "time": "2026-13-01T00:00:00Z"}, ["/e/time"]),
        ({"type": "t", "source": "s", "Upper": "x"}, ["/e/Upper"]),
        ({"type": "t", "source": "s", "x": 2**31}, ["/e/x"]),
        ({"type": "t", "source": "s", "x": [1]}, ["/e/x"]),
        ({"type": "t" * 600, "source": "s"}, ["/e/type"]),
        ({"type": "t", "source": "s", **{f"x{n}": n for n in range(17)}}, ["/e"]),
    ],
)
def test_attributes_that_cloudevents_does_not_take_are_refused(attributes: dict[str, Any], pointers: list[str]) -> None:
    assert wrong(lambda: event_of(attributes, "e")) == pointers


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"specversion": "0.3", "id": "1", "type": "t", "source": "s"},
        {"specversion": "1.0", "type": "t", "source": "s"},
        {"specversion": "1.0", "id": "1", "type": "t", "source": "s", "data_base64": "AA=="},
        {"specversion": "1.0", "id": "1", "type": "t", "source": "s", "datacontenttype": "image/png", "data": "x"},
        {"specversion": "1.0", "id": "1", "type": "t", "source": "s", "datacontenttype": "text/plain", "data": {}},
        {"specversion": "1.0", "id": "1", "type": "t", "source": "s", "datacontenttype": 3, "data": {}},
    ],
)
def test_what_is_no_event_does_not_open(value: Any) -> None:
    assert wrong(lambda: opened(value, "payload")) == ["/payload"]
