"""What the demo prints when it is ready: addresses, tokens, and lines that work in a shell as they are pasted."""

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.demo.state import CONNECTION, DemoState

TOKENS = ("ana", "dee", "ops-agent")
"""Whose tokens the lines below need; `banner` takes one of each. The agent acts on behalf of nobody."""

MASKED_SQL = "SELECT id, name, email, birth_date FROM customers ORDER BY id LIMIT 3"
DROP_SQL = "DROP TABLE customers"
DELETE_SQL = "DELETE FROM orders WHERE status = 'cancelled' AND id <= 100"
UNMASK_SQL = "SELECT id, name, email FROM customers WHERE region = 'north' ORDER BY id LIMIT 5"
WRITE_APPROVER, UNMASKING_APPROVER = "max", "dee"

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
    for title, commands in (
        *_queries(base, tokens),
        *_approvals(base, tokens["ops-agent"], _Approver(douane=douane, where=where)),
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
    newest = f"$({_get(f'{base}/v1/approvals?limit=1', agent)} | grep -o 'apr_[0-9a-f]*' | head -1)"
    execute = _post(f'{base}/v1/approvals/"{newest}"/execute', agent, {}, quoted=False)
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


def _command() -> str:
    """This installation's own command, which need not be on the PATH."""
    beside = Path(sys.executable).with_name("douane")
    return shlex.quote(str(beside)) if beside.exists() else "douane"


def _post(url: str, token: str, body: Mapping[str, Any], *, quoted: bool = True) -> str:
    head = f"{_get(url, token, quoted=quoted)} -H 'Content-Type: application/json'"
    return f"{head} -d {shlex.quote(json.dumps(body))} -w '\\nHTTP %{{http_code}}\\n'"


def _get(url: str, token: str, *, quoted: bool = True) -> str:
    return f"curl -sS {shlex.quote(url) if quoted else url} -H 'Authorization: Bearer {token}'"
