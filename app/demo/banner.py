"""What the demo prints when it is ready: addresses, tokens, and lines that work in a shell as they are pasted."""

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.demo.state import CONNECTION, FILES, QUEUE, DemoState

TOKENS = ("ana", "dee", "sam", "ops-agent")
"""Whose tokens the lines below need; `banner` takes one of each. The agent acts on behalf of nobody."""

MASKED_SQL = "SELECT id, name, email, birth_date FROM customers ORDER BY id LIMIT 3"
DROP_SQL = "DROP TABLE customers"
DELETE_SQL = "DELETE FROM orders WHERE status = 'cancelled' AND id <= 100"
UNMASK_SQL = "SELECT id, name, email FROM customers WHERE region = 'north' ORDER BY id LIMIT 5"
WRITE_APPROVER, UNMASKING_APPROVER, PARTNER_APPROVER = "max", "dee", "dee"
ORDER = {"order": 1, "status": "paid", "total_cents": 1990, "currency": "EUR"}
REFILL = {"order": 1, "sku": "TEA-1", "quantity": 2, "comment": "questions to bob@example.org"}
TICKET = {
    "ticket": 4712,
    "from": {"name": "Ann Example", "email": "ann@example.org"},
    "subject": "Where is my order?",
    "body": "Please call +1 415-555-0164 or write to ann@example.org",
}

Step = tuple[str, tuple[str, ...]]
"""A title, and the lines below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Approver:
    """The approver's terminal. Each line finds for itself what waits, so that it works in a shell of its own."""

    douane: str
    where: str

    def show(self, person: str) -> str:
        return f"{self.douane} approvals show {self._newest(person)} --as {person} {self.where}"

    def approve(self, person: str) -> str:
        yes = f"{self.douane} approvals approve {self._newest(person)} --as {person} {self.where}"
        return f"{yes} --yes --reason 'ticket checked'"

    def _newest(self, person: str) -> str:
        return f'"$({self.douane} approvals list --ids --limit 1 --as {person} {self.where})"'


def banner(state: DemoState, tokens: Mapping[str, str], *, command: str | None = None) -> str:
    """`tokens` maps each name of TOKENS to its access token. `command` is how to call `douane`."""
    base = state.settings.server.public_url
    douane = shlex.quote(command) if command else _command()
    where = f"--state {shlex.quote(str(state.state_dir))}"
    lines = [
        "",
        f"Douane demo   {base}",
        f"API docs      {base}/docs   (Authorize, choose a person, run a query)",
        f"OpenAPI       {base}/openapi.json, for agents {base}/openapi/agents.json",
        f"State         {state.state_dir}   (policies/ is yours to edit: a saved change counts at once)",
        "",
        f"Tokens, for eight hours; more with: {douane} token NAME {where} [--for PERSON]",
        *(f"  {name:<10} {token}" for name, token in tokens.items()),
        "",
        "Paste into a shell:",
    ]
    terminal = _Approver(douane=douane, where=where)
    for title, commands in (
        *_queries(base, tokens),
        *_approvals(base, tokens["ops-agent"], terminal),
        *_files(base, tokens["ops-agent"]),
        *_messages(base, tokens, terminal),
    ):
        lines += ["", f"# {title}", *commands]
    return "\n".join([*lines, "", "Stop with Ctrl-C.", ""])


def _queries(base: str, tokens: Mapping[str, str]) -> tuple[Step, ...]:
    query = f"{base}/v1/connections/{CONNECTION}/query"
    return (
        ("ana is an analyst: personal data comes masked", (_post(query, tokens["ana"], {"sql": MASKED_SQL}),)),
        (
            "dee is the data protection officer: the same query, raw",
            (_post(query, tokens["dee"], {"sql": MASKED_SQL}),),
        ),
        ("nobody drops a table", (_post(query, tokens["ana"], {"sql": DROP_SQL}),)),
    )


