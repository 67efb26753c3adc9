import pytest
from policy_samples import caller, catalog, policy, table

from app.masking.masks import Constant, Generalise, Null, Partial, Pseudonym, Step
from app.policy.caller import Caller
from app.policy.decision import Compare, Comparison, Context, Effect, Membership, Nothing, TableView
from app.policy.loaded import LoadedPolicy
from connectors.contract import Catalog, Column, Dialect, Table, TableKind

MASKS = """
masks:
  "*": {kind: constant, value: x}
  pii.*: null
  pii.email: {kind: partial, email: true}
  pii.phone: {kind: partial, keep_last: 2}
  pii.born: {kind: generalise, step: bucket, size: 10}
  pii.nid: {kind: pseudonym}
  pii.nid.old: {kind: pseudonym, domain: shared}
  secret.*: deny
"""
DATA = """
tables:
  public.people:
    columns: {id: allow, email: pii.email, phone: pii.phone, nid: pii.nid, pin: secret.pin, gone: deny, note: mask}
"""
PEOPLE = table("people", "id", "email", "phone", "nid", "pin", "gone", "note", "new")
UNMASK = (
    "p, role:dpo, label:*, unmask, allow,\n"
    "p, role:support, label:pii.email, unmask, approve,\n"
    "p, role:night, label:pii.email, unmask, allow, hour < 6\n"
)


def view(
    loaded: LoadedPolicy,
    who: Caller,
    what: Table = PEOPLE,
    where: Catalog | None = None,
    unmask: tuple[str, ...] = (),
    context: Context | None = None,
) -> TableView:
    return loaded.view(who, "shop", what, where or catalog(what), context or {}, unmask)


def masks(shown: TableView) -> dict[str, object]:
    return {column.name: column.mask for column in shown.columns}


def test_every_column_comes_as_its_label_or_word_says_and_an_unlabelled_one_as_nothing() -> None:
    shown = view(policy(UNMASK, MASKS, DATA), caller("role:analyst"))
    assert masks(shown) == {
        "id": None,
        "email": Partial(email=True),
        "phone": Partial(keep_last=2),
        "nid": Pseudonym(domain="pii.nid"),
        "note": Null(),
        "new": Null(),
    }
    assert {c.name: c.label for c in shown.columns if c.label} == {
        "email": "pii.email",
        "phone": "pii.phone",
        "nid": "pii.nid",
    }


def test_the_most_specific_mask_wins_and_a_label_without_one_comes_as_nothing() -> None:
    data = "tables: {public.people: {columns: {id: pii.nid.old, email: pii.other, phone: biz.x, nid: pii.born}}}"
    assert masks(view(policy("", MASKS, data), caller("role:a"))) == {
        **dict.fromkeys(("pin", "gone", "note", "new"), Null()),
        "id": Pseudonym(domain="shared"),
        "email": Null(),
        "phone": Constant(value="x"),
        "nid": Generalise(step=Step.BUCKET, size=10),
    }
    assert masks(view(policy("", "", data), caller("role:a")))["nid"] == Null()


def test_unmask_allow_shows_raw_even_a_denied_label_but_never_a_denied_or_unlabelled_column() -> None:
    shown = masks(view(policy(UNMASK, MASKS, DATA), caller("role:dpo")))
    assert shown == {**dict.fromkeys(("id", "email", "phone", "nid", "pin")), "note": Null(), "new": Null()}


def test_unmask_approve_asks_only_when_the_request_names_the_label_and_shows_nothing_meanwhile() -> None:
    loaded, sam = policy(UNMASK, MASKS, DATA), caller("role:support")
    quiet = view(loaded, sam)
    assert quiet.asks == ()
    asking = view(loaded, sam, unmask=("pii.email",))
    assert [(rule.effect, rule.resource) for rule in asking.asks] == [(Effect.APPROVE, "label:pii.email")]
    assert masks(asking) == masks(quiet)
    assert asking.refused_labels == ()


def test_an_unmask_that_no_rule_grants_is_refused_whether_or_not_the_table_has_the_label() -> None:
    shown = view(policy(UNMASK, MASKS, DATA), caller("role:support"), unmask=("pii.phone", "pii.never", "pii.email"))
    assert shown.refused_labels == ("pii.never", "pii.phone")


