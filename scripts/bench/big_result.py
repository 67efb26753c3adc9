"""A result of 1,000,000 rows: peak memory and time of Douane with the limits raised, with its default limits, and of
the bare endpoint, which builds the whole answer in memory.

    python scripts/bench/big_result.py [--rows N] [--repeats N] [--at-once N] [--only douane]

The target is issue 2's: Douane's process never above 300 MB. A missed target does not change the exit code.
"""

import argparse
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

import contestants
import postgres_server
import process_cost
from contestants import Contestant
from pairs import account_of, begin, order_for
from scenarios import SCENARIOS, Scenario

PEAK_TARGET_MB = 300
DEFAULT_MAX_ROWS, DEFAULT_MAX_BYTES = 10_000, 16 * contestants.MIB


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3, help="answers in a row of each server")
    parser.add_argument("--at-once", type=int, default=1, help="answers under way at the same time")
    parser.add_argument("--only", choices=("douane", "bare"), help="leave the other out")
    return parser.parse_args()


def measured(contestant: Contestant, scenario: Scenario, *, answered: int, repeats: int, at_once: int) -> str:
    """One line. `answered`: how many rows the answer must have."""
    order = order_for(contestant, scenario, connections=at_once, seconds=3600, start=0, table_rows=scenario.rows)
    order |= {"rows": answered, "requests": repeats * at_once}
    contestant.ask(contestant.template(SCENARIOS[0]) % 1)
    process_cost.forget_peak(contestant.pid)
    idle_mb = process_cost.peak(contestant.pid).largest_mb
    before_s = process_cost.cpu_s(contestant.pid)
    account = account_of(begin(order), contestant.name)
    used_s = process_cost.cpu_s(contestant.pid) - before_s
    peak = process_cost.peak(contestant.pid)
    answer_mb = account["body_bytes"] / account["requests"] / 1e6
    target = ""
    if contestant.masked:
        target = f"  target < {PEAK_TARGET_MB} MB: {'pass' if peak.largest_mb < PEAK_TARGET_MB else 'MISSED'}"
    return (
        f"{contestant.name:<16} {answered:>9,} rows  {answer_mb:7.1f} MB answer  "
        f"{account['p50_ms'] / 1000:6.2f} s  first byte {account['first_byte_p50_ms'] / 1000:6.2f} s  "
        f"CPU {used_s / account['requests']:6.2f} s  peak {peak.largest_mb:6.0f} MB (idle {idle_mb:.0f}){target}"
    )


def main() -> None:
    asked = arguments()
    contestants.stop_on_sigterm()
    scenario = replace(SCENARIOS[0], name="big", rows=asked.rows, target=None)
    with (
        tempfile.TemporaryDirectory(prefix="douane-bench-") as name,
        postgres_server.postgres(asked.rows) as database,
    ):
        folder = Path(name)
        raised = partial(
            contestants.douane, database, folder, max_rows=2 * asked.rows, max_bytes=1024 * contestants.MIB
        )
        default = partial(
            contestants.douane, database, folder, max_rows=DEFAULT_MAX_ROWS, max_bytes=DEFAULT_MAX_BYTES,
            name="douane-defaults",
        )  # fmt: skip
        lines: list[tuple[Callable[[], AbstractContextManager[Contestant]], int]] = [
            (raised, asked.rows), (default, min(asked.rows, DEFAULT_MAX_ROWS)),
            (partial(contestants.bare, database, folder), asked.rows),
        ]  # fmt: skip
        chosen = {None: lines, "douane": lines[:2], "bare": lines[2:]}[asked.only]
        for start, answered in chosen:
            with start() as contestant:
                print(
                    measured(contestant, scenario, answered=answered, repeats=asked.repeats, at_once=asked.at_once),
                    flush=True,
                )


if __name__ == "__main__":
    main()
