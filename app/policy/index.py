"""The rules of policy.csv, arranged so that a question meets only the rules that cover it.

Same answers as pycasbin over the same rules (tests hold the two against each other), at a cost that depends on how
many rules match, not on how many there are. Conditions are not evaluated here.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from app.policy.decision import Action, Effect
from app.policy.places import ANY_ACTION
from app.policy.resources import LABEL_PREFIX, Pattern, Width
from app.policy.rules import Rule
from app.policy.subjects import ANYBODY

_CALLERS = 8_192

_Shape = tuple[int, int]


class _OfSubject:
    """Literal resources by name; patterns by the lengths of their literal head and tail, then by those literals."""

    __slots__ = ("blankets", "grants", "literal", "shapes")

    def __init__(self) -> None:
        self.literal: dict[tuple[str, str], list[Rule]] = {}
        self.shapes: dict[_Shape, dict[tuple[str, str, str], list[Rule]]] = {}
        self.grants: dict[tuple[str, str], list[Pattern]] = {}
        self.blankets: dict[tuple[str, str], list[Pattern]] = {}

    def add(self, rule: Rule) -> None:
        pattern = rule.resource
        if pattern.width is Width.LITERAL:
            self.literal.setdefault((rule.action, pattern.text), []).append(rule)
        else:
            shape = self.shapes.setdefault((len(pattern.head), len(pattern.tail)), {})
            shape.setdefault((rule.action, pattern.head, pattern.tail), []).append(rule)
        place = (_place_of(pattern), rule.action)
        if rule.effect is not Effect.DENY:
            self.grants.setdefault(place, []).append(pattern)
        elif rule.condition is None and pattern.width is not Width.LITERAL:
            self.blankets.setdefault(place, []).append(pattern)

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


_ANYWHERE = ""


def _place_of(pattern: Pattern) -> str:
    """The connection, or _ANYWHERE for a pattern that spans connections."""
    if pattern.text.startswith(LABEL_PREFIX):
        return LABEL_PREFIX
    connection = pattern.text.partition("/")[0]
    return _ANYWHERE if "*" in connection else connection


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

    def grants(self, subjects: frozenset[str], connection: str, action: Action) -> Iterator[Pattern]:
        """What allowing and asking rules, whatever their conditions, may cover below the connection."""
        for of_subject in self._rules_of(subjects):
            for place in _places(connection, action):
                yield from of_subject.grants.get(place, ())

    def blankets(self, subjects: frozenset[str], connection: str, action: Action) -> Iterator[Pattern]:
        """Patterns that are denied whatever the context."""
        for of_subject in self._rules_of(subjects):
            for place in _places(connection, action):
                yield from of_subject.blankets.get(place, ())


def _places(connection: str, action: Action) -> Iterator[tuple[str, str]]:
    return ((place, act) for place in (connection, _ANYWHERE) for act in (action.value, ANY_ACTION))
