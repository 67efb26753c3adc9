"""Headers where a broker cannot carry all of them: what it can goes as it is, the rest as JSON in one more header."""

import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote

PACKED = "douane-headers"
"""The name of that header. Its text is ASCII, whatever it says."""

_RESERVED = re.compile(r"(douane-|nats-|content-type$|status$|description$)")
"""Names that mean something to a broker, its client or to us: a caller's own never go by them."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,127}")
_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")


def plain(name: str, value: str) -> bool:
    """Every broker gives this header back as it was, and takes no notice of it."""
    return _NAME.fullmatch(name) is not None and _RESERVED.match(name) is None and _VALUE.fullmatch(value) is not None


def split(
    headers: Mapping[str, str], fits: Callable[[str, str], bool] = plain, most: int | None = None
) -> tuple[dict[str, str], str | None]:
    """The headers to send as they are, at most `most`, and the text of the one that holds the others."""
    native: dict[str, str] = {}
    packed: dict[str, str] = {}
    for name, value in headers.items():
        room = most is None or len(native) < most
        (native if room and fits(name, value) else packed)[name] = value
    return native, json.dumps(packed, separators=(",", ":")) if packed else None


def joined(native: Mapping[str, str], packed: str | None) -> dict[str, str]:
    """What `split` was given. Text under that name which is not ours is a header like any other."""
    if packed is None:
        return dict(native)
    try:
        more = json.loads(packed)
    except (ValueError, RecursionError):
        more = None
    if not isinstance(more, dict) or not all(isinstance(value, str) for value in more.values()):
        return {**native, PACKED: packed}
    return {**native, **more}


def encoded(text: str) -> str:
    """Any text as one that every broker carries, never empty: percent-encoded."""
    return quote(text, safe="", errors="surrogatepass") or "%"


def decoded(text: str) -> str:
    """What `encoded` was given. Text that it never gave is text as it is."""
    try:
        return "" if text == "%" else unquote(text, errors="surrogatepass")
    except UnicodeDecodeError:
        return text


def one_line(text: str) -> str:
    """As it is where every broker carries it, else encoded: for what is such a text unless something is wrong."""
    return text if _VALUE.fullmatch(text) else encoded(text)
