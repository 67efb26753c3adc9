"""What a caller is to an approval: its requester, one who may decide it, one who may read it, or nobody."""

from dataclasses import dataclass

from app.approval.approval import Approval, State
from app.approval.machine import Objection, Person, may_decide, may_revoke
from app.approval.people import ANYBODY, asked_by, had_a_hand_in
from app.policy.caller import Caller
from app.policy.decision import Action, Allow
from app.policy.snapshot import PolicySnapshot

ADMIN_RESOURCE = "douane/approvals"
_VOTED = "approval_already_voted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`decides` and `reads`: what policy lets the caller do with approvals, for person and client alike."""

    person: Person
    decides: bool
    reads: bool

    def owns(self, approval: Approval) -> bool:
        return asked_by(approval.request, self.person)

    def may_know(self, approval: Approval) -> bool:
        """Requesters know of theirs, approvers of those whose terms name them, readers of all."""
        return self.owns(approval) or self.reads or (self.decides and self._named(approval))

    def sees_consequences(self, approval: Approval) -> bool:
        """Whether the caller is shown what the requester is to get only once people said yes: rows, counts, digests."""
        return (self.decides or self.reads) and not had_a_hand_in(approval.request, self.person)

    def objection_to_preview(self, approval: Approval, at: str) -> Objection | None:
        """The rows themselves are for those alone who decide on them."""
        if not self.decides and not had_a_hand_in(approval.request, self.person):
            return Objection("approval_not_approver", "Policy lets you decide no approvals: an approver has to look.")
        if approval.state in (State.APPROVED, State.EXECUTING):
            return may_revoke(approval, self.person, at=at)
        objection = may_decide(approval, self.person, at=at)
        return None if objection is not None and objection.code == _VOTED else objection

    def _named(self, approval: Approval) -> bool:
        """By its terms, now or when it escalates; terms that name nobody mean everybody who may decide."""
        return any(
            not requirement.approvers
            or not (self.person.subjects | {ANYBODY}).isdisjoint((*requirement.approvers, *requirement.escalate_to))
            for requirement in approval.terms.requirements
        )


def standing_of(snapshot: PolicySnapshot, caller: Caller) -> Standing:
    context = {"actor": caller.actor, "claims": caller.claims}

    def may(action: Action) -> bool:
        return isinstance(snapshot.decide(caller, ADMIN_RESOURCE, action, context), Allow)

    return Standing(
        person=Person.of(caller, snapshot.identities(caller)),
        decides=may(Action.DECIDE),
        reads=may(Action.READ),
    )
