"""query_sql as a client sees it, on the running demo."""

import hashlib
import json
import subprocess
import sys
from typing import Any

import pytest

from tests.running import Running

CUSTOMERS = "SELECT id, name, email, national_id, birth_date FROM customers ORDER BY id LIMIT 3"


def rows(answer: Any) -> list[list[Any]]:
    assert answer.status_code == 200, answer.text
    found: list[list[Any]] = answer.json()["rows"]
    return found


def test_an_analyst_gets_masked_rows_and_the_data_protection_officer_raw_ones(shop: Running) -> None:
    masked, raw = shop.query("ana", CUSTOMERS).json(), shop.query("dee", CUSTOMERS).json()
    assert [row[0] for row in masked["rows"]] == [row[0] for row in raw["rows"]] == [1, 2, 3]
    for hidden, shown in zip(masked["rows"], raw["rows"], strict=True):
        assert hidden[2] == "***@" + shown[2].split("@")[1]
        assert hidden[3] != shown[3]
        assert hidden[4] == shown[4][:4] + "-01-01"
        assert shown[1] not in json.dumps(masked)
    assert [column["mask"] for column in masked["columns"]][2:] == ["partial", "pseudonym", "generalise"]
    assert [column["mask"] for column in raw["columns"]] == [None] * 5


def test_the_envelope_names_policy_receipt_and_types(shop: Running) -> None:
    answer = shop.query("ana", "SELECT 1 AS one").json()
    assert answer["status"] == "completed"
    assert answer["rows"] == [[1]]
    assert answer["row_count"] == 1
    assert answer["truncated"] is False
    assert len(answer["policy_version"]) == 64
    assert answer["receipt"]["index"] > 0


def test_parameters_are_bound_and_never_spliced(shop: Running) -> None:
    hostile = "x' OR '1'='1"
    assert rows(shop.query("ana", "SELECT :v AS v", params={"v": hostile})) == [[hostile]]
    assert rows(shop.query("ana", "SELECT ? + ?", params={"1": 40, "2": 2})) == [[42]]
    assert rows(shop.query("ana", "SELECT count(*) FROM customers WHERE region = :r", params={"r": hostile})) == [[0]]


@pytest.mark.parametrize(
    ("sql", "params"), [("SELECT :a", {}), ("SELECT 1", {"a": 1}), ("SELECT :a", {"b": 1}), ("SELECT ?", {})]
)
def test_missing_and_unused_parameters_are_422(shop: Running, sql: str, params: dict[str, Any]) -> None:
    answer = shop.query("ana", sql, params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, "sql_parameters")


def test_integers_beyond_two_to_the_53_come_as_strings(shop: Running) -> None:
    assert rows(shop.query("ana", "SELECT 9007199254740993, :n", params={"n": 2**60})) == [
        ["9007199254740993", str(2**60)]
    ]


def test_dropping_a_table_is_refused_with_the_rule_that_says_so(shop: Running) -> None:
    answer = shop.query("ana", "DROP TABLE customers")
    assert answer.status_code == 403
    problem = answer.json()
    assert problem["code"] == "access_denied"
    assert {rule["effect"] for rule in problem["rules"]} >= {"deny"}
    assert all(rule["file"] == "policy.csv" and rule["line"] > 0 for rule in problem["rules"])


def test_an_agents_delete_waits_for_a_human_and_nothing_runs(shop: Running) -> None:
    count = "SELECT count(*) FROM orders WHERE status = 'cancelled'"
    before = rows(shop.query("dee", count))
    answer = shop.query("ops-agent", "DELETE FROM orders WHERE status = 'cancelled'", purpose="tidy up")
    assert answer.status_code == 202
    pending = answer.json()
    assert pending["status"] == "pending_approval"
    assert answer.headers["location"] == pending["approval_url"]
    assert int(answer.headers["retry-after"]) == pending["retry_after_seconds"]
    with shop.client() as client:
        stored = client.get(f"/v1/approvals/{pending['approval_id']}", headers=shop.auth("ops-agent")).json()
        listed = client.get("/v1/approvals?state=pending", headers=shop.auth("ops-agent")).json()["approvals"]
        other = client.get(f"/v1/approvals/{pending['approval_id']}", headers=shop.auth("ana"))
    assert stored["state"] == "pending"
    assert stored["statement"] == "DELETE FROM orders WHERE status = 'cancelled'"
    assert stored["purpose"] == "tidy up"
    assert pending["approval_id"] in [approval["approval_id"] for approval in listed]
    assert other.status_code == 404
    assert rows(shop.query("dee", count)) == before


def test_a_delete_without_where_is_refused_and_told_what_to_change(shop: Running) -> None:
    problem = shop.query("ops-agent", "DELETE FROM orders").json()
    assert problem["status"] == 403
    assert "WHERE" in problem["suggestion"]


