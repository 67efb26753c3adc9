"""What of a connection's keys and topics a caller is told of."""

from hypothesis import given
from hypothesis import strategies as st
from policy_samples import CONNECTIONS, UNHURRIED, caller, policy_files

from app.policy.caller import Caller
from app.policy.content import ContentView
from app.policy.decision import Action
from app.policy.describing import Described
from app.policy.load import load
from app.policy.loaded import LoadedPolicy

LAKE = """
default: allow
max_bytes: 9000
objects:
  customers/*.csv: {format: csv, columns: {id: allow, email: pii.email, salary: hr.salary}, default: mask}
  plans/**: {content: raw}
  notes/today.txt: {format: text, put: {types: [text/plain]}}
"""
EVENTS = """
topics:
  orders.created: {schema: {type: object}, paths: {$.email: pii.email}, headers: [trace-id]}
  orders.secret: {}
"""
MASKS = "masks: {hr.salary: deny, pii.*: null}"
DIRECT = "p, client:app, **, *, allow,\n"


def policy(rules: str, clients: str = DIRECT) -> LoadedPolicy:
    files = policy_files(clients + rules, MASKS)
    return load(files | {"data/lake.yaml": LAKE.encode(), "data/events.yaml": EVENTS.encode()}, CONNECTIONS)


def told(rules: str, connection: str = "lake", clients: str = DIRECT) -> dict[str, str]:
    places = policy(rules, clients).described(caller("user:ana"), connection)
    return {place.name: " ".join(sorted(place.actions)) for place in places}


def seen(loaded: LoadedPolicy, name: str, who: Caller, connection: str = "lake") -> tuple[Described, ContentView]:
    (place,) = [each for each in loaded.described(who, connection) if each.name == name]
    return place, loaded.described_view(who, connection, place, {})


def test_nobody_is_told_of_anything_without_a_grant() -> None:
    assert told("") == {}
    assert told("p, user:ana, lake/**, fetch, allow,", clients="") == {}


def test_entries_that_a_grant_meets_are_told_with_what_may_be_possible_there() -> None:
    rules = """
p, user:ana, lake/customers/**, list, allow,
p, user:ana, lake/customers/2026.csv, fetch, allow,
p, user:ana, lake/**.txt, put, approve,
"""
    assert told(rules) == {
        "**.txt": "list put",
        "customers/**": "fetch list put",
        "customers/*.csv": "fetch list",
        "notes/today.txt": "put",
        "plans/**": "put",
    }


def test_what_is_denied_whatever_the_context_is_not_told() -> None:
    rules = "p, user:ana, lake/**, fetch, allow,\np, *, lake/plans/**, *, deny,\np, *, lake/notes/today.txt, *, deny,"
    assert told(rules) == {"**": "fetch", "customers/*.csv": "fetch"}


def test_a_denial_under_a_condition_hides_nothing() -> None:
    rules = "p, user:ana, lake/**, fetch, allow,\np, *, lake/plans/**, *, deny, hour > 20"
    assert "plans/**" in told(rules)


def test_a_glob_that_only_one_side_was_granted_is_not_told() -> None:
    rules = "p, user:ana, lake/**, fetch, allow,"
    clients = "p, client:app, lake/customers/*.csv, fetch, allow,\np, client:app, lake/merger/**, put, allow,\n"
    assert told(rules, clients=clients) == {"customers/*.csv": "fetch"}


def test_grants_that_meet_outside_an_entry_do_not_tell_of_it() -> None:
    rules = "p, user:ana, lake/customers/a*, fetch, allow,"
    assert told(rules, clients="p, client:app, lake/customers/*b, fetch, allow,\n") == {}
    assert told(rules, clients="p, client:app, lake/customers/*v, fetch, allow,\n") == {"customers/*.csv": "fetch"}


def test_a_key_with_a_star_in_it_is_told_as_it_is() -> None:
    (place,) = policy("p, user:ana, lake/odd%2A100%25, fetch, allow,").described(caller("user:ana"), "lake")
    assert (place.name, place.wide) == ("odd*100%", False)


def test_a_place_comes_as_its_entry_says_and_without_one_as_the_file_says() -> None:
    loaded = policy("p, user:ana, lake/**, fetch, allow,\np, user:ana, label:pii.*, unmask, allow,")
    _, csv = seen(loaded, "customers/*.csv", caller("user:ana"))
    assert csv == loaded.content_view(caller("user:ana"), "lake", "customers/x.csv", {}, ())
    assert csv.columns["email"].mask is None
    _, rest = seen(loaded, "**", caller("user:ana"))
    assert rest == loaded.content_view(caller("user:ana"), "lake", "elsewhere", {}, ())
    plans, raw = seen(loaded, "plans/**", caller("user:ana"))
    assert raw.raw
    assert loaded.described_rules("lake", plans).intake.max_bytes == 9_000


def test_topics_are_told_with_their_rules() -> None:
    loaded = policy("p, user:ana, events/orders.*, publish, allow,\np, *, events/orders.secret, *, deny,")
    place, view = seen(loaded, "orders.created", caller("user:ana"), "events")
    assert {each.name for each in loaded.described(caller("user:ana"), "events")} == {"orders.*", "orders.created"}
    assert place.actions == {Action.PUBLISH}
    rules = loaded.described_rules("events", place)
    assert (rules.schema, rules.headers) == ('{"type":"object"}', ("trace-id",))
    assert view == loaded.content_view(caller("user:ana"), "events", "orders.created", {}, ())


def test_what_would_take_long_to_find_out_is_not_told_and_the_plain_is() -> None:
    tangled = "".join(
        f"p, {who}, lake/**{who[0]}{n}*, fetch, allow,\n" for n in range(90) for who in ("user:ana", "client:app")
    )
    plain = "p, user:ana, lake/plain/**, fetch, allow,\np, client:app, lake/plain/**, fetch, allow,\n"
    globs = "objects:\n" + "".join(f"  t{n}/x*.csv: {{}}\n" for n in range(300)) + "  plain/*.csv: {}\n"
    files = policy_files(plain + tangled) | {"data/lake.yaml": globs.encode()}
    told_of = {place.name for place in load(files, CONNECTIONS).described(caller("user:ana"), "lake")}
    assert "plain/*.csv" in told_of
    assert len(told_of) < 300


_GRANTS = st.lists(
    st.tuples(
        st.sampled_from(["user:ana", "client:app", "*"]),
        st.sampled_from(["lake/**", "lake/*/x", "lake/plans/**", "lake/customers/*", "lake/c**", "lake/plans/a"]),
        st.sampled_from(["allow", "deny", "approve"]),
    ),
    max_size=6,
)


@UNHURRIED
@given(_GRANTS, st.sampled_from(["customers/x", "customers/a.csv", "plans/a", "plans/x", "c", "other/x"]))
def test_a_key_that_may_be_fetched_lies_in_a_place_that_is_told(grants: list[tuple[str, str, str]], key: str) -> None:
    loaded = policy("\n".join(f"p, {who}, {where}, fetch, {effect}," for who, where, effect in grants), clients="")
    ana = caller("user:ana")
    told_of = {each.name for each in loaded.described(ana, "lake") if Action.FETCH in each.actions}
    entry = {"customers/a.csv": "customers/*.csv", "plans/a": "plans/**", "plans/x": "plans/**"}.get(key)
    if Action.FETCH in loaded.actions(ana, f"lake/{key}") and entry is not None:
        assert entry in told_of
    if not loaded.reachable(ana, "lake"):
        assert told_of == set()
