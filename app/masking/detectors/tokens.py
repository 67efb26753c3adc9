"""Secrets that show what they are: tokens with a prefix, private keys in armour, passwords in URLs, storage keys."""

from collections.abc import Iterator
from typing import Any

from app.masking.detectors.page import Candidate, Page, pattern
from app.masking.detectors.placeholders import is_placeholder
from app.masking.detectors.secret_forms import (
    FORMS_BY_FIRST,
    JWT_PARTS,
    LONGEST_TOKEN,
    PREFIXES,
    SHORTEST_TOKEN,
    is_jwt,
)

_WORD = pattern(rb"[A-Za-z0-9]+")
_JWT_PART = pattern(rb"[A-Za-z0-9_\-]+")

WIDE_KEY = 16_384
"""Bytes of a private key in which anything may stand that is not a hyphen: RSA with 16,384 bits has 13 KB. What goes on
behind them goes on as lines of base64."""
_ARMOUR = pattern(
    rb"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
    # Headers of keys that are encrypted (RFC 1421) and of OpenPGP, in which hyphens may stand.
    rb"(?:[\s\\nr>|\"',]{0,16}[A-Z][A-Za-z-]{2,20}: [^\r\n\\]*){0,8}"
)
_WITHIN = rb"\s\\,:\"'|>.()"
_ARMOUR_BODY = pattern(rb"[A-Za-z0-9+/=%s]*" % _WITHIN)
_ARMOUR_LINES = pattern(rb"[A-Za-z0-9+/=]*(?:[%s]+[A-Za-z0-9+/]{24,}={0,2})*" % _WITHIN)
_ARMOUR_LAST = pattern(rb"[%s]*[A-Za-z0-9+/=]*" % _WITHIN)
_ARMOUR_END = pattern(rb"[A-Za-z0-9+/=%s]{0,200}-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----" % _WITHIN)
_SSH_HEAD = b"b3BlbnNzaC1rZXktdjEA"

_SCHEME_END = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+.-")
_USER = pattern(rb"[^\s/?#:\"'<>\[]*:")
_TO_HOST = pattern(rb"[^\s\"'<>]+@[A-Za-z0-9\[%{$/]")
_TO_HOST_IN_AUTHORITY = pattern(rb"[^\s\"'<>/?#]+@[A-Za-z0-9\[%{$/]")
_NO_PASSWORD = pattern(rb"[0-9]{1,5}[/?#]|/")
"""A port; or a path, behind the letter of a drive."""
_AZURE = pattern(rb"(?i)(?:accountkey|sharedaccesskey)=[A-Za-z0-9+/]{42,88}={0,2}")
_SAS = pattern(rb"[?&]sig=[A-Za-z0-9%+/]{40,80}(?:%3D|=)?")


def tokens(page: Page) -> Iterator[Candidate]:
    """Every token whose form is known. What follows a token's longest form is no part of it."""
    data = page.data
    if len(data) < SHORTEST_TOKEN:
        return
    end_of_last = part_end = 0
    for match in PREFIXES.finditer(data):
        start = match.start() + (not data[match.start() : match.start() + 1].isalnum())
        if start < end_of_last:
            continue
        if data.startswith(b"eyJ", start):
            if start >= part_end:
                part_end = _JWT_PART.match(data, start).end()
            if data[part_end : part_end + 1] != b".":
                continue
        limit = min(len(data), start + LONGEST_TOKEN)
        for form in FORMS_BY_FIRST[data[start]]:
            found = _jwt(data, start, limit) if form.entity == "jwt" else form.form.match(data, start, limit)
            if found:
                end_of_last = found.end()
                yield Candidate(form.entity, start, end_of_last, form.score)
                break
        else:
            # Nothing in a run without a boundary can be another token's beginning, so it is not read twice.
            end_of_last = _WORD.match(data, start, limit).end()


def _jwt(data: bytes, start: int, limit: int) -> Any:
    dot = data.find(b".", start, limit)
    return JWT_PARTS.match(data, dot + 1) if dot >= 0 and is_jwt(data[start:dot]) else None


def private_keys(page: Page) -> Iterator[Candidate]:
    """From BEGIN to END; where the END is missing, as far as the key's body goes."""
    data = page.data
    if b"PRIVATE KEY" in data:
        end_of_last = 0
        for match in _ARMOUR.finditer(data):
            start = match.start()
            if start < end_of_last:
                continue
            end_of_last = _end_of_key(data, match.end())
            yield Candidate("private_key", start, end_of_last, 0.99)
    if _SSH_HEAD in data:
        at = data.find(_SSH_HEAD)
        while at >= 0:
            end = _end_of_key(data, at)
            yield Candidate("private_key", at, end, 0.9)
            at = data.find(_SSH_HEAD, end)


def _end_of_key(data: bytes, start: int) -> int:
    limit = min(len(data), start + WIDE_KEY)
    end: int = _ARMOUR_BODY.match(data, start, limit).end()
    if end == limit < len(data):
        end = _ARMOUR_LINES.match(data, end).end()
        if _ARMOUR_END.match(data, end) is None:
            end = _ARMOUR_LAST.match(data, end).end()
    closing = _ARMOUR_END.match(data, end)
    return closing.end() if closing else end


def embedded_passwords(page: Page) -> Iterator[Candidate]:
    """`scheme://user:password@host`: the password alone; keys of storage accounts in connection strings."""
    data = page.data
    at = data.find(b"://") if b"@" in data else -1
    while at >= 0:
        following = data.find(b"://", at + 3)
        if at and data[at - 1] in _SCHEME_END:
            yield from _url_password(data, at + 3, following if following >= 0 else len(data))
        at = following
    if b"=" not in data:
        return
    for match in _AZURE.finditer(data):
        yield Candidate("azure_key", match.start() + match.group().index(b"=") + 1, match.end(), 0.95)
    if b"sig=" in data:
        for match in _SAS.finditer(data):
            yield Candidate("azure_key", match.start() + 5, match.end(), 0.8)


def _url_password(data: bytes, start: int, limit: int) -> Iterator[Candidate]:
    """Up to the last `@`: people forget to encode what may not stand in a password, `@` and `/` among it."""
    user = _USER.match(data, start, limit)
    if not user or _NO_PASSWORD.match(data, user.end(), limit):
        return
    # A user may be known by a host as well, but `ssh://git@host:a/b@v1` holds a path.
    form = _TO_HOST_IN_AUTHORITY if b"@" in user.group() else _TO_HOST
    password = form.match(data, user.end(), limit)
    if password and not is_placeholder(data[user.end() : password.end() - 2]):
        yield Candidate("url_password", user.end(), password.end() - 2, 0.9)
