"""What the sample policies say of the demo's files and queue."""

from pathlib import Path

import jsonschema_rs
import pytest
from policy_samples import caller

from app.masking.masks import Constant, Generalise, Null, Partial, Pseudonym, Redact, Step
from app.policy.caller import Caller
from app.policy.connections import ConnectionKind
from app.policy.content import ContentView, FieldView, OnFound, spoken
from app.policy.decision import Action, Allow, AskFirst, Deny
from app.policy.load import load
from app.policy.payload_schema import compiled
from app.policy.resources import object_resource, topic_resource

FOLDER = Path(__file__).parents[3] / "policies"
POLICY = load(
    {p.relative_to(FOLDER).as_posix(): p.read_bytes() for p in FOLDER.rglob("*") if p.is_file()},
    {"shop": ConnectionKind.SQL, "files": ConnectionKind.OBJECTS, "queue": ConnectionKind.MESSAGES},
)


def person(name: str, client: str = "demo-cli") -> Caller:
    return caller(f"user:{name}", actors=(f"client:{client}",))


AGENT = person("ana", "sales-agent")


def shown(who: Caller, key: str) -> ContentView:
    return POLICY.content_view(who, "files", key, {}, ())


def on_file(who: Caller, key: str, action: Action, *labels: str) -> type:
    return type(POLICY.decide(who, object_resource("files", key), action, {"labels": spoken(labels)}))


def on_topic(who: Caller, topic: str, action: Action, *labels: str) -> type:
    return type(POLICY.decide(who, topic_resource("queue", topic), action, {"labels": spoken(labels)}))


def test_the_agent_lists_and_fetches_customers_orders_and_tickets() -> None:
    for key in ("customers/2026.csv", "customers/2026.parquet", "orders/2026-06.json", "tickets/2026-06.ndjson"):
        assert on_file(AGENT, key, Action.LIST) is Allow
        assert on_file(AGENT, key, Action.FETCH) is Allow
        assert on_file(AGENT, key, Action.DELETE) is Deny
        assert on_file(AGENT, key, Action.PUT) is Deny


@pytest.mark.parametrize("key", ["customers/2026.csv", "customers/2026.parquet"])
def test_customers_come_as_the_shops_table_does(key: str) -> None:
    masks = {name: view.mask for name, view in shown(AGENT, key).columns.items() if view.mask is not None}
    assert masks == {
        "name": Constant(value="redacted"),
        "email": Partial(email=True),
        "phone": Partial(keep_last=2),
        "national_id": Pseudonym(domain="national_id"),
        "birth_date": Generalise(step=Step.YEAR),
        "street": Null(),
        "postal_code": Generalise(step=Step.PREFIX, size=2),
    }
    assert not {view.mask for view in shown(person("dee"), key).columns.values()} - {None}


def test_orders_and_tickets_come_masked_by_path() -> None:
    assert shown(AGENT, "orders/2026-06.json").paths["$.orders[*].customer.email"].mask == Partial(email=True)
    tickets = shown(AGENT, "tickets/2026-06.ndjson")
    assert tickets.paths["$.body"].mask == Redact()
    assert tickets.found["pii.phone"].mask == Partial(keep_last=2)
    assert shown(person("sam"), "tickets/2026-06.ndjson").paths["$.body"].mask is None


def test_notes_come_redacted_the_logo_raw_and_the_archive_as_nothing_that_can_be_shown() -> None:
    assert shown(AGENT, "notes/handover.txt").text == FieldView(mask=Redact())
    assert shown(AGENT, "brand/logo.png").raw
    archive = shown(AGENT, "archive/shop-2025.bin")
    assert (archive.raw, archive.format, archive.text.mask) == (False, None, Null())


def test_an_export_with_people_in_it_waits_for_a_human_and_one_with_secrets_is_refused() -> None:
    intake = POLICY.intake("files", "exports/june.csv")
    assert intake.on_found("pii.email") is OnFound.APPROVE
    assert intake.on_found("pci.iban") is OnFound.DENY
    assert on_file(AGENT, "exports/june.csv", Action.PUT, "pii.email") is Allow
    assert on_file(AGENT, "exports/june.csv", Action.PUT, "secret.jwt") is Deny
    assert on_file(person("dee"), "exports/june.csv", Action.PUT) is Deny
    assert on_file(AGENT, "exports/june.csv", Action.DELETE) is AskFirst


def test_orders_go_out_partners_are_asked_about_and_the_inbox_is_read() -> None:
    assert on_topic(AGENT, "orders.created", Action.PUBLISH, "pii.email") is Allow
    assert on_topic(AGENT, "orders.created", Action.PUBLISH, "secret.jwt") is Deny
    assert on_topic(AGENT, "partner.orders", Action.PUBLISH) is AskFirst
    assert on_topic(AGENT, "support.inbox", Action.RECEIVE) is Allow
    assert on_topic(AGENT, "support.inbox", Action.PUBLISH) is Deny
    assert on_topic(person("sam"), "support.inbox", Action.PUBLISH) is Allow
    assert on_topic(person("aud"), "support.inbox", Action.RECEIVE) is Deny


def test_a_message_to_a_partner_is_the_data_protection_officers_word() -> None:
    terms = POLICY.terms([(topic_resource("queue", "partner.orders"), Action.PUBLISH)])
    assert [each.approvers for each in terms.requirements] == [("role:dpo",)]
    assert POLICY.topic_rules("queue", "partner.orders").intake.on_found("pii.message") is OnFound.MASK


def schema_of(topic: str) -> jsonschema_rs.Draft202012Validator:
    schema = POLICY.topic_rules("queue", topic).schema
    assert schema is not None
    return compiled(schema)


def test_an_order_fits_the_schema_of_its_topic_and_nothing_else_does() -> None:
    customer = {"id": 3, "name": "Ana", "email": "ana@example.com"}
    order = {"order": 7, "status": "paid", "total_cents": 1999, "currency": "EUR", "customer": customer}
    validator = schema_of("orders.created")
    assert validator.is_valid(order)
    assert not validator.is_valid(order | {"total_cents": "19.99"})
    assert not validator.is_valid(order | {"card": "4111 1111 1111 1111"})
    assert not validator.is_valid(order | {"customer": customer | {"email": "nobody"}})
    assert schema_of("partner.orders").is_valid({"order": 7, "sku": "A-1", "quantity": 2})
    assert not schema_of("partner.orders").is_valid({"order": 7, "sku": "A-1", "quantity": 2, "email": "a@b.example"})


def test_the_inbox_is_read_masked() -> None:
    view = POLICY.content_view(AGENT, "queue", "support.inbox", {}, ())
    assert view.paths["$.from.email"].mask == Partial(email=True)
    assert view.paths["$.body"].mask == Redact()
    assert (view.raw, view.default.mask) == (False, Null())


def test_a_stranger_reaches_neither() -> None:
    for connection in ("files", "queue"):
        assert POLICY.reachable(person("mallory"), connection) == frozenset()
        assert POLICY.reachable(person("aud"), connection) == frozenset()
        assert POLICY.reachable(AGENT, connection)
