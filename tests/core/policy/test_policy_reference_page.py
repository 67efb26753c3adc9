"""What docs/reference/policy.md shows must load as shown."""

import re
from pathlib import Path

from policy_samples import CONNECTIONS, caller, policy_files

from app.policy.content import OnFound
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


def test_the_examples_of_objects_and_messages_make_a_policy() -> None:
    files = policy_files(block_after("policy.csv"), block_after("masks.yaml")) | {
        "data/lake.yaml": block_after("data/CONNECTION.yaml of objects").encode(),
        "data/events.yaml": block_after("data/CONNECTION.yaml of messages").encode(),
        "schemas/order.json": b"{}",
    }
    loaded = load(files, CONNECTIONS)
    assert loaded.warnings == ()
    assert loaded.intake("lake", "exports/2026/a.csv").on_found("pii.phone") is OnFound.APPROVE
    somebody = caller("user:ana")
    assert loaded.content_view(somebody, "lake", "brand/logo.png", {}, ()).raw
    shown = loaded.content_view(somebody, "events", "orders.created", {}, ())
    assert shown.paths["$.customer.email"].label == "pii.email"
    assert loaded.topic_rules("events", "partner.orders").cloud_events
