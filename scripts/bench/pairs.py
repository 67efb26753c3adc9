"""Interleaved rounds of two contestants: what each cost, and the ratios of each pair."""

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import process_cost
from contestants import Contestant
from scenarios import Scenario

LOAD = Path(__file__).resolve().parent / "load.py"
ROW_MARK = "@"
"""Each row holds exactly one: in its email, masked or not."""
SAMPLES = 5
WARM_UP_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One load of one contestant. `cpu_us`: of the server's process family, per request. `peak_mb`: of its largest
    process; `family_mb`: the sum, in which pages that processes share count several times."""

    requests: int
    rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    peak_mb: float
    family_mb: float
    body_bytes: float
    client_cpu_us: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Paired rounds of one scenario at one concurrency; every ratio is subject over bare, the median of the pairs."""

    scenario: Scenario
    connections: int
    bare: tuple[Round, ...]
    subject: tuple[Round, ...]

    def ratios(self, figure: str) -> list[float]:
        pairs = zip(self.bare, self.subject, strict=True)
        return [getattr(subject, figure) / max(getattr(bare, figure), 1e-9) for bare, subject in pairs]

    def ratio(self, figure: str) -> float:
        return median(self.ratios(figure))

    def typical(self, who: str, figure: str) -> float:
        return float(median(getattr(one, figure) for one in getattr(self, who)))


def order_for(
    contestant: Contestant, scenario: Scenario, *, connections: int, seconds: float, start: int, table_rows: int
) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": contestant.port,
        "path": contestant.path,
        "headers": dict(contestant.headers),
        "template": contestant.template(scenario),
        "slots": scenario.slots,
        "rows": scenario.rows,
        "reach": scenario.rows,
        "span": table_rows - scenario.rows + 1,
        "start": start,
        "connections": connections,
        "seconds": seconds,
        "mark": ROW_MARK,
    }


def begin(order: dict[str, Any]) -> subprocess.Popen[str]:
    """A load under way in its own process."""
    process = subprocess.Popen([sys.executable, str(LOAD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(json.dumps(order))
    process.stdin.close()
    return process


def account_of(process: subprocess.Popen[str], who: str) -> dict[str, Any]:
    """Its account once it is through. A wrong answer ends the whole run: a ratio of errors is worth nothing."""
    assert process.stdout is not None
    text = process.stdout.read()
    if process.wait() != 0:
        raise SystemExit(f"The load generator failed against {who}.")
    account: dict[str, Any] = json.loads(text)
    if account["faults"]:
        raise SystemExit(f"{who} gave wrong answers under load:\n  " + "\n  ".join(account["faults"]))
    return account


def one_round(contestant: Contestant, order: dict[str, Any]) -> tuple[Round, int]:
    """The round, and the first key number that it did not use."""
    process_cost.forget_peak(contestant.pid)
    before_s = process_cost.cpu_s(contestant.pid)
    account = account_of(begin(order), contestant.name)
    used_s = process_cost.cpu_s(contestant.pid) - before_s
    peak = process_cost.peak(contestant.pid)
    requests = account["requests"]
    contestant.answers["all"] += requests
    measured = Round(
        requests=requests,
        rps=account["rps"],
        p50_ms=account["p50_ms"],
        p99_ms=account["p99_ms"],
        cpu_us=used_s / requests * 1e6,
        peak_mb=peak.largest_mb,
        family_mb=peak.family_mb,
        body_bytes=account["body_bytes"] / requests,
        client_cpu_us=account["client_cpu_us"],
    )
    return measured, account["next"]


def compared(
    bare: Contestant,
    subject: Contestant,
    scenario: Scenario,
    *,
    connections: int,
    rounds: int,
    seconds: float,
    start: int,
    table_rows: int,
) -> tuple[Comparison, int]:
    """A warm-up of each, then pairs of rounds; who goes first alternates, so that drift favours nobody.

    Both get the same keys in a round, and no round gets a key of an earlier one (until the table is exhausted).
    """

    def turn(contestant: Contestant, seconds: float) -> tuple[Round, int]:
        order = order_for(
            contestant, scenario, connections=connections, seconds=seconds, start=start, table_rows=table_rows
        )
        return one_round(contestant, order)

    start = max(turn(contestant, seconds * WARM_UP_SHARE)[1] for contestant in (bare, subject))
    measured: dict[str, list[Round]] = {bare.name: [], subject.name: []}
    for number in range(rounds):
        pair = (bare, subject) if number % 2 == 0 else (subject, bare)
        ends = []
        for contestant in pair:
            result, end = turn(contestant, seconds)
            measured[contestant.name].append(result)
            ends.append(end)
        start = max(ends)
    comparison = Comparison(
        scenario=scenario,
        connections=connections,
        bare=tuple(measured[bare.name]),
        subject=tuple(measured[subject.name]),
    )
    return comparison, start


def _named_rows(answer: dict[str, Any], columns: tuple[str, ...]) -> list[dict[str, Any]]:
    rows: list[Any] = answer["rows"]
    return [row if isinstance(row, dict) else dict(zip(columns, row, strict=True)) for row in rows]


def check_same_answers(bare: Contestant, subject: Contestant, scenario: Scenario, columns: tuple[str, ...]) -> None:
    """Before anything is timed: the same rows from both, and every email masked where it has to be."""
    for sample in range(SAMPLES):
        low = 1 + sample * 1009
        keys = (low, low + scenario.rows - 1)[: scenario.slots]
        plain = _named_rows(bare.ask(bare.template(scenario) % keys), columns)
        other = _named_rows(subject.ask(subject.template(scenario) % keys), columns)
        where = f"{scenario.name}, keys {keys}"
        if not len(plain) == len(other) == scenario.rows:
            raise SystemExit(f"{where}: {len(plain)} rows from {bare.name}, {len(other)} from {subject.name}.")
        for expected, given in zip(plain, other, strict=True):
            for column in ("id", "customer_id", "name", "city", "quantity", "active", "attributes"):
                if expected[column] != given[column]:
                    raise SystemExit(f"{where}: {column} differs: {expected[column]!r} and {given[column]!r}.")
            if Decimal(expected["amount"]) != Decimal(given["amount"]):
                raise SystemExit(f"{where}: amount differs: {expected['amount']!r} and {given['amount']!r}.")
            if datetime.fromisoformat(expected["created_at"]) != datetime.fromisoformat(given["created_at"]):
                raise SystemExit(f"{where}: created_at differs: {expected['created_at']!r}, {given['created_at']!r}.")
            if subject.masked:
                domain = expected["email"].partition("@")[2]
                if given["email"] != f"***@{domain}":
                    raise SystemExit(f"{where}: {subject.name} did not mask an email: {given['email']!r}.")
            elif expected["email"] != given["email"]:
                raise SystemExit(f"{where}: email differs.")
