"""How much of the bare endpoint's speed is left with every control on: ratios from interleaved rounds, in one table.

    python scripts/bench/query_path.py [--rounds N] [--seconds S] [--only SCENARIO,…] [--connections 16,64] [--json]

Starts PostgreSQL, the bare endpoint and Douane itself, on free loopback ports, and stops them. A missed target does not
change the exit code, because machines are noisy; a wrong or failed answer does.
"""

import argparse
import json
import os
import platform
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median

import contestants
import postgres_server
from flush_cost import file_system, flush_us
from pairs import Comparison, check_same_answers, compared
from scenarios import SCENARIOS


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="pairs of rounds per line")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--only", default="", help="comma separated: " + ", ".join(s.name for s in SCENARIOS))
    parser.add_argument("--connections", default="16,64")
    parser.add_argument("--rows", type=int, default=1_000_000, help="in the table")
    parser.add_argument("--subject", choices=("douane", "bare"), default="douane", help="bare: measures the noise")
    parser.add_argument("--bare-rows", choices=("objects", "arrays"), default="arrays", help="form of its answers")
    parser.add_argument("--json", action="store_true", help="every round, instead of the table")
    return parser.parse_args()


HEADINGS = (
    "scenario", "conns", "bare rps", "rps", "x rps", "spread", "target", "verdict", "x p50", "x p99",
    "p99 ms", "CPU us/req", "x CPU", "peak MB",
)  # fmt: skip


def line_of(one: Comparison) -> tuple[str, ...]:
    ratios = one.ratios("rps")
    verdict = {None: "-", True: "pass", False: "MISSED"}[one.scenario.met(one.ratio("rps"))]
    if one.scenario.target is not None and min(ratios) < one.scenario.target < max(ratios):
        verdict += "?"
    return (
        one.scenario.name,
        str(one.connections),
        f"{one.typical('bare', 'rps'):.0f}",
        f"{one.typical('subject', 'rps'):.0f}",
        f"{one.ratio('rps'):.2f}",
        f"{min(ratios):.2f}-{max(ratios):.2f}",
        one.scenario.target_text,
        verdict,
        f"{one.ratio('p50_ms'):.2f}",
        f"{one.ratio('p99_ms'):.2f}",
        f"{one.typical('bare', 'p99_ms'):.1f} -> {one.typical('subject', 'p99_ms'):.1f}",
        f"{one.typical('bare', 'cpu_us'):.0f} -> {one.typical('subject', 'cpu_us'):.0f}",
        f"{one.ratio('cpu_us'):.2f}",
        f"{one.typical('bare', 'peak_mb'):.0f} -> {one.typical('subject', 'peak_mb'):.0f}",
    )


def printed(lines: list[tuple[str, ...]]) -> str:
    table = [HEADINGS, *lines]
    widths = [max(len(line[n]) for line in table) for n in range(len(HEADINGS))]
    aligned = []
    for name, *figures in table:
        cells = [cell.rjust(width) for cell, width in zip(figures, widths[1:], strict=True)]
        aligned.append("  ".join([name.ljust(widths[0]), *cells]))
    return "\n".join([aligned[0], "-" * len(aligned[0]), *aligned[1:]])


def main() -> None:
    asked = arguments()
    contestants.stop_on_sigterm()
    wanted = [name for name in asked.only.split(",") if name]
    unknown = set(wanted) - {s.name for s in SCENARIOS}
    if unknown:
        raise SystemExit(f"Unknown scenario {', '.join(sorted(unknown))}; --help lists them.")
    chosen = [s for s in SCENARIOS if not wanted or s.name in wanted]
    levels = [int(text) for text in asked.connections.split(",")]
    results: list[Comparison] = []
    with (
        tempfile.TemporaryDirectory(prefix="douane-bench-") as name,
        postgres_server.postgres(asked.rows) as database,
        contestants.bare(database, Path(name), rows_as=asked.bare_rows) as bare,
        contestants.subject(asked.subject, database, Path(name), rows_as=asked.bare_rows) as subject,
    ):
        disk = f"{file_system(Path(name))}: {flush_us(Path(name)):.0f} us"
        for scenario in chosen:
            check_same_answers(bare, subject, scenario, postgres_server.COLUMNS)
        start = 0
        for scenario in chosen:
            table_rows = database.rows_of(scenario.table)
            for connections in levels:
                comparison, start = compared(
                    bare, subject, scenario, connections=connections, rounds=asked.rounds, seconds=asked.seconds,
                    start=start, table_rows=table_rows,
                )  # fmt: skip
                results.append(comparison)
                if not asked.json:
                    print(f"… {scenario.name} at {connections}: {comparison.ratio('rps'):.2f}", flush=True)
    if asked.json:
        print(json.dumps([asdict(one) for one in results], indent=1))
        return
    print(f"\n{asked.subject} against bare: {os.cpu_count()} cores, {platform.python_version()}, ", end="")
    print(f"{asked.rounds} pairs of {asked.seconds:g} s, table of {asked.rows:,} rows, ", end="")
    print(f"load average {os.getloadavg()[0]:.1f}, a durable write on {disk}")
    print(printed([line_of(one) for one in results]))
    noise = median((max(one.ratios("rps")) - min(one.ratios("rps"))) / one.ratio("rps") / 2 for one in results)
    client_us = median(r.client_cpu_us for one in results for r in (*one.bare, *one.subject))
    print(
        f"\nx: {asked.subject} over bare, median of pairs. Pairs of a line typically lie within +-{noise:.0%}; ", end=""
    )
    print("a verdict with ? has the target inside its spread: run longer, or on a quieter machine.")
    print(f"The load generator itself used {client_us:.0f} us of CPU per request (median of all rounds).")


if __name__ == "__main__":
    main()