def test_the_actor_limits_what_the_principal_may_unmask() -> None:
    rules = UNMASK + "p, role:bot, shop/*, select, allow,\n"
    shown = view(policy(rules, MASKS, DATA), caller("role:dpo", actors=("role:bot",)))
    assert masks(shown)["email"] == Partial(email=True)


def test_a_condition_on_an_unmask_rule_fails_closed() -> None:
    loaded, who = policy(UNMASK, MASKS, DATA), caller("role:night")
    assert masks(view(loaded, who, context={"hour": 3}))["email"] is None
    assert masks(view(loaded, who, context={"hour": 9}))["email"] == Partial(email=True)
    assert masks(view(loaded, who))["email"] == Partial(email=True)


@pytest.mark.parametrize(("default", "expected"), [("allow", {"new": None}), ("mask", {"new": Null()}), ("deny", {})])
def test_the_default_of_file_and_table_decides_for_unlabelled_columns(
    default: str, expected: dict[str, object]
) -> None:
    what = table("t", "new")
    in_file = policy("", "", f"default: {default}\ntables: {{public.t: {{}}}}")
    in_table = policy("", "", f"default: mask\ntables: {{public.t: {{default: {default}}}}}")
    assert masks(view(in_file, caller("role:a"), what)) == masks(view(in_table, caller("role:a"), what)) == expected


def test_a_table_that_no_file_names_comes_masked() -> None:
    assert masks(view(policy(), caller("role:a"), table("t", "x"))) == {"x": Null()}


@pytest.mark.parametrize("kind", [k for k in TableKind if k not in (TableKind.TABLE, TableKind.PARTITIONED)])
def test_views_partitions_and_foreign_tables_do_not_exist_until_they_are_named(kind: TableKind) -> None:
    loaded = policy("p, role:dpo, **, *, allow,\n", "", "default: allow\ntables: {public.named: {columns: {x: allow}}}")
    assert view(loaded, caller("role:dpo"), table("other", "x", kind=kind)).columns == ()
    assert masks(view(loaded, caller("role:dpo"), table("named", "x", kind=kind))) == {"x": None}


def derived(columns: str, who: Caller, *, default: str = "mask", rules: str = UNMASK) -> dict[str, object]:
    """A view with columns id, email, other over people.id, people.email and people.phone."""
    data = DATA + f"  public.v: {{default: {default}, columns: {columns}}}\n"
    shown = table("v", "id", "email", "other", kind=TableKind.VIEW, reads=("people.id", "people.email", "people.phone"))
    return masks(view(policy(rules, MASKS, data), who, shown, catalog(PEOPLE, shown)))


def test_a_view_column_inherits_from_the_column_of_its_name_and_else_shows_nothing() -> None:
    assert derived("{}", caller("role:a")) == {"id": Null(), "email": Partial(email=True), "other": Null()}
    assert derived("{}", caller("role:a"), default="allow") == {
        "id": Null(),
        "email": Partial(email=True),
        "other": Null(),
    }


def test_an_explicit_allow_on_a_view_counts_only_where_the_column_of_that_name_is_raw() -> None:
    assert derived("{id: allow, email: allow, other: allow}", caller("role:a")) == {
        "id": None,
        "email": Null(),
        "other": Null(),
    }


def test_an_explicit_label_on_a_view_counts_only_if_its_sources_carry_it() -> None:
    shown = derived("{id: pii.nid, email: deny, other: pii.phone}", caller("role:a"))
    assert shown == {"id": Null(), "other": Partial(keep_last=2)}


def test_a_view_is_raw_for_whom_its_sources_are_raw() -> None:
    assert derived("{id: allow, other: pii.phone}", caller("role:dpo")) == {"id": None, "email": None, "other": None}


def test_a_view_whose_definition_is_not_understood_shows_nothing_but_masks_that_tell_nothing() -> None:
    what = table("v", "a", "b", kind=TableKind.VIEW, reads=("v.*",))
    data = "default: allow\ntables: {public.v: {columns: {a: allow, b: pii.email}}}"
    assert masks(view(policy(UNMASK, MASKS, data), caller("role:dpo"), what)) == {"a": Null(), "b": Null()}


