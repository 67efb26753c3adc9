"""What becomes of every place in a JSON document: the paths of a view, compiled into places that are walked beside it.

The most specific path counts (app.policy.json_paths). A container under a raw path is raw with all in it; one under a
mask comes as null or as the mask's constant, one under `deny` is gone, but for what a more specific path names within.

The names of members may be data as well (a map by e-mail address), and so may be the length of a list. Under a masking
default they show only where a path goes on by name, `.*` or `[*]`: elsewhere an object or list comes as null, and where
only `..name` goes on, what it does not name is left out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.masking.masks import Hide, Redact
from app.masking.values import Redactor, ValueMask, masker
from app.objects.refusal import ContentFault, ContentRefused
from app.policy.content import ContentView, FieldView
from app.policy.json_paths import Step, StepKind, parse_path, specificity

_Positions = frozenset[tuple[int, int]]
"""(path, how many steps of it are taken), for every path that may still name something below."""
_UNNAMED = Step(StepKind.NAME, "")
_ITEM = Step(StepKind.ITEM)
_RAW = FieldView()
_GONE = FieldView(mask=Hide())
_MAX_PLACES = 20_000


@dataclass(slots=True, eq=False)
class Place:
    """`mask` None: scalars come raw. `gone`: they are left out. `whole`: a container comes raw with all in it.
    `opens_object`, `opens_list`: members or items have places of their own; otherwise the mask answers for all of it.
    `other`: of members that `members` does not name; None: they are left out. `met`: set by who masks something here.

    `open` comes before `members`, `other` and `items` are looked at: what content never reaches is never compiled.
    """

    mask: ValueMask | None = None
    label: str | None = None
    gone: bool = False
    whole: bool = False
    opens_object: bool = False
    opens_list: bool = False
    members: dict[str, "Place"] = field(default_factory=dict)
    other: "Place | None" = None
    items: "Place | None" = None
    met: bool = False
    unopened: Callable[[], None] | None = None

    def open(self) -> "Place":
        if self.unopened is not None:
            self.unopened()
            self.unopened = None
        return self


def _too_many() -> ContentRefused:
    return ContentRefused(
        ContentFault.TOO_EXPENSIVE,
        "The paths that the data file names meet in too many ways in this content. Name fewer paths with .. and *.",
    )


def _goes_through(view: FieldView) -> bool:
    return isinstance(view.mask, Redact) and view.mask.keep_others


class JsonPlaces:
    """`root`: the place of the document itself."""

    def __init__(self, view: ContentView, keys: Mapping[str, bytes], redact: Redactor) -> None:
        """Raises PathError (policy.json_paths)."""
        self._paths = [parse_path(text) for text in view.paths]
        self._views = list(view.paths.values())
        self._keys = keys
        self._redact = redact
        self._masks: dict[int, ValueMask] = {}
        self._known: dict[tuple[_Positions, int, int], Place] = {}
        self.root = self._place(frozenset((number, 0) for number in range(len(self._paths))), view.path_default)

    def labels_met(self) -> tuple[str, ...]:
        return tuple(sorted({place.label for place in self._known.values() if place.met and place.label}))

    def _place(self, at: _Positions, unnamed: FieldView) -> Place:
        """`unnamed`: the view of what no path names."""
        ended = [number for number, taken in at if taken == len(self._paths[number])]
        further = frozenset((number, taken) for number, taken in at if taken < len(self._paths[number]))
        view = unnamed
        if ended:
            view = self._views[max(ended, key=lambda number: specificity(self._paths[number]))]
            unnamed = _RAW if view.mask is None else view if _goes_through(view) else _GONE
        # By identity: views with the constants 1 and True are equal.
        key = (further, id(view), id(unnamed))
        place = self._known.get(key)
        if place is None:
            if len(self._known) >= _MAX_PLACES:
                raise _too_many()
            mask = self._mask(view)
            whole = mask is None and not further
            place = Place(mask=mask, label=view.label, gone=isinstance(view.mask, Hide), whole=whole)
            self._known[key] = place
            if further:
                self._prepare(place, further, unnamed)
            elif _goes_through(view):
                place.opens_object = place.opens_list = True
                place.other = place.items = place
        return place

    def _mask(self, view: FieldView) -> ValueMask | None:
        if view.mask is None:
            return None
        if id(view) not in self._masks:
            self._masks[id(view)] = masker(view.mask, self._keys, self._redact)
        return self._masks[id(view)]

    def _prepare(self, place: Place, at: _Positions, unnamed: FieldView) -> None:
        steps = [self._paths[number][taken] for number, taken in at]
        through = _goes_through(unnamed)
        if unnamed.mask is not None and not through and all(step.deep for step in steps):
            unnamed = _GONE
        items_at = self._moved(at, _ITEM)
        place.opens_object = True
        place.opens_list = unnamed.mask is None or through or bool(items_at)
        place.unopened = lambda: self._fill(place, at, items_at, steps, unnamed)

    def _fill(
        self, place: Place, at: _Positions, items_at: _Positions, steps: Sequence[Step], unnamed: FieldView
    ) -> None:
        for step in steps:
            if step.kind is StepKind.NAME:
                place.members[step.name] = self._place(self._moved(at, Step(StepKind.NAME, step.name)), unnamed)
        if unnamed is not _GONE or any(step.kind is StepKind.ANY for step in steps):
            place.other = self._place(self._moved(at, _UNNAMED), unnamed)
        if place.opens_list:
            place.items = self._place(items_at, unnamed)

    def _moved(self, at: _Positions, into: Step) -> _Positions:
        moved: set[tuple[int, int]] = set()
        for number, taken in at:
            step = self._paths[number][taken]
            if step.deep:
                moved.add((number, taken))
            if step.kind is StepKind.ANY or (step.kind is into.kind and step.name == into.name):
                moved.add((number, taken + 1))
        return frozenset(moved)
