"""Redacted text as a PostgreSQL expression, where no function of ours can run.

Shapes alone, and wide ones: whatever the detectors (app.masking.detectors) would find goes, and more with it, for
nothing here can compute a check digit or weigh a word near by. Most patterns take the whole of every word they touch.
Words with characters that the detectors read as something else (digits and letters of other sets, invisible ones) go
first, so that the other patterns need to know none of them.
"""

import unicodedata
from collections.abc import Iterable

from app.masking.detectors.folding import fold
from app.sql.postgres.quoting import string

LONGEST_BYTES = 65_536
"""Longer texts are NULL: they would hold a statement up."""
SHOWN = "[redacted]"

_LATIN = ((0xC0, 0xD6), (0xD8, 0xF6), (0xF8, 0x24F))
_OTHER_LETTERS = (
    (0x300, 0x34E), (0x350, 0x36F), (0x388, 0x3F5), (0x400, 0x481), (0x48A, 0x52F), (0x5D0, 0x5EA), (0x620, 0x64A),
    (0x671, 0x6D3), (0x904, 0x939), (0x93E, 0x94D), (0xE01, 0xE3A), (0xE40, 0xE4E), (0x3041, 0x3096), (0x30A1, 0x30FA),
    (0x30FC, 0x30FC), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
)  # fmt: skip
_SPACES = ((0xA0, 0xA0), (0x2009, 0x2009), (0x202F, 0x202F))
_DASHES = ((0x2010, 0x2015), (0x2212, 0x2212))
_QUOTES = ((0x2018, 0x2019), (0x201C, 0x201D))
_OTHER_SIGNS = (
    (0xA1, 0xA9), (0xAB, 0xAC), (0xAE, 0xB9), (0xBB, 0xBF), (0xD7, 0xD7), (0xF7, 0xF7), (0x201A, 0x201B),
    (0x201E, 0x2023), (0x2026, 0x2026), (0x2030, 0x2030), (0x2039, 0x203A), (0x20AC, 0x20AC), (0x2122, 0x2122),
    (0x2190, 0x21FF), (0x2600, 0x27BF), (0x3001, 0x3002), (0x300C, 0x300F), (0xFF01, 0xFF01), (0xFF0C, 0xFF0C),
    (0xFF1F, 0xFF1F), (0x1F300, 0x1FAFF),
)  # fmt: skip
"""Text may have these and stay: everything else beyond ASCII is foreign."""
_Ranges = Iterable[tuple[int, int]]


def _written(ranges: _Ranges) -> str:
    """For brackets."""
    return "".join(f"{_escaped(low)}-{_escaped(high)}" if low < high else _escaped(low) for low, high in ranges)


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_LETTERS = "A-Za-z" + _written(_LATIN + _OTHER_LETTERS)
_SIGNS = _written(_SPACES + _DASHES + _QUOTES + _OTHER_SIGNS)
_BLANK = r" \t\n\r\f\v"
_WORD = f"[^{_BLANK}]"
_FOREIGN = f"[^\\u0009-\\u000d\\u001c-\\u001e -~{_written(_LATIN + _OTHER_LETTERS)}{_SIGNS}]"
_SPACE = f"[ \\t{_written(_SPACES)}]"
_DASH = f"[-{_written(_DASHES)}]"
_QUOTE = f"[\"'`{_written(_QUOTES)}]"
_READ_AS_ASCII = f"[!-~{_written(_LATIN)}{_SIGNS}]"


def _lookalikes() -> dict[str, str]:
    """Letter to what the detectors read as it, both cases: no flag is needed, nor the locale's opinion of letters."""
    found: dict[str, list[tuple[int, int]]] = {letter: [] for letter in "abcdefghijklmnopqrstuvwxyz"}
    for low, high in _LATIN:
        for code in range(low, high + 1):
            ranges = found.get(fold(chr(code)).data.decode("latin-1").lower())
            if ranges is not None:
                first = ranges.pop()[0] if ranges and ranges[-1][1] == code - 1 else code
                ranges.append((first, code))
    return {letter: letter + letter.upper() + _written(ranges) for letter, ranges in found.items()}


_LOOKALIKES = _lookalikes()


