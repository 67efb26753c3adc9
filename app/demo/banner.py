"""What the demo prints when it is ready: addresses, tokens, and lines that work in a shell as they are pasted."""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from app.demo.state import CONNECTION, DemoState

TOKENS = ("ana", "dee", "ops-agent")
"""Whose tokens the lines below need; `banner` takes one of each. The agent acts on behalf of nobody."""

MASKED_SQL = "SELECT id, name, email, birth_date FROM customers ORDER BY id LIMIT 3"
DROP_SQL = "DROP TABLE customers"
DELETE_SQL = "DELETE FROM orders WHERE status = 'cancelled' AND id <= 100"


def banner(state: DemoState, tokens: Mapping[str, str]) -> str:
    """`tokens` maps each name of TOKENS to its access token."""
    base = state.settings.server.public_url
    query = f"{base}/v1/connections/{CONNECTION}/query"
    approvals = f"{base}/v1/approvals"
    agent = tokens["ops-agent"]
    newest = f'{_get(f"{approvals}?limit=1", agent)} | sed \'s/.*"approval_id":"\\([^"]*\\)".*/\\1/\''
    steps = (
        ("ana is an analyst: personal data comes masked", _post(query, tokens["ana"], MASKED_SQL)),
        ("dee is the data protection officer: the same query, raw", _post(query, tokens["dee"], MASKED_SQL)),
        ("nobody drops a table", _post(query, tokens["ana"], DROP_SQL)),
        ("an agent may ask to delete: 202, a human decides", _post(query, agent, DELETE_SQL)),
        ("what the agent asked for, as it is stored", _get(f'{approvals}/"$({newest})"', agent, quoted=False)),
    )
    lines = [
        "",
        f"Douane demo   {base}",
        f"API docs      {base}/docs   (Authorize, choose a person, run a query)",
        f"OpenAPI       {base}/openapi.json, for agents {base}/openapi/agents.json",
        f"State         {state.state_dir}   (policies/ is yours to edit: a saved change counts at once)",
        "",
        "Tokens, for eight hours; more with: "
        f"{_command()} token NAME --state {shlex.quote(str(state.state_dir))} [--for PERSON]",
        *(f"  {name:<10} {token}" for name, token in tokens.items()),
        "",
        "Paste into a shell:",
    ]
    for title, command in steps:
        lines += ["", f"# {title}", command]
    return "\n".join([*lines, "", "Stop with Ctrl-C.", ""])


def _command() -> str:
    """This installation's own command, which need not be on the PATH."""
    beside = Path(sys.executable).with_name("douane")
    return shlex.quote(str(beside)) if beside.exists() else "douane"


def _post(url: str, token: str, sql: str) -> str:
    body = shlex.quote(json.dumps({"sql": sql}))
    return f"{_get(url, token)} -H 'Content-Type: application/json' -d {body} -w '\\nHTTP %{{http_code}}\\n'"


def _get(url: str, token: str, *, quoted: bool = True) -> str:
    return f"curl -sS {shlex.quote(url) if quoted else url} -H 'Authorization: Bearer {token}'"
