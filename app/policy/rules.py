"""policy.csv becomes rules and role links, each with its line; nothing is matched here."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from app.policy.conditions import CONTEXT_NAMES, NAMES_ON, Condition, compile_condition
from app.policy.connections import ConnectionKind
from app.policy.decision import Action, Effect, RuleRef
from app.policy.expression import ExpressionError
from app.policy.findings import Finding, Level
from app.policy.places import ANY_ACTION, BadPlace, resource_pattern
from app.policy.resources import LABEL_PREFIX, Pattern, connection_of, covers
from app.policy.subjects import SUBJECT_FORM, is_named, is_subject

RULES_FILE = "policy.csv"
MAX_LINE_CHARACTERS = 4_096
KNOWN_LABEL = "a label of masks.yaml, of a data file or of a detector"


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One `p` line. `fields` are the five columns as pycasbin sees them."""

    line: int
    subject: str
    resource: Pattern
    action: str
    effect: Effect
    condition: Condition | None

    @property
    def fields(self) -> tuple[str, str, str, str, str]:
        when = "" if self.condition is None else self.condition.text
        return (self.subject, self.resource.text, self.action, self.effect.value, when)

    def reference(self, side: str) -> RuleRef:
        return RuleRef(
            file=RULES_FILE,
            line=self.line,
            subject=self.subject,
            resource=self.resource.text,
            action=self.action,
            effect=self.effect,
            when="" if self.condition is None else self.condition.text,
            side=side,
        )


@dataclass(frozen=True, slots=True)
class Link:
    """One `g` line: `member` has `role`."""

    line: int
    member: str
    role: str


@dataclass(frozen=True, slots=True)
class Rules:
    rules: tuple[Rule, ...]
    links: tuple[Link, ...]


class _BadLine(Exception):  # noqa: N818
    """`field` counts from 0; `offset` is within the field."""

    def __init__(self, field: int, what: str, expected: str, offset: int = 0) -> None:
        super().__init__(what)
        self.field = field
        self.offset = offset
        self.what = what
        self.expected = expected


def read_rules(data: bytes, connections: Mapping[str, ConnectionKind], findings: list[Finding]) -> Rules:
    """Every bad line is a finding; the rest is still read, so that all of them show at once."""
    rules: list[Rule] = []
    links: list[Link] = []
    for line, text in _lines(data, findings):
        try:
            fields = _fields(text)
            match fields[0]:
                case "p":
                    rules.append(_rule(line, fields, connections))
                case "g":
                    links.append(_link(line, fields))
                case other:
                    raise _BadLine(0, f"unknown kind of line {other!r}", "p or g")  # noqa: TRY301
        except _BadLine as bad:
            findings.append(
                Finding(file=RULES_FILE, line=line, column=_column(text, bad), what=bad.what, expected=bad.expected)
            )
    found = Rules(tuple(rules), tuple(links))
    findings.extend(_unknown_names(found, connections))
    return found


