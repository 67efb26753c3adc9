"""The rules of policy.csv, arranged so that a question meets only the rules that cover it.

Same answers as pycasbin over the same rules (tests hold the two against each other), at a cost that depends on how
many rules match, not on how many there are. Conditions are not evaluated here.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from app.policy.decision import Action
from app.policy.resources import Pattern, Width
from app.policy.rules import ANY_ACTION, ANYBODY, Rule

_CALLERS = 8_192

_Shape = tuple[int, int]


class _OfSubject:
    """Literal resources by name; patterns by the lengths of their literal head and tail, then by those literals."""

    __slots__ = ("by_connection", "literal", "shapes")

    def __init__(self) -> None:
        self.literal: dict[tuple[str, str], list[Rule]] = {}
        self.shapes: dict[_Shape, dict[tuple[str, str, str], list[Rule]]] = {}
        self.by_connection: dict[str, list[Rule]] = {}

    def add(self, rule: Rule) -> None:
        pattern = rule.resource
        if pattern.width is Width.LITERAL:
            self.literal.setdefault((rule.action, pattern.text), []).append(rule)
        else:
            shape = self.shapes.setdefault((len(pattern.head), len(pattern.tail)), {})
            shape.setdefault((rule.action, pattern.head, pattern.tail), []).append(rule)
        self.by_connection.setdefault(_connection_of(pattern), []).append(rule)

    def covering(self, resource: str, actions: tuple[str, ...]) -> Iterator[Rule]:
        for action in actions:
            yield from self.literal.get((action, resource), ())
        length = len(resource)
        for (head, tail), buckets in self.shapes.items():
            if head + tail <= length:
                begins, ends = resource[:head], resource[length - tail :]
                for action in actions:
                    for rule in buckets.get((action, begins, ends), ()):
                        if rule.resource.between_fits(resource):
                            yield rule


def _connection_of(pattern: Pattern) -> str:
    """ "" for a pattern that spans connections."""
    connection = pattern.text.partition("/")[0]
    return "" if "*" in connection else connection


class RuleIndex:
    def __init__(self, rules: Iterable[Rule], roles: dict[str, frozenset[str]]) -> None:
        self._subjects: dict[str, _OfSubject] = {}
        self._roles = roles
        for rule in rules:
            of_subject = self._subjects.get(rule.subject)
            if of_subject is None:
                of_subject = self._subjects[rule.subject] = _OfSubject()
            of_subject.add(rule)
        self._rules_of = lru_cache(maxsize=_CALLERS)(self._collect)

    def _collect(self, subjects: frozenset[str]) -> tuple[_OfSubject, ...]:
        return tuple(self._subjects[name] for name in self.identities(subjects) if name in self._subjects)

    def identities(self, subjects: Iterable[str]) -> frozenset[str]:
        """The subjects, every role they have, and everybody."""
        found = {ANYBODY}
        for subject in subjects:
            found.add(subject)
            found |= self._roles.get(subject, frozenset())
        return frozenset(found)

    def candidates(self, subjects: frozenset[str], resource: str, action: Action) -> tuple[Rule, ...]:
        """Every rule that covers the question, whatever its condition says; in the order of the file."""
        actions = (action.value, ANY_ACTION)
        found: list[Rule] = []
        for of_subject in self._rules_of(subjects):
            found.extend(of_subject.covering(resource, actions))
        found.sort(key=lambda rule: rule.line)
        return tuple(found)

    def around(self, subjects: frozenset[str], connection: str, action: Action) -> Iterator[Rule]:
        """Rules of this action whose resource may lie below the connection."""
        for of_subject in self._rules_of(subjects):
            for place in (connection, ""):
                for rule in of_subject.by_connection.get(place, ()):
                    if rule.action in (action.value, ANY_ACTION):
                        yield rule