def _spelt(words: str) -> str:
    """Alternatives of words, in either case and with any accents; `_` is anything that may stand between two parts."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", words) if not unicodedata.combining(c))
    return "|".join("".join(_one_of(c) for c in word) for word in plain.split())


def _one_of(character: str) -> str:
    if character == "_":
        return f"(?:{_SPACE}|[_.]|{_DASH})?"
    return f"[{_LOOKALIKES[character]}]" if character in _LOOKALIKES else character


_NAMES = _spelt(
    "password passwords passwd passphrase passcode passwort kennwort mot_de_passe mdp contrasena senha wachtwoord "
    "losenord haslo heslo salasana adgangskode passord parola sifre pwd psw pass"
)
_FOREIGN_NAMES = "".join(
    c if c.isascii() else _escaped(ord(c))
    for c in "[пП][аА][рР][оО][лЛ][ьЬ]|密码|密碼|パスワード|비밀번호|암호|كلمة المرور|पासवर्ड|κωδικός|סיסמה"
)
_IS = _spelt("is lautet ist est es e was now") + "|="
_NAME_PART = f"(?:(?:[_.]|{_DASH})?[A-Za-z0-9{_written(_LATIN)}]{{1,12}})"
_SIGN = (
    f"(?:{_QUOTE}|[\\])]){{0,2}}"
    f"(?:{_SPACE}{{0,5}}(?::=|=>|={{1,3}}|:){_SPACE}{{0,4}}|{_SPACE}(?:{_IS}){_SPACE}:?{_SPACE}?)"
)
_SECRET_VALUE = f"(?:(?:[bBrRfF]?{_QUOTE}|&quot;)[^\\n]*|{_WORD}+)"

_AT = f"{_SPACE}?[(\\[{{<]{_SPACE}?(?:{_spelt('at arroba chez ad')}|@){_SPACE}?[)\\]}}>]{_SPACE}?"
_DOT = f"{_SPACE}?[(\\[{{<]{_SPACE}?(?:{_spelt('dot punkt punto point')}|\\.){_SPACE}?[)\\]}}>]{_SPACE}?"
_SPELT_AT = f"(?:{_AT}|{_SPACE}(?:{_spelt('at')}){_SPACE})"
_SPELT_DOT = f"(?:{_DOT}|{_SPACE}(?:{_spelt('dot')}){_SPACE}|\\.)"
_HOST = f"(?:[A-Za-z0-9{_written(_LATIN)}]|{_DASH}){{1,63}}"

_NEAR_DIGITS = f"(?:[0-9()+./-]+{_SPACE}){{0,6}}"
_BEHIND_DIGITS = f"(?:{_SPACE}[0-9()./-]+){{0,6}}"

PATTERNS = (
    f"{_NEAR_DIGITS}{_WORD}*{_FOREIGN}{_WORD}*{_BEHIND_DIGITS}",
    # What begins like a private key ends the text.
    f"(?:{_DASH}{{2,}}{_SPACE}*(?:{_spelt('begin')})|b3BlbnNzaC1rZXktdjEA).*",
    f"(?:{_NAMES}|{_FOREIGN_NAMES}){_NAME_PART}{{0,2}}{_SPACE}?{_SIGN}{_SECRET_VALUE}"
    f"|{_DASH}{{2}}(?:[A-Za-z0-9{_written(_LATIN)}]|{_DASH}){{0,24}}(?:{_NAMES}){_SPACE}{{1,4}}{_SECRET_VALUE}",
    f"{_WORD}*{_SPELT_AT}(?:{_HOST}{_SPELT_DOT}){{1,4}}[A-Za-z{_written(_LATIN)}]{{2,}}",
    # Six digits and more, whatever but letters between them; then what could be an IBAN.
    f"{_WORD}*[0-9](?:[^0-9\\n{_LETTERS}]{{0,3}}[0-9]){{5,}}{_WORD}*"
    f"|{_WORD}*[A-Za-z{_written(_LATIN)}]{{2}}[0-9]{{2}}"
    f"(?:(?:[ .]|{_SPACE}|{_DASH})?[A-Za-z0-9{_written(_LATIN)}]){{11,}}{_WORD}*",
    # Mail, addresses of machines, and what is long enough to be a token.
    f'(?:{_QUOTE}[^\\n"]{{1,62}}|{_WORD}*)@{_WORD}*'
    f"|{_WORD}*:{_WORD}*:{_WORD}*|{_WORD}*[0-9](?:\\.[0-9]+){{3}}{_WORD}*|{_WORD}*{_READ_AS_ASCII}{{15,}}{_WORD}*",
)
"""One after the other, each on what the one before left. In ASCII, which every database can be told."""


def redacted(text: str) -> str:
    """The expression for `text`, an expression of type text. NULL for NULL, for what is too long, and in a database
    that is not in UTF-8, where the patterns would mean other characters.

    In the collation "C", because patterns work in no other one for sure; the result has the database's own.
    """
    expression = f'{text} COLLATE pg_catalog."C"'
    for pattern in PATTERNS:
        expression = f"pg_catalog.regexp_replace({expression}, {string(pattern)}, {string(SHOWN)}, 'g')"
    fits = f"pg_catalog.octet_length({text}) <= {LONGEST_BYTES} AND pg_catalog.getdatabaseencoding() = 'UTF8'"
    return f'(CASE WHEN {fits} THEN {expression} END) COLLATE pg_catalog."default"'
