"""`douane approvals` against a gateway of canned answers: what it sends, shows, refuses, and how it ends."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.cli import cli
from app.cli.approval_text import span
from app.identity.demo_issuer import DemoProfile

ID = "apr_" + "0" * 32
DIGEST = "ab" * 32
APPROVAL: dict[str, Any] = {
    "approval_id": ID,
    "state": "pending",
    "next_step": "You may decide until tomorrow.",
    "created_at": "2026-01-01T00:00:00.000000Z",
    "expires_at": "2036-01-02T00:00:00.000000Z",
    "issuer": "https://idp.example/",
    "principal": "ana",
    "actor": "sales-agent",
    "actor_chain": ["sales-agent", "planner"],
    "client": "sales-agent",
    "connection": "shop",
    "action": "delete",
    "resources": ["shop/main.orders"],
    "reasons": ["policy.csv:25"],
    "statement": "DELETE FROM orders\nWHERE status = :s\x1b[2K\nRows      0 affected",
    "params": {"s": "cancelled\u202e"},
    "unmask": [],
    "purpose": "Ticket 7\r\nDigest    00",
    "digest": DIGEST,
    "terms": {
        "requirements": [
            {
                "approvers": ["role:dba", "role:dpo"], "quorum": 2, "votes": 1, "missing": 1,
                "escalate_after_s": 7200, "escalate_to": ["role:admin"], "source": "approvals.yaml:3",
            }
        ],
        "lifetime_s": 86400,
        "grant": {"kind": "window", "duration_s": 3600, "max_uses": 3, "max_rows": 90},
        "preview": True,
    },
    "outcome": {
        "kind": "write", "labels": ["pii.email"], "masks": ["main.orders.note: null"], "row_filtered": True,
        "rewritten_sql": "DELETE FROM orders\nWHERE id IN (…)", "estimated_rows": 40, "rows": 37,
        "held_sha256": None,
    },
    "usable_until": None,
    "uses": 1,
    "rows_used": 12,
    "history": [
        {"happening": "requested", "at": "2026-01-01T00:00:00.000000Z", "state": "pending", "by": "ana", "detail": {}},
        {
            "happening": "reopened", "at": "2026-01-01T01:00:00.000000Z", "state": "pending", "by": None,
            "detail": {"difference": {"rows": {"before": 36, "now": 37}}},
        },
    ],
    "receipt": {"log": "o", "index": 1},
}  # fmt: skip
READ: dict[str, Any] = {
    **APPROVAL,
    "action": "select",
    "outcome": {**APPROVAL["outcome"], "kind": "read", "rows": 2, "held_sha256": "cd" * 32},
}
ANSWER = {
    "columns": [{"name": "id", "type": "integer"}, {"name": "email", "type": "text", "mask": "partial"}],
    "rows": [[1, "a@example.com\x1b]0;pwned\x07"], [2, "zoë@example.org"]],
    "row_count": 2,
    "truncated": False,
}
PREVIEW = {"approval_id": ID, "digest": DIGEST, "sha256": "cd" * 32, "answer": ANSWER}


class Canned:
    def __init__(self, answers: dict[str, tuple[int, Any]]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, Any]] = []
        self.queue: dict[str, list[tuple[int, Any]]] = {}
        """Before `answers`, one after the other."""
        self.tokens: set[str | None] = set()
        self.resumed: list[str | None] = []


@contextmanager
def gateway(answers: dict[str, tuple[int, Any]]) -> Iterator[tuple[str, Canned]]:
    canned = Canned(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            canned.asked.append((self.command, self.path, json.loads(body) if body else None))
            canned.tokens.add(self.headers.get("authorization"))
            canned.resumed.append(self.headers.get("last-event-id"))
            what = f"{self.command} {self.path.partition('?')[0]}"
            known = canned.answers.get(what, (404, {"detail": "no such thing", "code": "not_found"}))
            status, document = canned.queue[what].pop(0) if canned.queue.get(what) else known
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", canned
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run(*args: str, env: dict[str, str] | None = None, typed: str | None = None) -> Result:
    everything = {"DOUANE_URL": None, "DOUANE_TOKEN": None, "COLUMNS": "100", **(env or {})}
    result = CliRunner().invoke(cli, ["approvals", *args], env=everything, input=typed)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    for line in result.stdout.splitlines():
        assert line.isprintable() or not line, ascii(line)
    return result


def asked(url: str) -> dict[str, str]:
    return {"DOUANE_URL": url, "DOUANE_TOKEN": "tok.en.x"}


SHOW = f"GET /v1/approvals/{ID}"
DECIDE = f"POST /v1/approvals/{ID}/decision"


def test_show_tells_everything_that_an_approver_needs() -> None:
    with gateway({SHOW: (200, APPROVAL)}) as (url, canned):
        shown = run("show", ID, env=asked(url))
    assert shown.exit_code == 0
    for said in (
        "PENDING",
        "sales-agent for ana, through planner (issuer https://idp.example/)",
        "Ticket 7<U+000D><U+000A>Digest    00",
        "delete on shop: main.orders",
        "37 affected in a dry run; more than that aborts",
        "pii.email",
        "main.orders.note: null",
        "You may decide until tomorrow.",
        "policy.csv:25",
        "2 of role:dba, role:dpo (1 so far), after 2 h also role:admin",
        "window: for 1 h, at most 3 uses (1 so far), at most 90 rows (12 so far)",
        "- | WHERE status = :s<U+001B>[2K",
        "+ | WHERE id IN (…)",
        '  | s = "cancelled<U+202E>"',
        'rows: {"before": 36, "now": 37}',
        DIGEST,
    ):
        assert said in shown.stdout
    # The forged line of the statement stands behind a gutter, the forged digest of the purpose on its own line only.
    assert [line for line in shown.stdout.splitlines() if line.startswith("Rows")] == [
        "Rows      37 affected in a dry run; more than that aborts"
    ]
    assert [line for line in shown.stdout.splitlines() if line.startswith("Digest")] == [f"Digest    {DIGEST}"]
    assert canned.tokens == {"Bearer tok.en.x"}


def test_who_may_decide_is_told_how_to_in_a_terminal_and_why_a_preview_failed() -> None:
    failed = {**APPROVAL["outcome"], "rows": None, "preview_failed": "statement_timeout"}
    with gateway({SHOW: (200, {**APPROVAL, "may_decide": True, "outcome": failed})}) as (url, _):
        shown = run("show", ID, env=asked(url))
    assert f"douane approvals approve {ID}, or reject {ID}" in " ".join(shown.stdout.split())
    assert "Rows      unknown: it was tried, and failed with statement_timeout" in shown.stdout


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ({"rows": None, "previewed": True, "estimated_rows": 40}, "worked out already; its approvers see how many"),
        ({"rows": None, "previewed": False, "estimated_rows": 40}, "about 40, estimated by the planner; not run yet"),
        ({"rows": None, "previewed": False, "estimated_rows": None}, "unknown: not run yet, and the engine has no"),
        ({"rows": 0, "previewed": True}, "0 affected in a dry run; more than that aborts"),
    ],
)
def test_rows_are_told_as_they_are_known(outcome: dict[str, Any], said: str) -> None:
    told = {**APPROVAL, "outcome": {**APPROVAL["outcome"], **outcome}}
    with gateway({SHOW: (200, told)}) as (url, _):
        assert f"Rows      {said}" in run("show", ID, env=asked(url)).stdout


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (14_399, "3 h 59 min"), (90_000, "1 d 1 h")]
)
def test_a_span_is_told_by_its_two_greatest_units(seconds: int, said: str) -> None:
    assert span(seconds) == said


def test_a_preview_is_fetched_and_shown_as_it_would_leave() -> None:
    with gateway({SHOW: (200, READ), f"{SHOW}/preview": (200, PREVIEW)}) as (url, _):
        shown = run("show", ID, env=asked(url))
        scripts = json.loads(run("show", ID, "--json", env=asked(url)).stdout)
        one = run("show", ID, "--rows", "1", env=asked(url))
    assert "2 would leave, exactly these" in shown.stdout
    assert "Masked    email (partial)" in shown.stdout
    assert "a@example.com<U+001B>]0;pwned<U+0007>" in shown.stdout
    assert "zoë@example.org" in shown.stdout
    assert scripts["preview"] == ANSWER
    assert scripts["digest"] == DIGEST
    assert "zoë" not in one.stdout
    assert "1 more: --rows 2 shows them" in one.stdout


def about(kind: str, params: dict[str, Any], **outcome: Any) -> dict[str, Any]:
    """An approval on an object or a message."""
    bound = {"kind": kind, "labels": ["pii.email"], "masks": [], "row_filtered": False, "rewritten_sql": None}
    resource = {"publish": "queue/partner.orders"}.get(kind, "files/exports/a.csv")
    return {
        **APPROVAL,
        "connection": resource.partition("/")[0],
        "action": kind,
        "resources": [resource],
        "statement": None,
        "params": params,
        "purpose": None,
        "history": [],
        "outcome": {**bound, **outcome},
    }


def content(text: str, **more: Any) -> dict[str, Any]:
    held = {"encoding": "utf-8", "content": text, "content_type": "text/csv", "size": len(text), **more}
    return {"approval_id": ID, "digest": DIGEST, "sha256": "cd" * 32, "content": held}


PUT = about(
    "put",
    {"key": "exports/a.csv", "content_type": "text/csv\u202e", "content_bytes": 30},
    content_sha256="cd" * 32,
    content_bytes=30,
    rewritten_sql="put files/exports/a.csv (none there)",
)


def test_what_would_be_put_is_shown_line_by_line_behind_a_gutter() -> None:
    held = content("id,mail\n1,bob@example.org\x1b[2K\nDigest    00\n\u202egnp\n" + "x," * 3_000)
    with gateway({SHOW: (200, PUT), f"{SHOW}/preview": (200, held)}) as (url, _):
        shown = run("show", ID, env=asked(url))
        short = run("show", ID, "--rows", "2", env=asked(url))
        scripts = json.loads(run("show", ID, "--json", env=asked(url)).stdout)
    for said in (
        "Does      put on files: exports/a.csv",
        "Content   text/csv<U+202E>, 30 bytes",
        "Replaces  nothing: there is no object with this key",
        "Labels    pii.email",
        "Preview: 5 lines, as they would be put",
        "  | 1,bob@example.org<U+001B>[2K",
        "  | Digest    00",
        "  | <U+202E>gnp",
        "…+4",
    ):
        assert said in shown.stdout
    assert "3 more: --rows 5 shows them" in short.stdout
    assert "gnp" not in short.stdout
    assert "No statement" not in shown.stdout
    assert "Rows" not in shown.stdout
    assert [line for line in shown.stdout.splitlines() if line.startswith("Digest")] == [f"Digest    {DIGEST}"]
    assert scripts["preview"] == held["content"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"rewritten_sql": "put files/exports/a.csv (over 12ab)"}, "the object that was there when this was asked;"),
        ({"rewritten_sql": "put files/a (none there) (over 12ab)"}, "the object that was there when this was asked;"),
    ],
)
def test_it_is_told_what_a_put_replaces(more: dict[str, Any], said: str) -> None:
    told = {**PUT, "outcome": {**PUT["outcome"], **more}}
    with gateway({SHOW: (200, told), f"{SHOW}/preview": (200, content("x"))}) as (url, _):
        assert f"Replaces  {said}" in run("show", ID, env=asked(url)).stdout


def test_it_is_told_what_a_delete_removes_and_under_which_conditions() -> None:
    runs = "delete files/exports/a.csv (over 12ab)"
    with gateway(
        {SHOW: (200, about("delete", {"key": "exports/a.csv", "if_match": "e7\x07"}, rewritten_sql=runs))}
    ) as (
        url,
        canned,
    ):
        shown = run("show", ID, env=asked(url))
    assert "Removes   the object that was there when this was asked, with the ETag e7<U+0007>" in shown.stdout
    assert "Content" not in shown.stdout
    assert [path for _, path, _ in canned.asked] == [f"/v1/approvals/{ID}"]


def test_a_message_is_shown_with_all_that_would_be_published() -> None:
    params = {
        "topic": "partner.orders", "content_type": "application/json", "bytes": 70, "headers": ["trace-id"],
        "masked_labels": ["pii.message"], "new": "unknown to this command",
    }  # fmt: skip
    message = {
        "payload": {"sku": "A\u202e", "note": "***@example.org"}, "headers": {"trace-id": "b7"}, "key": "k1",
        "cloud_event": {"type": "order", "source": "/shop"}, "labels": ["pii.message"], "message_id": "msg_1",
    }  # fmt: skip
    asked_for = about("publish", params, content_sha256="cd" * 32, content_bytes=400)
    with gateway({SHOW: (200, asked_for), f"{SHOW}/preview": (200, content(json.dumps(message)))}) as (url, _):
        shown = run("approve", ID, env=asked(url), typed="n\n")
    for said in (
        "Does      publish on queue: partner.orders",
        "Content   application/json, 70 bytes",
        "Key       k1",
        "Headers   trace-id: b7",
        "Event     type: order; source: /shop",
        "Masked    pii.message",
        '  | new = "unknown to this command"',
        "Preview: 4 lines, as they would be published",
        '  |   "sku": "A<U+202E>",',
        "PUBLISH on queue: partner.orders; 70 bytes; asked by sales-agent for ana",
    ):
        assert said in shown.stdout


def test_text_of_a_message_is_shown_and_bytes_are_not() -> None:
    asked_for = about("publish", {"topic": "t", "content_type": "text/plain", "bytes": 3}, content_sha256="c")
    for message, said in (({"text": "hi\x1b"}, "  | hi<U+001B>"), ({"base64": "AAE="}, "bytes that are no text")):
        with gateway({SHOW: (200, asked_for), f"{SHOW}/preview": (200, content(json.dumps(message)))}) as (url, _):
            assert said in run("show", ID, env=asked(url)).stdout


def test_what_a_fetch_would_release_is_shown_as_it_would_leave() -> None:
    fetch = about("fetch", {"key": "exports/a.csv"}, held_sha256="cd" * 32, held_bytes=500, previewed=True)
    answer = {
        "status": "completed", "key": "exports/a.csv", "content_type": "text/csv", "encoding": "utf-8",
        "content": "id\n1\n", "size": 5, "masks": ["partial"], "masked": True,
    }  # fmt: skip
    held = {"approval_id": ID, "digest": DIGEST, "sha256": "cd" * 32, "answer": answer}
    with gateway({SHOW: (200, {**fetch, "unmask": ["pii.email"]}), f"{SHOW}/preview": (200, held)}) as (url, _):
        shown = run("show", ID, env=asked(url))
        binary = {**held, "answer": {**answer, "encoding": "base64", "content": "AAE="}}
    assert "Content   text/csv, 5 bytes, exactly these" in shown.stdout
    assert "Masked    partial" in shown.stdout
    assert "Unmasks   pii.email" in shown.stdout
    assert "Preview: 2 lines, as they would leave" in shown.stdout
    with gateway({SHOW: (200, fetch), f"{SHOW}/preview": (200, binary)}) as (url, _):
        assert "bytes that are no text; --json has them" in run("show", ID, env=asked(url)).stdout
    failed = {**fetch, "outcome": {**fetch["outcome"], "held_sha256": None, "preview_failed": "content_too_large"}}
    with gateway({SHOW: (200, failed)}) as (url, _):
        assert "unknown: it was tried, and failed with content_too_large" in run("show", ID, env=asked(url)).stdout


def test_nobody_says_yes_to_content_that_could_not_be_shown() -> None:
    gone = (409, {"detail": "What was held is gone.", "code": "no_preview"})
    with gateway({SHOW: (200, {**PUT, "may_decide": True}), f"{SHOW}/preview": gone}) as (url, canned):
        said = run("approve", ID, "--yes", env=asked(url))
    assert said.exit_code == 1
    assert "could not be shown" in said.stderr
    assert {method for method, *_ in canned.asked} == {"GET"}


def test_a_list_tells_how_large_what_is_asked_for_is() -> None:
    page = {"approvals": [PUT, about("delete", {"key": "a"}), {**APPROVAL, "outcome": None}], "next_cursor": None}
    with gateway({"GET /v1/approvals": (200, page)}) as (url, _):
        lines = run("list", env=asked(url)).stdout.splitlines()
    assert [" ".join(line.split()[-3:]) for line in lines[2:]] == [
        "exports/a.csv 30 bytes", "exports/a.csv 1 object", "main.orders ? rows"
    ]  # fmt: skip


def test_who_may_not_see_the_preview_still_sees_the_request() -> None:
    refused = (403, {"detail": "an approver has to look", "code": "approval_not_approver"})
    with gateway({SHOW: (200, READ), f"{SHOW}/preview": refused}) as (url, _):
        shown = run("show", ID, env=asked(url))
    assert shown.exit_code == 0
    assert "an approver has to look" in shown.stderr
    assert "Preview" not in shown.stdout


def test_a_yes_carries_the_digest_of_what_was_shown() -> None:
    done = {**APPROVAL, "state": "approved", "next_step": "Approved."}
    with gateway({SHOW: (200, APPROVAL), DECIDE: (200, done)}) as (url, canned):
        said = run("approve", ID, "--reason", "checked", env=asked(url), typed="y\n")
    assert said.exit_code == 0
    assert canned.asked[-1] == (
        "POST",
        f"/v1/approvals/{ID}/decision",
        {"decision": "approve", "digest": DIGEST, "reason": "checked"},
    )
    assert "DELETE on shop: main.orders; 37 rows; asked by sales-agent for ana" in said.stdout
    assert said.stdout.endswith(f"{ID} is approved now.\nApproved.\n")


@pytest.mark.parametrize(("typed", "code"), [("n\n", 1), ("\n", 1), ("", 2)])
def test_without_a_yes_nothing_is_sent(typed: str, code: int) -> None:
    with gateway({SHOW: (200, APPROVAL)}) as (url, canned):
        said = run("approve", ID, env=asked(url), typed=typed)
    assert said.exit_code == code
    assert "nothing was decided" in said.stderr
    assert [method for method, *_ in canned.asked] == ["GET"]


def test_a_digest_of_another_time_decides_nothing() -> None:
    with gateway({SHOW: (200, APPROVAL)}) as (url, canned):
        said = run("reject", ID, "--yes", "--digest", "00" * 32, env=asked(url))
    assert said.exit_code == 1
    assert "Look again" in said.stderr
    assert [method for method, *_ in canned.asked] == ["GET"]


def test_a_refusal_is_its_detail_on_stderr_and_exit_code_1() -> None:
    problem = {"detail": "Nobody decides what they asked for.\x1b[2J", "code": "approval_self_decision"}
    with gateway({SHOW: (200, {**APPROVAL, "digest": None}), DECIDE: (403, problem)}) as (url, canned):
        said = run("approve", ID, "--yes", "--json", env=asked(url))
    assert said.exit_code == 1
    assert said.stderr == "douane: Nobody decides what they asked for.<U+001B>[2J (approval_self_decision)\n"
    assert canned.asked[-1][2] == {"decision": "approve"}


@pytest.mark.parametrize("step", ["cancel", "revoke"])
def test_a_request_or_a_yes_is_taken_back(step: str) -> None:
    over = {**APPROVAL, "state": f"{step}led"}
    with gateway({f"POST /v1/approvals/{ID}/{step}": (200, over)}) as (url, canned):
        said = run(step, ID, "--reason", "no longer", "--json", env=asked(url))
    assert said.exit_code == 0
    assert json.loads(said.stdout) == over
    assert canned.asked == [("POST", f"/v1/approvals/{ID}/{step}", {"reason": "no longer"})]


def test_a_list_is_a_table_of_what_waits_over_all_pages() -> None:
    page = {"approvals": [{**APPROVAL, "principal": "a\x1b[31m"}, READ], "next_cursor": "c"}
    with gateway({"GET /v1/approvals": (200, page)}) as (url, canned):
        listed = run("list", "--limit", "3", env=asked(url))
        ids = run("list", "--ids", "--limit", "2", env=asked(url))
        every = json.loads(run("list", "--status", "all", "--limit", "2", "--json", env=asked(url)).stdout)
    lines = listed.stdout.splitlines()
    assert lines[0].split() == ["ID", "STATE", "AGE", "WHO", "CONNECTION", "ACTION", "RESOURCES", "EXTENT"]
    assert len(lines) == 6
    assert "sales-agent for a<U+001B>[31m" in lines[2]
    assert lines[2].split()[-3:] == ["main.orders", "37", "rows"]
    assert canned.asked[0][1] == "/v1/approvals?state=pending&limit=3"
    assert canned.asked[1][1] == "/v1/approvals?state=pending&limit=1&cursor=c"
    assert ids.stdout == f"{ID}\n{ID}\n"
    assert canned.asked[-1][1] == "/v1/approvals?limit=2"
    assert len(every) == 2


def test_a_preview_of_another_digest_is_not_shown_with_this_one() -> None:
    other = {**PREVIEW, "digest": "00" * 32}
    with gateway({SHOW: (200, READ), f"{SHOW}/preview": (200, other)}) as (url, canned):
        said = run("approve", ID, "--yes", env=asked(url))
    assert said.exit_code == 1
    assert "it changes while you look" in said.stderr
    assert {method for method, *_ in canned.asked} == {"GET"}


def test_nobody_says_yes_to_a_result_that_could_not_be_shown() -> None:
    mine = {**READ, "may_decide": True}
    gone = (500, {"detail": "What is held is not what was bound.", "code": "approval_altered"})
    answers = {SHOW: (200, mine), f"{SHOW}/preview": gone, DECIDE: (200, {**mine, "state": "rejected"})}
    with gateway(answers) as (url, canned):
        yes = run("approve", ID, "--yes", env=asked(url))
        assert {method for method, *_ in canned.asked} == {"GET"}
        no = run("reject", ID, "--yes", env=asked(url))
    assert yes.exit_code == 1
    assert "could not be shown" in yes.stderr
    assert no.exit_code == 0


def test_events_are_lines_as_they_happen_and_go_on_where_they_were() -> None:
    event = {
        "approval_id": ID, "at": "2026-01-01T00:00:00Z", "happening": "approved", "state": "approved",
        "connection": "s", "principal": "ana\x07", "actor": "ana\x07", "action": "delete", "resources": ["s/main.t"],
    }  # fmt: skip
    stream = f"retry: 10\nid: 6\n\n: \n\nid: 7\nevent: approval\ndata: {json.dumps(event)}\n\n".encode()
    with gateway({}) as (url, canned):
        # The canned stream ends, and the next attempt is refused: so does the command.
        canned.queue["GET /v1/approvals/events"] = [(200, stream), (403, {"detail": "no", "code": "c"})]
        said = run("watch", env=asked(url))
    assert said.exit_code == 1
    assert said.stdout == (
        f"2026-01-01T00:00:00Z  {ID}  approved, approved  delete on s: main.t, asked by ana<U+0007>\n"
    )
    assert canned.resumed == [None, "7"]


@pytest.mark.parametrize(
    ("arguments", "env", "sentence"),
    [
        (["list"], {}, "who are you? Give --token-file, set DOUANE_TOKEN"),
        (["list"], {"DOUANE_TOKEN": "t"}, "where is the gateway? Give --url"),
        (["list", "--url", "http://gateway.example"], {"DOUANE_TOKEN": "t"}, "over https only"),
        (["list", "--url", "ftp://x"], {"DOUANE_TOKEN": "t"}, "not the address of a gateway"),
        (["list", "--url", "http://u:p@127.0.0.1"], {"DOUANE_TOKEN": "t"}, "not the address of a gateway"),
        (["list", "--url", "http://127.0.0.1:1"], {"DOUANE_TOKEN": "a b"}, "that is not a token"),
        (["list", "--as", "max", "--token-file", "f"], {}, "not both"),
        (["list", "--for", "ana"], {"DOUANE_TOKEN": "t"}, "--for goes with --as"),
        (["list", "--as", "max"], {}, "start `douane demo` first"),
        (["list", "--status", "done"], {"DOUANE_TOKEN": "t", "DOUANE_URL": "http://127.0.0.1:1"}, "--status is one of"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_code_2(
    arguments: list[str], env: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    said = run(*arguments, "--state", str(tmp_path / "none"), env=env)
    assert said.exit_code == 2
    assert sentence in said.stderr


def test_a_gateway_that_is_not_there_or_is_none_is_a_sentence() -> None:
    gone = run("list", env={"DOUANE_URL": "http://127.0.0.1:9", "DOUANE_TOKEN": "t"})
    assert gone.exit_code == 1
    assert "does not answer: is the gateway running?" in gone.stderr
    with gateway({"GET /v1/approvals": (502, b"<html>Bad Gateway</html>")}) as (url, _):
        other = run("list", env=asked(url))
    assert other.exit_code == 1
    assert "HTTP 502" in other.stderr


def test_the_demo_needs_a_name_alone(tmp_path: Path) -> None:
    with gateway({"GET /v1/approvals": (200, {"approvals": [], "next_cursor": None})}) as (url, canned):
        DemoProfile(issuer=f"{url}/issuer", audience=url).save(tmp_path)
        said = run("list", "--as", "max", "--state", str(tmp_path))
    assert said.stdout == "Nothing waits.\n"
    assert all(token is not None and token.count(".") == 2 for token in canned.tokens)


def test_a_token_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from.a.file\n")
    with gateway({"GET /v1/approvals": (401, {"detail": "Get a new token.", "code": "invalid_token"})}) as (
        url,
        canned,
    ):
        said = run("list", "--url", url, "--token-file", str(tmp_path / "token"))
    assert canned.tokens == {"Bearer from.a.file"}
    assert said.exit_code == 1
    assert "from.a.file" not in said.output
