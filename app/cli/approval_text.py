"""An approval as lines for a terminal: everything that an approver needs, and none of it able to fool one."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.cli import content_text
from app.cli.plain import columns_of, cut, folded, guttered, visible, visible_lines
from app.cli.table import table

LABEL_COLUMNS = 10
MOST_ROWS = 20
UNITS_S = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
Document = Mapping[str, Any]


def listing(approvals: Sequence[Document], *, now: datetime, widest: int = 40) -> list[str]:
    rows = [
        (
            each["approval_id"],
            each["state"],
            age(each["created_at"], now),
            who(each),
            each["connection"],
            each["action"],
            ", ".join(_below(each)),
            extent(each),
        )
        for each in approvals
    ]
    return table(("ID", "STATE", "AGE", "WHO", "CONNECTION", "ACTION", "RESOURCES", "EXTENT"), rows, widest=widest)


def summary(
    approval: Document, preview: Document | None, *, now: datetime, width: int, rows: int = MOST_ROWS
) -> list[str]:
    """Who, what, consequences, terms, history and digest, in this order. `preview`: what is held for it."""
    content = content_text.is_about_content(approval)
    lines = [
        f"{visible(approval['approval_id'])}  {visible(approval['state']).upper()}  {_clock(approval, now)}".rstrip()
    ]
    for label, text in _facts(approval, preview):
        lines += _fact(label, text, width)
    if not content:
        lines += ["", *_statements(approval, width)]
    if params := content_text.left_over(approval) if content else approval.get("params"):
        lines += _parameters(params, width)
    if preview is not None:
        shown = content_text.lines(approval, preview, rows, width) if content else _preview(preview, rows, width)
        lines += ["", *shown]
    lines += ["", *_history(approval, width)]
    if approval.get("digest"):
        lines += [f"{'Digest':<{LABEL_COLUMNS}}{visible(approval['digest'])}"]
    return [*lines, *_fact("Next", _next(approval), width)]


def recap(approval: Document) -> str:
    """The last line before a decision is asked for, however long the statement above it was."""
    below = ", ".join(map(visible, _below(approval)))
    what = f"{visible(approval['action']).upper()} on {visible(approval['connection'])}: {below}"
    return f"{what}; {extent(approval)}; asked by {visible(who(approval))}"


def who(approval: Document) -> str:
    principal, actor = approval["principal"], approval["actor"]
    return principal if principal == actor else f"{actor} for {principal}"


def extent(approval: Document) -> str:
    """ "37 rows": known. "~40 rows": the planner's guess. "? rows": neither. Of objects and messages: "512 bytes"."""
    if content_text.is_about_content(approval):
        known = content_text.size(approval)
        return "1 object" if approval["action"] == "delete" else f"{'?' if known is None else known} bytes"
    if (found := _outcome(approval, "rows")) is not None:
        return f"{found} {'row' if found == 1 else 'rows'}"
    if (guess := _outcome(approval, "estimated_rows")) is not None:
        return f"~{guess} rows"
    return "? rows"


def age(at: str, now: datetime) -> str:
    return span((now - moment(at)).total_seconds())


def span(seconds: float) -> str:
    """The two greatest units: "3 h 59 min", "40 s"."""
    rest = max(int(seconds), 0)
    said = []
    for unit, size in UNITS_S:
        if rest >= size:
            said.append(f"{rest // size} {unit}")
        rest %= size
    return " ".join(said[:2]) or "0 s"


def moment(at: str) -> datetime:
    return datetime.fromisoformat(at).astimezone(UTC)


def step_line(step: Document) -> str:
    by = f" by {step['by']}" if step.get("by") else ""
    client = f" (client {step['client']})" if step.get("client") and step["client"] != step.get("by") else ""
    reason = f": {step['reason']}" if step.get("reason") else ""
    return visible(f"{step['at']}  {step['happening']}{by}{client}{reason}")


def event_line(event: Document) -> str:
    below = ", ".join(_below(event))
    what = f"{event['action']} on {event['connection']}: {below}, asked by {who(event)}"
    return visible(f"{event['at']}  {event['approval_id']}  {event['happening']}, {event['state']}  {what}")


def _clock(approval: Document, now: datetime) -> str:
    match approval["state"]:
        case "pending":
            return f"to decide within {_left(approval['expires_at'], now)}"
        case "approved" if approval.get("usable_until"):
            return f"usable for {_left(approval['usable_until'], now)}"
        case _:
            return ""


def _left(until: str, now: datetime) -> str:
    return f"{span((moment(until) - now).total_seconds())} (until {visible(until)})"


def _next(approval: Document) -> str:
    """The gateway's own sentence names calls of its API; who may decide does that with this command."""
    if approval.get("may_decide"):
        name = approval["approval_id"]
        return f"douane approvals approve {name}, or reject {name}; one no ends it"
    return str(approval.get("next_step") or "")


def _below(approval: Document) -> list[str]:
    """Tables, keys or topics: the resources without their connection."""
    return [resource.partition("/")[2] or resource for resource in approval["resources"]]


def _outcome(approval: Document, name: str) -> Any:
    return (approval.get("outcome") or {}).get(name)


