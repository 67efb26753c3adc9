from dataclasses import replace
from typing import Any

import pytest
from approval_samples import ANA, DBA, DEE, MAX, OTHER_IDP, SAM, WINDOW, asked, at, person, terms

from app.approval.approval import Approval, Happening, State
from app.approval.digest import check_digest, digest_of
from app.approval.machine import (
    Objection,
    Person,
    approve,
    begin,
    cancel,
    escalate,
    escalation_due,
    expire,
    fail,
    finish,
    is_over,
    may_decide,
    reject,
    reopen,
    revocation_wanted,
    revoke,
    rows_left,
    uses_left,
    withdraw,
)
from app.approval.objections import CODES, OVER
from app.approval.people import bare
from app.approval.terms import Grant, GrantKind, Requirement, Terms


def code_of(step: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(Objection) as refused:
        step(*args, **kwargs)
    assert refused.value.code in CODES
    assert refused.value.detail.endswith(".")
    return refused.value.code


def yes(approval: Approval, by: Person, seconds: float = 1) -> Approval:
    return approve(approval, by, at=at(seconds), reason=None)


def approved(*, by: Person = ANA, grant: Grant | None = None, seconds: float = 1, lifetime_s: int = 3600) -> Approval:
    return yes(asked(terms(grant=grant, lifetime_s=lifetime_s), by=by), MAX, seconds)


def running(*, grant: Grant | None = None, seconds: float = 2) -> Approval:
    return begin(approved(grant=grant), ANA, at=at(seconds))


class TestWhoDecides:
    def test_one_yes_of_an_approver_is_enough_for_a_quorum_of_one(self) -> None:
        done = approve(asked(terms()), MAX, at=at(5), reason="looks right")
        assert done.state is State.APPROVED
        assert [step.happening for step in done.history] == [Happening.REQUESTED, Happening.APPROVED]
        step = done.history[-1]
        assert (step.by, step.client, step.reason, step.at, step.state) == (
            "max", "console", "looks right", at(5), State.APPROVED
        )  # fmt: skip
        assert done.version == 1

    def test_who_has_none_of_the_roles_is_no_approver(self) -> None:
        assert code_of(yes, asked(terms()), SAM) == "approval_not_approver"
        assert code_of(reject, asked(terms()), SAM, at=at(1), reason=None) == "approval_not_approver"

    def test_empty_approvers_are_whoever_policy_lets_decide(self) -> None:
        assert yes(asked(terms(Requirement())), SAM).state is State.APPROVED

    def test_a_star_names_everybody(self) -> None:
        assert yes(asked(terms(Requirement(approvers=("*",)))), SAM).state is State.APPROVED

    def test_terms_without_any_requirement_let_nobody_decide(self) -> None:
        assert code_of(yes, asked(Terms(requirements=())), MAX) == "approval_not_approver"

    def test_every_requirement_needs_its_quorum(self) -> None:
        both = terms(DBA, Requirement(approvers=("role:dpo",)))
        first = yes(asked(both), MAX)
        assert (first.state, first.history[-1].happening) == (State.PENDING, Happening.VOTED)
        assert yes(first, DEE, 2).state is State.APPROVED
        assert yes(asked(both), DEE).state is State.APPROVED, "one person may count for both"

    def test_a_second_yes_for_a_requirement_that_is_met_does_not_meet_another(self) -> None:
        both = terms(DBA, Requirement(approvers=("role:dpo",)))
        two = yes(yes(asked(both), MAX), person("kim", "dba"), 2)
        assert two.state is State.PENDING

    def test_a_quorum_is_of_distinct_people(self) -> None:
        two = terms(Requirement(approvers=("role:dba",), quorum=2))
        first = yes(asked(two), MAX)
        assert code_of(yes, first, MAX, 2) == "approval_already_voted"
        assert code_of(yes, first, person("max", "dba", client="cli"), 2) == "approval_already_voted"
        assert code_of(yes, first, person("max", "dba", chain=("helper",)), 2) == "approval_already_voted"
        assert yes(first, DEE, 2).state is State.APPROVED

    def test_the_same_name_of_another_issuer_is_the_same_person(self) -> None:
        two = terms(Requirement(approvers=("role:dba",), quorum=2))
        first = yes(asked(two), MAX)
        assert code_of(yes, first, person("max", "dba", issuer=OTHER_IDP), 2) == "approval_already_voted"
        assert code_of(yes, asked(two), person("ana", "dba", issuer=OTHER_IDP)) == "approval_self_decision"

    @pytest.mark.parametrize("quorum", [0, -1])
    def test_no_quorum_is_met_by_nobody(self, quorum: int) -> None:
        needs_dpo = terms(Requirement(approvers=("role:dba",), quorum=quorum), Requirement(approvers=("role:dpo",)))
        only_dpo = yes(asked(needs_dpo), person("kim", "dpo"))
        assert only_dpo.state is State.PENDING

    def test_a_vote_counts_as_what_the_voter_was_when_voting(self) -> None:
        two = terms(Requirement(approvers=("role:dba",), quorum=2))
        assert yes(yes(asked(two), MAX), DEE, 2).history[-1].detail["counts_for"] == [0]

    def test_one_no_ends_it_whatever_was_said_before(self) -> None:
        two = terms(Requirement(approvers=("role:dba",), quorum=2))
        ended = reject(yes(asked(two), MAX), DEE, at=at(2), reason="no ticket")
        assert (ended.state, ended.history[-1].reason) == (State.REJECTED, "no ticket")
        assert code_of(yes, ended, person("kim", "dba"), 3) == "approval_rejected"

    def test_who_may_decide_is_told_beforehand(self) -> None:
        assert may_decide(asked(terms()), MAX, at=at(1)) is None
        refused = may_decide(asked(terms()), ANA, at=at(1))
        assert refused is not None
        assert refused.code == "approval_self_decision"

    def test_a_decision_on_something_decided_is_refused(self) -> None:
        assert code_of(yes, approved(), DEE, 2) == "approval_not_pending"
        assert code_of(yes, running(), DEE, 3) == "approval_not_pending"


AGENT = person("ana", "analyst", client="sales-agent", chain=("sales-agent",))
HUB = person("ana", "dba", client="hub", chain=("sales-agent", "hub"))


class TestNobodyDecidesTheirOwn:
    @pytest.mark.parametrize("requester", [ANA, AGENT, HUB])
    @pytest.mark.parametrize(
        "self_again",
        [
            person("ana", "dba"),
            person("ana", "dba", client="second-client"),
            person("ana", "dba", client="cli", chain=("other-agent",)),
            person("ana", "dba", issuer=OTHER_IDP),
        ],
    )
    def test_the_requester_through_any_client_agent_or_issuer(self, requester: Person, self_again: Person) -> None:
        asking = asked(terms(), by=requester)
        assert code_of(yes, asking, self_again) == "approval_self_decision"
        assert code_of(reject, asking, self_again, at=at(1), reason=None) == "approval_self_decision"

    @pytest.mark.parametrize(
        "agent",
        [
            person("sales-agent", "dba", client="sales-agent"),
            person("hub", "dba", client="hub"),
            person("client:hub", "dba", client="other"),
            person("max", "dba", client="sales-agent"),
            person("max", "dba", client="hub"),
            person("max", "dba", client="console", chain=("sales-agent",)),
            person("max", "dba", client="console", chain=("other", "hub")),
            person("max", "dba", client="console", chain=("client:sales-agent",)),
            person("max", "dba", client="client:hub"),
        ],
    )
    def test_the_agents_of_the_request_neither_decide_nor_carry_the_yes_of_somebody_else(self, agent: Person) -> None:
        assert code_of(yes, asked(terms(), by=HUB), agent) == "approval_self_decision"

    def test_an_agent_in_the_middle_of_the_chain_is_one_of_them(self) -> None:
        long = person("ana", client="edge", chain=("sales-agent", "planner", "hub"))
        for carrier in (
            person("max", "dba", client="cli", chain=("planner",)),
            person("max", "dba", client="planner"),
            person("planner", "dba", client="cli"),
        ):
            assert code_of(yes, asked(terms(), by=long), carrier) == "approval_self_decision"

    def test_another_person_through_the_same_ordinary_client_may(self) -> None:
        assert yes(asked(terms(), by=person("ana", client="console")), MAX).state is State.APPROVED

    def test_but_not_when_that_client_speaks_for_the_person_as_an_agent(self) -> None:
        direct = asked(terms(), by=person("ana", client="sales-agent"))
        assert code_of(yes, direct, person("max", "dba", chain=("sales-agent",))) == "approval_self_decision"

    def test_the_client_of_a_direct_request_is_nobody_else_either(self) -> None:
        direct = asked(terms(), by=person("ana", client="sales-agent"))
        service = person("sales-agent", "dba", client="sales-agent")
        assert code_of(yes, direct, service) == "approval_self_decision"

    def test_another_agent_may_carry_the_yes_of_another_person(self) -> None:
        assert yes(asked(terms(), by=AGENT), person("max", "dba", chain=("desk-agent",))).state is State.APPROVED


class TestEscalation:
    LADDER = Requirement(approvers=("role:dba",), escalate_after_s=60, escalate_to=("role:boss",))
    BOSS = person("bo", "boss")

    def test_those_above_may_decide_only_after_the_time(self) -> None:
        waiting = asked(terms(self.LADDER))
        assert code_of(yes, waiting, self.BOSS, 59.999999) == "approval_not_approver"
        assert yes(waiting, self.BOSS, 60).state is State.APPROVED, "whether or not the sweep came by"

    def test_the_time_starts_anew_when_it_is_reopened(self) -> None:
        again = reopened(yes(asked(terms(self.LADDER)), MAX), 100)
        assert code_of(yes, again, self.BOSS, 159) == "approval_not_approver"
        assert yes(again, self.BOSS, 160).state is State.APPROVED

    def test_it_is_said_once_for_each_requirement_when_it_is_due(self) -> None:
        later = Requirement(approvers=("role:dpo",), escalate_after_s=90, escalate_to=("role:ciso",))
        waiting = asked(terms(self.LADDER, later, DBA))
        assert escalation_due(waiting) == at(60)
        assert code_of(escalate, waiting, at=at(59)) == "approval_not_due"
        first = escalate(waiting, at=at(60))
        assert first.history[-1].detail == {"requirements": [0], "escalate_to": ["role:boss"]}
        assert (first.state, escalation_due(first)) == (State.PENDING, at(90))
        assert code_of(escalate, first, at=at(61)) == "approval_not_due"
        second = escalate(first, at=at(95))
        assert escalation_due(second) is None
        assert second.history[-1].detail == {"requirements": [1], "escalate_to": ["role:ciso"]}

    def test_what_is_decided_or_over_time_is_not_escalated(self) -> None:
        waiting = asked(terms(self.LADDER))
        assert code_of(escalate, waiting, at=at(3600)) == "approval_expired"
        assert code_of(escalate, yes(waiting, MAX), at=at(61)) == "approval_not_pending"
        assert escalation_due(yes(waiting, MAX)) is None

    def test_escalating_to_nobody_is_no_escalation(self) -> None:
        nowhere = asked(terms(Requirement(approvers=("role:dba",), escalate_after_s=60)))
        assert escalation_due(nowhere) is None
        assert code_of(yes, nowhere, self.BOSS, 61) == "approval_not_approver"


class TestTime:
    def test_nobody_decides_at_or_after_the_end(self) -> None:
        assert yes(asked(terms()), MAX, 3599.999999).state is State.APPROVED
        assert code_of(yes, asked(terms()), MAX, 3600) == "approval_expired"
        assert code_of(reject, asked(terms()), MAX, at=at(3600), reason=None) == "approval_expired"
        assert code_of(cancel, asked(terms()), ANA, at=at(3600), reason=None) == "approval_expired"
        assert code_of(begin, asked(terms()), ANA, at=at(3600)) == "approval_expired"

    def test_one_use_is_to_begin_before_the_request_expires(self) -> None:
        assert approved().usable_until == at(3600)
        assert approved(grant=Grant(duration_s=5)).usable_until == at(3600)
        assert begin(approved(), ANA, at=at(3599)).state is State.EXECUTING
        assert code_of(begin, approved(), ANA, at=at(3600)) == "approval_expired"

    def test_a_window_ends_at_its_own_deadline_before_or_after_the_request_expires(self) -> None:
        assert approved(grant=WINDOW, seconds=10).usable_until == at(610)
        late = approved(grant=WINDOW, seconds=3590)
        assert late.usable_until == at(4190)
        assert begin(late, ANA, at=at(4189)).state is State.EXECUTING
        assert code_of(begin, late, ANA, at=at(4190)) == "approval_expired"

    def test_a_window_without_duration_ends_with_the_request(self) -> None:
        assert approved(grant=Grant(kind=GrantKind.WINDOW)).usable_until == at(3600)

    def test_what_is_approved_is_neither_revoked_cancelled_nor_reopened_after_its_end(self) -> None:
        for step in (revoke, cancel):
            by = MAX if step is revoke else ANA
            assert code_of(step, approved(), by, at=at(3600), reason=None) == "approval_expired"
        assert code_of(reopened, approved(), 3600) == "approval_expired"

    def test_it_expires_when_it_is_due_and_not_before(self) -> None:
        assert code_of(expire, asked(terms()), at=at(3599)) == "approval_not_due"
        assert expire(asked(terms()), at=at(3600)).state is State.EXPIRED
        window = approved(grant=WINDOW, seconds=3590)
        assert code_of(expire, window, at=at(3600)) == "approval_not_due"
        assert expire(window, at=at(4190)).state is State.EXPIRED
        assert code_of(expire, running(), at=at(9999)) == "approval_not_pending"

    def test_a_duration_beyond_the_calendar_ends_with_it(self) -> None:
        forever = approved(grant=Grant(kind=GrantKind.WINDOW, duration_s=10**12))
        assert forever.usable_until == "9999-12-31T23:59:59.999999Z"

    @pytest.mark.parametrize("wrong", ["2026-11-23T12:00:00Z", "2026-11-23T12:00:00.000000+00:00", "", "now"])
    def test_an_instant_that_does_not_compare_as_text_is_refused(self, wrong: str) -> None:
        with pytest.raises(ValueError):
            approve(asked(terms()), MAX, at=wrong, reason=None)


class TestUses:
    def test_one_use_and_no_second(self) -> None:
        begun = running()
        assert (begun.state, begun.uses, begun.started_at) == (State.EXECUTING, 1, at(2))
        assert code_of(begin, begun, ANA, at=at(3)) == "approval_in_use"
        done = finish(begun, at=at(3), rows=3, detail={"receipt": "x"})
        assert (done.state, done.rows_used, done.started_at) == (State.EXECUTED, 3, None)
        assert done.history[-1].detail == {"receipt": "x", "use": 1, "rows": 3}
        assert code_of(begin, done, ANA, at=at(4)) == "approval_already_executed"

    @pytest.mark.parametrize(
        "other",
        [
            MAX,
            person("ana", issuer=OTHER_IDP),
            person("ana", client="cli"),
            person("ana", chain=("sales-agent",)),
        ],
    )
    def test_only_the_requester_as_it_asked_may_use_it(self, other: Person) -> None:
        assert code_of(begin, approved(), other, at=at(2)) == "approval_not_requester"

    def test_the_order_of_the_agents_matters(self) -> None:
        twisted = person("ana", client="hub", chain=("hub", "sales-agent"))
        assert code_of(begin, approved(by=HUB), twisted, at=at(2)) == "approval_not_requester"
        same_actor = replace(HUB, actor_chain=("sales-agent",))
        assert code_of(begin, approved(by=HUB), same_actor, at=at(2)) == "approval_not_requester"
        other_client = replace(HUB, client="edge")
        assert code_of(begin, approved(by=HUB), other_client, at=at(2)) == "approval_not_requester"
        assert begin(approved(by=HUB), HUB, at=at(2)).state is State.EXECUTING

    def test_nothing_runs_before_it_is_approved(self) -> None:
        assert code_of(begin, asked(terms()), ANA, at=at(1)) == "approval_not_approved"

    @pytest.mark.parametrize(
        "change",
        [
            {"request": {"statement": "DELETE FROM customers"}},
            {"digest": "0" * 64},
            {"connection": "hr"},
            {"action": "select"},
            {"resources": ()},
            {"actor": "x"},
        ],
    )
    def test_what_was_altered_behind_the_gateway_is_neither_approved_nor_run(self, change: dict[str, Any]) -> None:
        for whole, step in (
            (asked(terms()), lambda a: yes(a, MAX)),
            (approved(), lambda a: begin(a, ANA, at=at(2))),
        ):
            forged = dict(change)
            if "request" in forged:
                forged["request"] = {**whole.request, **forged["request"]}
            assert check_digest(whole)
            altered = replace(whole, **forged)
            assert not check_digest(altered)
            assert code_of(step, altered) == "approval_altered"

    def test_a_window_counts_uses_and_never_has_two_at_once(self) -> None:
        window = approved(grant=WINDOW)
        for use in range(1, 4):
            assert uses_left(window) == 4 - use
            begun = begin(window, ANA, at=at(use))
            assert code_of(begin, begun, ANA, at=at(use)) == "approval_in_use"
            window = finish(begun, at=at(use), rows=1, detail={})
            assert window.history[-1].happening is (Happening.USED if use < 3 else Happening.EXECUTED)
        assert (window.state, uses_left(window), rows_left(window)) == (State.EXECUTED, 0, 97)
        assert code_of(begin, window, ANA, at=at(9)) == "approval_already_executed"

    def test_nothing_begins_when_no_use_or_no_row_is_left(self) -> None:
        window = approved(grant=WINDOW)
        assert code_of(begin, replace(window, uses=3), ANA, at=at(2)) == "approval_already_executed"
        assert code_of(begin, replace(window, rows_used=100), ANA, at=at(2)) == "approval_already_executed"
        assert code_of(begin, replace(approved(), uses=1), ANA, at=at(2)) == "approval_already_executed"

    def test_a_window_counts_rows(self) -> None:
        window = finish(running(grant=WINDOW), at=at(3), rows=60, detail={})
        assert (window.state, rows_left(window)) == (State.APPROVED, 40)
        ended = finish(begin(window, ANA, at=at(4)), at=at(5), rows=40, detail={})
        assert (ended.state, rows_left(ended)) == (State.EXECUTED, 0)

    def test_rows_beyond_what_was_left_are_on_record_and_end_it(self) -> None:
        ended = finish(running(grant=WINDOW), at=at(3), rows=1000, detail={})
        assert (ended.state, ended.rows_used, rows_left(ended)) == (State.EXECUTED, 1000, 0)
        with pytest.raises(ValueError):
            finish(running(), at=at(3), rows=-1, detail={})

    def test_a_use_that_ends_after_the_deadline_is_the_last(self) -> None:
        assert finish(running(grant=WINDOW), at=at(601), rows=1, detail={}).state is State.EXECUTED

    def test_a_window_without_bounds_stays_open_until_its_deadline(self) -> None:
        window = approved(grant=Grant(kind=GrantKind.WINDOW, duration_s=60))
        assert (uses_left(window), rows_left(window)) == (None, None)
        for _ in range(50):
            window = finish(begin(window, ANA, at=at(2)), at=at(2), rows=10**6, detail={})
        assert window.state is State.APPROVED

    def test_a_failed_single_use_is_over(self) -> None:
        failed = fail(running(), at=at(3), code="database_unavailable")
        assert (failed.state, failed.started_at) == (State.FAILED, None)
        assert failed.history[-1].detail == {"use": 1, "code": "database_unavailable", "outcome_known": True}
        assert code_of(begin, failed, ANA, at=at(4)) == "approval_failed"

    def test_a_window_survives_a_failure_that_did_nothing_and_the_use_stays_counted(self) -> None:
        window = fail(running(grant=WINDOW), at=at(3), code="database_unavailable")
        assert (window.state, window.uses, window.history[-1].happening) == (State.APPROVED, 1, Happening.FAILED)
        late = fail(running(grant=WINDOW), at=at(601), code="database_unavailable")
        assert late.state is State.FAILED
        single = fail(running(grant=replace(WINDOW, max_uses=1)), at=at(3), code="database_unavailable")
        assert single.state is State.FAILED

    @pytest.mark.parametrize("how", [{"code": "connection_lost", "outcome_known": False}, {"code": "outcome_unknown"}])
    def test_a_window_does_not_survive_a_failure_that_may_have_done_something(self, how: dict[str, Any]) -> None:
        assert fail(running(grant=WINDOW), at=at(3), **how).state is State.FAILED

    def test_a_use_ends_once(self) -> None:
        window = finish(running(grant=WINDOW), at=at(3), rows=1, detail={})
        assert code_of(finish, window, at=at(4), rows=1, detail={}) == "approval_not_running"
        assert code_of(fail, window, at=at(4), code="x") == "approval_not_running"
        lost = fail(running(), at=at(99), code="outcome_unknown")
        assert code_of(finish, lost, at=at(100), rows=1, detail={}) == "approval_failed"


class TestTakingBack:
    def test_the_requester_cancels_what_waits_or_is_approved_through_any_client(self) -> None:
        for standing in (asked(terms()), approved()):
            ended = cancel(standing, person("ana", client="cli"), at=at(2), reason="not needed")
            assert (ended.state, ended.history[-1].reason) == (State.CANCELLED, "not needed")
        assert code_of(cancel, running(), ANA, at=at(3), reason=None) == "approval_in_use"

    def test_nobody_else_cancels(self) -> None:
        for other in (MAX, person("ana", issuer=OTHER_IDP)):
            assert code_of(cancel, asked(terms()), other, at=at(2), reason=None) == "approval_not_requester"

    def test_an_approver_revokes_what_is_approved_also_one_who_did_not_vote(self) -> None:
        for by in (MAX, DEE):
            ended = revoke(approved(), by, at=at(2), reason="wrong table")
            assert ended.state is State.REVOKED
            assert code_of(begin, ended, ANA, at=at(3)) == "approval_revoked"

    def test_who_approved_may_revoke_without_being_an_approver_any_more(self) -> None:
        assert revoke(approved(), person("max"), at=at(2), reason=None).state is State.REVOKED

    def test_neither_strangers_nor_the_requester_revoke(self) -> None:
        assert code_of(revoke, approved(), SAM, at=at(2), reason=None) == "approval_not_approver"
        assert code_of(revoke, approved(), person("ana", "dba"), at=at(2), reason=None) == "approval_self_decision"

    def test_the_gateway_takes_back_what_policy_forbids_meanwhile(self) -> None:
        gone = withdraw(approved(), at=at(2), reason="policy forbids it now")
        assert (gone.state, gone.history[-1].by) == (State.REVOKED, "")
        assert code_of(withdraw, asked(terms()), at=at(2), reason="") == "approval_not_approved"

    def test_what_waits_is_rejected_and_not_revoked(self) -> None:
        assert code_of(revoke, asked(terms()), MAX, at=at(2), reason=None) == "approval_not_approved"

    def test_a_single_use_that_runs_is_past_revoking(self) -> None:
        assert code_of(revoke, running(), MAX, at=at(3), reason=None) == "approval_in_use"

    def test_a_window_revoked_in_use_ends_with_that_use(self) -> None:
        marked = revoke(running(grant=WINDOW), MAX, at=at(3), reason=None)
        assert (marked.state, marked.history[-1].happening) == (State.EXECUTING, Happening.REVOKED)
        assert revocation_wanted(marked)
        assert code_of(revoke, marked, DEE, at=at(4), reason=None) == "approval_revoked"
        done = finish(marked, at=at(5), rows=2, detail={})
        assert (done.state, done.rows_used) == (State.REVOKED, 2)
        assert fail(marked, at=at(5), code="database_unavailable").state is State.REVOKED
        assert fail(marked, at=at(5), code="outcome_unknown").state is State.FAILED


def reopened(approval: Approval, seconds: float, **changes: Any) -> Approval:
    request = {**approval.request, "policy_version": "e" * 64, **changes}
    return reopen(approval, at=at(seconds), request=request, difference={"masks": ["before", "after"]})


class TestReopening:
    def test_people_decide_anew_on_what_would_run_now(self) -> None:
        again = reopened(approved(), 100)
        assert (again.state, again.usable_until, again.expires_at) == (State.PENDING, None, at(3700))
        assert again.digest == digest_of(again.request) != approved().digest
        step = again.history[-1]
        assert (step.happening, step.detail["difference"]) == (Happening.REOPENED, {"masks": ["before", "after"]})
        assert code_of(begin, again, ANA, at=at(101)) == "approval_not_approved"

    def test_the_votes_of_before_are_void(self) -> None:
        two = terms(Requirement(approvers=("role:dba",), quorum=2))
        again = reopened(yes(yes(asked(two), MAX), DEE, 2), 100)
        first = yes(again, MAX, 101)
        assert first.state is State.PENDING
        assert yes(first, DEE, 102).state is State.APPROVED

    def test_the_terms_of_now_count(self) -> None:
        stricter = terms(Requirement(approvers=("role:dpo",)), lifetime_s=60).document()
        again = reopened(approved(), 100, terms=stricter)
        assert again.expires_at == at(160)
        assert code_of(yes, again, MAX, 101) == "approval_not_approver"

    @pytest.mark.parametrize(
        "change",
        [{"statement": "DELETE FROM customers"}, {"params": {"1": 8}}, {"principal": "eve"}, {"actor_chain": ["x"]},
         {"client": "cli"}, {"purpose": None}, {"unmask": ["pii.email"]}, {"max_rows": 5}, {"connection": "hr"}],
    )  # fmt: skip
    def test_what_was_asked_stays_what_was_asked(self, change: dict[str, Any]) -> None:
        assert code_of(reopened, approved(), 100, **change) == "approval_altered"

    def test_uses_and_rows_of_before_stay_counted(self) -> None:
        window = finish(running(grant=WINDOW), at=at(3), rows=60, detail={})
        again = yes(reopened(window, 100), MAX, 101)
        assert (uses_left(again), rows_left(again)) == (2, 40)
        fewer = terms(grant=replace(WINDOW, max_rows=60)).document()
        assert code_of(reopened, window, 100, terms=fewer) == "approval_already_executed"

    def test_only_what_is_approved_is_reopened(self) -> None:
        assert code_of(reopened, asked(terms()), 1) == "approval_not_approved"
        assert code_of(reopened, running(), 3) == "approval_in_use"


def test_whose_rule_asks_may_have_moved() -> None:
    again = reopen(approved(), at=at(9), request=approved().request, difference={}, reasons=("policy.csv:8",))
    assert again.reasons == ("policy.csv:8",)


def test_a_client_of_the_identity_provider_is_the_same_by_either_spelling() -> None:
    subject = person("ana", client="client:sales-agent")
    by_subject = asked(terms(), by=subject)
    assert code_of(yes, by_subject, person("sales-agent", "dba")) == "approval_self_decision"


def test_the_states_that_end_an_approval_are_six() -> None:
    assert {state for state in State if is_over(state)} == set(OVER)
    assert set(State) - set(OVER) == {State.PENDING, State.APPROVED, State.EXECUTING}


def test_a_name_is_bare_whatever_kinds_stand_before_it() -> None:
    assert {bare(name) for name in ("bot", "client:bot", "user:client:bot", "client:user:bot")} == {"bot"}
    assert bare("ana:eu") == "ana:eu"
