"""The policy that the repository ships, which is the demo's."""

from pathlib import Path

import pytest
from policy_samples import caller

from app.approval.terms import Grant, GrantKind
from app.masking.masks import Constant, Generalise, Null, Partial, Pseudonym, Redact, Step
from app.policy.caller import Caller
from app.policy.connections import ConnectionKind
from app.policy.decision import Action, Allow, AskFirst, Compare, Comparison, Deny, Nothing, TableView
from app.policy.load import load
from connectors.contract import Catalog, Column, Dialect, Table, TableKind

FOLDER = Path(__file__).parents[3] / "policies"
SHOP = {
    "customers": "id name email phone national_id birth_date street city postal_code country region created_at",
    "products": "id sku name category price_cents cost_cents",
    "orders": "id customer_id status total_cents currency placed_at shipped_at",
    "order_items": "order_id line product_id quantity unit_price_cents",
    "payments": "id order_id method card_number iban amount_cents status paid_at",
    "tickets": "id customer_id subject body priority status opened_at closed_at",
    "employees": "id name email title department manager_id salary_cents national_id hired_at",
}
TABLES = {
    name: Table(
        schema="main",
        name=name,
        kind=TableKind.TABLE,
        columns=tuple(Column(name=column, type="TEXT") for column in columns.split()),
    )
    for name, columns in SHOP.items()
}
CATALOG = Catalog(
    dialect=Dialect.SQLITE, version="1", server_version=3040001, tables={t.key: t for t in TABLES.values()}
)
POLICY = load(
    {p.relative_to(FOLDER).as_posix(): p.read_bytes() for p in FOLDER.rglob("*") if p.is_file()},
    {"shop": ConnectionKind.SQL, "files": ConnectionKind.OBJECTS, "queue": ConnectionKind.MESSAGES},
)


def person(name: str, client: str = "demo-cli", **claims: object) -> Caller:
    return caller(f"user:{name}", actors=(f"client:{client}",), **claims)


def seen(who: Caller, name: str, *unmask: str) -> TableView:
    return POLICY.view(who, "shop", TABLES[name], CATALOG, {}, unmask)


def masks(shown: TableView) -> dict[str, object]:
    return {column.name: column.mask for column in shown.columns if column.mask is not None}


def test_it_loads_without_a_warning_and_fits_the_demo_data() -> None:
    assert POLICY.warnings == ()
    assert POLICY.check_catalog("shop", CATALOG) == ()


def test_ana_sees_customers_masked() -> None:
    assert masks(seen(person("ana"), "customers")) == {
        "name": Constant(value="redacted"),
        "email": Partial(email=True),
        "phone": Partial(keep_last=2),
        "national_id": Pseudonym(domain="national_id"),
        "birth_date": Generalise(step=Step.YEAR),
        "street": Null(),
        "postal_code": Generalise(step=Step.PREFIX, size=2),
    }
    assert masks(seen(person("ana"), "payments")) == {
        "card_number": Partial(keep_last=4),
        "iban": Partial(keep_last=4),
    }
    assert masks(seen(person("ana"), "tickets")) == {"subject": Redact(), "body": Null()}


@pytest.mark.parametrize("name", SHOP)
def test_dee_sees_personal_data_raw(name: str) -> None:
    assert not set(masks(seen(person("dee"), name))) - {"cost_cents"}


@pytest.mark.parametrize("client", ["demo-cli", "swagger-ui"])
def test_a_persons_own_client_adds_nothing_and_takes_nothing(client: str) -> None:
    assert masks(seen(person("ana", client), "customers")) == masks(seen(person("ana"), "customers"))
    assert isinstance(POLICY.decide(person("ana", client), "shop/main.customers", Action.SELECT, {}), Allow)


def test_an_agent_takes_the_unmasking_away() -> None:
    assert masks(seen(person("dee", "sales-agent"), "customers")) == masks(seen(person("ana"), "customers"))


def test_salaries_exist_for_the_data_protection_officer_alone() -> None:
    assert "salary_cents" in {c.name for c in seen(person("dee"), "employees").columns}
    for name in ("ana", "max", "sam"):
        assert "salary_cents" not in {c.name for c in seen(person(name), "employees").columns}


