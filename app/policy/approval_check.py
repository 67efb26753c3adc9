"""Holds approvals.yaml against the other policy files: names that nobody knows, questions that nobody can answer."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from app.approval.terms import Terms
from app.policy.approval_rules import ApprovalRules, Entry, most_specific
from app.policy.decision import Action, Effect
from app.policy.documents import Document, Path
from app.policy.findings import Finding, Level
from app.policy.people import DECIDED_AT, KnownPeople
from app.policy.places import ANY_ACTION
from app.policy.resources import LABEL_PREFIX, Width, overlap, surely_inside
from app.policy.rules import KNOWN_LABEL, RULES_FILE, Rule, Rules, label_is_known
from app.policy.subjects import ANYBODY

MAX_EFFORT = 500_000
"""In comparisons of an approve rule with terms; a rule with stars counts as MANY_STARS. More would make a large policy
slow to load."""
MANY_STARS = 100
MAX_UNANSWERABLE = 100


def named_approvers(approvals: ApprovalRules) -> frozenset[str]:
    return frozenset(subject for _, subject in _subjects(approvals.document))


def check_approvals(
    approvals: ApprovalRules, known: frozenset[str], labels: frozenset[str], findings: list[Finding]
) -> None:
    """`known`: the subjects that policy.csv or a row filter names. Users and groups are the identity provider's."""
    if approvals.document is None:
        return
    for path, subject in _subjects(approvals.document):
        if subject.startswith("role:") and subject not in known:
            expected = "a role that some p line, g line or row filter names"
            findings.append(approvals.document.finding(path, f"unknown role {subject!r}", expected))
    for entry in approvals.entries:
        label = entry.pattern.text.removeprefix(LABEL_PREFIX)
        if label != entry.pattern.text and not label_is_known(label, labels):
            findings.append(approvals.document.finding((*entry.path, "label"), f"unknown label {label!r}", KNOWN_LABEL))


def approval_warnings(approvals: ApprovalRules, rules: Rules, people: KnownPeople) -> Iterator[Finding]:
    """Where people are missing: such requests wait until they expire."""
    if approvals.document is not None:
        yield from _who_cannot_decide(approvals.document, people)
        yield from _too_few(approvals, approvals.document, people)
    yield from _unanswerable(approvals, rules, people)


def _who_cannot_decide(document: Document, people: KnownPeople) -> Iterator[Finding]:
    for path, subject in _subjects(document):
        if people.deciders_with(subject) == frozenset():
            what = f"no rule of policy.csv lets anybody with {subject} decide: their yes will not be taken"
            yield _warning(document, path, what, f"p, {subject}, {DECIDED_AT}, decide, allow")


def _too_few(approvals: ApprovalRules, document: Document, people: KnownPeople) -> Iterator[Finding]:
    terms_at = {entry.path: entry.terms for entry in approvals.entries}
    for path, written in _blocks(document):
        if written.keys().isdisjoint({"approvers", "quorum", "escalate"}):
            continue
        for requirement in terms_at.get(path, approvals.default).requirements:
            pool = people.deciders_of(requirement)
            if pool and len(pool) < requirement.quorum:
                what = f"a quorum of {requirement.quorum}, where policy.csv knows {len(pool)} who may decide"
                yield _warning(document, (*path, "quorum"), what, f"at most {len(pool)}, or more approvers")


def _unanswerable(approvals: ApprovalRules, rules: Rules, people: KnownPeople) -> Iterator[Finding]:
    every_terms = (approvals.default, *(entry.terms for entry in approvals.entries))
    if all(people.deciders_of(requirement) is None for terms in every_terms for requirement in terms.requirements):
        return
    looked_at: set[tuple[str, str, str]] = set()
    effort = warned = 0
    for rule in rules.rules:
        question = (rule.subject, rule.resource.text, rule.action)
        if rule.effect is not Effect.APPROVE or question in looked_at:
            continue
        looked_at.add(question)
        effort += len(every_terms) * (1 if rule.resource.width is Width.LITERAL else MANY_STARS)
        if effort > MAX_EFFORT or warned >= MAX_UNANSWERABLE:
            return
        found = _stuck(approvals, rule, people)
        if found is not None:
            warned += 1
            yield found


def _stuck(approvals: ApprovalRules, rule: Rule, people: KnownPeople) -> Finding | None:
    """Nobody says yes to a request of her own, so the requester is no approver."""
    requesters = people.with_subject(rule.subject) or frozenset()
    for terms in _met_by(approvals, rule):
        for requirement in terms.requirements:
            pool = people.deciders_of(requirement)
            if pool is None:
                continue
            alone = sorted(user for user in requesters if len(pool) - (user in pool) < requirement.quorum)
            if not alone and len(pool) >= requirement.quorum:
                continue
            who = f"what {', '.join(alone[:3])} asks" if pool and alone else "what this rule asks"
            where = f" (terms of {requirement.source})" if requirement.source else ""
            return Finding(
                file=RULES_FILE,
                line=rule.line,
                column=1,
                what=f"{who} can be approved by too few people{where}: it waits until it expires",
                expected=f"{requirement.quorum} who may decide on {DECIDED_AT}, besides the requester",
                level=Level.WARNING,
            )
    return None


def _met_by(approvals: ApprovalRules, rule: Rule) -> list[Terms]:
    """The terms that requests under this rule may come to."""
    text = rule.resource.text
    action = None if rule.action == ANY_ACTION else Action(rule.action)
    if text.startswith(LABEL_PREFIX):
        action = Action.UNMASK
    literal = rule.resource.width is Width.LITERAL
    around: list[Entry] = []
    partly: list[Terms] = []
    for entry in approvals.entries:
        if action is not None and not entry.speaks_of(action):
            continue
        inside = surely_inside(text, entry.pattern)
        if inside and (entry.actions is None or action is not None):
            around.append(entry)
        elif inside or (not literal and overlap(text, entry.pattern.text)):
            partly.append(entry.terms)
    return [*([entry.terms for entry in most_specific(around)] or [approvals.default]), *partly]


def _blocks(document: Document) -> Iterator[tuple[Path, dict[str, Any]]]:
    """`default` and every rule, as written."""
    yield ("default",), document.value.get("default", {})
    for at, rule in enumerate(document.value.get("rules", ())):
        yield ("rules", at), rule


def _subjects(document: Document | None) -> Iterator[tuple[Path, str]]:
    if document is None:
        return
    for path, written in _blocks(document):
        escalate = written.get("escalate")
        lists: Sequence[tuple[Path, Sequence[str]]] = (
            ((*path, "approvers"), written.get("approvers") or ()),
            ((*path, "escalate", "to"), escalate["to"] if isinstance(escalate, dict) else ()),
        )
        for where, subjects in lists:
            yield from (((*where, at), subject) for at, subject in enumerate(subjects) if subject != ANYBODY)


def _warning(document: Document, path: Path, what: str, expected: str) -> Finding:
    return replace(document.finding(path, what, expected), level=Level.WARNING)
