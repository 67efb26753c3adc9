"""How objects and messages come to a caller, and what may go in."""

import pytest
from policy_samples import ANYTHING_GOES, CONNECTIONS, caller, policy_files

from app.masking.masks import Constant, Hide, Null, Partial, Redact
from app.policy.caller import Caller
from app.policy.content import NOTHING_KNOWN, ContentView, FieldView, Intake, OnFound, TopicRules, spoken
from app.policy.detected import DETECTED_LABELS
from app.policy.load import load
from app.policy.loaded import LoadedPolicy

MASKS = """
masks:
  pii.*: null
  pii.email: {kind: partial, email: true}
  pii.name: {kind: constant, value: redacted}
  hr.salary: deny
"""
RULES = """
p, role:dpo, label:pii.*, unmask, allow,
p, role:support, label:pii.email, unmask, approve,
"""
LAKE = """
max_bytes: 1000000
objects:
  customers/*.csv:
    format: csv
    columns: {id: allow, email: pii.email, name: pii.name, salary: hr.salary, notes: mask, password: deny}
    put: {types: [text/csv, image/*], max_bytes: 5000}
    found: {"pii.*": approve, pii.email: allow, "secret.*": deny}
  customers/public.csv:
    format: csv
    default: allow
    columns: {email: pii.email}
  brand/**: {content: raw}
  letters/**: {format: text}
  open/**: {default: allow, paths: {$.email: pii.email}}
"""
EVENTS = """
default: allow
topics:
  orders.*:
    paths: {$.customer.email: pii.email, "$.items[*].sku": allow}
    schema: {type: object, required: [id], properties: {id: {type: integer}}}
    headers: [trace-id]
    max_bytes: 4096
    max_header_bytes: 512
    cloud_events: true
    found: {"*": mask}
  internal: {content: raw}
"""
EMAIL, NAME = Partial(email=True), Constant(value="redacted")


def policy(lake: str = LAKE, events: str = EVENTS) -> LoadedPolicy:
    files = policy_files(ANYTHING_GOES + RULES, MASKS)
    return load(files | {"data/lake.yaml": lake.encode(), "data/events.yaml": events.encode()}, CONNECTIONS)


POLICY = policy()
ANA, DPO, SUPPORT = caller("user:ana"), caller("role:dpo"), caller("role:support")


def lake(key: str, who: Caller = ANA, *unmask: str, granted: bool = False) -> ContentView:
    return POLICY.content_view(who, "lake", key, {}, unmask, granted=granted)


def test_a_column_comes_as_its_word_says() -> None:
    shown = lake("customers/may.csv")
    assert dict(shown.columns) == {
        "id": FieldView(),
        "email": FieldView(label="pii.email", mask=EMAIL),
        "name": FieldView(label="pii.name", mask=NAME),
        "salary": FieldView(label="hr.salary", mask=Hide()),
        "notes": NOTHING_KNOWN,
        "password": FieldView(mask=Hide()),
    }
    assert (shown.default, shown.text, shown.raw, shown.format) == (NOTHING_KNOWN, NOTHING_KNOWN, False, "csv")
    assert shown.labels == ("hr.salary", "pii.email", "pii.name")
    assert shown.masks == ("constant", "deny", "null", "partial")
    assert shown.found == {}


def test_an_unmasked_label_comes_raw_and_the_others_stay() -> None:
    shown = lake("customers/may.csv", DPO)
    assert shown.columns["email"] == FieldView(label="pii.email")
    assert shown.columns["salary"].mask == Hide()
    assert not shown.asks


def test_what_waits_for_a_human_comes_masked_until_it_is_granted() -> None:
    assert lake("customers/may.csv", SUPPORT).asked_labels == ()
    waiting = lake("customers/may.csv", SUPPORT, "pii.email")
    assert waiting.columns["email"].mask == EMAIL
    assert waiting.asked_labels == ("pii.email",)
    assert [rule.resource for rule in waiting.asks] == ["label:pii.email"]
    granted = lake("customers/may.csv", SUPPORT, "pii.email", granted=True)
    assert granted.columns["email"].mask is None
    assert granted.asked_labels == ("pii.email",)


def test_a_label_that_nobody_may_have_is_refused_whether_or_not_it_is_there() -> None:
    assert lake("customers/may.csv", ANA, "pii.email").refused_labels == ("pii.email",)
    assert lake("brand/logo.png", ANA, "pii.email").refused_labels == ("pii.email",)


def test_a_label_that_has_no_say_here_asks_nobody() -> None:
    assert lake("nobody/named.csv", SUPPORT, "pii.email").asked_labels == ()


def test_the_narrowest_glob_speaks() -> None:
    assert lake("customers/public.csv").default == FieldView()
    assert lake("customers/may.csv").default == NOTHING_KNOWN
    assert lake("customers/deep/may.csv").columns == {}


def test_a_key_that_no_glob_covers_is_masked_by_default_with_no_label_and_shows_no_text() -> None:
    shown = lake("elsewhere/a.csv")
    assert shown == ContentView(masks=("null",))
    assert shown.text.mask == Null()


def test_raw_content_is_raw_for_everybody() -> None:
    assert lake("brand/logo.png").raw
    assert POLICY.content_view(ANA, "events", "internal", {}, ()).raw


def test_content_of_which_nothing_can_be_masked_for_this_caller_is_raw() -> None:
    assert lake("customers/public.csv", DPO).raw
    assert not lake("customers/public.csv").raw
    assert not lake("customers/may.csv", DPO).raw
    assert lake("customers/public.csv", SUPPORT, "pii.email", granted=True).raw
    assert not lake("customers/public.csv", SUPPORT, "pii.email").raw


