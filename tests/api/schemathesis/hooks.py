"""What Schemathesis knows about Douane: statements to try, and promises that no schema can express."""

import json
import re
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies as st

TABLES = {
    "customers": ("id", "name", "email", "phone", "national_id", "birth_date", "city", "region", "country"),
    "orders": ("id", "customer_id", "status", "total_cents", "placed_at"),
    "payments": ("id", "order_id", "method", "card_number", "iban", "amount_cents"),
    "tickets": ("id", "customer_id", "subject", "body", "priority"),
    "employees": ("id", "name", "department", "salary_cents", "national_id"),
}
BOUND = {
    "SELECT id, email FROM customers WHERE region = :region ORDER BY id LIMIT 5": {"region": "north"},
    "SELECT count(*) FROM orders WHERE total_cents > $1 AND status <> $2": {"1": 5000, "2": "cancelled"},
    "SELECT id FROM customers WHERE name = ? OR id = ?": {"1": "x' OR '1'='1", "2": 7},
    "SELECT :n AS n, :text AS text": {"n": 2**60, "text": "é\u0000"},
}
PLAIN = (
    "SELECT 1 AS one",
    "SELECT c.region, count(*), sum(o.total_cents) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY 1",
    "WITH big AS (SELECT customer_id FROM orders WHERE total_cents > 20000) SELECT count(*) FROM big",
    "SELECT id, row_number() OVER (PARTITION BY status ORDER BY id) AS n FROM orders LIMIT 20",
    "SELECT email FROM customers UNION ALL SELECT email FROM employees LIMIT 9",
    "SELECT max(email), min(national_id) FROM customers",
    "SELECT substr(email, 1, 3) FROM customers LIMIT 3",
    "SELECT * FROM customers WHERE email LIKE 'a%' LIMIT 3",
    "SELECT * FROM sqlite_master",
    "DROP TABLE customers",
    "DELETE FROM orders",
    "UPDATE orders SET status = 'x'",
    "INSERT INTO products (id) VALUES (1)",
    "PRAGMA table_info(customers)",
    "ATTACH DATABASE '/etc/passwd' AS x",
    "SELECT load_extension('x')",
    "SELECT 1; SELECT 2",
    "SELECT 1 --",
    "SELECT 'never closed",
    "SELEC id FROM customers",
    "SELECT * FROM nowhere",
    "EXPLAIN SELECT 1",
)
MESSAGES = {
    "orders.created": {"order": 7, "status": "paid", "total_cents": 99, "currency": "EUR"},
    "partner.orders": {"order": 7, "sku": "TEA-1", "quantity": 2, "comment": "for Ana"},
    "support.inbox": {"ticket": 7, "from": {"name": "Ana", "email": "ana@example.com"}, "body": "call me"},
}
TOPICS = tuple(MESSAGES)
SHEET = "id,total\n1,9.90\n"
RAW = frozenset(json.loads(Path("raw.json").read_text()))
_WORD = re.compile(r"[\w.@+-]{8,}")


@st.composite
def _select(draw: st.DrawFn) -> str:
    table = draw(st.sampled_from(sorted(TABLES)))
    columns = draw(st.lists(st.sampled_from(TABLES[table]), min_size=1, max_size=4, unique=True))
    where = draw(st.sampled_from(("", " WHERE id < 50", " WHERE id = 7 OR id IS NULL", " WHERE id IN (1, 2, 3)")))
    order = draw(st.sampled_from(("", f" ORDER BY {columns[0]}", " ORDER BY id DESC")))
    return f"SELECT {', '.join(columns)} FROM {table}{where}{order} LIMIT {draw(st.integers(0, 30))}"


