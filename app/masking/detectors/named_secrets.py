"""Secrets known by what stands in front of them: `password=…`, `api_key: …`, `Authorization: Bearer …`."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.masking.detectors.page import Candidate, Page, pattern
from app.masking.detectors.placeholders import is_expression, is_placeholder
from app.masking.detectors.randomness import SHORTEST, Randomness, randomness

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


def named_secrets(page: Page) -> Iterator[Candidate]:
    """Passwords, and random text behind a name that says it is secret."""
    data = page.data
    for match in _NAMED.finditer(data) if any(sign in data for sign in _SIGNS) else ():
        value = _value_at(data, match.end(), tight=data[match.end() - 1 : match.end()] in (b"=", b":"))
        if value and value.end - value.start >= _SHORTEST_PASSWORD:
            yield from _judged(page, _whole_name(data, match.start(), match.end()), value)
    for match in _BEARER.finditer(data) if len(data) > SHORTEST else ():
        value = _value_at(data, match.end(), tight=False)
        if value:
            yield from _random(page, value, 0.8, Randomness.FAIR)
    for match in _OPTION.finditer(data) if b"--" in data else ():
        value = _value_at(data, match.end(), tight=False)
        if value:
            yield from _password(page, value, strong=True)
    yield from _foreign(page)
    if page.field:
        yield from _of_field(page)


def _foreign(page: Page) -> Iterator[Candidate]:
    if page.text.isascii():
        return
    for name in _FOREIGN_NAMES:
        at = page.text.find(name)
        while at >= 0:
            sign = _SIGN_ALONE.match(page.data, page.folded.at(at + len(name)))
            # Full-width colons have become plain ones.
            value = sign and _value_at(page.data, sign.end(), tight=False)
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


def _value_at(data: bytes, start: int, *, tight: bool) -> _Value | None:
    quote = data[start - 1 : start]
    limit = min(len(data), start + LONGEST_VALUE)
    if quote and quote in _QUOTES:
        end = data.find(quote, start, limit)
        line = data.find(b"\n", start, limit)
        if end > start and not 0 <= line < end:
            return _Value(start, end, quoted=True, tight=True)
    run = _VALUE.match(data, start, limit)
    if not run:
        return None
    end = run.end()
    ampersand = data.find(b"&", start, end) if tight else -1
    if ampersand > start:
        end = ampersand
    while end > start and data[end - 1] in _TRAILING:
        end -= 1
    return _Value(start, end, quoted=False, tight=tight) if end > start else None


def _judged(page: Page, name: bytes, value: _Value) -> Iterator[Candidate]:
    password = _PASSWORD_NAME.search(name)
    if password and not _within_word(name, *password.span()):
        if not _OTHER_NAME.search(name):
            yield from _password(page, value, strong=password.end() - password.start() > 4)
        return
    if _OTHER_NAME.search(name):
        return
    strong = _STRONG_NAME.search(name)
    if strong:
        yield from _random(page, value, 0.75, Randomness.FAIR)
    elif not _weak_within_word(name):
        yield from _random(page, value, 0.6, Randomness.HIGH)


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
    written = page.data[value.start : value.end]
    if (
        not _SHORTEST_PASSWORD <= len(written) <= _LONGEST_PASSWORD
        or is_placeholder(written)
        or (not value.quoted and is_expression(written))
    ):
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
    written = page.data[value.start : value.end]
    found = randomness(written)
    if found < least or (not value.quoted and is_expression(written)) or is_placeholder(written):
        return
    before = page.field.lower() + page.data[max(0, value.start - 64) : value.start].lower()
    entity = "aws_secret" if len(written) == 40 and (b"aws" in before or b"akia" in before) else "high_entropy"
    yield Candidate(entity, value.start, value.end, score)