def _approvals(base: str, agent: str, terminal: _Approver) -> tuple[Step, ...]:
    """The agent asks, a person looks and says yes, the agent continues: first a write, then a look at raw data."""
    query = f"{base}/v1/connections/{CONNECTION}/query"
    newest, execute = _newest(base, agent), _execute(base, agent)
    delete = {"sql": DELETE_SQL, "purpose": "cancelled test orders, ticket 4710"}
    unmask = {"sql": UNMASK_SQL, "unmask": ["pii.email"], "purpose": "answer ticket 4711", "wait_seconds": 60}
    together = "; ".join((terminal.show(UNMASKING_APPROVER), terminal.approve(UNMASKING_APPROVER), "wait"))
    return (
        ("an agent may ask to delete: a dry run counts the rows, 202, a human decides", (_post(query, agent, delete),)),
        (f"{WRITE_APPROVER} may approve: what would happen?", (terminal.show(WRITE_APPROVER),)),
        ("… yes to exactly that", (terminal.approve(WRITE_APPROVER),)),
        (
            "the agent, which may have waited in this call, sees it",
            (_get(f'{base}/v1/approvals/"{newest}?wait_seconds=30"', agent, quoted=False),),
        ),
        ("… and runs what was approved", (execute,)),
        ("once: a second time is refused", (execute,)),
        (
            f"unmasking: the agent waits, {UNMASKING_APPROVER} sees the very rows that would leave and lets them",
            (f"{_post(query, agent, unmask)} &", f"sleep 1; {together}"),
        ),
    )


def _files(base: str, agent: str) -> tuple[Step, ...]:
    files = f"{base}/v1/connections/{FILES}"
    return (
        (
            "files: the agent sees what there is, and how each would come",
            (_get(f"{files}/objects?prefix=customers/", agent),),
        ),
        (
            "… customers as CSV, masked as they are in the table",
            (f"{_get(f'{files}/content/customers/2026.csv', agent)} | sed -n 1,4p",),
        ),
        (
            "… and an archive that nobody can look into does not come",
            (f"{_get(f'{files}/objects/archive/shop-2025.bin', agent)} {_STATUS}",),
        ),
    )


def _messages(base: str, tokens: Mapping[str, str], terminal: _Approver) -> tuple[Step, ...]:
    agent, messages = tokens["ops-agent"], f"{base}/v1/connections/{QUEUE}/messages"
    inbox = {"topic": "support.inbox"}
    partner = {"topic": "partner.orders", "payload": REFILL, "purpose": "stock is low"}
    receive = _send(f"{messages}/receive", agent, shlex.quote(json.dumps(inbox)))
    # The quote ends before $handle, so that the shell puts in what it found in the answer.
    ack = _send(f"{messages}/ack", agent, """'{"topic": "support.inbox", "handles": ["'"$handle"'"]}'""")
    return (
        (
            "the queue: an order goes out; 200 means that the broker has it",
            (_post(messages, agent, {"topic": "orders.created", "payload": ORDER}),),
        ),
        (
            "… one for a partner waits for a human: 202, and the address in it is masked",
            (_post(messages, agent, partner),),
        ),
        (
            f"{PARTNER_APPROVER} sees what would be published, and lets exactly that out",
            (f"{terminal.show(PARTNER_APPROVER)}; {terminal.approve(PARTNER_APPROVER)}",),
        ),
        ("… the agent publishes it", (_execute(base, agent),)),
        ("sam hands a ticket to the agent", (_post(messages, tokens["sam"], {**inbox, "payload": TICKET}),)),
        (
            "… which receives it masked, and acks it",
            (
                f'got=$({receive}); echo "$got"; '
                """handle=$(echo "$got" | grep -o '"handle":"[^"]*"' | head -1 | cut -d '"' -f 4); """
                f"{ack} {_STATUS}",
            ),
        ),
    )


def _newest(base: str, agent: str) -> str:
    """In the shell: the id of what was asked for last."""
    return f"$({_get(f'{base}/v1/approvals?limit=1', agent)} | grep -o 'apr_[0-9a-f]*' | head -1)"


def _execute(base: str, agent: str) -> str:
    return _post(f'{base}/v1/approvals/"{_newest(base, agent)}"/execute', agent, {}, quoted=False)


def _command() -> str:
    """This installation's own command, which need not be on the PATH."""
    beside = Path(sys.executable).with_name("douane")
    return shlex.quote(str(beside)) if beside.exists() else "douane"


_STATUS = "-w '\\nHTTP %{http_code}\\n'"


def _post(url: str, token: str, body: Mapping[str, Any], *, quoted: bool = True) -> str:
    return f"{_send(url, token, shlex.quote(json.dumps(body)), quoted=quoted)} {_STATUS}"


def _send(url: str, token: str, body: str, *, quoted: bool = True) -> str:
    """`body` as the shell reads it."""
    return f"{_get(url, token, quoted=quoted)} -H 'Content-Type: application/json' -d {body}"


def _get(url: str, token: str, *, quoted: bool = True) -> str:
    return f"curl -sS {shlex.quote(url) if quoted else url} -H 'Authorization: Bearer {token}'"