def test_a_view_over_a_table_that_is_not_in_the_catalog_shows_nothing() -> None:
    what = table("v", "a", kind=TableKind.VIEW, reads=("ghost.a",))
    assert masks(view(policy("", "", "tables: {public.v: {columns: {a: allow}}}"), caller("role:a"), what)) == {
        "a": Null()
    }


def test_a_view_over_a_foreign_table_that_is_not_named_shows_nothing_of_it() -> None:
    far = table("far", "a", kind=TableKind.FOREIGN)
    what = table("v", "a", "b", kind=TableKind.VIEW, reads=("far.a",))
    loaded = policy("", "", "default: allow\ntables: {public.v: {columns: {a: allow}}}")
    assert masks(view(loaded, caller("role:a"), what, catalog(far, what))) == {"a": Null(), "b": Null()}


def generated(columns: str, who: Caller, default: str = "allow") -> dict[str, object]:
    what = table(
        "people",
        "id",
        "email",
        "phone",
        Column(name="of_id", type="text", generated_from=("id",)),
        Column(name="of_email", type="text", generated_from=("email",)),
        Column(name="of_both", type="text", generated_from=("of_email", "phone")),
    )
    base = "id: allow, email: pii.email, phone: pii.phone"
    data = f"tables: {{public.people: {{default: {default}, columns: {{{base}{columns}}}}}}}"
    shown = masks(view(policy(UNMASK, MASKS, data), who, what))
    return {name: mask for name, mask in shown.items() if name.startswith("of_")}


def test_a_generated_column_shows_nothing_of_a_masked_one() -> None:
    assert generated("", caller("role:a")) == {"of_id": None, "of_email": Null(), "of_both": Null()}
    assert generated(", of_email: allow, of_both: pii.email", caller("role:a")) == {
        "of_id": None,
        "of_email": Null(),
        "of_both": Null(),
    }


def test_a_generated_column_may_carry_the_label_of_its_one_source_or_a_mask_that_tells_nothing() -> None:
    shown = generated(", of_email: pii.email, of_both: biz.x", caller("role:a"))
    assert shown == {"of_id": None, "of_email": Partial(email=True), "of_both": Constant(value="x")}


def test_a_generated_column_of_raw_columns_is_raw_unless_columns_are_denied_by_default() -> None:
    assert generated("", caller("role:dpo"), "mask") == dict.fromkeys(("of_id", "of_email", "of_both"))
    assert generated("", caller("role:a"), "deny") == {}


ORDERS = table(
    "orders", Column(name="region", type="text"), Column(name="n", type="integer"), Column(name="ok", type="boolean")
)


def row_filter(rows: str, who: Caller, rules: str = "", dialect: Dialect = Dialect.POSTGRES) -> object:
    data = "tables:\n  public.orders:\n    default: allow\n    rows:\n" + "".join(
        f"      {line}\n" for line in rows.split("; ")
    )
    free = rules + "g, client:app, role:everywhere\n"
    data += "      role:everywhere: true\n"
    return view(policy(free, "", data), who, ORDERS, catalog(ORDERS, dialect=dialect)).row_filter


EU = Comparison(column="region", op=Compare.EQ, value="EU")


def test_a_row_filter_binds_the_claim_of_the_caller() -> None:
    assert row_filter("role:a: region = claims.region", caller("role:a", region="EU")) == EU
    assert row_filter("role:a: claims.region = region", caller("role:a", region="EU")) == EU
    assert row_filter("role:a: 5 < n", caller("role:a")) == Comparison(column="n", op=Compare.GT, value=5)


@pytest.mark.parametrize("region", [None, ["EU"], {"x": 1}, 5, True, float("nan")])
@pytest.mark.parametrize(
    "text",
    ["region = claims.region", "not region = claims.region", "ok or region = claims.region", "region <> claims.region"],
)
def test_a_claim_of_the_wrong_kind_closes_the_whole_filter(text: str, region: object) -> None:
    assert row_filter(f"role:a: {text}", caller("role:a", region=region)) == Nothing()
    assert row_filter(f"role:a: {text}", caller("role:a")) == Nothing()