_deletes = st.integers(1, 400).map(lambda number: f"DELETE FROM orders WHERE id = {number}")
_garbage = st.text(min_size=1, max_size=80)
schemathesis.openapi.format(
    "sql",
    st.one_of(_select(), _select(), _deletes, st.sampled_from(PLAIN), st.sampled_from(sorted(BOUND)), _garbage),
)


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Values for the statements that take some, no cursors of nowhere; whatever breaks the schema stays as it is."""
    if isinstance(body, dict) and isinstance(body.get("sql"), str):
        given = body.get("params")
        if given is None or (isinstance(given, dict) and len(given) <= 1000):
            body["params"] = BOUND.get(body["sql"])
        if isinstance(body.get("cursor"), str) and len(body["cursor"]) <= 2000:
            body["cursor"] = None
        body.update(_patient(body))
    if isinstance(body, dict) and isinstance(body.get("topic"), str) and 1 <= len(body["topic"]) <= 200:
        if isinstance(body.get("payload"), dict):
            body.update(_message(body))
        elif len(body["topic"]) % 4:
            body["topic"] = TOPICS[len(body["topic"]) % 3]
    if isinstance(body, dict) and isinstance(body.get("content"), str):
        body.update(_sheet(body))
    return body


def _sheet(body: dict[str, Any]) -> dict[str, Any]:
    """Three of four in a form that the demo's exports take; what breaks the schema stays as it is."""
    wellformed = (
        body.get("encoding") in (None, "utf-8", "base64")
        and all(body.get(name) is None or isinstance(body[name], str) for name in ("content_type", "if_match"))
        and all(len(body.get(name) or "") <= 200 for name in ("content_type", "if_match"))
        and body.get("if_match") != ""
    )
    if not wellformed or len(body["content"]) % 4 == 3:
        return {}
    fit = {"content": SHEET, "content_type": "text/csv", "encoding": None, "if_match": None, "if_none_match": None}
    return {name: value for name, value in fit.items() if name in body or value is not None}


def _message(body: dict[str, Any]) -> dict[str, Any]:
    """One of three in the form that its topic takes; the others as they were drawn, but with one payload alone."""
    alone = {name: None for name in ("text", "base64") if isinstance(body.get(name), str)}
    if len(body["payload"]) % 3:
        return alone
    topic = TOPICS[len(body["topic"]) % 3]
    fit = {"topic": topic, "payload": MESSAGES[topic], "key": "k", "headers": {}}
    return alone | fit | {name: None for name in ("content_type", "cloud_event") if name in body}


@schemathesis.hook
def map_query(context: Any, query: Any) -> Any:
    return {**query, **_patient(query)} if isinstance(query, dict) else query


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Nobody publishes, or approves, while the fuzzer waits, in whatever phase; what is too long stays too long."""
    if isinstance(case.body, dict) and "/messages" in case.path:
        longest_s = 20 if case.path.endswith("/receive") else 60
        wait_s = case.body.get("wait_seconds")
        if type(wait_s) in (int, float) and 1 < wait_s <= longest_s:
            case.body["wait_seconds"] = 1


def _patient(fields: dict[str, Any]) -> dict[str, Any]:
    """Nobody decides while the fuzzer waits: a second shows as much as a minute."""
    wait_s = fields.get("wait_seconds")
    return {"wait_seconds": 1} if type(wait_s) in (int, float) and 1 < wait_s <= 60 else {}


@schemathesis.check
def personal_data_never_comes_raw(ctx: Any, response: Any, case: Any) -> None:
    """Neither of the two people may see what RAW holds, in any answer."""
    found = RAW.intersection(_WORD.findall(response.content.decode("utf-8", "replace")))
    assert not found, f"{len(found)} raw values"


@schemathesis.check
def an_approval_is_shown_to_its_asker_alone(ctx: Any, response: Any, case: Any) -> None:
    """The check that comes with Schemathesis compares whole bodies, and no two receipts are equal."""
    if response.status_code != 200 or not case.path.startswith("/v1/approvals"):
        return
    asker = _subject(response.request.headers["Authorization"])
    answer = response.json()
    for approval in answer.get("approvals", [answer]):
        if "principal" in approval:  # what was executed has no requester in it, and is its asker's by its check
            assert approval["principal"] == asker, f"{asker} was shown an approval of {approval['principal']}"


@schemathesis.check
def neither_decides_nor_sees_what_is_held(ctx: Any, response: Any, case: Any) -> None:
    """Both are requesters: whatever they send, none of this may ever succeed for them."""
    if case.path.endswith(("/decision", "/revoke", "/preview", "/events", "/deliveries", "/replay")):
        assert response.status_code >= 400, f"{case.method} {case.path} answered {response.status_code}"


@schemathesis.check
def every_answer_is_on_the_log(ctx: Any, response: Any, case: Any) -> None:
    apart = response.headers.get("x-receipt")
    receipt = response.json()["receipt"] if apart is None else json.loads(apart[0])
    assert receipt["index"] >= 0


def _subject(authorization: str) -> str:
    body = authorization.removeprefix("Bearer ").split(".")[1]
    return str(json.loads(urlsafe_b64decode(body + "=="))["sub"])
