"""IBAN: the length that the country gave it, and the check of ISO 13616."""

from collections.abc import Iterator

from app.masking.detectors.checksums import mod_97
from app.masking.detectors.page import Candidate, Page, pattern

LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}  # fmt: skip
"""Country to characters, from the IBAN registry of SWIFT."""

_BEGINNINGS = pattern(rb"(?:\b|_)[A-Za-z]{2}[0-9]{2}[ .\-]?[A-Za-z0-9]{2}")
_SEPARATORS = b" -."
_UNDERSCORE = 0x5F
_FEWEST_DIGITS = 2
_WIDEST = 34 * 2


def ibans(page: Page) -> Iterator[Candidate]:
    """Every IBAN, in groups or not; what follows it in the text is no part of it."""
    data = page.data
    if page.digits < _FEWEST_DIGITS:
        return
    for match in _BEGINNINGS.finditer(data):
        start = match.start() + (data[match.start()] == _UNDERSCORE)
        length = LENGTHS.get(data[start : start + 2].decode("ascii").upper())
        if length is None:
            continue
        end = _end_of(data, start, length)
        if end and mod_97(_rotated(data[start:end])):
            yield Candidate("iban", start, end, 0.95)


def _end_of(data: bytes, start: int, length: int) -> int:
    """Behind the `length`-th letter or digit, single separators between them allowed; 0 if there are too few."""
    count, at, tight = 0, start, True
    while at < min(len(data), start + _WIDEST):
        byte = data[at : at + 1]
        if byte.isalnum():
            count, tight = count + 1, True
            if count == length:
                behind = data[at + 1 : at + 2]
                # Letters may stand against its last digit, as in `…3000BIC`.
                return 0 if behind.isdigit() or (behind.isalpha() and not byte.isdigit()) else at + 1
        elif tight and byte in (b" ", b"-", b"."):
            tight = False
        else:
            return 0
        at += 1
    return 0


def _rotated(written: bytes) -> str:
    plain = written.translate(None, _SEPARATORS).decode("ascii")
    return plain[4:] + plain[:4]
