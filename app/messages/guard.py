"""What is in a message before it is published: everything that detectors see and that paths name, and what policy wants
done about each label. Denied, asked about, masked, or let through; the rest of the message is as it was sent."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from app.masking.masks import Generalise, Mask, Null, Partial, Redact
from app.messages.cloudevents import CLOUD_EVENT_TYPE, Event, structured
from app.messages.covers import Covers
from app.messages.payload import MAX_DEPTH, Complaint, Form, Misfit, Payload, encoded, pointer_to
from app.messages.places import Place
from app.messages.sighting import Eyes, Sighting, covered, digits_of, labels_in
from app.policy.content import FieldView, Intake, OnFound

MAX_VALUES = 20_000
"""Of members, items and names together: each is read by detectors."""
MAX_COMPLAINTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message as its sender wants it. `whole`: the member of the request body that brought the
    event as a whole; "": none did."""

    payload: Payload
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    event: Event | None = None
    whole: str = ""

    @property
    def place(self) -> tuple[str, ...]:
        """Of the payload in the request body."""
        return (self.whole, "data") if self.whole else (self.payload.member,)

    @property
    def content_type(self) -> str:
        return self.payload.content_type if self.event is None else CLOUD_EVENT_TYPE

    def body(self, *, id: str, time: str) -> bytes:  # noqa: A002 - CloudEvents' names
        """`id`, `time`: of an event that has none of its own. Raises Misfit."""
        if self.event is None:
            return encoded(self.payload.form, self.payload.value)
        return encoded(Form.JSON, structured(self.event, self.payload, id=id, time=time))


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """`draft`: as it may be published, where nothing was denied. Labels are sorted; `labels` has all that were seen.
    `masked_places`: pointers to what wears a mask. `denials`: where, and what for."""

    draft: Draft
    labels: tuple[str, ...] = ()
    masked_labels: tuple[str, ...] = ()
    asked_labels: tuple[str, ...] = ()
    masked_places: tuple[str, ...] = ()
    denials: tuple[Complaint, ...] = ()


def screen(
    draft: Draft,
    place: Place,
    intake: Intake,
    covers: Covers,
    eyes: Eyes,
    *,
    done: Collection[str] = (),
    chosen_topic: str = "",
) -> Screened:
    """`place`: the root of the topic's paths; they name fields of the payload, of an event of its data. Raises Misfit
    for what is too deep or has too many values. Binary payloads are not looked into: whoever lets one through knows.
    `done`: places that wear their masks already; nothing is looked for in them. `chosen_topic`: its name, where that is
    its sender's choice."""
    desk = _Desk(intake=intake, covers=covers, eyes=eyes, done=frozenset(done))
    desk.topic(chosen_topic)
    payload = draft.payload
    if payload.form is not Form.BINARY:
        value = desk.value(payload.value, place, pointer_to(*draft.place), "", 0)
        payload = replace(payload, value=value)
    event = draft.event
    if event is not None:
        event = desk.event(event, place, f"/{draft.whole or 'cloud_event'}")
    desk.content_type(
        payload.content_type, pointer_to(draft.whole, "datacontenttype") if draft.whole else "/content_type"
    )
    headers = {name: desk.named_text(name, value, "/headers") for name, value in draft.headers.items()}
    key = None if draft.key is None else desk.text(draft.key, "/key", "")
    return Screened(
        draft=replace(draft, payload=payload, headers=headers, key=key, event=event),
        labels=tuple(sorted(desk.labels)),
        masked_labels=tuple(sorted(desk.masked)),
        asked_labels=tuple(sorted(desk.asked)),
        masked_places=tuple(sorted(desk.places | desk.done)),
        denials=tuple(desk.denials),
    )


