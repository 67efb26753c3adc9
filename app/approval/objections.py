"""Why a step of an approval is not possible, in words that stay the same."""

from collections.abc import Mapping

from app.approval.approval import State


class Objection(Exception):  # noqa: N818 - an answer, not a fault
    """The step is not possible. `code` is stable, one of CODES; `detail` says what and the next step."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


_ANEW = "send the request again to ask anew"

OVER: Mapping[State, tuple[str, str]] = {
    State.EXECUTED: ("approval_already_executed", f"What was approved has run, and nothing is left of it: {_ANEW}."),
    State.FAILED: ("approval_failed", f"It failed when it ran, and an approval is not used again: {_ANEW}."),
    State.REJECTED: ("approval_rejected", "An approver rejected it; get_approval gives the reason."),
    State.EXPIRED: ("approval_expired", f"Its time ran out: {_ANEW}."),
    State.CANCELLED: ("approval_cancelled", f"Its requester cancelled it: {_ANEW} if it is wanted after all."),
    State.REVOKED: ("approval_revoked", "An approver took the approval back; get_approval gives the reason."),
}
"""The states that end an approval: no step leads out of them."""

CODES = frozenset(
    {
        "approval_not_pending",
        "approval_not_approved",
        "approval_in_use",
        "approval_altered",
        "approval_self_decision",
        "approval_not_approver",
        "approval_already_voted",
        "approval_not_requester",
        "approval_not_due",
        "approval_not_running",
    }
    | {code for code, _ in OVER.values()}
)
"""`approval_not_requester`: only the requester cancels, and only through the same actor and client does a use begin.
`approval_not_due` (an expiry or escalation before its time) and `approval_not_running` (a use that ends twice) are for
the gateway's own steps: no caller can cause them."""


def not_pending(state: State) -> Objection:
    match state:
        case State.PENDING:
            raise ValueError("it is pending")
        case State.APPROVED | State.EXECUTING:
            return Objection("approval_not_pending", "It is decided already: an approver may still revoke it.")
        case _:
            return Objection(*OVER[state])


def not_approved(state: State) -> Objection:
    match state:
        case State.APPROVED:
            raise ValueError("it is approved")
        case State.PENDING:
            return Objection(
                "approval_not_approved",
                "People have not approved it yet: wait with get_approval and `wait_seconds`, then execute it.",
            )
        case State.EXECUTING:
            return Objection("approval_in_use", "It is running right now: wait with get_approval for its outcome.")
        case _:
            return Objection(*OVER[state])


def expired() -> Objection:
    return Objection(*OVER[State.EXPIRED])


def self_decision() -> Objection:
    return Objection(
        "approval_self_decision",
        "Nobody decides what they, or an agent that speaks for them, asked for: another person has to decide it.",
    )


def not_approver() -> Objection:
    return Objection(
        "approval_not_approver", "Its terms name other approvers than you: get_approval lists who may decide it."
    )


def already_voted() -> Objection:
    return Objection(
        "approval_already_voted", "You voted already, and its quorum wants distinct people: others have to decide."
    )


def not_requester() -> Objection:
    return Objection(
        "approval_not_requester",
        "Only whoever asked may do this, through the same actor and client: use the token it was requested with.",
    )


def altered() -> Objection:
    return Objection(
        "approval_altered",
        f"The stored request is not the one that its digest binds, so it is of no use: tell an operator, and {_ANEW}.",
    )


def used_up() -> Objection:
    return Objection("approval_already_executed", f"No use, or no row, is left of it: {_ANEW}.")


def not_due() -> Objection:
    return Objection("approval_not_due", "Its time has not come yet: try again later.")


def not_running() -> Objection:
    return Objection("approval_not_running", "No use of it is running: its end is on record already.")