def test_sam_sees_the_customers_of_his_region_and_reads_tickets() -> None:
    sam = person("sam", region="north")
    assert seen(sam, "customers").row_filter == Comparison(column="region", op=Compare.EQ, value="north")
    assert seen(person("sam"), "customers").row_filter == Nothing()
    assert masks(seen(sam, "tickets")) == {}
    assert seen(sam, "customers", "pii.email").asks
    assert isinstance(POLICY.decide(sam, "shop/main.employees", Action.SELECT, {}), Deny)


@pytest.mark.parametrize(("name", "client"), [("max", "ops-agent"), ("ana", "sales-agent"), ("max", "sales-agent")])
def test_an_agents_delete_asks_and_without_where_is_refused(name: str, client: str) -> None:
    who = person(name, client)
    assert isinstance(POLICY.decide(who, "shop/main.orders", Action.DELETE, {"has_where": True}), AskFirst)
    assert isinstance(POLICY.decide(who, "shop/main.orders", Action.DELETE, {"has_where": False}), Deny)
    assert isinstance(POLICY.decide(who, "shop/main.orders", Action.DELETE, {}), Deny)
    assert isinstance(POLICY.decide(who, "shop/main.customers", Action.DELETE, {"has_where": True}), Deny)


@pytest.mark.parametrize("name", ["ana", "sam", "dee", "max", "ada", "aud"])
def test_nobody_changes_the_schema(name: str) -> None:
    assert isinstance(POLICY.decide(person(name), "shop/main.orders", Action.DDL, {}), Deny)


def test_admin_and_auditor_see_no_data_and_their_own_surface() -> None:
    for name in ("ada", "aud"):
        assert POLICY.reachable(person(name), "shop") == frozenset()
    assert isinstance(POLICY.decide(person("aud"), "douane/audit", Action.READ, {}), Allow)
    assert isinstance(POLICY.decide(person("ana"), "douane/audit", Action.READ, {}), Deny)
    assert isinstance(POLICY.decide(person("dee"), "douane/approvals", Action.DECIDE, {}), Allow)


def test_a_stranger_with_the_demos_client_gets_nothing() -> None:
    assert POLICY.reachable(person("mallory"), "shop") == frozenset()
    assert POLICY.reachable(person("ana", "unknown-client"), "shop") == frozenset()


ORDERS, EMAIL = "shop/main.orders", "label:pii.email"


def approvers_of(*asked: tuple[str, Action]) -> list[tuple[str, ...]]:
    return [each.approvers for each in POLICY.terms(asked).requirements]


def test_a_delete_waits_for_one_who_knows_data_or_its_protection_and_after_a_while_for_an_admin_too() -> None:
    terms = POLICY.terms([(ORDERS, Action.DELETE)])
    (asked,) = terms.requirements
    assert (asked.approvers, asked.quorum) == (("role:dba", "role:dpo"), 1)
    assert (asked.escalate_after_s, asked.escalate_to) == (15 * 60, ("role:admin",))
    assert (terms.preview, terms.grant) == (True, Grant())


def test_an_email_in_the_clear_waits_for_the_data_protection_officer_with_a_preview() -> None:
    assert approvers_of((EMAIL, Action.UNMASK)) == [("role:dpo",)]
    assert POLICY.terms([(EMAIL, Action.UNMASK)]).preview
    assert approvers_of((EMAIL, Action.UNMASK), (ORDERS, Action.DELETE)) == [("role:dba", "role:dpo"), ("role:dpo",)]


def test_one_yes_is_good_for_a_few_corrections_of_orders_and_of_nothing_else() -> None:
    window = Grant(kind=GrantKind.WINDOW, duration_s=30 * 60, max_uses=5, max_rows=100)
    assert POLICY.terms([(ORDERS, Action.UPDATE)]).grant == window
    for resource, action in [(ORDERS, Action.DELETE), (ORDERS, Action.INSERT), ("shop/main.products", Action.UPDATE)]:
        assert POLICY.terms([(resource, action)]).grant == Grant()


@pytest.mark.parametrize(("name", "role"), [("dee", "role:dpo"), ("max", "role:dba"), ("ada", "role:admin")])
def test_the_approvers_of_the_demo_may_decide_and_through_an_agent_may_not(name: str, role: str) -> None:
    assert role in POLICY.identities(person(name))
    assert isinstance(POLICY.decide(person(name), "douane/approvals", Action.DECIDE, {}), Allow)
    for agent in ("sales-agent", "ops-agent"):
        assert isinstance(POLICY.decide(person(name, agent), "douane/approvals", Action.DECIDE, {}), Deny)