@dataclass(slots=True, kw_only=True)
class _Desk:
    intake: Intake
    covers: Covers
    eyes: Eyes
    done: frozenset[str]
    labels: set[str] = field(default_factory=set)
    masked: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    unspoken: set[str] = field(default_factory=set)
    """Pointers to members whose names must not be repeated."""
    denials: dict[Complaint, None] = field(default_factory=dict)
    values: int = 0

    def value(self, value: Any, place: Place, pointer: str, name: str, depth: int) -> Any:
        self._count(depth)
        if pointer in self.done:
            return value
        if place.view is not None and value is not None and self._by_path(place.view, pointer):
            return self._masked(place.view.mask or Null(), value, pointer, name)
        match value:
            case str():
                return self.text(value, pointer, name)
            case bool() | None:
                return value
            case int() | float():
                return self._number(value, pointer, name)
            case list():
                below = place.item()
                return [
                    self.value(item, below, f"{pointer}/{number}", name, depth + 1) for number, item in enumerate(value)
                ]
            case dict():
                return {
                    member: self.value(item, place.member(member), self._named(member, pointer), member, depth + 1)
                    for member, item in value.items()
                }
        raise Misfit(Complaint(pointer=pointer, detail="is no JSON value"))

    def _masked(self, mask: Mask, value: Any, pointer: str, name: str) -> Any:
        """A mask that lets a part of a text show lets no more show than detectors would."""
        self.places.add(pointer)
        masked = self.covers.value(mask, value)
        shows_a_part = isinstance(mask, Partial | Generalise | Redact) and isinstance(masked, str)
        return self.text(masked, pointer, name) if shows_a_part else masked

    def _named(self, name: str, pointer: str) -> str:
        """The pointer to the member, whose name is looked at as well."""
        self._count(0)
        own = pointer + pointer_to(name)
        seen = labels_in(self.eyes.in_name(name))
        for label in seen:
            if self._noted(label, pointer, "has a member whose name") is OnFound.MASK:
                self._deny(pointer, f"has a member whose name holds {label}, and names cannot be masked: rename it")
        if seen:
            self.unspoken.add(own)
        return own

    def text(self, text: str, pointer: str, name: str) -> str:
        if pointer in self.done:
            return text
        masked = [each for each in self.eyes.in_text(text, name) if self._masks(each, pointer)]
        if not masked:
            return text
        self.places.add(pointer)
        return covered(text, masked, self.covers.text)

    def topic(self, name: str) -> None:
        for label in labels_in(self.eyes.in_name(name)):
            self.labels.add(label)
            if self.intake.on_found(label) is not OnFound.ALLOW:
                self._deny("/topic", f"holds {label}, and names of topics are for everybody to see: choose another")

    def content_type(self, text: str, pointer: str) -> None:
        """Its sender chooses its words, too."""
        for label in labels_in(self.eyes.in_name(text)):
            if self._noted(label, pointer, "holds") is OnFound.MASK:
                self._deny(pointer, f"holds {label}, and content types cannot be masked: name another")

    def named_text(self, name: str, text: str, pointer: str) -> str:
        return self.text(text, self._named(name, pointer), name)

    def event(self, event: Event, place: Place, pointer: str) -> Event:
        """What its sender names freely bears names like members of its data: paths that name those count here, too."""
        said = {
            name: self._attribute(name, value, place.member(name).view if event.is_free(name) else None, pointer)
            for name, value in event.attributes().items()
        }
        extensions = {name: said.pop(name) for name in event.extensions}
        # What a mask leaves nothing of is not there.
        return replace(event, extensions={n: v for n, v in extensions.items() if v is not None}, **said)

    def _attribute(self, name: str, value: str | int | bool, view: FieldView | None, pointer: str) -> Any:
        own = self._named(name, pointer)
        if own not in self.done and view is not None and self._by_path(view, own):
            return self._masked(view.mask or Null(), value, own, name)
        if isinstance(value, str):
            return self.text(value, own, name)
        return value if isinstance(value, bool) else self._number(value, own, name)

    def _number(self, number: int | float, pointer: str, name: str) -> Any:
        if isinstance(number, float) and not isfinite(number):
            raise Misfit(Complaint(pointer=pointer, detail="is a number that JSON has not"))
        digits = digits_of(number)
        seen = () if digits is None else self.eyes.in_text(digits, name)
        # Each is noted, whatever the first one says.
        masked = [each for each in seen if self._masks(each, pointer)]
        if not masked:
            return number
        self.places.add(pointer)
        masks = [mask for label in labels_in(masked) if (mask := self.covers.found(label).mask) is not None]
        return self.covers.value(masks[0] if masks else Null(), number)

    def _by_path(self, view: FieldView, pointer: str) -> bool:
        """Whether the whole field is to be masked."""
        return view.label is not None and self._noted(view.label, pointer, "is") is OnFound.MASK

    def _masks(self, sighting: Sighting, pointer: str) -> bool:
        return OnFound.MASK in [self._noted(label, pointer, "holds") for label in sighting.labels]

    def _noted(self, label: str, pointer: str, verb: str) -> OnFound:
        self.labels.add(label)
        what = self.intake.on_found(label)
        match what:
            case OnFound.DENY:
                self._deny(pointer, f"{verb} {label}, which may not be published here: leave it out")
            case OnFound.APPROVE:
                self.asked.add(label)
            case OnFound.MASK:
                self.masked.add(label)
            case OnFound.ALLOW:
                pass
        return what

    def _deny(self, pointer: str, detail: str) -> None:
        # All that are seen count, not all are told.
        if len(self.denials) < MAX_COMPLAINTS:
            self.denials[Complaint(pointer=self._told(pointer), detail=detail)] = None

    def _told(self, pointer: str) -> str:
        """As far as its names may be repeated."""
        if not self.unspoken:
            return pointer
        parts = pointer.split("/")
        ends = (end for end in range(2, len(parts) + 1) if "/".join(parts[:end]) in self.unspoken)
        return "/".join(parts[: next(ends, len(parts) + 1) - 1])

    def _count(self, depth: int) -> None:
        self.values += 1
        if depth > MAX_DEPTH:
            raise Misfit(Complaint(pointer="/payload", detail=f"is nested deeper than {MAX_DEPTH} levels"))
        if self.values > MAX_VALUES:
            raise Misfit(
                Complaint(pointer="/payload", detail=f"has more than {MAX_VALUES} values: send several messages")
            )
