"""How a received message comes to one caller: masked by the paths of its topic and by detectors, or withheld.

A message that cannot be masked is withheld, not refused: it says why, shows nothing, and can be acked, so that one that
was broken on purpose blocks none of the others.
"""

from codecs import BOM_UTF8
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from pydantic_core import from_json

from app.masking.masks import Hide, Mask, Redact
from app.messages.cloudevents import CLOUD_EVENT_TYPE, Event, opened
from app.messages.covers import Covers
from app.messages.payload import JSON_TYPE, MAX_DEPTH, TEXT_TYPE, Form, Misfit, Payload, is_json, is_media_type
from app.messages.places import Place
from app.messages.sighting import Eyes, Sighting, covered, digits_of, labels_in
from app.policy.content import ContentView, FieldView

MAX_VALUES = 100_000
BINARY_TYPE = "application/octet-stream"
_HIDDEN = object()
_BLANK = " \t\r\n\v\f\0\x85\xa0\u2028\u2029\ufeff\ufffd"
_GONE = FieldView(mask=Hide())


class Withheld(StrEnum):
    NOT_JSON = "not_json"
    """Fields of the topic are known by path, and this has none; or it says, or looks as if, it were JSON."""
    NOT_TEXT = "not_text"
    BINARY = "binary"
    NOT_CLOUD_EVENT = "not_cloud_event"
    TOO_DEEP = "too_deep"
    TOO_MANY_VALUES = "too_many_values"
    TOO_LARGE = "too_large"
    BROKEN = "broken"
    """Not even its broker's client can read it."""
    MASKING_FAILED = "masking_failed"


class CannotShow(Exception):  # noqa: N818 - an answer, not a fault
    def __init__(self, why: Withheld) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """`payload`, or `withheld`: why there is none. `labels`: of what was looked at, for the record."""

    payload: Payload | None = None
    event: Event | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    withheld: Withheld | None = None
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One caller's view of one topic. `place`: the root of the topic's paths; of an event they name fields of its data.
    `cloud_events`: payloads of the topic are events whatever they call themselves. `headers`: those that the data file
    names; where unknown fields are masked, no other comes, and no key."""

    view: ContentView
    place: Place
    covers: Covers
    eyes: Eyes
    cloud_events: bool = False
    headers: Collection[str] = ()

    def show(self, body: bytes, content_type: str | None, headers: Mapping[str, str], key: str | None) -> Shown:
        kind = _essence(content_type)
        if self.view.raw:
            return Shown(payload=_as_it_is(body, kind), headers=headers, key=key)
        glass = _Glass(window=self)
        try:
            payload, event = self._read(body, kind)
            if payload.form is Form.TEXT:
                value = glass.text(payload.value, "")
            else:
                value = glass.value(payload.value, self.place, None, "", 0)
            return Shown(
                payload=replace(
                    payload, value=None if value is _HIDDEN else value, content_type=glass.content_type(payload)
                ),
                event=None if event is None else glass.event(event, self.place),
                headers=glass.headers(headers),
                key=glass.key(key),
                labels=frozenset(glass.labels),
            )
        except CannotShow as cannot:
            return Shown(withheld=cannot.why)

    def name(self, text: str) -> str:
        """What a message is called: its id may be its sender's choice."""
        return text if self.view.raw else _Glass(window=self).text(text, "")

    def _read(self, body: bytes, kind: str | None) -> tuple[Payload, Event | None]:
        if not self.cloud_events and kind != CLOUD_EVENT_TYPE:
            return self._plain(body, kind), None
        try:
            event, payload = opened(_json(body), "payload")
        except Misfit:
            raise CannotShow(Withheld.NOT_CLOUD_EVENT) from None
        if payload.form is Form.TEXT:
            self._require_text()
        return payload, event

    def _plain(self, body: bytes, kind: str | None) -> Payload:
        """Whatever it calls itself, where fields are known by path it is JSON."""
        if self._by_path() or self.view.format == "json":
            return Payload(
                form=Form.JSON, value=_json(body), content_type=kind if kind and is_json(kind) else JSON_TYPE
            )
        if self.view.format is None and (kind is None or is_json(kind) or kind == "text/json"):
            try:
                return Payload(form=Form.JSON, value=_json(body), content_type=kind or JSON_TYPE)
            except CannotShow:
                # Of what is almost JSON, detectors would read the escapes and not what they stand for.
                if kind is not None or _like_json(body):
                    raise
        elif self.view.format != "text" and not (kind or "").startswith("text/"):
            raise CannotShow(Withheld.BINARY)
        self._require_text()
        is_text = kind is not None and kind.startswith("text/")
        return Payload(form=Form.TEXT, value=_text(body), content_type=kind if kind and is_text else TEXT_TYPE)

    def _require_text(self) -> None:
        if self._by_path() or not isinstance(self.view.text.mask, Redact | None):
            raise CannotShow(Withheld.NOT_JSON)

    def _by_path(self) -> bool:
        return bool(self.view.paths) or self.view.default.mask is not None