def _lines(data: bytes, findings: list[Finding]) -> Iterator[tuple[int, str]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as broken:
        line = data.count(b"\n", 0, broken.start) + 1
        findings.append(Finding(file=RULES_FILE, line=line, column=1, what="not UTF-8", expected="a file in UTF-8"))
        return
    for number, written in enumerate(text.split("\n"), start=1):
        stripped = written.strip()
        if stripped and not stripped.startswith("#"):
            yield number, written.rstrip("\r")


def _fields(text: str) -> list[str]:
    """One line is one record: a quoted field never runs over its end."""
    if len(text) > MAX_LINE_CHARACTERS:
        raise _BadLine(0, "line too long", f"at most {MAX_LINE_CHARACTERS} characters")
    if '"' not in text:
        return [part.strip() for part in text.split(",")]
    try:
        return [part.strip() for part in next(csv.reader([text], skipinitialspace=True, strict=True))]
    except (csv.Error, StopIteration) as broken:
        raise _BadLine(0, "quoting is broken", 'a closing " and "" for a quote inside') from broken


def _column(text: str, bad: _BadLine) -> int:
    """Where the field begins, from 1: commas inside quotes do not count."""
    at, quoted = 0, False
    for _ in range(bad.field):
        while at < len(text) and (quoted or text[at] != ","):
            quoted ^= text[at] == '"'
            at += 1
        at += 1
    while at < len(text) and text[at] in ' "':
        at += 1
    return min(at + bad.offset, len(text)) + 1


def _rule(line: int, fields: list[str], connections: Mapping[str, ConnectionKind]) -> Rule:
    if len(fields) not in (5, 6):
        raise _BadLine(
            len(fields) - 1,
            f"a p line has {len(fields)} fields",
            "p, subject, resource, action, effect, condition (a condition that holds a comma stands in double quotes)",
        )
    _, subject, resource, action, effect = fields[:5]
    if not is_subject(subject):
        raise _BadLine(1, f"unknown subject {subject!r}", SUBJECT_FORM)
    if action not in _ACTIONS:
        raise _BadLine(3, f"unknown action {action!r}", ", ".join(_ACTIONS))
    if effect not in _EFFECTS:
        raise _BadLine(4, f"unknown effect {effect!r}", ", ".join(_EFFECTS))
    try:
        pattern = resource_pattern(resource, action, connections)
    except BadPlace as bad:
        raise _BadLine(2, bad.what, bad.expected) from bad
    condition = _condition(fields[5]) if len(fields) == 6 and fields[5] else None
    return Rule(line, subject, pattern, action, _EFFECTS[effect], condition)


_ACTIONS = (*(action.value for action in Action), ANY_ACTION)
_EFFECTS = {effect.value: effect for effect in Effect}


def _condition(text: str) -> Condition:
    try:
        return _compiled_condition(text)
    except ExpressionError as wrong:
        raise _BadLine(5, f"condition: {wrong.what}", wrong.expected, wrong.at) from wrong


def _unknown_names(rules: Rules, connections: Mapping[str, ConnectionKind]) -> Iterator[Finding]:
    for rule in rules.rules:
        if rule.condition is None:
            continue
        connection = connection_of(rule.resource.text)
        kind = connections.get(connection)
        known = CONTEXT_NAMES if kind is None else NAMES_ON[kind]
        for name in sorted(rule.condition.names - known):
            where = f" on {connection}" if name in CONTEXT_NAMES else ""
            yield Finding(
                file=RULES_FILE,
                line=rule.line,
                column=1,
                what=f"condition reads unknown name {name!r}: it is never known{where}",
                expected=", ".join(sorted(known)),
                level=Level.WARNING,
            )


@lru_cache(maxsize=4_096)
def _compiled_condition(text: str) -> Condition:
    return compile_condition(text)


def _link(line: int, fields: list[str]) -> Link:
    if len(fields) != 3:
        raise _BadLine(len(fields) - 1, f"a g line has {len(fields)} fields", "g, member, role:NAME")
    _, member, role = fields
    if not is_named(member):
        raise _BadLine(1, f"unknown member {member!r}", "user:, role:, group: or client: and a name")
    if not is_named(role) or not role.startswith("role:"):
        raise _BadLine(2, f"{role!r} is no role", "role:NAME")
    return Link(line, member, role)


def check_links(rules: Rules, known_elsewhere: frozenset[str], findings: list[Finding]) -> None:
    """A link to a role that nothing mentions is a typing error: such a role grants nothing."""
    known = {rule.subject for rule in rules.rules} | {link.member for link in rules.links} | known_elsewhere
    findings.extend(
        Finding(
            file=RULES_FILE,
            line=link.line,
            column=1,
            what=f"unknown role {link.role!r}",
            expected="a role that some p line, g line or row filter names",
        )
        for link in rules.links
        if link.role not in known
    )


def check_labels(rules: Rules, declared: frozenset[str], findings: list[Finding]) -> None:
    """Labels exist by standing in masks.yaml or in a data file, or because detectors give them."""
    for rule in rules.rules:
        if not rule.resource.text.startswith(LABEL_PREFIX):
            continue
        wanted = rule.resource.text.removeprefix(LABEL_PREFIX)
        if not label_is_known(wanted, declared):
            findings.append(
                Finding(
                    file=RULES_FILE,
                    line=rule.line,
                    column=1,
                    what=f"unknown label {wanted!r}",
                    expected=KNOWN_LABEL,
                )
            )


def label_is_known(wanted: str, declared: frozenset[str]) -> bool:
    return any(covers(wanted, label) or ("*" in label and covers(label, wanted)) for label in declared)


def subjects_of(rules: Rules) -> frozenset[str]:
    """Every name that a p line or a g line has."""
    linked = (name for link in rules.links for name in (link.member, link.role))
    return frozenset((*(rule.subject for rule in rules.rules), *linked))


def conditional_names(rules: Rules) -> frozenset[str]:
    return frozenset(name for rule in rules.rules if rule.condition is not None for name in rule.condition.names)
