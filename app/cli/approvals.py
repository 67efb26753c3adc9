"""`douane approvals`: what approvers do in a terminal. A decision always carries the digest of what was shown."""

import json
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from app.cli import approval_text
from app.cli.asking import asking
from app.cli.ending import EXIT_REFUSED, EXIT_USAGE, fail
from app.cli.gateway import Gateway, Refused, approval_path
from app.cli.plain import ascii_json, visible

approvals = typer.Typer(no_args_is_help=True, help="What waits for a human, and what humans say to it.")

PAGE = 50
STATES = ("pending", "approved", "executing", "executed", "failed", "rejected", "expired", "cancelled", "revoked")
PREVIEWED = ("pending", "approved", "executing")
"""States in which a result or content is still held."""
LOOKS = 3
RECONNECT_S = (1.0, 2.0, 5.0, 10.0)

AsJson = Annotated[bool, typer.Option("--json", help="The gateway's own JSON, for scripts.")]
ApprovalId = Annotated[str, typer.Argument(metavar="ID")]
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why: the requester and auditors read it.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Digest = Annotated[
    str | None,
    typer.Option("--digest", metavar="HEX", help="Decide only if it is still exactly what had this digest."),
]
Rows = Annotated[int, typer.Option("--rows", min=0, help="Show at most so many rows or lines of the preview.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """`preview`: the result that would leave, or the content that would be put or published. `unseen`: something is
    held, and was not shown."""

    approval: dict[str, Any]
    preview: dict[str, Any] | None
    unseen: bool = False


@approvals.command("list")
@asking
def list_(
    gateway: Gateway,
    status: Annotated[str, typer.Option(metavar="STATE", help=f"{', '.join(STATES)}, or all.")] = "pending",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 200,
    ids: Annotated[bool, typer.Option("--ids", help="Ids alone, one per line.")] = False,
    as_json: AsJson = False,
) -> None:
    """Yours, and those that you may decide: by default the ones that wait."""
    if status not in (*STATES, "all"):
        fail(f"--status is one of {', '.join(STATES)}, all")
    found = _pages(gateway, {} if status == "all" else {"state": status}, limit)
    if as_json:
        _print_json(found)
        return
    if ids:
        for each in found:
            typer.echo(visible(each["approval_id"]))
        return
    if not found:
        typer.echo("Nothing waits." if status == "pending" else "None.")
        return
    for line in approval_text.listing(found, now=_now()):
        typer.echo(line)


@approvals.command()
@asking
def show(
    gateway: Gateway,
    approval_id: ApprovalId,
    rows: Rows = approval_text.MOST_ROWS,
    as_json: AsJson = False,
) -> None:
    """Everything about one: who, why, what would run, what would leave, on which terms."""
    seen = _look(gateway, approval_id)
    if as_json:
        _print_json({**seen.approval, "preview": seen.preview})
        return
    _print_summary(seen, rows)


@approvals.command()
@asking
def approve(
    gateway: Gateway,
    approval_id: ApprovalId,
    reason: Reason = None,
    yes: Yes = False,
    digest: Digest = None,
    rows: Rows = approval_text.MOST_ROWS,
    as_json: AsJson = False,
) -> None:
    """Say yes to exactly what is shown."""
    _decide(gateway, approval_id, "approve", reason, yes=yes, digest=digest, rows=rows, as_json=as_json)


@approvals.command()
@asking
def reject(
    gateway: Gateway,
    approval_id: ApprovalId,
    reason: Reason = None,
    yes: Yes = False,
    digest: Digest = None,
    rows: Rows = approval_text.MOST_ROWS,
    as_json: AsJson = False,
) -> None:
    """Say no: that ends it."""
    _decide(gateway, approval_id, "reject", reason, yes=yes, digest=digest, rows=rows, as_json=as_json)


@approvals.command()
@asking
def cancel(
    gateway: Gateway,
    approval_id: ApprovalId,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Take your own request back."""
    _end(gateway, approval_id, "cancel", reason, as_json=as_json)


@approvals.command()
@asking
def revoke(
    gateway: Gateway,
    approval_id: ApprovalId,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """As an approver, take a yes back before it is used."""
    _end(gateway, approval_id, "revoke", reason, as_json=as_json)


@approvals.command()
@asking
def watch(
    gateway: Gateway,
    as_json: AsJson = False,
) -> None:
    """Follow what happens to approvals, until Ctrl-C."""
    last_seen: str | None = None
    silent = 0
    while True:
        try:
            for identity, event in gateway.events("/v1/approvals/events", last_seen):
                last_seen, silent = identity or last_seen, 0
                if event is not None:
                    typer.echo(ascii_json(json.dumps(event)) if as_json else approval_text.event_line(event))
        except Refused as refused:
            # A first attempt that fails is a mistake to tell; later ones are a gateway that restarts.
            if refused.code != "unreachable" or last_seen is None:
                raise
        time.sleep(RECONNECT_S[min(silent, len(RECONNECT_S) - 1)])
        silent += 1


def _pages(gateway: Gateway, query: dict[str, str], limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = gateway.get(
            "/v1/approvals",
            query | {"limit": str(min(PAGE, limit - len(found)))} | ({} if cursor is None else {"cursor": cursor}),
        )
        found += page["approvals"]
        cursor = page.get("next_cursor")
        if cursor is None or len(found) >= limit:
            return found


def _look(gateway: Gateway, approval_id: str) -> _Seen:
    """The request and its preview, both of one digest."""
    for _ in range(LOOKS):
        approval = gateway.get(approval_path(approval_id))
        outcome = approval.get("outcome") or {}
        held = outcome.get("held_sha256") or outcome.get("content_sha256")
        if not held or approval["state"] not in PREVIEWED:
            return _Seen(approval=approval, preview=None)
        try:
            preview = gateway.get(approval_path(approval_id, "preview"))
        except Refused as refused:
            # The request is the caller's to read, what is held for it is not, or not any more.
            typer.echo(f"No preview for you: {refused}", err=True)
            return _Seen(approval=approval, preview=None, unseen=True)
        if preview["digest"] == approval["digest"]:
            return _Seen(approval=approval, preview=preview.get("answer") or preview.get("content"))
    raise Refused("it changes while you look: try again", code="changing")


def _decide(
    gateway: Gateway,
    approval_id: str,
    decision: str,
    reason: str | None,
    *,
    yes: bool,
    digest: str | None,
    rows: int,
    as_json: bool,
) -> None:
    seen = _look(gateway, approval_id)
    shown = seen.approval.get("digest")
    if digest is not None and digest.lower() != shown:
        fail("it is not what you looked at: it has another digest now. Look again.", EXIT_REFUSED)
    if not as_json:
        _print_summary(seen, rows)
        typer.echo("")
        typer.echo(approval_text.recap(seen.approval))
    if decision == "approve" and seen.unseen and seen.approval.get("may_decide"):
        fail("what would leave could not be shown, so nothing was decided: reject it, or try again", EXIT_REFUSED)
    if not yes and not _confirmed(decision):
        fail("nothing was decided", EXIT_REFUSED)
    # Who may not decide is told no digest, and hears why not from the gateway, which records the attempt.
    body = {"decision": decision, "digest": shown, "reason": reason}
    _tell(gateway.post(approval_path(approval_id, "decision"), _given(body)), as_json=as_json)


def _confirmed(decision: str) -> bool:
    try:
        return typer.confirm(f"{decision.capitalize()}?", default=False, err=True)
    except typer.Abort:
        fail("nobody answered: nothing was decided. Answer y, or give --yes.", EXIT_USAGE)


def _end(gateway: Gateway, approval_id: str, step: str, reason: str | None, *, as_json: bool) -> None:
    _tell(gateway.post(approval_path(approval_id, step), _given({"reason": reason})), as_json=as_json)


def _given(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def _tell(approval: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        _print_json(approval)
        return
    typer.echo(f"{visible(approval['approval_id'])} is {visible(approval['state'])} now.")
    if approval.get("next_step"):
        typer.echo(visible(approval["next_step"]))


def _print_summary(seen: _Seen, rows: int) -> None:
    width = shutil.get_terminal_size((120, 24)).columns
    for line in approval_text.summary(seen.approval, seen.preview, now=_now(), width=max(width, 60), rows=rows):
        typer.echo(line)


def _print_json(document: Any) -> None:
    typer.echo(ascii_json(json.dumps(document, indent=2)))


def _now() -> datetime:
    return datetime.now(UTC)
