"""How the cost of a decision grows with the number of rules, in CPU time: loading, unseen and repeated decisions.

Rounds alternate between the sizes, and ratios are medians over paired rounds.

python scripts/bench/policy_scale.py [--rounds N]
"""

import argparse
import gc
import random
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.policy.caller import Caller
from app.policy.casbin_model import MODEL
from app.policy.connections import ConnectionKind
from app.policy.decision import Action
from app.policy.load import load
from app.policy.loaded import LoadedPolicy

SIZES = (1_000, 10_000, 100_000, 110_000)
CALLS = 2_000


def policy_of(size: int) -> LoadedPolicy:
    """Nine literal resources to one pattern, every tenth rule with a condition; roles grow with the rules."""
    lines = [f"g, user:u{n}, role:r{n}" for n in range(size // 100)]
    for n in range(size):
        role, table = n // 100, n % 100
        path = f"schema{table}_*" if n % 10 == 0 else f"schema{table}.t{n}"
        when = "limit <= 1000 and has_where" if n % 10 == 1 else ""
        lines.append(f"p, role:r{role}, shop/{path}, select, {'approve' if n % 50 == 1 else 'allow'}, {when}")
    lines += ["g, client:agent, role:agent", "p, role:agent, shop/**, *, allow,"]
    files = {"model.conf": MODEL.encode(), "policy.csv": "\n".join(lines).encode()}
    return load(files, {"shop": ConnectionKind.SQL})


def caller_of(user: int) -> Caller:
    return Caller(
        issuer="bench",
        principal=f"u{user}",
        actor="agent",
        actor_chain=(),
        client="agent",
        principal_subjects=frozenset({f"user:u{user}"}),
        actor_subjects=frozenset({"client:agent"}),
        scopes=frozenset(),
        claims={},
        token_id="",
        expires_at=0,
        policy_key=str(user),
    )


class Contestant:
    """One policy, loaded and ready to be asked."""

    def __init__(self, size: int) -> None:
        begun = time.process_time()
        self.policy = policy_of(size)
        self.loaded_s = time.process_time() - begun
        self.unseen_us: list[float] = []
        self.repeated_us: list[float] = []
        randomly = random.Random(7)
        self._callers = [caller_of(randomly.randrange(size // 100)) for _ in range(64)]
        self._asked = 0

    def round(self) -> None:
        self._asked += CALLS
        tables = [f"shop/schema{n % 100}.t{n}" for n in range(self._asked, self._asked + CALLS)]
        self.unseen_us.append(self._ask(tables))
        self.repeated_us.append(self._ask([f"shop/schema1.t{n % 64}" for n in range(CALLS)]))

    def _ask(self, resources: list[str]) -> float:
        context = {"limit": 10, "has_where": True}
        begun = time.process_time()
        for n, resource in enumerate(resources):
            self.policy.decide(self._callers[n % 64], resource, Action.SELECT, context)
        return (time.process_time() - begun) / CALLS * 1e6


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=15)
    rounds = arguments.parse_args().rounds
    contestants = {size: Contestant(size) for size in SIZES}
    # As a server does after start: the collector need not walk the rules again and again.
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for contestant in contestants.values():
            contestant.round()
    least = contestants[SIZES[0]]
    print(f"{'rules':>8} {'load s':>8} {'unseen us':>10} {'ratio':>6} {'repeated us':>12} {'ratio':>6}")
    for size, each in contestants.items():
        unseen, repeated = statistics.median(each.unseen_us), statistics.median(each.repeated_us)
        ratios = [
            statistics.median(ours / theirs for ours, theirs in zip(mine, base, strict=True))
            for mine, base in ((each.unseen_us, least.unseen_us), (each.repeated_us, least.repeated_us))
        ]
        print(f"{size:>8} {each.loaded_s:>8.2f} {unseen:>10.2f} {ratios[0]:>6.2f} {repeated:>12.2f} {ratios[1]:>6.2f}")


if __name__ == "__main__":
    main()