def test_a_list_claim_is_a_membership_and_an_empty_one_holds_nothing() -> None:
    text = "role:a: region in claims.regions"
    assert row_filter(text, caller("role:a", regions=["EU", "US"])) == Membership(column="region", values=("EU", "US"))
    assert row_filter(text, caller("role:a", regions=[])) == Nothing()
    for wrong in ("EU", [None], [["EU"]], {"EU": 1}, [1]):
        assert row_filter(text, caller("role:a", regions=wrong)) == Nothing()


def test_a_predicate_that_is_always_false_inside_another_is_folded_away() -> None:
    assert row_filter("role:a: not (region in claims.none) and region = 'EU'", caller("role:a", none=[])) == EU
    assert row_filter("role:a: region in claims.none or region = 'EU'", caller("role:a", none=[])) == EU


def test_whom_no_entry_names_sees_no_row_and_the_star_speaks_for_the_rest() -> None:
    assert row_filter("role:a: region = 'EU'", caller("role:b")) == Nothing()
    assert row_filter("role:a: region = 'EU'; '*': true", caller("role:b")) is None
    assert row_filter("role:a: region = 'EU'; '*': true", caller("role:a")) == EU
    assert row_filter("role:a: region = 'EU'; '*': false", caller("role:a")) == EU


def test_who_has_two_roles_sees_only_rows_that_both_let_pass() -> None:
    found = row_filter("role:a: region = 'EU'; role:b: n > 5", caller("role:a", "role:b"))
    assert repr(found).count("Comparison") == 2
    assert repr(found).startswith("All(")
    assert row_filter("role:a: region = 'EU'; role:b: true", caller("role:a", "role:b")) == EU
    assert row_filter("role:a: region = 'EU'; role:b: false", caller("role:a", "role:b")) == Nothing()


def test_row_filters_reach_through_roles() -> None:
    assert row_filter("role:a: region = 'EU'", caller("user:u"), rules="g, user:u, role:a\n") == EU


def test_the_actors_filter_counts_beside_the_principals() -> None:
    data = "tables: {public.orders: {rows: {role:a: true, role:bot: region = 'EU'}}}"
    loaded = policy("", "", data)
    assert view(loaded, caller("role:a", actors=("role:bot",)), ORDERS).row_filter == EU
    assert view(loaded, caller("role:a", actors=("role:a",)), ORDERS).row_filter is None
    assert view(loaded, caller("role:a", actors=("client:x",)), ORDERS).row_filter == Nothing()


def test_a_filter_on_a_column_that_the_table_lacks_lets_nothing_pass() -> None:
    assert row_filter("role:a: missing = 1 or n = 1", caller("role:a")) == Nothing()


def test_booleans_are_numbers_to_sqlite_alone() -> None:
    assert row_filter("role:a: ok = 1", caller("role:a")) == Nothing()
    assert row_filter("role:a: ok = 1", caller("role:a"), dialect=Dialect.SQLITE) != Nothing()
    assert row_filter("role:a: ok", caller("role:a")) == Comparison(column="ok", op=Compare.EQ, value=True)


def test_a_view_over_filtered_rows_shows_none_unless_it_has_a_filter_of_its_own() -> None:
    shown = table("v", "region", kind=TableKind.VIEW, reads=("orders.region",))
    rows = "{{columns: {{region: allow}}, rows: {{role:a: region = 'EU', '*': true}}}}"
    data = "tables:\n  public.orders: " + rows + "\n  public.v: {}"
    bare = policy("", "", data.format("{columns: {region: allow}}"))
    where = catalog(ORDERS, shown)
    assert view(bare, caller("role:a"), shown, where).row_filter == Nothing()
    assert view(bare, caller("role:b"), shown, where).row_filter is None
    own = policy("", "", data.format("{rows: {'*': \"region = 'EU'\"}}"))
    assert view(own, caller("role:a"), shown, where).row_filter == EU


def test_limits_and_required_predicates_come_with_the_table() -> None:
    people = "{max_rows: 5, max_bytes: 9, required: [id], subject: id}"
    data = f"max_rows: 50\nmax_bytes: 900\ntables: {{public.people: {people}}}"
    loaded = policy("", "", data)
    shown = view(loaded, caller("role:a"))
    assert (shown.max_rows, shown.max_bytes, shown.required) == (5, 9, ("id",))
    assert loaded.limits("shop") == (50, 900)
    assert loaded.limits("lake") == (None, None)
    assert loaded.subject_column("shop", PEOPLE) == "id"
