"""One JSON document under masks: parsed as a whole while it is small, event by event when it is large."""

import math
from decimal import Decimal
from typing import Any

import ijson
import orjson
from ijson.backends import yajl2_c

from app.objects.encoding import without_mark
from app.objects.json_masking import masked
from app.objects.json_places import JsonPlaces, Place
from app.objects.json_scanning import Scanned
from app.objects.json_text import document_written, not_json, number_text, parsed, too_deep
from app.objects.plan import RenderLimits
from app.objects.refusal import ContentFault, ContentRefused
from app.objects.sink import Sink
from app.objects.unwrapping import STEP_BYTES, Replayed, Source

SMALL_BYTES = 8 << 20
_EVENT_BUFFER_BYTES = 1 << 16
_FLUSH_PARTS = 4_096


def render_json(
    source: Source, sink: Sink, places: JsonPlaces, limits: RenderLimits, small_bytes: int = SMALL_BYTES
) -> None:
    """Ends with a newline. Raises ContentRefused."""
    taken = bytearray()
    while len(taken) <= small_bytes and (chunk := source.read(STEP_BYTES)):
        taken += chunk
    data = without_mark(bytes(taken))
    if len(taken) <= small_bytes:
        sink.write(document_written(masked(parsed(data, limits.max_depth, None), places.root)))
    else:
        _Events(sink, limits.max_depth).render(data, source, places.root)


class _Frame:
    """A list or an object that is open in the input. `place` None: left out with all in it; `written`: its brackets and
    what shows of it are in the output; `whole`: all in it comes raw."""

    __slots__ = ("first", "is_object", "name", "place", "whole")

    def __init__(self, is_object: bool, place: Place | None, whole: bool) -> None:
        self.is_object = is_object
        self.place = place
        self.whole = whole
        self.first = True
        self.name = ""


class _Events:
    """Writes while it reads; members of one name in one object all come, each under the mask of that name."""

    def __init__(self, sink: Sink, max_depth: int) -> None:
        self._sink = sink
        self._max_depth = max_depth
        self._parts: list[bytes] = []
        self._open: list[_Frame] = []

    def render(self, start: bytes, rest: Source, root: Place) -> None:
        try:
            for event, value in yajl2_c.basic_parse(Scanned(Replayed(start, rest)), buf_size=_EVENT_BUFFER_BYTES):
                self._event(event, value, root)
                if len(self._parts) >= _FLUSH_PARTS:
                    self._flush()
        except (ijson.JSONError, ValueError, ArithmeticError) as broken:
            if isinstance(broken, ijson.IncompleteJSONError) and "premature EOF" in str(broken):
                raise ContentRefused(
                    ContentFault.TRUNCATED, "The JSON document ends too early. Store the whole object again."
                ) from broken
            raise not_json(start, None) from broken
        self._parts.append(b"\n")
        self._flush()

    def _flush(self) -> None:
        self._sink.write(b"".join(self._parts))
        self._parts.clear()

    def _event(self, event: str, value: Any, root: Place) -> None:
        match event:
            case "map_key":
                self._open[-1].name = value
            case "start_map" | "start_array":
                self._start(event == "start_map", root)
            case "end_map" | "end_array":
                frame = self._open.pop()
                if frame.place is not None:
                    self._parts.append(b"}" if frame.is_object else b"]")
            case _:
                self._scalar(value, root)

    def _here(self, root: Place) -> tuple[Place | None, bool]:
        """The place of the value that comes next, and whether it lies in something that comes whole."""
        if not self._open:
            return root, False
        frame = self._open[-1]
        if frame.place is None or frame.whole:
            return frame.place, frame.whole
        if frame.is_object:
            return frame.place.members.get(frame.name, frame.place.other), False
        return frame.place.items, False

    def _start(self, is_object: bool, root: Place) -> None:
        if len(self._open) >= self._max_depth:
            raise too_deep(self._max_depth, None)
        place, whole = self._here(root)
        if place is not None:
            whole = whole or place.whole
            if not whole and not (place.opens_object if is_object else place.opens_list):
                self._masked(place, None)
                place = None
        if place is not None:
            place.open()
            self._before()
            self._parts.append(b"{" if is_object else b"[")
        self._open.append(_Frame(is_object, place, whole))

    def _scalar(self, value: Any, root: Place) -> None:
        place, whole = self._here(root)
        if place is None:
            return
        if whole or place.mask is None:
            self._before()
            self._parts.append(_as_text(value))
        else:
            self._masked(place, _mask_input(value))

    def _masked(self, place: Place, value: Any) -> None:
        place.met = True
        if place.mask is None or (place.gone and self._open):
            return
        self._before()
        self._parts.append(orjson.dumps(place.mask(value)))

    def _before(self) -> None:
        """The comma, and the member's name."""
        if not self._open:
            return
        frame = self._open[-1]
        if not frame.first:
            self._parts.append(b",")
        frame.first = False
        if frame.is_object:
            self._parts.append(orjson.dumps(frame.name) + b":")


def _as_text(value: Any) -> bytes:
    if isinstance(value, Decimal) or type(value) is int:
        return number_text(value).encode()
    return orjson.dumps(value)


def _mask_input(value: Any) -> Any:
    """Numbers as the parser of small documents gives them to masks."""
    if not isinstance(value, Decimal):
        return value
    number = float(value)
    return number if math.isfinite(number) else None