def test_content_that_may_be_text_is_never_raw_by_itself() -> None:
    for key in ("letters/a.txt", "open/a"):
        assert not lake(key, DPO).raw
        assert lake(key, DPO).text.mask == Redact()


def test_text_comes_redacted_where_the_data_file_says_text_or_allows() -> None:
    shown = lake("letters/a.txt")
    assert (shown.text.mask, shown.default.mask, shown.masks) == (Redact(), Redact(), ("redact",))
    assert lake("elsewhere/a.txt").text.mask == lake("elsewhere/a.txt").default.mask
    assert lake("open/a", DPO).text.mask == Redact()


def test_text_does_not_come_where_fields_are_masked_by_name() -> None:
    assert lake("open/a.json").text.mask == Null()


def test_what_detectors_find_wears_the_mask_of_its_label() -> None:
    found = lake("letters/a.txt").found
    assert set(DETECTED_LABELS) <= set(found)
    assert found["pii.email"] == FieldView(label="pii.email", mask=EMAIL)
    assert found["secret.jwt"] == FieldView(label="secret.jwt", mask=Null())
    assert lake("letters/a.txt", DPO).found["pii.email"].mask is None
    assert lake("letters/a.txt", SUPPORT, "pii.email").asked_labels == ("pii.email",)


def test_text_of_messages_that_comes_raw_by_default_goes_through_the_detectors() -> None:
    shown = POLICY.content_view(DPO, "events", "orders.created", {}, ())
    assert (shown.scanned, shown.default.mask, shown.raw) == (True, None, False)
    assert shown.paths["$.customer.email"].mask is None
    assert shown.found["pii.phone"].mask is None
    assert shown.found["pci.iban"].mask == Null()


def test_what_may_be_put_comes_from_the_glob_and_the_smaller_bound() -> None:
    intake = POLICY.intake("lake", "customers/may.csv")
    assert intake.max_bytes == 5_000
    assert [intake.on_found(label) for label in ("pii.email", "pii.phone", "secret.jwt", "pci.iban")] == [
        OnFound.ALLOW,
        OnFound.APPROVE,
        OnFound.DENY,
        OnFound.DENY,
    ]
    assert intake.takes("text/csv; charset=utf-8")
    assert intake.takes("image/png")
    assert not intake.takes("application/json")
    assert POLICY.intake("lake", "elsewhere") == Intake(max_bytes=1_000_000)
    assert Intake().takes("anything/at-all")


def test_the_rules_of_a_topic_come_whole() -> None:
    rules = POLICY.topic_rules("events", "orders.eu.created")
    assert rules.schema == '{"properties":{"id":{"type":"integer"}},"required":["id"],"type":"object"}'
    assert (rules.headers, rules.max_header_bytes, rules.cloud_events) == (("trace-id",), 512, True)
    assert rules.intake.max_bytes == 4_096
    assert rules.intake.on_found("secret.jwt") is OnFound.MASK
    assert POLICY.topic_rules("events", "elsewhere") == TopicRules()


def test_the_bound_of_a_connection_is_its_files() -> None:
    assert POLICY.limits("lake") == (None, 1_000_000)
    assert POLICY.limits("events") == (None, None)


def test_a_connection_without_a_data_file_masks_everything() -> None:
    bare = load(policy_files(ANYTHING_GOES), CONNECTIONS)
    assert bare.content_view(ANA, "lake", "a.csv", {}, ()) == ContentView(masks=("null",))
    assert bare.intake("lake", "a.csv") == Intake()
    assert bare.topic_rules("events", "a") == TopicRules()


def test_a_schema_may_have_a_file_of_its_own() -> None:
    files = policy_files(ANYTHING_GOES) | {
        "data/events.yaml": b"topics: {orders: {schema: {file: schemas/order.json}}}",
        "schemas/order.json": b'{"type": "object"}',
    }
    loaded = load(files, CONNECTIONS)
    assert loaded.topic_rules("events", "orders").schema == '{"type":"object"}'
    assert loaded.warnings == ()
    assert load(files | {"schemas/order.json": b'{"type":"array"}'}, CONNECTIONS).version != loaded.version


@pytest.mark.parametrize("key", ["50% off.csv", "a*b.csv"])
def test_a_strange_key_is_met_as_policy_spells_it(key: str) -> None:
    spelled = key.replace("%", "%25").replace("*", "%2A")
    odd = policy(lake=f"objects: {{'{spelled}': {{content: raw}}}}")
    assert odd.content_view(ANA, "lake", key, {}, ()).raw
    assert not odd.content_view(ANA, "lake", "ab.csv", {}, ()).raw


@pytest.mark.parametrize("key", ["customers/may.csv", "customers/public.csv", "letters/a.txt", "open/a", "nobody/a"])
def test_of_what_arrives_everything_that_can_be_found_has_its_mask_whoever_brings_it(key: str) -> None:
    view = POLICY.arriving_view("lake", key)
    assert not view.raw
    assert set(DETECTED_LABELS) <= set(view.found)
    assert not [label for label, found in view.found.items() if found.mask is None]
    assert view.columns == lake(key).columns


def test_of_what_arrives_raw_is_what_the_file_says_is_raw() -> None:
    view = POLICY.arriving_view("lake", "brand/logo.png")
    assert view.raw
    assert view.found["pii.email"].mask == EMAIL


def test_conditions_hear_a_label_whole_and_by_its_first_part() -> None:
    assert spoken(["pii.email", "pii.contact.phone", "secret.jwt"]) == (
        "pii",
        "pii.contact.phone",
        "pii.email",
        "secret",
        "secret.jwt",
    )
