"""CloudEvents 1.0 in structured mode (JSON event format): an envelope of attributes around a payload.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md. Batches and binary data are not
taken.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.messages.payload import (
    JSON_TYPE,
    TEXT_TYPE,
    Complaint,
    Form,
    Misfit,
    Payload,
    is_json,
    is_media_type,
    pointer_to,
)

CLOUD_EVENT_TYPE = "application/cloudevents+json"
SPEC_VERSION = "1.0"
MAX_ATTRIBUTE_CHARS = 512
MAX_EXTENSIONS = 16

_OPTIONAL = ("subject", "id", "time", "dataschema")
_KNOWN = frozenset({"specversion", "type", "source", "datacontenttype", "data", "data_base64", *_OPTIONAL})
_EXTENSION = re.compile(r"[a-z0-9]{1,20}")
_ATTRIBUTE = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_INT32 = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Its attributes. `id` and `time` None: those that the gateway gives it when it is published."""

    type: str
    source: str
    subject: str | None = None
    id: str | None = None
    time: str | None = None
    dataschema: str | None = None
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)

    def is_free(self, name: str) -> bool:
        """Whether it is the sender's own: an extension, or the subject."""
        return name in self.extensions or name == "subject"

    def attributes(self) -> dict[str, str | int | bool]:
        """Those that are there, without specversion and datacontenttype."""
        known = {name: getattr(self, name) for name in ("type", "source", *_OPTIONAL)}
        return {name: value for name, value in known.items() if value is not None} | dict(self.extensions)


def event_of(attributes: Mapping[str, Any], member: str) -> Event:
    """`attributes`: without specversion and data. `member`: of the request body that has them. Raises Misfit."""
    complaints = [
        Complaint(pointer=pointer_to(member, name), detail=detail)
        for name, value in attributes.items()
        if (detail := _objection(name, value)) is not None
    ]
    complaints += [
        Complaint(pointer=pointer_to(member), detail=f"needs the attribute {name}")
        for name in ("type", "source")
        if attributes.get(name) is None
    ]
    extensions = {name: value for name, value in attributes.items() if name not in _KNOWN and value is not None}
    if len(extensions) > MAX_EXTENSIONS:
        complaints.append(Complaint(pointer=pointer_to(member), detail=f"at most {MAX_EXTENSIONS} extensions"))
    if complaints:
        raise Misfit(*complaints)
    return Event(
        type=attributes["type"],
        source=attributes["source"],
        **{name: attributes.get(name) for name in _OPTIONAL},
        extensions=extensions,
    )


def structured(event: Event, payload: Payload, *, id: str, time: str) -> dict[str, Any]:  # noqa: A002 - CloudEvents' names
    """The event as JSON. `id` and `time` (RFC 3339) are taken where the event has none of its own."""
    attributes = {"specversion": SPEC_VERSION, "id": id, "time": time, **event.attributes()}
    return {**attributes, "datacontenttype": payload.content_type, "data": payload.value}


def opened(value: Any, member: str) -> tuple[Event, Payload]:
    """A structured event and what it carries. Raises Misfit."""
    if not isinstance(value, Mapping) or value.get("specversion") != SPEC_VERSION:
        raise _unfit(member, f"must be a CloudEvent: an object with specversion {SPEC_VERSION}")
    if "data_base64" in value:
        raise _unfit(member, "binary data in a CloudEvent is not taken: send JSON or text as data")
    if value.get("id") is None:
        raise _unfit(member, "needs the attribute id")
    attributes = {name: each for name, each in value.items() if name not in ("specversion", "datacontenttype", "data")}
    event = event_of(attributes, member)
    data = value.get("data")
    kind = value.get("datacontenttype") or JSON_TYPE
    essence = kind.partition(";")[0].strip().lower() if isinstance(kind, str) else ""
    if not is_media_type(essence):
        raise _unfit(member, "datacontenttype must be a media type")
    if is_json(essence):
        return event, Payload(form=Form.JSON, value=data, content_type=essence)
    if isinstance(data, str) and essence.startswith("text/"):
        return event, Payload(form=Form.TEXT, value=data, content_type=essence)
    raise _unfit(member, f"datacontenttype must be a JSON type, or {TEXT_TYPE} with a string as data")


def _objection(name: str, value: Any) -> str | None:
    if name not in _KNOWN:
        if not _EXTENSION.fullmatch(name):
            return "extensions are named by a-z and 0-9, at most 20 characters"
        if value is None or isinstance(value, bool):
            return None
        if isinstance(value, int):
            return None if -_INT32 <= value < _INT32 else "integers of extensions have 32 bits"
    elif value is None and name in _OPTIONAL:
        return None
    if not isinstance(value, str) or len(value) > MAX_ATTRIBUTE_CHARS or not _ATTRIBUTE.fullmatch(value):
        return f"must be text without control characters, 1 to {MAX_ATTRIBUTE_CHARS} characters"
    if name == "time" and not _is_time(value):
        return "must be a time such as 2026-05-04T09:30:00Z (RFC 3339)"
    return None


def _is_time(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True


def _unfit(member: str, detail: str) -> Misfit:
    return Misfit(Complaint(pointer=pointer_to(member), detail=detail))
