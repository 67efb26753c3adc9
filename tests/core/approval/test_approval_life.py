"""Random lives of an approval beside a small ledger of its own, which knows the rules and none of the code."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from approval_samples import IDP, OTHER_IDP, asked, at, person
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.approval import machine
from app.approval.approval import Approval, Happening, State
from app.approval.digest import check_digest
from app.approval.machine import Objection, Person
from app.approval.terms import Grant, GrantKind, Requirement, Terms

NAMES = ("ana", "max", "dee", "kim", "sales-agent", "hub")
ROLES = ("dba", "dpo", "boss")
AGENTS = ("sales-agent", "hub", "desk")
CLIENTS = ("console", "sales-agent", "hub")
OVER = {State.EXECUTED, State.FAILED, State.REJECTED, State.EXPIRED, State.CANCELLED, State.REVOKED}

roles = st.lists(st.sampled_from([f"role:{role}" for role in ROLES]), max_size=2, unique=True).map(tuple)
people = st.builds(
    lambda name, held, client, chain, issuer: person(name, *held, client=client, chain=chain, issuer=issuer),
    st.sampled_from(NAMES),
    st.sets(st.sampled_from(ROLES), max_size=3).map(sorted),
    st.sampled_from(CLIENTS),
    st.lists(st.sampled_from(AGENTS), max_size=2, unique=True),
    st.sampled_from([IDP, IDP, IDP, OTHER_IDP]),
)
approvers = st.builds(lambda name, held: person(name, *held), st.sampled_from(("max", "dee", "kim")), st.just(ROLES))
requirements = st.builds(
    Requirement,
    approvers=roles,
    quorum=st.integers(1, 3),
    escalate_after_s=st.none() | st.integers(0, 200),
    escalate_to=roles,
)
bounds = st.none() | st.integers(1, 3)
grants = st.just(Grant()) | st.builds(
    Grant,
    kind=st.just(GrantKind.WINDOW),
    duration_s=st.none() | st.integers(1, 900),
    max_uses=bounds,
    max_rows=st.none() | st.integers(1, 30),
)
all_terms = st.builds(
    Terms,
    requirements=st.lists(requirements, min_size=1, max_size=2).map(tuple),
    lifetime_s=st.integers(1, 600),
    grant=grants,
)


@dataclass
class Ledger:
    """What an attentive clerk would write down. Times are whole seconds."""

    terms: Terms
    opened: int
    ends: int
    state: State = State.PENDING
    said_yes: dict[str, set[int]] = field(default_factory=dict)
    begun: int = 0
    rows: int = 0
    taken_back: bool = False

    def counts_for(self, who: Person, now: int) -> set[int]:
        found = set()
        for number, wanted in enumerate(self.terms.requirements):
            names = list(wanted.approvers)
            if wanted.escalate_after_s is not None and now >= self.opened + wanted.escalate_after_s:
                names += wanted.escalate_to
            if not wanted.approvers or any(name in who.subjects for name in names):
                found.add(number)
        return found

    def agreed(self) -> bool:
        return all(
            len([name for name, numbers in self.said_yes.items() if number in numbers]) >= wanted.quorum
            for number, wanted in enumerate(self.terms.requirements)
        )

    def spent(self) -> bool:
        grant = self.terms.grant
        uses = 1 if grant.kind is GrantKind.ONCE else grant.max_uses
        return (uses is not None and self.begun >= uses) or (grant.max_rows is not None and self.rows >= grant.max_rows)


class Life(RuleBasedStateMachine):
    @initialize(terms=all_terms, by=people)
    def ask(self, terms: Terms, by: Person) -> None:
        self.now = 0
        self.asker = by
        self.approval = asked(terms, by=by)
        self.ledger = Ledger(terms=terms, opened=0, ends=terms.lifetime_s)
        self.past = self.approval.history
        self.over: Approval | None = None

    def involved(self, who: Person) -> bool:
        asker = self.asker
        if who.principal in {asker.principal, asker.actor, asker.client, *asker.actor_chain}:
            return True
        through = {who.actor, who.client, *who.actor_chain} if asker.actor_chain else {*who.actor_chain}
        return bool(through & {asker.actor, asker.client, *asker.actor_chain})

    def attempt(self, step: Callable[..., Approval], *args: Any, fine: bool, **kwargs: Any) -> bool:
        """Takes the step; it has to succeed exactly when the ledger says that it is fine."""
        before = self.approval
        try:
            after = step(before, *args, at=at(self.now), **kwargs)
        except Objection:
            assert not fine, "an honest step was refused"
            return False
        assert fine, "a step was taken that the rules forbid"
        assert after.version == before.version + 1
        self.approval = after
        return True

    @property
    def in_time(self) -> bool:
        return self.now < self.ledger.ends

    @rule(seconds=st.integers(1, 250))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(who=people | approvers)
    def somebody_says_yes(self, who: Person) -> None:
        ledger = self.ledger
        mine = ledger.counts_for(who, self.now)
        fine = (
            ledger.state is State.PENDING
            and self.in_time
            and not self.involved(who)
            and who.principal not in ledger.said_yes
            and bool(mine)
        )
        if self.attempt(machine.approve, who, reason=None, fine=fine):
            ledger.said_yes[who.principal] = mine
            if ledger.agreed():
                ledger.state = State.APPROVED
                if ledger.terms.grant.kind is GrantKind.WINDOW and ledger.terms.grant.duration_s is not None:
                    ledger.ends = self.now + ledger.terms.grant.duration_s

    @rule(who=people | approvers)
    def somebody_says_no(self, who: Person) -> None:
        ledger = self.ledger
        fine = (
            ledger.state is State.PENDING
            and self.in_time
            and not self.involved(who)
            and who.principal not in ledger.said_yes
            and bool(ledger.counts_for(who, self.now))
        )
        if self.attempt(machine.reject, who, reason="no", fine=fine):
            ledger.state = State.REJECTED

    @rule(who=people, own=st.sampled_from([False, False, False, True]))
    def somebody_cancels(self, who: Person, own: bool) -> None:
        who = replace(self.asker, client="cli") if own else who
        mine = (who.issuer, who.principal) == (self.asker.issuer, self.asker.principal)
        fine = mine and self.in_time and self.ledger.state in (State.PENDING, State.APPROVED)
        if self.attempt(machine.cancel, who, reason=None, fine=fine):
            self.ledger.state = State.CANCELLED

    @rule(who=people | approvers)
    def somebody_revokes(self, who: Person) -> None:
        ledger = self.ledger
        usable = ledger.state is State.APPROVED and self.in_time
        in_use = (
            ledger.state is State.EXECUTING and ledger.terms.grant.kind is GrantKind.WINDOW and not ledger.taken_back
        )
        entitled = bool(ledger.counts_for(who, self.now)) or who.principal in ledger.said_yes
        fine = (usable or in_use) and entitled and not self.involved(who)
        if self.attempt(machine.revoke, who, reason=None, fine=fine):
            ledger.taken_back = True
            ledger.state = State.EXECUTING if in_use else State.REVOKED

    @rule()
    def the_sweep_comes_by(self) -> None:
        fine = self.ledger.state in (State.PENDING, State.APPROVED) and not self.in_time
        if self.attempt(machine.expire, fine=fine):
            self.ledger.state = State.EXPIRED

    @rule()
    def the_sweep_escalates(self) -> None:
        due = machine.escalation_due(self.approval)
        fine = due is not None and due <= at(self.now) and self.in_time
        self.attempt(machine.escalate, fine=fine)

    @rule(who=people)
    def somebody_executes(self, who: Person) -> None:
        self.execute(who)

    @rule()
    def the_requester_executes(self) -> None:
        self.execute(self.asker)

    def execute(self, who: Person) -> None:
        ledger, asker = self.ledger, self.asker
        same = (who.issuer, who.principal, who.actor, who.actor_chain, who.client) == (
            asker.issuer, asker.principal, asker.actor, asker.actor_chain, asker.client
        )  # fmt: skip
        fine = same and ledger.state is State.APPROVED and self.in_time and not ledger.spent()
        if self.attempt(machine.begin, who, fine=fine):
            ledger.begun += 1
            ledger.state = State.EXECUTING

    @precondition(lambda self: self.ledger.state is State.EXECUTING)
    @rule(share=st.floats(0, 1))
    def the_use_ends(self, share: float) -> None:
        ledger = self.ledger
        left = machine.rows_left(self.approval)
        rows = round(share * (10 if left is None else left))
        self.attempt(machine.finish, rows=rows, detail={}, fine=True)
        ledger.rows += rows
        again = ledger.terms.grant.kind is GrantKind.WINDOW and self.in_time and not ledger.spent()
        ledger.state = State.REVOKED if ledger.taken_back else State.APPROVED if again else State.EXECUTED

    @precondition(lambda self: self.ledger.state is State.EXECUTING)
    @rule(certain=st.booleans())
    def the_use_fails(self, certain: bool) -> None:
        ledger = self.ledger
        self.attempt(machine.fail, code="database_unavailable", outcome_known=certain, fine=True)
        again = certain and ledger.terms.grant.kind is GrantKind.WINDOW and self.in_time and not ledger.spent()
        if certain and ledger.taken_back:
            ledger.state = State.REVOKED
        else:
            ledger.state = State.APPROVED if again else State.FAILED

    @precondition(lambda self: self.ledger.state is not State.EXECUTING)
    @rule()
    def a_use_ends_that_never_was(self) -> None:
        self.attempt(machine.finish, rows=0, detail={}, fine=False)
        self.attempt(machine.fail, code="x", fine=False)

    @rule(terms=all_terms)
    def policy_changes(self, terms: Terms) -> None:
        ledger = self.ledger
        anew = replace(ledger, terms=terms)
        fine = ledger.state is State.APPROVED and self.in_time and not anew.spent()
        request = {**self.approval.request, "policy_version": f"{self.now:064x}", "terms": terms.document()}
        if self.attempt(machine.reopen, request=request, difference={"masks": []}, fine=fine):
            self.ledger = replace(
                anew, opened=self.now, ends=self.now + terms.lifetime_s, state=State.PENDING, said_yes={}
            )

    @rule(chance=st.integers(0, 3))
    def policy_forbids(self, chance: int) -> None:
        if chance == 0 and self.attempt(machine.withdraw, reason="policy", fine=self.ledger.state is State.APPROVED):
            self.ledger.state = State.REVOKED

    @invariant()
    def the_ledger_agrees(self) -> None:
        approval, ledger = self.approval, self.ledger
        assert approval.state is ledger.state
        assert approval.history[-1].state is ledger.state
        assert (approval.uses, approval.rows_used) == (ledger.begun, ledger.rows)
        assert check_digest(approval)

    @invariant()
    def history_only_grows(self) -> None:
        assert self.approval.history[: len(self.past)] == self.past
        assert len(self.approval.history) == self.approval.version + 1
        self.past = self.approval.history

    @invariant()
    def what_is_over_stays_over(self) -> None:
        if self.over is not None:
            assert self.approval == self.over
        elif self.approval.state in OVER:
            self.over = self.approval

    @invariant()
    def no_more_than_was_granted(self) -> None:
        """From the history alone: uses since the last grant began, and the people who said yes to it."""
        history = self.approval.history
        grant = self.approval.terms.grant
        started = [step for step in history if step.happening is Happening.STARTED]
        assert len(started) == self.approval.uses
        if grant.kind is GrantKind.ONCE:
            assert len(started) <= 1
        elif grant.max_uses is not None:
            assert len(started) <= grant.max_uses
        if grant.max_rows is not None:
            assert self.approval.rows_used <= grant.max_rows
        for index, step in enumerate(history):
            if step.happening is Happening.STARTED:
                before = history[:index]
                assert before[-1].state is State.APPROVED
                last = max(i for i, each in enumerate(before) if each.happening is Happening.APPROVED)
                assert not any(each.happening is Happening.REOPENED for each in before[last:])
                voters = names_of_voters(before[: last + 1])
                assert len(set(voters)) == len(voters) > 0
                assert self.asker.principal not in voters

    @invariant()
    def its_parts_fit_its_state(self) -> None:
        approval = self.approval
        assert (approval.started_at is not None) == (approval.state is State.EXECUTING)
        if approval.state in (State.APPROVED, State.EXECUTING):
            assert approval.usable_until == at(self.ledger.ends)
        if approval.state is State.PENDING:
            assert approval.usable_until is None
            assert approval.expires_at == at(self.ledger.ends)


def names_of_voters(steps: Sequence[Any]) -> list[str]:
    opened = max(i for i, step in enumerate(steps) if step.happening in (Happening.REQUESTED, Happening.REOPENED))
    return [step.by for step in steps[opened:] if step.happening in (Happening.VOTED, Happening.APPROVED)]


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