def test_the_actor_narrows_what_the_principal_may(shop: Running) -> None:
    sql = "SELECT name FROM employees LIMIT 1"
    assert shop.query("dee", sql).status_code == 200
    with shop.client() as client:
        answer = client.post(
            "/v1/connections/shop/query", json={"sql": sql}, headers=shop.auth("sales-agent", on_behalf_of="dee")
        )
    assert answer.status_code in (403, 404)


def test_a_row_filter_shows_only_the_rows_of_the_callers_region(shop: Running) -> None:
    regions = rows(shop.query("sam", "SELECT DISTINCT region FROM customers"))
    assert regions == [["south"]]
    everywhere = rows(shop.query("dee", "SELECT count(DISTINCT region) FROM customers"))
    assert everywhere[0][0] > 1


def test_a_denied_table_and_one_that_never_was_answer_alike(shop: Running) -> None:
    def told(table: str) -> Any:
        answer = shop.query("sam", f"SELECT pg_sleep(1) FROM {table}")
        document = answer.json()
        return answer.status_code, document["code"], document["detail"].replace(table, "T")

    assert told("employees") == told("nothinghr")


def test_limits_truncate_and_the_cursor_goes_on_without_loss(shop: Running) -> None:
    sql = "SELECT id FROM customers ORDER BY id"
    seen: list[int] = []
    cursor = None
    for _ in range(4):
        page = shop.query("ana", sql, max_rows=7, cursor=cursor).json()
        seen += [row[0] for row in page["rows"]]
        cursor = page["next_cursor"]
        assert page["truncated"] is True
        assert "narrow WHERE" in page["notice"]
    assert seen == list(range(1, 29))
    assert shop.query("dee", sql, max_rows=7, cursor=cursor).status_code == 404
    assert shop.query("ana", sql + " DESC", max_rows=7, cursor=cursor).status_code == 404


def test_unmask_is_refused_asked_or_granted_as_policy_says(shop: Running) -> None:
    sql = "SELECT email FROM customers WHERE id = 1"
    assert shop.query("ana", sql, unmask=["pii.email"]).status_code == 403
    assert shop.query("sam", sql, unmask=["pii.email"]).status_code == 202
    assert "***" not in shop.query("dee", sql, unmask=["pii.email"]).text


def test_an_idempotency_key_asks_a_human_once(shop: Running) -> None:
    sql = "DELETE FROM orders WHERE id = 77"
    first = shop.query("ops-agent", sql, idempotency_key="once").json()
    with shop.client() as client:
        again = client.post(
            "/v1/connections/shop/query",
            json={"sql": sql},
            headers={**shop.auth("ops-agent"), "idempotency-key": "once"},
        ).json()
    assert again["approval_id"] == first["approval_id"]
    other = shop.query("ops-agent", "DELETE FROM orders WHERE id = 78", idempotency_key="once")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


def test_explain_decides_and_rewrites_without_running(shop: Running) -> None:
    allowed = shop.query("ana", "SELECT email FROM customers", path="explain").json()
    assert allowed["effect"] == "allow"
    assert "NOT INDEXED" in allowed["rewritten_sql"]
    assert allowed["masks"] == ["partial"]
    asked = shop.query("ops-agent", "DELETE FROM orders WHERE id = 1", path="explain").json()
    assert asked["effect"] == "approve"
    assert "WHERE `id` = 1" in asked["rewritten_sql"]
    assert asked["approval"]["requirements"][0]["approvers"] == ["role:dba", "role:dpo"]
    denied = shop.query("ana", "SELECT load_extension('x')", path="explain").json()
    assert (denied["effect"], denied["code"]) == ("deny", "sql_function_not_allowed")


def test_the_receipt_leads_to_an_entry_with_the_digest_of_this_very_answer(shop: Running) -> None:
    answer = shop.query("ana", "SELECT id FROM customers WHERE id = 4321")
    receipt = answer.json()["receipt"]
    digest = hashlib.sha256(answer.content).hexdigest()
    journals = list((shop.state / "audit").rglob("*"))
    assert any(digest.encode() in path.read_bytes() for path in journals if path.is_file())
    verified = subprocess.run(
        [sys.executable, "-m", "app.cli", "audit", "verify", str(shop.state / "audit")], capture_output=True, text=True
    )
    assert verified.returncode == 0, verified.stdout
    assert receipt["log"] in verified.stdout


def test_mask_keys_and_key_material_are_nowhere_in_the_answers_or_logs(shop: Running) -> None:
    key = (shop.state / "mask.key").read_text().strip()
    explained = shop.query("ana", "SELECT national_id FROM customers LIMIT 1", path="explain").text
    assert key not in explained
    assert key not in shop.log.read_text()
