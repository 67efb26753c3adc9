"""Which names from a token may become policy subjects: printable, short, and impossible to read as a pattern."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from app.ports import TokenRefused

MAX_NAME_CHARS = 256
MAX_NAMES = 500
_PATTERN_CHARS = frozenset('*?"\\')
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")


def is_name(value: Any) -> bool:
    """Printable and normalised text: no control or bidirectional characters, no wildcard, no outer blanks."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_NAME_CHARS
        and value.isprintable()
        and value == value.strip()
        and _PATTERN_CHARS.isdisjoint(value)
        and unicodedata.is_normalized("NFC", value)
    )


def listed(claims: Mapping[str, Any], path: str | None, what: str) -> frozenset[str]:
    """Roles or groups at a dotted path, as a list of names or one blank-separated string; absent means none."""
    if path is None:
        return frozenset()
    value = _at(claims, path, what)
    if value is None:
        return frozenset()
    names = [name for name in value.split(" ") if name] if isinstance(value, str) else value
    if not isinstance(names, list) or len(names) > MAX_NAMES or not all(map(is_name, names)):
        raise _unreadable(what)
    return frozenset(names)


def scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """`scope`, else `scp`; each as a blank-separated string or a list."""
    value = claims["scope"] if "scope" in claims else claims.get("scp", "")
    found = value.split() if isinstance(value, str) else value
    if (
        not isinstance(found, list)
        or len(found) > MAX_NAMES
        or not all(isinstance(scope, str) and _SCOPE.fullmatch(scope) for scope in found)
    ):
        raise TokenRefused(
            "bad_scope", "`scope` has to be a string of blank-separated scopes, or a list: correct it at the issuer."
        )
    return frozenset(found)


_ABSENT = object()


def _at(claims: Mapping[str, Any], path: str, what: str) -> Any:
    value: Any = claims.get(path, _ABSENT)
    if value is _ABSENT:
        value = claims
        for step in path.split("."):
            if not isinstance(value, Mapping):
                raise _unreadable(what)
            if step not in value:
                return None
            value = value[step]
    if value is None:
        raise _unreadable(what)
    return value


def _unreadable(what: str) -> TokenRefused:
    return TokenRefused(
        f"bad_{what}",
        f"The {what} of the token are not a list of plain names (printable, at most {MAX_NAME_CHARS} characters, no "
        "wildcards): correct the claim mapping at the issuer.",
    )
