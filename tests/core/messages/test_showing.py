"""A received message comes masked, or it is withheld; what is hidden changes nothing of what is shown."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.masking.detectors import DEFAULT
from app.masking.masks import Hide, Mask, Null, Partial, Pseudonym, Redact
from app.messages.covers import Covers
from app.messages.payload import MAX_DEPTH, Form
from app.messages.places import Paths
from app.messages.showing import Shown, Window, Withheld
from app.messages.sighting import Eyes
from app.policy.content import NOTHING_KNOWN, ContentView, FieldView

RAW = FieldView()
FOUND = {"pii.email": FieldView(label="pii.email", mask=Partial(email=True))}


def window(
    paths: Mapping[str, FieldView] | None = None,
    *,
    default: FieldView = RAW,
    cloud_events: bool = False,
    found: Mapping[str, FieldView] = FOUND,
    **given: Any,
) -> Window:
    text = FieldView(mask=Redact()) if default.mask is None else default
    view = ContentView(paths=paths or {}, default=default, text=text, scanned=True, found=found, **given)
    return Window(
        view=view,
        place=Paths(view.paths).root,
        covers=Covers(view, lambda _: b"k" * 32, DEFAULT.find),
        eyes=Eyes(DEFAULT.find),
        cloud_events=cloud_events,
    )


def shown(seen: Window, body: Any, content_type: str | None = None, **given: Any) -> Shown:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return seen.show(raw, content_type, given.get("headers", {}), given.get("key"))


def value(seen: Window, body: Any, content_type: str | None = None) -> Any:
    result = shown(seen, body, content_type)
    assert result.withheld is None
    assert result.payload is not None
    return result.payload.value


def masked(mask: Mask, label: str = "pii.x") -> FieldView:
    return FieldView(label=label, mask=mask)


def test_fields_come_as_their_paths_say_and_all_others_as_the_default() -> None:
    seen = window({"$.id": RAW, "$.mail": masked(Partial(email=True))}, default=NOTHING_KNOWN)
    sent = {"id": 7, "mail": "ana@example.com", "note": "x", "more": {"a": 1}, "list": [1]}
    assert value(seen, sent) == {"id": 7, "mail": "***@example.com", "note": None, "more": None, "list": None}


def test_running_text_comes_without_what_detectors_find() -> None:
    seen = window()
    sent = {"note": "to ana@example.com", "card": 4111111111111111, "ip": "203.0.113.7", "n": 5}
    assert value(seen, sent) == {"note": "to ***@example.com", "card": None, "ip": "[pii.ip]", "n": 5}
    assert value(seen, b"to ana@example.com", "text/plain") == "to ***@example.com"


def test_names_of_members_are_looked_at_and_stay_apart() -> None:
    sent = {"ana@example.com": 1, "bo@example.com": 2}
    assert value(window(), sent) == {"***@example.com": 1, "***@example.com_2": 2}


def test_a_field_that_a_path_lets_through_is_not_looked_into() -> None:
    assert value(window({"$.mail": RAW}), {"mail": ["ana@example.com"]}) == {"mail": ["ana@example.com"]}


def test_hidden_fields_are_gone() -> None:
    seen = window({"$.a": masked(Hide()), "$.l[*].x": masked(Hide())})
    assert value(seen, {"a": {"b": 1}, "l": [{"x": 1, "y": 2}], "c": 3}) == {"l": [{"y": 2}], "c": 3}


def test_within_a_masked_object_only_what_has_its_own_path_shows() -> None:
    seen = window({"$.who": masked(Null()), "$.who.id": RAW, "$..sku": RAW})
    sent = {"who": {"id": 1, "sku": "s", "name": "Ana", "items": [{"sku": "s", "price": 3}], "more": {"a": 1}}}
    assert value(seen, sent) == {"who": {"id": 1, "sku": "s"}}
    assert value(seen, {"who": {"name": "Ana"}}) == {"who": None}


@pytest.mark.parametrize("default", [NOTHING_KNOWN, FieldView(mask=Hide())])
def test_names_and_lengths_that_no_path_goes_through_are_data(default: FieldView) -> None:
    seen = window({"$..sku": RAW, "$.a.b": RAW, "$.l[*].n": RAW}, default=default)
    one = {"a": [1, 2, 3], "m": {"ada@example.com": {"sku": 1}, "Bo": 1}, "l": [{"n": 1, "x": 2}], "sku": 7}
    two = {"a": [], "m": {"Cy": {"sku": 2}}, "l": [{"n": 1, "x": []}], "sku": 7}
    assert value(seen, one) == value(seen, two)
    assert value(seen, one)["sku"] == 7
    assert value(seen, one)["l"][0]["n"] == 1


LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=20), st.floats(allow_nan=False, allow_infinity=False)
)
ANY = st.recursive(
    LEAF, lambda i: st.lists(i, max_size=3) | st.dictionaries(st.text(max_size=5), i, max_size=3), max_leaves=8
)


@given(ANY, ANY, LEAF, st.sampled_from([Null(), Hide()]))
def test_twins_that_differ_in_what_is_masked_come_alike(left: Any, right: Any, open_value: Any, mask: Mask) -> None:
    seen = window(
        {"$.hidden": masked(mask), "$.deep.*": masked(mask), "$.list[*].h": masked(mask), "$.open": RAW},
        default=FieldView(mask=Null()),
    )
    twins = [
        shown(seen, {"hidden": each, "deep": {"a": each}, "list": [{"h": each}], "open": open_value, "other": each})
        for each in (left, right)
    ]
    assert twins[0].withheld is None
    assert twins[0].payload == twins[1].payload
    assert twins[0].payload is not None
    assert twins[0].payload.value["open"] == open_value


@given(st.emails(domains=st.just("example.com")), st.emails(domains=st.just("example.com")))
def test_twins_that_differ_in_an_address_come_alike(left: str, right: str) -> None:
    seen = window({"$.mail": masked(Partial(email=True))})
    assert shown(seen, {"mail": left}).payload == shown(seen, {"mail": right}).payload


def test_pseudonyms_join_with_those_of_other_places() -> None:
    seen = window({"$.a": masked(Pseudonym(domain="d")), "$.b": masked(Pseudonym(domain="d"))})
    came = value(seen, {"a": "Ana", "b": "Ana"})
    assert came["a"] == came["b"] != "Ana"


@pytest.mark.parametrize(
    ("body", "content_type", "why"),
    [
        (b"mail=ana@example.com", "text/plain", Withheld.NOT_JSON),
        (b"{", "application/json", Withheld.NOT_JSON),
        (b'{"mail": "\xff"}', None, Withheld.NOT_JSON),
        (b'{"mail": "\\ud800"}', None, Withheld.NOT_JSON),
        (b"\x00\x01", "application/octet-stream", Withheld.NOT_JSON),
        (b"[" * 10_000 + b"]" * 10_000, None, Withheld.NOT_JSON),
        (b'{"a":' + b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2) + b"}", None, Withheld.TOO_DEEP),
        (b"[" + b"1," * 100_000 + b"1]", None, Withheld.TOO_MANY_VALUES),
        (b'{"specversion": "1.0"}', "application/cloudevents+json", Withheld.NOT_CLOUD_EVENT),
    ],
)
def test_what_cannot_be_masked_by_path_is_withheld(body: bytes, content_type: str | None, why: Withheld) -> None:
    found = shown(window({"$.mail": masked(Null())}), body, content_type, headers={"x": "y"}, key="k")
    assert found == Shown(withheld=why)


@pytest.mark.parametrize(
    ("body", "content_type", "why"),
    [
        (b"\x00\xff", "application/octet-stream", Withheld.BINARY),
        (b"{}", "application/octet-stream", Withheld.BINARY),
        (b"\xff", "text/plain", Withheld.NOT_TEXT),
        (b"\xff", None, Withheld.NOT_TEXT),
    ],
)
def test_what_cannot_be_read_is_withheld(body: bytes, content_type: str | None, why: Withheld) -> None:
    assert shown(window(), body, content_type) == Shown(withheld=why)


def test_text_is_withheld_where_unknown_fields_are_masked() -> None:
    assert shown(window(default=NOTHING_KNOWN), b"hello", "text/plain").withheld is Withheld.NOT_JSON


PHONE = rb'{"phone": "\u002B442079460018"}'


@pytest.mark.parametrize("content_type", ["application/json", "application/vnd.x+json", "text/json", None])
@pytest.mark.parametrize(
    "body",
    [
        PHONE + b"\n" + PHONE,
        PHONE[:-1] + b",}",
        PHONE[:-1] + b', "n": NaN}',
        PHONE[:-1] + rb', "note": "caf\ud83d"}',
        b"\xef\xbb\xbf\xef\xbb\xbf \n[" + PHONE,
        b"\xc2\xa0" + PHONE,
        rb'"\u002B442079460018" and more',
    ],
)
def test_what_is_almost_json_is_withheld_because_its_escapes_hide_from_detectors(
    body: bytes, content_type: str | None
) -> None:
    assert shown(window(), body, content_type) == Shown(withheld=Withheld.NOT_JSON)


@pytest.mark.parametrize("content_type", ["application/json", None])
def test_a_byte_order_mark_before_json_is_none_of_it(content_type: str | None) -> None:
    assert value(window(), b"\xef\xbb\xbf" + PHONE, content_type) == {"phone": "[pii.phone]"}
    assert value(window({"$.phone": masked(Null())}), b"\xef\xbb\xbf" + PHONE, content_type) == {"phone": None}


def test_text_that_says_nothing_of_itself_and_does_not_look_like_json_is_text() -> None:
    found = shown(window(), b'"ana@example.com" wrote', None)
    assert found.payload is not None
    assert (found.payload.form, found.payload.value) == (Form.TEXT, '"***@example.com" wrote')


def test_what_calls_itself_text_is_masked_by_path_all_the_same() -> None:
    assert value(window({"$.mail": masked(Null())}), {"mail": "x", "n": 1}, "text/plain") == {"mail": None, "n": 1}


def test_headers_key_and_id_come_without_what_detectors_find() -> None:
    seen = window()
    found = shown(seen, {}, headers={"x-from": "ana@example.com"}, key="ana@example.com")
    assert (found.headers, found.key) == ({"x-from": "***@example.com"}, "***@example.com")
    assert seen.name("ana@example.com-1") == "***@example.com-1"
    assert found.labels == {"pii.email"}


def test_where_unknown_fields_are_masked_so_are_the_key_and_headers_that_nobody_named() -> None:
    headers = {"x-user": "Ada Lovelace", "trace-id": "b7", "reply-to": "ana@example.com"}
    for default in (NOTHING_KNOWN, FieldView(mask=Hide())):
        seen = replace(window(default=default), headers=("trace-id", "reply-to"))
        found = shown(seen, {}, headers=headers, key="ada-lovelace")
        assert (found.headers, found.key) == ({"trace-id": "b7", "reply-to": "***@example.com"}, None)


def test_raw_topics_come_as_they_are() -> None:
    seen = window(raw=True)
    assert shown(seen, b"\x00\xff", "image/png").payload == shown(seen, b"\x00\xff", "image/png").payload
    found = shown(seen, b"\x00\xff", "image/png", headers={"a": "ana@example.com"})
    assert found.payload is not None
    assert (found.payload.form, found.payload.value) == (Form.BINARY, b"\x00\xff")
    assert found.headers == {"a": "ana@example.com"}
    assert value(seen, {"mail": "ana@example.com"}) == {"mail": "ana@example.com"}
    assert value(seen, b"ana@example.com", "text/plain") == "ana@example.com"


EVENT = {
    "specversion": "1.0", "id": "1", "type": "order", "source": "/ana@example.com", "mail": "secretly",
    "data": {"mail": "ana@example.com", "n": 1},
}  # fmt: skip


def test_paths_of_an_event_are_those_of_its_data() -> None:
    seen = window({"$.mail": masked(Null())}, default=NOTHING_KNOWN)
    found = shown(seen, EVENT, "application/cloudevents+json; charset=utf-8")
    assert found.payload is not None
    assert found.payload.value == {"mail": None, "n": None}
    assert found.event is not None
    assert found.event.attributes() == {"type": "order", "source": "/***@example.com", "id": "1", "mail": None}


def test_what_a_path_masks_an_event_does_not_show_as_an_attribute() -> None:
    bare = {"specversion": "1.0", "id": "1", "type": "t", "source": "s", "data": {}}
    sent = bare | {"name": "Ada Lovelace", "subject": "Ada Lovelace", "gone": "Ada Lovelace", "n": 7}
    paths = {"$.name": masked(Null(), "pii.name"), "$..subject": masked(Null()), "$.gone": masked(Hide()), "$.n": RAW}
    found = shown(window(paths), sent, "application/cloudevents+json")
    assert found.event is not None
    assert found.event.attributes() == {"type": "t", "source": "s", "id": "1", "name": None, "n": 7}
    assert "pii.name" in found.labels
    # A path lets through what it names in the data, and no attribute that would be masked without it.
    found = shown(window(paths, default=NOTHING_KNOWN), sent, "application/cloudevents+json")
    assert found.event is not None
    assert found.event.attributes() == {"type": "t", "source": "s", "id": "1", "name": None, "n": None}
    whole = shown(window({"$.*": masked(Hide())}), sent, "application/cloudevents+json")
    assert whole.event is not None
    assert whole.event.attributes() == {"type": "t", "source": "s", "id": "1"}


def test_on_a_topic_of_events_everything_is_one() -> None:
    seen = window({"$.mail": masked(Null())}, cloud_events=True)
    assert value(seen, EVENT, "application/json") == {"mail": None, "n": 1}
    assert shown(seen, {"mail": "x"}).withheld is Withheld.NOT_CLOUD_EVENT
    text = {**EVENT, "datacontenttype": "text/plain", "data": "to ana@example.com"}
    assert shown(seen, text).withheld is Withheld.NOT_JSON
    assert value(window(cloud_events=True), text) == "to ***@example.com"
