"""The terms of approvals.yaml, joined with their defaults, and how those of several accesses become one: the stricter
of each. Nothing here knows who anybody is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from app.approval.terms import Grant, GrantKind, Requirement, Terms
from app.policy.approvals_file import (
    APPROVALS_FILE,
    ApprovalsDocument,
    EscalationDocument,
    RuleDocument,
    TermsDocument,
    WindowDocument,
)
from app.policy.connections import ConnectionKind
from app.policy.decision import Action
from app.policy.documents import Document, Path
from app.policy.findings import Finding
from app.policy.globs import narrowest
from app.policy.places import ANY_ACTION, BadPlace, actions_at, resource_pattern
from app.policy.resources import LABEL_PREFIX, Pattern, Width
from app.policy.subjects import ANYBODY

_ANSWERS = 8_192
_BUILT_IN = Terms()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One rule of the file. `terms` is whole; `actions` None: any. `path` is its place in the file."""

    pattern: Pattern
    actions: frozenset[Action] | None
    terms: Terms
    path: Path

    def speaks_of(self, action: Action) -> bool:
        return self.actions is None or action in self.actions


class ApprovalRules:
    """Immutable. Answers are kept: the same few questions come again and again."""

    def __init__(self, default: Terms = _BUILT_IN, entries: Sequence[Entry] = (), document: Document | None = None):
        self.default = default
        self.entries = tuple(entries)
        self.document = document
        self._literal: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if entry.pattern.width is Width.LITERAL:
                self._literal.setdefault(entry.pattern.text, []).append(entry)
        self._wide = tuple(entry for entry in self.entries if entry.pattern.width is not Width.LITERAL)
        self._one = lru_cache(maxsize=_ANSWERS)(self._compute)

    def terms(self, asked: Iterable[tuple[str, Action]]) -> Terms:
        """All requirements of all accesses, and of everything else the strictest."""
        return strictest([self._one(resource, action) for resource, action in set(asked)] or [self.default])

    def _compute(self, resource: str, action: Action) -> Terms:
        named = [entry for entry in self._literal.get(resource, ()) if entry.speaks_of(action)]
        if named:
            return strictest(entry.terms for entry in named)
        covering = [entry for entry in self._wide if entry.speaks_of(action) and entry.pattern.covers(resource)]
        return strictest([entry.terms for entry in most_specific(covering)] or [self.default])


def most_specific(entries: Sequence[Entry]) -> list[Entry]:
    """Those whose pattern no other one narrows."""
    narrow = narrowest(entry.pattern for entry in entries)
    return [entry for entry in entries if entry.pattern.text in narrow]


def strictest(terms: Iterable[Terms]) -> Terms:
    """Does not depend on the order: equal questions must make equal digests."""
    found = list(terms)
    return Terms(
        requirements=_united(each for one in found for each in one.requirements),
        lifetime_s=min(one.lifetime_s for one in found),
        grant=_tightest([one.grant for one in found]),
        preview=any(one.preview for one in found),
    )


