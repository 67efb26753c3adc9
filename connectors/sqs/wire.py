"""A message as SQS carries it: a text of characters that XML has, and ten attributes.

Source: Amazon SQS API reference, SendMessage: its characters, attributes and MD5OfMessageBody.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from connectors.contract import Incoming, Outgoing
from connectors.headers import PACKED, decoded, encoded, joined, one_line, plain, split

if TYPE_CHECKING:
    from types_boto3_sqs.type_defs import MessageTypeDef

_ENCODING = "douane-encoding"
_CONTENT_TYPE = "content-type"
_OURS = "douane-message-id"
_KEY = "douane-key"
_BASE64 = "base64"
_OWN = frozenset({_ENCODING, _CONTENT_TYPE, _OURS, _KEY, PACKED})
_MAX_ATTRIBUTES = 10
_ATTRIBUTE_OVERHEAD = 16
_NO_TEXT = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FIFO_ID = re.compile(r"[!-~]{1,128}", re.ASCII)


def text_of(body: bytes) -> str | None:
    """The body as SQS takes it; None: it is no such text. Carriage returns do not survive every reader of XML."""
    if not body:
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\r" in text or _NO_TEXT.search(text) else text


def sent(message: Outgoing, *, fifo: bool) -> dict[str, Any]:
    """What SendMessage takes besides the queue."""
    own = {_CONTENT_TYPE: one_line(message.content_type), _OURS: one_line(message.message_id)}
    if message.key is not None:
        own[_KEY] = encoded(message.key)
    text = text_of(message.body)
    if text is None:
        # An empty text is none either: three bits more say that it is empty.
        own[_ENCODING] = _BASE64
        text = base64.b64encode(message.body).decode() or "="
    native, packed = split(message.headers, _fits, _MAX_ATTRIBUTES - len(own) - 1)
    if packed is not None:
        own[PACKED] = packed
    parameters: dict[str, Any] = {
        "MessageBody": text,
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in (native | own).items()
        },
    }
    if fifo:
        parameters["MessageGroupId"] = _fifo_id(message.key if message.key is not None else message.message_id)
        parameters["MessageDeduplicationId"] = _fifo_id(message.dedup_id or message.message_id)
    return parameters


def size(parameters: Mapping[str, Any]) -> int:
    """Bytes that count towards the maximum, rounded up."""
    attributes = parameters["MessageAttributes"].items()
    return len(parameters["MessageBody"].encode()) + sum(
        len(name) + len(value["StringValue"].encode()) + _ATTRIBUTE_OVERHEAD for name, value in attributes
    )


def body_digest(parameters: Mapping[str, Any]) -> str:
    """What the answer's MD5OfMessageBody must be: it finds damage, it is no protection."""
    return hashlib.md5(parameters["MessageBody"].encode(), usedforsecurity=False).hexdigest()


def incoming(message: "MessageTypeDef", handle: str) -> Incoming:
    attributes = {
        name.lower(): value["StringValue"]
        for name, value in message.get("MessageAttributes", {}).items()
        if "StringValue" in value
    }
    system = message.get("Attributes", {})
    return Incoming(
        handle=handle,
        message_id=message["MessageId"],
        body=_body(message["Body"], attributes.get(_ENCODING)),
        content_type=attributes.get(_CONTENT_TYPE),
        headers=joined({n: v for n, v in attributes.items() if n not in _OWN}, attributes.get(PACKED)),
        key=_key(attributes, system.get("MessageGroupId")),
        published_at=_rfc3339(system.get("SentTimestamp")),
        deliveries=int(system["ApproximateReceiveCount"]) if "ApproximateReceiveCount" in system else None,
    )


def _key(attributes: Mapping[str, str], group: str | None) -> str | None:
    """The group of a FIFO queue is the key of those who write there without us."""
    if _OURS not in attributes:
        return group
    return decoded(attributes[_KEY]) if _KEY in attributes else None


def _body(text: str, encoding: str | None) -> bytes:
    if encoding == _BASE64:
        try:
            return b"" if text == "=" else base64.b64decode(text, validate=True)
        except ValueError:
            pass  # Somebody else's attribute of that name: the text is the body.
    return text.encode()


def _fits(name: str, value: str) -> bool:
    return (
        plain(name, value) and not name.startswith(("aws.", "amazon.")) and not name.endswith(".") and ".." not in name
    )


def _fifo_id(text: str) -> str:
    """At most 128 printable characters: as it is where it is that, else its digest."""
    if _FIFO_ID.fullmatch(text):
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _rfc3339(milliseconds: str | None) -> str | None:
    if milliseconds is None:
        return None
    seconds, rest = divmod(int(milliseconds), 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03}Z"
