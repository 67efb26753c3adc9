"""How often, how much and how long an approval may be used, and what of it is left."""

from app.approval.approval import Approval
from app.approval.terms import Grant, GrantKind
from app.approval.times import plus, reached


def uses_left(approval: Approval) -> int | None:
    """None: any number."""
    granted = _granted_uses(approval.terms.grant)
    return None if granted is None else max(0, granted - approval.uses)


def rows_left(approval: Approval) -> int | None:
    """None: any number."""
    granted = approval.terms.grant.max_rows
    return None if granted is None else max(0, granted - approval.rows_used)


def used_up(approval: Approval) -> bool:
    return uses_left(approval) == 0 or rows_left(approval) == 0


def usable_again(approval: Approval, at: str) -> bool:
    """Whether a further use may begin once the running one is over."""
    return not used_up(approval) and not reached(usable_until_of(approval), at)


def deadline(approval: Approval, at: str) -> str:
    """Until when it may be used, if it is approved `at` that time. A window may outlive the request's own expiry."""
    grant = approval.terms.grant
    if grant.kind is GrantKind.ONCE or grant.duration_s is None:
        return approval.expires_at
    return plus(at, grant.duration_s)


def usable_until_of(approval: Approval) -> str:
    if approval.usable_until is None:
        raise ValueError("an approved approval has a deadline")
    return approval.usable_until


def _granted_uses(grant: Grant) -> int | None:
    match grant.kind:
        case GrantKind.ONCE:
            return 1
        case GrantKind.WINDOW:
            return grant.max_uses
