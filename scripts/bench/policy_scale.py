"""How the cost of a decision grows with the number of rules: load time, first and repeated decisions.

python scripts/bench/policy_scale.py [--rounds N]
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.policy.caller import Caller
from app.policy.casbin_model import MODEL
from app.policy.connections import ConnectionKind
from app.policy.decision import Action
from app.policy.load import load
from app.policy.loaded import LoadedPolicy

SIZES = (1_000, 10_000, 100_000, 110_000)


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


def per_call_us(call: Callable[[int], object], count: int, rounds: int) -> float:
    figures = []
    for at in range(rounds):
        begun = time.perf_counter()
        for n in range(at * count, (at + 1) * count):
            call(n)
        figures.append((time.perf_counter() - begun) / count * 1e6)
    return statistics.median(figures)


def measure(size: int, rounds: int) -> tuple[float, float, float]:
    begun = time.perf_counter()
    policy = policy_of(size)
    loaded_s = time.perf_counter() - begun
    context = {"limit": 10, "has_where": True}
    randomly = random.Random(7)
    users = [caller_of(randomly.randrange(size // 100)) for _ in range(64)]

    def unseen(n: int) -> object:
        return policy.decide(users[n % 64], f"shop/schema{n % 100}.t{n}", Action.SELECT, context)

    def repeated(n: int) -> object:
        return policy.decide(users[n % 64], f"shop/schema1.t{n % 64}", Action.SELECT, context)

    return loaded_s, per_call_us(unseen, 2_000, rounds), per_call_us(repeated, 2_000, rounds)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=7)
    rounds = arguments.parse_args().rounds
    print(f"{'rules':>8} {'load s':>8} {'unseen µs':>10} {'repeated µs':>12}")
    for size in SIZES:
        loaded_s, unseen, repeated = measure(size, rounds)
        print(f"{size:>8} {loaded_s:>8.2f} {unseen:>10.2f} {repeated:>12.2f}")


if __name__ == "__main__":
    main()