def _united(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    kept: dict[Requirement, Requirement] = {}
    for each in sorted(requirements, key=_order):
        kept.setdefault(replace(each, source=""), each)
    return tuple(kept.values())


def _order(each: Requirement) -> tuple[object, ...]:
    after = -1 if each.escalate_after_s is None else each.escalate_after_s
    return (each.approvers, each.quorum, after, each.escalate_to, len(each.source), each.source)


def _tightest(grants: Sequence[Grant]) -> Grant:
    if any(grant.kind is GrantKind.ONCE for grant in grants):
        return Grant()
    return Grant(
        kind=GrantKind.WINDOW,
        duration_s=_least(grant.duration_s for grant in grants),
        max_uses=_least(grant.max_uses for grant in grants),
        max_rows=_least(grant.max_rows for grant in grants),
    )


def _least(bounds: Iterable[int | None]) -> int | None:
    return min((bound for bound in bounds if bound is not None), default=None)


def approval_rules_of(
    parsed: ApprovalsDocument, document: Document, connections: Mapping[str, ConnectionKind], findings: list[Finding]
) -> ApprovalRules:
    """Every rule that is wrong is a finding; the others are still read, so that all faults show at once."""
    default = _terms(parsed.default, TermsDocument(), ("default",), document, findings)
    entries = []
    for at, rule in enumerate(parsed.rules):
        path: Path = ("rules", at)
        place = _place(rule, path, document, connections, findings)
        terms = _terms(rule, parsed.default, path, document, findings)
        if place is not None:
            pattern, actions = place
            entries.append(Entry(pattern=pattern, actions=actions, terms=terms, path=path))
    return ApprovalRules(default, entries, document)


def _place(
    rule: RuleDocument,
    path: Path,
    document: Document,
    connections: Mapping[str, ConnectionKind],
    findings: list[Finding],
) -> tuple[Pattern, frozenset[Action] | None] | None:
    words = rule.action or [ANY_ACTION]
    if rule.resource is not None and rule.label is not None:
        findings.append(document.finding((*path, "label"), "a resource and a label", "one of them; two rules for both"))
        return None
    if rule.label is not None:
        key, text = "label", LABEL_PREFIX + rule.label
    elif rule.resource is not None and rule.resource.startswith(LABEL_PREFIX):
        label = rule.resource.removeprefix(LABEL_PREFIX)
        findings.append(document.finding((*path, "resource"), "a label as resource", f"label: {label}"))
        return None
    elif rule.resource is not None:
        key, text = "resource", rule.resource
    else:
        findings.append(document.finding(path, "a rule for nothing", "the key resource, or label"))
        return None
    try:
        pattern = resource_pattern(text, ANY_ACTION, connections)
    except BadPlace as bad:
        findings.append(document.finding((*path, key), bad.what, bad.expected))
        return None
    possible = actions_at(text, connections)
    for word in [word for word in words if word != ANY_ACTION and Action(word) not in possible]:
        where = (*path, "action", words.index(word))
        expected = ", ".join((*sorted(possible), ANY_ACTION))
        findings.append(document.finding(where, f"{word} does not apply to {text}", expected))
    return pattern, None if ANY_ACTION in words else frozenset(map(Action, words))


def _terms(
    written: TermsDocument, default: TermsDocument, path: Path, document: Document, findings: list[Finding]
) -> Terms:
    approvers = written.approvers or default.approvers or []
    escalate = written.escalate or default.escalate
    after = escalate.after if isinstance(escalate, EscalationDocument) else None
    lifetime_s = written.expires or default.expires or _BUILT_IN.lifetime_s
    if after is not None and after >= lifetime_s:
        _late(written, path, after, lifetime_s, document, findings)
    preview = default.preview if written.preview is None else written.preview
    line, _ = document.place(path)
    return Terms(
        requirements=(
            Requirement(
                approvers=() if ANYBODY in approvers else tuple(sorted(set(approvers))),
                quorum=written.quorum or default.quorum or 1,
                escalate_after_s=after,
                escalate_to=tuple(sorted(set(escalate.to))) if isinstance(escalate, EscalationDocument) else (),
                source=f"{APPROVALS_FILE}:{line}",
            ),
        ),
        lifetime_s=lifetime_s,
        grant=_grant(written.grant or default.grant),
        preview=_BUILT_IN.preview if preview is None else preview,
    )


def _late(
    written: TermsDocument, path: Path, after: int, lifetime_s: int, document: Document, findings: list[Finding]
) -> None:
    """Said once, where it was caused: rules that leave both to `default` repeat its fault and add nothing."""
    if written.escalate is not None:
        where: Path = (*path, "escalate", "after")
    elif written.expires is not None:
        where = (*path, "expires")
    else:
        return
    what = f"escalation after {after} s comes no sooner than the request's end after {lifetime_s} s"
    findings.append(document.finding(where, what, "escalate.after shorter than expires"))


def _grant(written: object) -> Grant:
    if not isinstance(written, WindowDocument):
        return Grant()
    return Grant(kind=GrantKind.WINDOW, duration_s=written.window, max_uses=written.uses, max_rows=written.rows)
