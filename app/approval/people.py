"""Who may have a say in an approval: never those who asked for it, and of the others those whom its terms name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from app.approval.approval import Approval, Happening, Step
from app.approval.digest import Asker
from app.approval.terms import Requirement
from app.approval.times import plus, reached

ANYBODY = "*"
COUNTS_FOR = "counts_for"
"""In the detail of a vote: the numbers of the requirements that it counts for, as the voter's subjects were then."""

_OPENINGS = (Happening.REQUESTED, Happening.REOPENED)
_VOTES = (Happening.VOTED, Happening.APPROVED, Happening.REJECTED)
_PREFIXES = ("client:", "user:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who acts on an approval. `principal`, `actor`, `actor_chain`, `client` as in policy.Caller; `subjects` are the
    principal's policy subjects."""

    issuer: str
    principal: str
    actor: str
    actor_chain: tuple[str, ...]
    client: str
    subjects: frozenset[str]

    @classmethod
    def of(cls, caller: Asker, subjects: frozenset[str]) -> Self:
        """`subjects`: with the roles that policy adds to those of the token."""
        return cls(
            issuer=caller.issuer,
            principal=caller.principal,
            actor=caller.actor,
            actor_chain=caller.actor_chain,
            client=caller.client,
            subjects=subjects,
        )


def bare(name: str) -> str:
    """The name without its kind: tokens say `bot` where subjects say `client:bot`, and some issuers write the latter
    into `act`."""
    while name.startswith(_PREFIXES):
        name = name.split(":", 1)[1]
    return name


def asked_by(request: Mapping[str, Any], person: Person) -> bool:
    """Whether the person is the requester, through whatever client."""
    return (request["issuer"], request["principal"]) == (person.issuer, person.principal)


def asked_exactly_so(request: Mapping[str, Any], person: Person) -> bool:
    """Whether the person acts as the requester did: through the same actors and the same client."""
    return asked_by(request, person) and (request["actor"], tuple(request["actor_chain"]), request["client"]) == (
        person.actor,
        person.actor_chain,
        person.client,
    )


def had_a_hand_in(request: Mapping[str, Any], person: Person) -> bool:
    """Whether the person, or an agent that now speaks for the person, asked.

    Names count whatever the issuer: two issuers may share their names, and then the same name is the same person. A
    client is no agent as long as neither side has an actor chain: two people may sit before the same console.
    """
    clients = {bare(request["actor"]), bare(request["client"])}
    agents = set(map(bare, request["actor_chain"]))
    if bare(person.principal) in {bare(request["principal"])} | clients | agents:
        return True
    carriers = set(map(bare, person.actor_chain))
    if agents:
        carriers |= {bare(person.actor), bare(person.client)}
    return not carriers.isdisjoint(clients | agents)


def since_opened(approval: Approval) -> Sequence[Step]:
    """The steps that count: from the last REQUESTED or REOPENED one on."""
    for index in range(len(approval.history) - 1, -1, -1):
        if approval.history[index].happening in _OPENINGS:
            return approval.history[index:]
    raise ValueError("an approval's history starts with a REQUESTED step")


def votes(approval: Approval) -> Mapping[str, frozenset[int]]:
    """Who voted since it was opened, and for which requirements that counts."""
    return {
        bare(step.by): frozenset(step.detail.get(COUNTS_FOR, ()))
        for step in since_opened(approval)
        if step.happening in _VOTES
    }


def eligible_for(approval: Approval, person: Person, at: str) -> frozenset[int]:
    """The numbers of the requirements that a vote of this person counts for, at that time."""
    opened_at = since_opened(approval)[0].at
    return frozenset(
        number
        for number, requirement in enumerate(approval.terms.requirements)
        if _named(requirement.approvers, person, nobody_means_anybody=True)
        or (_escalated(requirement, opened_at, at) and _named(requirement.escalate_to, person))
    )


def quorate(approval: Approval, counted: Mapping[str, frozenset[int]]) -> bool:
    """Whether every requirement has as many distinct people as it wants. Without requirements nobody can say yes."""
    requirements = approval.terms.requirements
    return bool(requirements) and all(
        sum(number in counts_for for counts_for in counted.values()) >= max(1, requirement.quorum)
        for number, requirement in enumerate(requirements)
    )


def escalations_to_come(approval: Approval) -> Sequence[tuple[str, int]]:
    """(when, number of the requirement) of those that were not escalated since it was opened, earliest first."""
    steps = since_opened(approval)
    done = {n for step in steps if step.happening is Happening.ESCALATED for n in step.detail.get("requirements", ())}
    return sorted(
        (plus(steps[0].at, requirement.escalate_after_s), number)
        for number, requirement in enumerate(approval.terms.requirements)
        if requirement.escalate_after_s is not None and requirement.escalate_to and number not in done
    )


def _named(subjects: Sequence[str], person: Person, *, nobody_means_anybody: bool = False) -> bool:
    if not subjects:
        return nobody_means_anybody
    return ANYBODY in subjects or not person.subjects.isdisjoint(subjects)


def _escalated(requirement: Requirement, opened_at: str, at: str) -> bool:
    return requirement.escalate_after_s is not None and reached(plus(opened_at, requirement.escalate_after_s), at)
