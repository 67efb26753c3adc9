"""Secrets known by what stands in front of them: `password=…`, `api_key: …`, `Authorization: Bearer …`."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from app.masking.detectors.page import Candidate, Page, pattern
from app.masking.detectors.placeholders import is_expression, is_placeholder
from app.masking.detectors.randomness import FEWEST_KINDS, SHORTEST, UUID_LENGTH, Randomness, randomness

PASSWORD_NAMES = (
    rb"passwords?|passwd|passphrase|passcode|passwort|kennwort|mot de passe|motdepasse|mdp|contrasena|senha|wachtwoord|"
    rb"losenord|haslo|heslo|salasana|adgangskode|passord|parola|sifre|pwd|psw|pass"
)
_STRONG = (
    rb"secrets?|tokens?|api ?keys?|(?:access|private|secret|signing|encryption|master|account|client) ?keys?|bearer"
)
_WEAK = rb"auth|authorization|credentials?|webhook|key|hmac|salt|signature|session|cookie"


def _spaced(names: bytes) -> bytes:
    return names.replace(b" ?", b"[ _.\\-]?")


_SIGN = (
    rb"[\"'`\])]{0,2}(?:[ \t]{0,4}(?::=|=>|={1,3}|:)[ \t]{0,4}|[ \t](?:is|lautet|ist|est|es|e|=|was|now)[ \t]:?[ \t]?)"
    rb"(?:[brf]?[\"'`]|&quot;)?"
)
# The name, up to two more parts of it, a sign, a quote: all bounded, so that no place is read far ahead.
_NAMED = pattern(
    rb"(?i)(?:" + _spaced(b"|".join((PASSWORD_NAMES, _STRONG, _WEAK))) + rb")(?:[_\-.]?[A-Za-z0-9]{1,12}){0,2}" + _SIGN
)
_BEARER = pattern(rb"(?i)\b(?:bearer|basic|token)[ \t]+")
_OPTION = pattern(rb"(?i)--[a-z0-9\-]{0,24}(?:" + _spaced(PASSWORD_NAMES) + rb")[ \t]{1,4}[\"']?")
"""Of a command: `--password …`."""
_SIGNS = (b" ", b"=", b":", b"\t")
_SIGN_ALONE = pattern(rb"(?i)[ \t]?" + _SIGN)
_FOREIGN_NAMES = (
    "пароль",
    "Пароль",
    "ПАРОЛЬ",
    "密码",
    "密碼",
    "パスワード",
    "비밀번호",
    "암호",
    "كلمة المرور",
    "पासवर्ड",
    "κωδικός",
    "סיסמה",
)

_PASSWORD_NAME = pattern(rb"(?i)(?:" + _spaced(PASSWORD_NAMES) + rb")")
_WHOLE_WORD_NAMES = frozenset((b"pass", b"mdp", b"psw", b"key", b"auth", b"salt", b"session", b"cookie"))
_STRONG_NAME = pattern(rb"(?i)(?:" + _spaced(_STRONG) + rb")")
_OTHER_NAME = pattern(
    rb"(?i)(?:public|primary|foreign|sort|partition|cache|shard|routing|object|row|hash|sha|md5|digest|checksum|etag|commit|"
    rb"fingerprint|count|length|type|name|limit|usage|expire|ttl|policy|error|attempt|reset|_at\b|id\b|ids\b|max|min|field|"
    rb"word ?count|board|pad|idempotency|dedup|correlation|trace)"
)

_SHORT_NAME = 64
"""Bytes of names that are remembered: names may be a sender's choice, and long."""
_SHORTEST_PASSWORD, _LONGEST_PASSWORD = 4, 128
LONGEST_VALUE = 512
_NAME_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."
_QUOTES = b"\"'`"
_VALUE = pattern(rb"[^\s\"'`<>]+")
_TRAILING = b".,;:)]}&"


@dataclass(frozen=True, slots=True)
class _Value:
    start: int
    end: int
    quoted: bool
    tight: bool
    """Nothing but a sign between name and value."""
    even: bool = False
    """It has too few different characters to be random."""


def named_secrets(page: Page) -> Iterator[Candidate]:
    """Passwords, and random text behind a name that says it is secret."""
    data = page.data
    values = _Values(data)
    for match in _NAMED.finditer(data) if any(sign in data for sign in _SIGNS) else ():
        start, end = match.span()
        value = values.at(end, tight=data[end - 1] in b"=:")
        if value and value.end - value.start >= _SHORTEST_PASSWORD:
            yield from _judged(page, _whole_name(data, start, end), value)
    values = _Values(data)
    for match in _BEARER.finditer(data) if len(data) > SHORTEST else ():
        value = values.at(match.end(), tight=False)
        if value:
            yield from _random(page, value, 0.8, Randomness.FAIR)
    values = _Values(data)
    for match in _OPTION.finditer(data) if b"--" in data else ():
        value = values.at(match.end(), tight=False)
        if value:
            yield from _password(page, value, strong=True)
    yield from _foreign(page)
    if page.field:
        yield from _of_field(page)


def _foreign(page: Page) -> Iterator[Candidate]:
    if page.text.isascii():
        return
    for name in _FOREIGN_NAMES:
        values = _Values(page.data)
        at = page.text.find(name)
        while at >= 0:
            sign = _SIGN_ALONE.match(page.data, page.folded.at(at + len(name)))
            # Full-width colons have become plain ones.
            value = sign and values.at(sign.end(), tight=False)
            if value:
                yield from _password(page, value, strong=True)
            at = page.text.find(name, at + 1)


