"""Point lookups beside big readers: what one caller's large answers do to everybody else's waiting time.

    python scripts/bench/beside_big.py [--rounds N] [--seconds S] [--readers N] [--reader-rows N]

Rounds of the bare endpoint and of Douane in turn: p50 and p99 of point lookups alone, then with readers that ask for
large answers again and again. Answers that are wrong or refused end the run; figures never change the exit code.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import contestants
import postgres_server
from contestants import Contestant
from pairs import account_of, begin, check_same_answers, order_for
from scenarios import SCENARIOS

LEAD_S = 0.5
"""How much longer than the point lookups the readers are at work, before and after."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=16, help="of the point lookups")
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--reader-rows", type=int, default=10_000, help="in each of their answers")
    parser.add_argument("--rows", type=int, default=1_000_000, help="in the table")
    parser.add_argument("--subject", choices=("douane", "bare"), default="douane", help="bare: measures the noise")
    return parser.parse_args()


def one_round(contestant: Contestant, asked: argparse.Namespace, *, start: int, beside: bool) -> dict[str, Any]:
    point = SCENARIOS[0]
    big = replace(point, name="big", rows=asked.reader_rows)
    readers = None
    if beside:
        order = order_for(
            contestant, big, connections=asked.readers, seconds=asked.seconds + 2 * LEAD_S, start=start,
            table_rows=asked.rows,
        )  # fmt: skip
        readers = begin(order)
    order = order_for(
        contestant, point, connections=asked.connections, seconds=asked.seconds, start=start, table_rows=asked.rows
    )
    account = account_of(begin(order | {"delay_s": LEAD_S if beside else 0.0}), contestant.name)
    if readers is not None:
        account["readers_rps"] = account_of(readers, f"{contestant.name} (readers)")["rps"]
    return account


def main() -> None:
    asked = arguments()
    contestants.stop_on_sigterm()
    with (
        tempfile.TemporaryDirectory(prefix="douane-bench-") as name,
        postgres_server.postgres(asked.rows) as database,
        contestants.bare(database, Path(name)) as bare,
        contestants.subject(
            asked.subject, database, Path(name), rows_as="arrays", max_rows=2 * asked.reader_rows
        ) as subject,
    ):
        check_same_answers(bare, subject, SCENARIOS[0], postgres_server.COLUMNS)
        accounts: dict[tuple[str, bool], list[dict[str, Any]]] = {}
        start = 0
        for _ in range(asked.rounds):
            for beside in (False, True):
                for contestant in (bare, subject):
                    account = one_round(contestant, asked, start=start, beside=beside)
                    accounts.setdefault((contestant.name, beside), []).append(account)
                    start = account["next"]
    print(f"point lookups at {asked.connections} connections, {asked.readers} readers of {asked.reader_rows:,} rows")
    for (who, beside), kept in accounts.items():
        figures = {key: median(a[key] for a in kept) for key in ("rps", "p50_ms", "p99_ms")}
        text = f"{figures['rps']:7.0f} rps  p50 {figures['p50_ms']:7.1f} ms  p99 {figures['p99_ms']:7.1f} ms"
        if beside:
            text += f"  readers {median(a['readers_rps'] for a in kept):6.1f} answers/s"
        print(f"{who:<8} {'beside big' if beside else 'alone':<10}  {text}")
    ratios = [
        ours["p99_ms"] / theirs["p99_ms"]
        for theirs, ours in zip(accounts[bare.name, True], accounts[subject.name, True], strict=True)
    ]
    print(f"p99 beside big readers, {subject.name} over bare, median of pairs: {median(ratios):.2f}")


if __name__ == "__main__":
    main()
