"""What policy wants done about what is in a message happens, wherever in the message it stands."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.masking.detectors import DEFAULT
from app.masking.masks import Null, Partial, Pseudonym
from app.messages.cloudevents import Event
from app.messages.covers import Covers
from app.messages.guard import MAX_VALUES, Draft, Screened, screen
from app.messages.payload import MAX_DEPTH, Form, Misfit, Payload
from app.messages.places import Paths
from app.messages.sighting import Eyes
from app.policy.content import ContentView, FieldView, Intake, OnFound

EMAIL = "pii.email"
AWS = "AKIA" + "QYLPMN5HHHFPZAM2"
TOKEN = "ghp_" + "1B4a2e77838347a7E420ce178F2E7c6912E1"
CARD = 4111111111111111
SECRETS = (AWS, TOKEN, str(CARD), "ana.lopez@example.com")

EYES = Eyes(DEFAULT.find)
VIEW = ContentView(
    default=FieldView(),
    found={
        EMAIL: FieldView(label=EMAIL, mask=Partial(email=True)),
        "pci.card_number": FieldView(label="pci.card_number", mask=Null()),
    },
)


def screened(
    value: Any,
    found: Mapping[str, OnFound] | None = None,
    *,
    paths: Mapping[str, FieldView] | None = None,
    done: tuple[str, ...] = (),
    chosen_topic: str = "",
    **given: Any,
) -> Screened:
    view = replace(VIEW, paths=paths or {})
    payload = Payload(form=Form.TEXT if isinstance(value, str) else Form.JSON, value=value, content_type="any/any")
    covers = Covers(view, lambda _: b"k" * 32, DEFAULT.find)
    return screen(
        Draft(payload=payload, **given),
        Paths(view.paths).root,
        Intake(found=found or {}),
        covers,
        EYES,
        done=done,
        chosen_topic=chosen_topic,
    )


def body(seen: Screened) -> Any:
    return seen.draft.payload.value


NAMES = st.text(alphabet="abcdefghijklm ", min_size=1, max_size=8)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(0, 9_999), st.text(alphabet="abcdefg ", max_size=12))


@st.composite
def planted(draw: st.DrawFn) -> tuple[Any, str]:
    """A JSON value with one secret at some place in it: as a value, within one, as a number, or as a name."""
    secret = draw(st.sampled_from(SECRETS))
    spelled = draw(st.sampled_from([secret, f"see {secret}", f"{secret} is it", f"a,b ({secret})\nc"]))
    value: Any = CARD if secret == str(CARD) and draw(st.booleans()) else spelled
    if draw(st.booleans()) and isinstance(value, str):
        value = {value: draw(PLAIN)}
    for _ in range(draw(st.integers(0, 4))):
        others = draw(st.lists(PLAIN, max_size=3))
        if draw(st.booleans()):
            others.insert(draw(st.integers(0, len(others))), value)
            value = others
        else:
            members = {f"{draw(NAMES)}{number}": each for number, each in enumerate(others)}
            value = {**members, draw(NAMES): value}
    return value if isinstance(value, dict | list) else [value], secret


@given(planted())
def test_no_planted_secret_passes_where_policy_denies_it(case: tuple[Any, str]) -> None:
    value, secret = case
    seen = screened(value)
    assert seen.denials
    assert seen.labels
    told = json.dumps([[each.pointer, each.detail] for each in seen.denials])
    assert secret not in told


@given(planted())
def test_what_is_masked_is_not_in_what_is_published(case: tuple[Any, str]) -> None:
    value, secret = case
    seen = screened(value, {"*": OnFound.MASK})
    assert seen.masked_labels
    if not seen.denials:
        assert secret not in json.dumps(body(seen))


@given(planted(), st.sampled_from([OnFound.ALLOW, OnFound.APPROVE]))
def test_what_passes_passes_as_it_was_sent(case: tuple[Any, str], what: OnFound) -> None:
    value, _ = case
    seen = screened(value, {"*": what})
    assert body(seen) == value
    assert seen.denials == seen.masked_labels == ()
    assert bool(seen.asked_labels) is (what is OnFound.APPROVE)
    assert seen.labels


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=20))
def test_what_holds_nothing_passes_unchanged(value: Any) -> None:
    seen = screened([value])
    assert body(seen) == [value]
    assert seen.labels == seen.denials == ()


def test_a_denial_points_into_the_body_and_quotes_nothing() -> None:
    (denial,) = screened({"customer": {"mails": ["x", "to ana@example.com"]}}).denials
    assert denial.pointer == "/payload/customer/mails/1"
    assert denial.detail == "holds pii.email, which may not be published here: leave it out"


def test_text_is_told_by_its_own_member() -> None:
    assert [each.pointer for each in screened("to ana@example.com").denials] == ["/text"]


@pytest.mark.parametrize("number", [CARD, float(CARD), -CARD])
def test_a_card_number_is_seen_as_a_number_too(number: float) -> None:
    assert screened({"n": number}).labels == ("pci.card_number",)
    assert body(screened({"n": number}, {"pci.*": OnFound.MASK})) == {"n": None}


def test_a_name_gives_context_to_its_number() -> None:
    assert screened({"x": 78051120}).labels == ()
    assert "pii.national_id" in screened({"ssn": "078051120"}).labels


def test_a_name_cannot_be_masked_so_it_is_denied_and_not_repeated() -> None:
    seen = screened({"a": {"ana@example.com": {"b": "bo@example.com"}}}, {EMAIL: OnFound.MASK})
    assert {each.pointer for each in seen.denials} == {"/payload/a"}
    seen = screened({"a": {"ana@example.com": {"b": AWS}}}, {EMAIL: OnFound.ALLOW})
    assert {each.pointer for each in seen.denials} == {"/payload/a"}


def test_headers_key_and_attributes_are_looked_at() -> None:
    event = Event(type="order", source="/shop", subject="ana@example.com", extensions={"ext": "bo@example.com", "n": 3})
    given = {"headers": {"reply-to": "eve@example.com"}, "key": "max@example.com", "event": event}
    seen = screened({}, **given)
    assert {each.pointer for each in seen.denials} == {
        "/headers/reply-to", "/key", "/cloud_event/subject", "/cloud_event/ext",
    }  # fmt: skip
    masked = screened({}, {EMAIL: OnFound.MASK}, **given).draft
    assert masked.headers == {"reply-to": "***@example.com"}
    assert masked.key == "***@example.com"
    assert masked.event == replace(event, subject="***@example.com", extensions={"ext": "***@example.com", "n": 3})


def test_only_the_entity_is_masked_in_running_text() -> None:
    seen = screened({"note": "call ana@example.com or bo@example.org."}, {EMAIL: OnFound.MASK})
    assert body(seen) == {"note": "call ***@example.com or ***@example.org."}
    assert seen.masked_places == ("/payload/note",)


def test_a_label_without_a_mask_of_its_own_comes_as_its_name() -> None:
    assert body(screened({"ip": "from 203.0.113.7"}, {"pii.ip": OnFound.MASK})) == {"ip": "from [pii.ip]"}


def test_a_path_gives_a_label_to_what_no_detector_knows() -> None:
    paths = {"$.customer.name": FieldView(label="pii.name", mask=Pseudonym(domain="d"))}
    value = {"customer": {"name": "Ana"}, "name": "Ana"}
    denied = screened(value, paths=paths)
    assert [(each.pointer, each.detail) for each in denied.denials] == [
        ("/payload/customer/name", "is pii.name, which may not be published here: leave it out")
    ]
    masked = body(screened(value, {"pii.name": OnFound.MASK}, paths=paths))
    assert masked["name"] == "Ana"
    assert len(masked["customer"]["name"]) == 32
    assert screened({"customer": {"name": None}}, paths=paths).labels == ()


def test_a_label_on_an_object_covers_all_in_it() -> None:
    paths = {"$.customer": FieldView(label="pii.person", mask=Partial())}
    assert body(screened({"customer": {"a": [1, "b"]}}, {"pii.*": OnFound.MASK}, paths=paths)) == {"customer": None}


def test_a_field_that_its_publisher_may_see_raw_is_masked_all_the_same() -> None:
    paths = {"$.a": FieldView(label="pii.name")}
    assert body(screened({"a": "Ana"}, {"pii.name": OnFound.MASK}, paths=paths)) == {"a": None}


def test_a_mask_that_shows_a_part_shows_no_secret() -> None:
    paths = {"$.note": FieldView(label="text.note", mask=Partial(keep_last=40))}
    seen = screened({"note": f"{'x' * 80} the key is {TOKEN}"}, {"text.*": OnFound.MASK}, paths=paths)
    assert [each.pointer for each in seen.denials] == ["/payload/note"]


def test_the_strictest_word_on_a_value_counts() -> None:
    both = {EMAIL: OnFound.ALLOW, "text.note": OnFound.APPROVE}
    paths = {"$.note": FieldView(label="text.note")}
    seen = screened({"note": "ana@example.com"}, both, paths=paths)
    assert (seen.asked_labels, seen.labels) == (("text.note",), (EMAIL, "text.note"))


def test_places_that_are_masked_already_are_not_masked_again() -> None:
    found = {EMAIL: OnFound.MASK}
    once = screened({"a": "ana@example.com", "b": {"c": CARD}}, {**found, "pci.*": OnFound.MASK})
    again = screened(body(once), {**found, "pci.*": OnFound.MASK}, done=once.masked_places)
    assert (body(again), again.labels, again.masked_places) == (body(once), (), once.masked_places)


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_numbers_that_json_has_not_are_refused(number: float) -> None:
    with pytest.raises(Misfit):
        screened({"n": number})


def test_depth_and_number_of_values_are_bounded() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    with pytest.raises(Misfit, match="deeper"):
        screened(deep)
    with pytest.raises(Misfit, match="values"):
        screened([1] * MAX_VALUES)


def test_many_denials_are_all_counted_and_few_are_told() -> None:
    seen = screened([{"m": "ana@example.com"}] * 100)
    assert len(seen.denials) == 20


@pytest.mark.parametrize("what", [None, OnFound.MASK, OnFound.APPROVE])
def test_a_topic_that_its_sender_chose_must_not_be_called_by_data(what: OnFound | None) -> None:
    found = {} if what is None else {"pci.*": what}
    seen = screened({"n": 1}, found, chosen_topic=f"orders.{CARD}")
    assert [each.pointer for each in seen.denials] == ["/topic"]
    assert str(CARD) not in seen.denials[0].detail
    assert seen.labels == ("pci.card_number",)
    assert screened({}, {"pci.*": OnFound.ALLOW}, chosen_topic=str(CARD)).denials == ()


def test_a_label_by_path_counts_for_attributes_of_an_event_that_its_sender_names() -> None:
    event = Event(type="t", source="s", subject="Ada Lovelace", extensions={"name": "Ada Lovelace", "n": 7})
    paths = {f"$.{name}": FieldView(label="pii.name", mask=Null()) for name in ("name", "subject", "type")}
    seen = screened({}, {"pii.name": OnFound.MASK}, paths=paths, event=event)
    assert seen.draft.event is not None
    assert seen.draft.event.attributes() == {"type": "t", "source": "s", "n": 7}
    assert (seen.masked_labels, seen.masked_places) == (("pii.name",), ("/cloud_event/name", "/cloud_event/subject"))
    denied = screened({}, {"pii.name": OnFound.DENY}, paths=paths, event=event, whole="payload")
    assert {each.pointer for each in denied.denials} == {"/payload/name", "/payload/subject"}
    again = screened({}, {"pii.name": OnFound.MASK}, paths=paths, event=seen.draft.event, done=seen.masked_places)
    assert again.draft == seen.draft
    assert screened({}, {"pii.name": OnFound.APPROVE}, paths=paths, event=event).asked_labels == ("pii.name",)
