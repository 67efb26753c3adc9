"""Which field of a JSON value a path of a data file means (app.policy.json_paths); the most specific one counts.

A value is walked with a `Place` in hand. Names that no path mentions are all alike, so there are few places however
large the value is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from app.policy.content import FieldView
from app.policy.json_paths import StepKind, parse_path, specificity

_ITEM = 0
_OTHER = 1
_States = frozenset[tuple[int, int]]
_Move = str | int
"""A member's name that some path has, any other member, or an item."""


@dataclass(frozen=True, slots=True)
class Place:
    """`view`: of this very field, None: no path names it. `further`: whether a path may name something below; `deep`:
    only by `..name`; `items`: by `[*]` or `.*`."""

    paths: "Paths"
    at: _States
    view: FieldView | None
    further: bool
    deep: bool
    items: bool

    def member(self, name: str) -> "Place":
        return self.paths.below(self, name if name in self.paths.names else _OTHER)

    def item(self) -> "Place":
        return self.paths.below(self, _ITEM)

    def names(self, member: str) -> bool:
        """Whether a path goes on with this very member, by its name or by `.*`."""
        return self.paths.name(self, member)

    def opens_items(self) -> bool:
        """Whether a path goes on with or through items."""
        item = self.item()
        return item.further or item.view is not None


class Paths:
    def __init__(self, paths: Mapping[str, FieldView]) -> None:
        """Raises PathError."""
        self._steps = [parse_path(path) for path in paths]
        self._views = list(paths.values())
        self._ranks = [specificity(steps) for steps in self._steps]
        self.names = frozenset(step.name for steps in self._steps for step in steps if step.kind is StepKind.NAME)
        self._below: dict[tuple[_States, _Move], Place] = {}
        self.root = self._place(frozenset((number, 0) for number in range(len(self._steps))))

    def below(self, place: Place, move: _Move) -> Place:
        known = self._below.get((place.at, move))
        if known is None:
            known = self._below[place.at, move] = self._place(self._moved(place.at, move))
        return known

    def name(self, place: Place, member: str) -> bool:
        steps = (self._steps[number][done] for number, done in place.at if done < len(self._steps[number]))
        return any(step.kind is StepKind.ANY or (step.kind is StepKind.NAME and step.name == member) for step in steps)

    def _moved(self, at: _States, move: _Move) -> _States:
        moved = set()
        for number, done in at:
            steps = self._steps[number]
            if done == len(steps):
                continue
            step = steps[done]
            if step.deep:
                moved.add((number, done))
            match step.kind:
                case StepKind.ANY:
                    takes = True
                case StepKind.ITEM:
                    takes = move == _ITEM
                case StepKind.NAME:
                    takes = move == step.name
            if takes:
                moved.add((number, done + 1))
        return frozenset(moved)

    def _place(self, at: _States) -> Place:
        ended = [number for number, done in at if done == len(self._steps[number])]
        best = max(ended, key=lambda number: self._ranks[number], default=None)
        view = None if best is None else self._views[best]
        steps = [self._steps[number][done] for number, done in at if done < len(self._steps[number])]
        items = any(step.kind is not StepKind.NAME for step in steps)
        return Place(self, at, view, bool(steps), all(step.deep for step in steps), items)