@dataclass(slots=True, kw_only=True)
class _Glass:
    """What one message is looked at through."""

    window: Window
    labels: set[str] = field(default_factory=set)
    values: int = 0

    def value(self, value: Any, place: Place, above: FieldView | None, name: str, depth: int) -> Any:
        """`above`: the view of the nearest field above that a path names. Below one that is masked nothing shows but
        what a path of its own names.

        Names of members may be data as well (a map by e-mail address), and so may be the length of a list: where all
        is masked, they show only where a path goes on by name, `.*` or `[*]`, as in objects (app.objects.json_places).
        """
        self._count(depth)
        default = self.window.view.default
        view = place.view or above
        if place.view is not None and place.view.label is not None:
            self.labels.add(place.view.label)
        mask = (view or default).mask
        if mask is None:
            opens = isinstance(value, dict | list) and (place.further or view is None)
        else:
            opens = (isinstance(value, dict) and place.further) or (isinstance(value, list) and place.opens_items())
        if opens:
            on_by_name = not place.deep if isinstance(value, dict) else place.items
            hidden = mask is not None and (view is not None or not on_by_name)
            within = self._within(value, place, (view or _GONE) if hidden else view, name, depth)
            if within or mask is None or not (hidden and depth):
                return within
        if mask is None:
            return value if view is not None else self._plainly(value, name)
        if isinstance(mask, Hide) or (place.view is None and above is not None):
            return _HIDDEN
        return self.window.covers.value(mask, value)

    def _within(
        self, value: dict[str, Any] | list[Any], place: Place, view: FieldView | None, name: str, depth: int
    ) -> dict[str, Any] | list[Any]:
        if isinstance(value, list):
            item_place = place.item()
            items = (self.value(item, item_place, view, name, depth + 1) for item in value)
            return [item for item in items if item is not _HIDDEN]
        done: dict[str, Any] = {}
        taken: dict[str, int] = {}
        hidden = view is not None and view.mask is not None
        for member, item in value.items():
            if hidden and not place.names(member):
                continue
            shown = self.value(item, place.member(member), view, member, depth + 1)
            if shown is not _HIDDEN:
                done[_apart(self.name(member), done, taken)] = shown
        return done

    def _plainly(self, value: Any, name: str) -> Any:
        """What comes raw by default alone, and is no object or array."""
        if not self.window.view.scanned:
            return value
        if isinstance(value, str):
            return self.text(value, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        return self._number(value, name)

    def _number(self, value: int | float, name: str) -> Any:
        digits = digits_of(value)
        seen = () if digits is None else self.window.eyes.in_text(digits, name)
        self.labels.update(labels_in(seen))
        masks = [mask for label in labels_in(seen) if (mask := self.window.covers.found(label).mask) is not None]
        return self.window.covers.value(masks[0], value) if masks else value

    def text(self, text: str, name: str) -> str:
        return self._covered(text, self.window.eyes.in_text(text, name))

    def name(self, name: str) -> str:
        return self._covered(name, self.window.eyes.in_name(name))

    def _covered(self, text: str, seen: Sequence[Sighting]) -> str:
        if not seen:
            return text
        self.labels.update(labels_in(seen))
        covers = self.window.covers
        return covered(text, [each for each in seen if not covers.shows(each)], covers.text)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        known = {name: value for name, value in headers.items() if self._unmasked or name in self.window.headers}
        return {self.name(name): self.text(value, name) for name, value in known.items()}

    def key(self, key: str | None) -> str | None:
        return self.text(key, "key") if key is not None and self._unmasked else None

    @property
    def _unmasked(self) -> bool:
        return self.window.view.default.mask is None

    def event(self, event: Event, place: Place) -> Event:
        """Attributes come through, but for what is seen in them. What the sender names freely wears the mask of a path
        that would name it in the data; extensions that none names are fields like any other."""
        said = {name: self._attribute(name, value) for name, value in event.attributes().items()}
        default = self.window.view.default.mask
        for name, value in event.attributes().items():
            view = place.member(name).view if event.is_free(name) else None
            if view is not None and view.label is not None:
                self.labels.add(view.label)
            if view is not None and view.mask is not None:
                said[name] = self._masked(view.mask, value)
            elif default is not None and name in event.extensions:
                said[name] = self._masked(default, said[name])
        extensions = {name: said.pop(name) for name in event.extensions}
        subject = None if said.get("subject") is _HIDDEN else said.get("subject")
        shown = {name: value for name, value in extensions.items() if value is not _HIDDEN}
        return replace(event, **{**said, "subject": subject, "extensions": shown})

    def _masked(self, mask: Mask, value: Any) -> Any:
        return _HIDDEN if isinstance(mask, Hide) else self.window.covers.value(mask, value)

    def _attribute(self, name: str, value: str | int | bool) -> Any:
        if isinstance(value, str):
            return self.text(value, name)
        return value if isinstance(value, bool) else self._number(value, name)

    def content_type(self, payload: Payload) -> str:
        """As its sender says, where that is nothing but a type."""
        said = payload.content_type
        if is_media_type(said) and self.name(said) == said:
            return said
        return JSON_TYPE if payload.form is Form.JSON else TEXT_TYPE

    def _count(self, depth: int) -> None:
        self.values += 1
        if depth > MAX_DEPTH:
            raise CannotShow(Withheld.TOO_DEEP)
        if self.values > MAX_VALUES:
            raise CannotShow(Withheld.TOO_MANY_VALUES)


def _apart(name: str, done: Mapping[str, Any], taken: dict[str, int]) -> str:
    """Names that come alike are numbered. `taken`: how many there were of each."""
    called = name
    while called in done:
        taken[name] = number = taken.get(name, 1) + 1
        called = f"{name}_{number}"
    return called


def _essence(content_type: str | None) -> str | None:
    return None if content_type is None else content_type.partition(";")[0].strip().lower() or None


def _as_it_is(body: bytes, kind: str | None) -> Payload:
    if kind is None or is_json(kind):
        with suppress(CannotShow):
            return Payload(form=Form.JSON, value=_json(body), content_type=kind or JSON_TYPE)
    with suppress(CannotShow):
        return Payload(form=Form.TEXT, value=_text(body), content_type=kind or TEXT_TYPE)
    return Payload(form=Form.BINARY, value=body, content_type=kind or BINARY_TYPE)


def _json(body: bytes) -> Any:
    """A byte order mark before it is none of it: RFC 8259, section 8.1."""
    try:
        return from_json(body.removeprefix(BOM_UTF8), allow_inf_nan=False)
    except ValueError:
        raise CannotShow(Withheld.NOT_JSON) from None


def _like_json(body: bytes) -> bool:
    """Whether it begins as objects, arrays and strings with escapes do."""
    beginning = body.decode(errors="replace").lstrip(_BLANK)
    return beginning[:1] in ("{", "[") or (beginning[:1] == '"' and "\\" in beginning)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise CannotShow(Withheld.NOT_TEXT) from None