def _facts(approval: Document, preview: Document | None) -> Iterator[tuple[str, str]]:
    yield "Who", _identity(approval)
    yield "Purpose", approval.get("purpose") or "none was given"
    yield "Does", f"{approval['action']} on {approval['connection']}: {', '.join(_below(approval))}"
    if content_text.is_about_content(approval):
        yield from content_text.facts(approval, preview)
    else:
        yield "Rows", _rows_in_words(approval)
    if approval.get("unmask"):
        yield "Unmasks", ", ".join(approval["unmask"])
    if labels := _outcome(approval, "labels"):
        yield "Labels", ", ".join(labels)
    yield "Masked", ", ".join(_masked(approval, preview)) or "nothing"
    if _outcome(approval, "row_filtered"):
        yield "Filtered", "policy hides some rows from the requester"
    yield "Rules", ", ".join(approval["reasons"])
    yield "Approvers", "; ".join(_requirements(approval)) or "whoever policy lets decide"
    yield "Grant", _grant(approval)


def _masked(approval: Document, preview: Document | None) -> list[str]:
    """Columns of the result where there is one, kinds of masks where not; labels in what goes in."""
    if content_text.is_about_content(approval):
        return content_text.masked(approval, preview)
    if preview is None:
        return list(_outcome(approval, "masks") or ())
    return [f"{each['name']} ({each['mask']})" for each in preview.get("columns") or () if each.get("mask")]


def _identity(approval: Document) -> str:
    chain = [name for name in approval.get("actor_chain") or () if name != approval["actor"]]
    said = who(approval) + (f", through {' then '.join(chain)}" if chain else "")
    if approval.get("client") and approval["client"] != approval["actor"]:
        said += f", client {approval['client']}"
    return said + (f" (issuer {approval['issuer']})" if approval.get("issuer") else "")


def _rows_in_words(approval: Document) -> str:
    rows, guess = _outcome(approval, "rows"), _outcome(approval, "estimated_rows")
    reads = approval["action"] == "select"
    if failed := _outcome(approval, "preview_failed"):
        return f"unknown: it was tried, and failed with {failed}"
    if rows is not None:
        return f"{rows} would leave, exactly these" if reads else f"{rows} affected in a dry run; more than that aborts"
    if _outcome(approval, "previewed"):
        return "worked out already; its approvers see how many"
    if guess is not None:
        return f"about {guess}, estimated by the planner; not run yet"
    return "unknown: not run yet, and the engine has no estimate"


def _requirements(approval: Document) -> Iterator[str]:
    for each in (approval.get("terms") or {}).get("requirements", ()):
        yes = f"{each['quorum']} of {', '.join(each['approvers']) or 'those whom policy lets decide'}"
        yes += f" ({each['votes']} so far)" if each.get("votes") else ""
        if each.get("escalate_to"):
            yes += f", after {span(each['escalate_after_s'])} also {', '.join(each['escalate_to'])}"
        yield yes


def _grant(approval: Document) -> str:
    grant = (approval.get("terms") or {}).get("grant") or {}
    if grant.get("kind") != "window":
        return "once"
    bounds = [f"for {span(grant['duration_s'])}"] if grant.get("duration_s") else []
    bounds += [f"at most {grant['max_uses']} uses ({approval.get('uses', 0)} so far)"] if grant.get("max_uses") else []
    bounds += (
        [f"at most {grant['max_rows']} rows ({approval.get('rows_used', 0)} so far)"] if grant.get("max_rows") else []
    )
    return "window: " + ", ".join(bounds)


def _fact(label: str, text: str, width: int) -> Iterator[str]:
    for number, piece in enumerate(folded(visible(text), max(width - LABEL_COLUMNS, 20))):
        yield f"{label if number == 0 else '':<{LABEL_COLUMNS}}{piece}".rstrip()


def _statements(approval: Document, width: int) -> Iterator[str]:
    asked, runs = approval.get("statement"), _outcome(approval, "rewritten_sql")
    if asked is None:
        yield "No statement."
        return
    if runs is None or runs == asked:
        yield "Statement" if runs is None else "Statement, run as it was asked"
        yield from guttered(asked, mark="  ", width=width)
    else:
        yield "Statement: - as asked, + as it would run"
        before, after = visible_lines(asked), visible_lines(runs)
        for line in difflib.unified_diff(before, after, lineterm="", n=max(len(before), len(after))):
            if not line.startswith(("---", "+++", "@@")):
                yield from guttered(line[1:], mark=f"{line[0]} ", width=width)


def _parameters(params: Document, width: int) -> Iterator[str]:
    yield "Parameters"
    for name, value in params.items():
        yield from guttered(f"{name} = {json.dumps(value, ensure_ascii=False)}", mark="  ", width=width)


def _preview(preview: Document, most: int, width: int) -> Iterator[str]:
    columns, rows = preview.get("columns") or (), preview.get("rows") or ()
    cut_off = ", cut at a limit" if preview.get("truncated") else ""
    yield f"Preview: {len(rows)} rows, as they would leave{cut_off}"
    if not columns:
        return
    headings = [f"{each['name']} ({each['mask']})" if each.get("mask") else each["name"] for each in columns]
    for line in table(headings, rows[:most], indent="  "):
        yield line if columns_of(line) <= width else cut(line, width)
    if len(rows) > most:
        yield f"  … {len(rows) - most} more: --rows {len(rows)} shows them"


def _history(approval: Document, width: int) -> Iterator[str]:
    yield "History"
    for step in approval.get("history") or ():
        yield from guttered(step_line(step), mark="  ", width=width)
        for name, change in ((step.get("detail") or {}).get("difference") or {}).items():
            yield from guttered(f"{name}: {json.dumps(change, ensure_ascii=False)}", mark="    ", width=width)
