"""What is fetched, put, deleted or published, as lines for a terminal: the facts of it, and the content itself."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.cli.plain import cut, guttered, visible_lines

WIDEST_LINE = 2_000
_NONE_THERE = " (none there)"
_SAID = frozenset({
    "key", "topic", "content_type", "content_bytes", "bytes", "headers", "masked_labels", "if_match", "if_absent",
})  # fmt: skip
"""Parameters that facts tell of."""
_KINDS = frozenset({"fetch", "put", "delete", "publish"})
Document = Mapping[str, Any]


def is_about_content(approval: Document) -> bool:
    """Objects and messages, of which nothing is a statement."""
    return approval.get("statement") is None and (approval.get("outcome") or {}).get("kind") in _KINDS


def size(approval: Document) -> int | None:
    """Bytes of the content; of what is fetched, of the answer that is held. None: none is known."""
    params, outcome = approval.get("params") or {}, approval.get("outcome") or {}
    known = (params.get("content_bytes"), params.get("bytes"), outcome.get("held_bytes"))
    return next((each for each in known if each is not None), None)


def left_over(approval: Document) -> dict[str, Any]:
    """Parameters that no fact tells of."""
    return {name: value for name, value in (approval.get("params") or {}).items() if name not in _SAID}


def facts(approval: Document, held: Document | None) -> Iterator[tuple[str, str]]:
    """`held`: what preview_approval shows, where something is held."""
    params, kind = approval.get("params") or {}, approval["outcome"]["kind"]
    message = _message(held) if kind == "publish" and held is not None else {}
    if kind != "delete":
        yield "Content", _content(approval, held)
    if kind in ("put", "delete"):
        yield "Replaces" if kind == "put" else "Removes", _what_is_there(approval)
    if message.get("key") is not None:
        yield "Key", str(message["key"])
    if headers := message.get("headers") or {}:
        yield "Headers", "; ".join(f"{name}: {value}" for name, value in headers.items())
    elif params.get("headers"):
        yield "Headers", ", ".join(map(str, params["headers"]))
    if event := message.get("cloud_event"):
        yield "Event", "; ".join(f"{name}: {value}" for name, value in event.items())


def masked(approval: Document, held: Document | None) -> list[str]:
    """Labels that were masked in what goes in; kinds of masks in what comes out."""
    params = approval.get("params") or {}
    if "masked_labels" in params:
        return list(params["masked_labels"])
    if held is not None and "masks" in held:
        return list(held["masks"])
    return list(approval["outcome"].get("masks") or ())


def lines(approval: Document, held: Document, most: int, width: int) -> Iterator[str]:
    """The content, at most so many lines of it: control characters spelled out, no line able to pass for ours."""
    would = {"fetch": "leave", "publish": "be published"}.get(approval["outcome"]["kind"], "be put")
    text = _text(approval, held)
    if text is None:
        yield "Preview: bytes that are no text; --json has them in base64"
        return
    found = visible_lines(text)
    if found and not found[-1]:
        found.pop()
    yield f"Preview: {len(found)} {'line' if len(found) == 1 else 'lines'}, as they would {would}"
    for line in found[:most]:
        yield from guttered(cut(line, WIDEST_LINE), mark="  ", width=width)
    if len(found) > most:
        yield f"  … {len(found) - most} more: --rows {len(found)} shows them"


def _content(approval: Document, held: Document | None) -> str:
    params = approval.get("params") or {}
    kind = (held or {}).get("content_type") or params.get("content_type")
    if approval["outcome"]["kind"] == "fetch":
        if failed := approval["outcome"].get("preview_failed"):
            return f"unknown: it was tried, and failed with {failed}"
        if held is None:
            return (
                "worked out already; its approvers see it" if approval["outcome"].get("previewed") else "not read yet"
            )
        return f"{kind}, {held.get('size')} bytes, exactly these"
    return f"{params.get('content_type') or 'of no type'}, {_bytes(size(approval))}"


def _bytes(count: int | None) -> str:
    return "of unknown size" if count is None else f"{count} {'byte' if count == 1 else 'bytes'}"


def _what_is_there(approval: Document) -> str:
    params, runs = approval.get("params") or {}, approval["outcome"].get("rewritten_sql") or ""
    if params.get("if_absent"):
        return "nothing: it is put only where no object is"
    if runs.endswith(_NONE_THERE):
        return "nothing: there is no object with this key"
    named = f", with the ETag {params['if_match']}" if params.get("if_match") else ""
    return f"the object that was there when this was asked{named}; another one is not touched"


def _message(held: Document) -> dict[str, Any]:
    try:
        message = json.loads(held["content"])
    except (KeyError, TypeError, ValueError):
        return {}
    return message if isinstance(message, dict) else {}


def _text(approval: Document, held: Document) -> str | None:
    """None: it is no text."""
    if approval["outcome"]["kind"] == "publish" and (message := _message(held)):
        if "payload" in message:
            return json.dumps(message["payload"], indent=2, ensure_ascii=False)
        return message.get("text")
    return str(held["content"]) if held.get("encoding") == "utf-8" else None