def _of_field(page: Page) -> Iterator[Candidate]:
    """The field's name is the name, all of the text is the value."""
    stripped = page.data.strip()
    if not stripped or len(stripped) > LONGEST_VALUE:
        return
    start = page.data.index(stripped)
    yield from _judged(page, page.field, _Value(start, start + len(stripped), quoted=True, tight=True))


def _whole_name(data: bytes, start: int, end: int) -> bytes:
    """The identifier that a name is a part of: `DB_PASSWORD`, `stripe.apiKey`."""
    before = data[max(0, start - 24) : start]
    return before[len(before.rstrip(_NAME_BYTES)) :] + data[start:end]


class _Values:
    """Finds values, and remembers how far the last run of their characters goes: names may stand close in it."""

    __slots__ = ("_data", "_even", "_run_end")

    def __init__(self, data: bytes) -> None:
        self._data, self._run_end, self._even = data, 0, False

    def at(self, start: int, *, tight: bool) -> _Value | None:
        data = self._data
        if start and data[start - 1] in _QUOTES:
            limit = start + LONGEST_VALUE
            end = data.find(data[start - 1], start, limit)
            line = data.find(b"\n", start, limit)
            if end > start and not 0 <= line < end:
                return _Value(start, end, quoted=True, tight=True)
        if start >= self._run_end and not self._read(start):
            return None
        end = min(self._run_end, start + LONGEST_VALUE)
        ampersand = data.find(b"&", start, end) if tight else -1
        if ampersand > start:
            end = ampersand
        while end > start and data[end - 1] in _TRAILING:
            end -= 1
        return _Value(start, end, quoted=False, tight=tight, even=self._even) if end > start else None

    def _read(self, start: int) -> bool:
        run = _VALUE.match(self._data, start)
        if run:
            self._run_end = run.end()
            self._even = len(set(run.group())) < FEWEST_KINDS
        return run is not None


class _Kind(Enum):
    """What a name says of the value behind it."""

    NOTHING = auto()
    LONG_PASSWORD = auto()
    SHORT_PASSWORD = auto()
    """By a word that means other things too."""
    STRONG = auto()
    WEAK = auto()


def _judged(page: Page, name: bytes, value: _Value) -> Iterator[Candidate]:
    match _kind_of(name) if len(name) <= _SHORT_NAME else _kind_of.__wrapped__(name):
        case _Kind.LONG_PASSWORD:
            yield from _password(page, value, strong=True)
        case _Kind.SHORT_PASSWORD:
            yield from _password(page, value, strong=False)
        case _Kind.STRONG:
            yield from _random(page, value, 0.75, Randomness.FAIR)
        case _Kind.WEAK:
            yield from _random(page, value, 0.6, Randomness.HIGH)


@lru_cache(maxsize=1_024)
def _kind_of(name: bytes) -> _Kind:
    if _OTHER_NAME.search(name):
        return _Kind.NOTHING
    password = _PASSWORD_NAME.search(name)
    if password and not _within_word(name, *password.span()):
        return _Kind.LONG_PASSWORD if password.end() - password.start() > 4 else _Kind.SHORT_PASSWORD
    if _STRONG_NAME.search(name):
        return _Kind.STRONG
    return _Kind.NOTHING if _weak_within_word(name) else _Kind.WEAK


def _within_word(name: bytes, start: int, end: int) -> bool:
    """`pass` in `passenger` or `bypass` names nothing; `password` in `userpassword` does."""
    return name[start:end].lower() in _WHOLE_WORD_NAMES and (
        name[max(0, start - 1) : start].isalpha() or name[end : end + 1].isalpha()
    )


_WEAK_WORD = pattern(rb"(?i)(?:^|[^A-Za-z])(?:" + _WEAK + rb")(?:$|[^A-Za-z])")
_CAMEL_KEY = pattern(rb"[a-z](?:Key|Auth|Salt|Signature|Session|Cookie)(?:$|[^a-z])")


def _weak_within_word(name: bytes) -> bool:
    return not (_WEAK_WORD.search(name) or _CAMEL_KEY.search(name))


def _password(page: Page, value: _Value, *, strong: bool) -> Iterator[Candidate]:
    if not _SHORTEST_PASSWORD <= value.end - value.start <= _LONGEST_PASSWORD:
        return
    written = page.data[value.start : value.end]
    if is_placeholder(written) or (not value.quoted and is_expression(written)):
        return
    if b" " in written.strip() and len(written.split()) > 6:
        return
    letters = written.isalpha()
    mixed = not letters and not written.translate(None, b"_-").isalpha() and (strong or not written.isdigit())
    if mixed:
        score = 0.8 if strong else 0.6
    elif not letters and written.isdigit():
        score = 0.0
    elif value.quoted:
        score = 0.65 if strong else 0.3
    else:
        score = 0.6 if strong and value.tight else 0.3
    if score:
        yield Candidate("password", value.start, value.end, score)


def _random(page: Page, value: _Value, score: float, least: Randomness) -> Iterator[Candidate]:
    if value.even and value.end - value.start != UUID_LENGTH:
        return
    written = page.data[value.start : value.end]
    found = randomness(written)
    if found < least or (not value.quoted and is_expression(written)) or is_placeholder(written):
        return
    before = page.field.lower() + page.data[max(0, value.start - 64) : value.start].lower()
    entity = "aws_secret" if len(written) == 40 and (b"aws" in before or b"akia" in before) else "high_entropy"
    yield Candidate(entity, value.start, value.end, score)
