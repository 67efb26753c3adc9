"""What docs/reference/policy.md shows must load as shown."""

import re
from pathlib import Path

from policy_samples import CONNECTIONS, caller, policy_files

from app.policy.decision import Action, AskFirst
from app.policy.load import load

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "policy.md").read_text(encoding="utf-8")


def block_after(heading: str) -> str:
    section = PAGE.split(f"\n## {heading}\n")[1]
    found = re.search(r"```\w*\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_examples_of_the_reference_make_a_policy() -> None:
    loaded = load(
        policy_files(block_after("policy.csv"), block_after("masks.yaml"), block_after("data/CONNECTION.yaml")),
        CONNECTIONS,
    )
    assert loaded.warnings == ()
    assert loaded.limits("shop") == (10_000, 16_777_216)
    both = caller("client:sales-agent", actors=("client:sales-agent",))
    assert isinstance(loaded.decide(both, "shop/main.orders", Action.DELETE, {"has_where": True}), AskFirst)
