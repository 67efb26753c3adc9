"""National ids with letters in them: one pattern for all, then the rule of the country whose form it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from app.masking.detectors.birthdays import short_date, turned
from app.masking.detectors.checksums import weighted
from app.masking.detectors.national_checks import cn_resident
from app.masking.detectors.page import Candidate, Page, Words, pattern

_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_ODD_VALUES = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_ODD = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", _ODD_VALUES, strict=True)) | dict(
    zip("0123456789", _ODD_VALUES, strict=False)
)
_CURP = "0123456789ABCDEFGHIJKLMN?OPQRSTUVWXYZ"


def gb_nino(v: str) -> bool:
    """National insurance number: no check digit, but prefixes that are never given out."""
    return v[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def es_dni(v: str) -> bool:
    return _DNI[int(v[:8]) % 23] == v[8]


def es_nie(v: str) -> bool:
    return _DNI[int(str("XYZ".index(v[0])) + v[1:8]) % 23] == v[8]


def it_codice_fiscale(v: str) -> bool:
    """Digits may be letters where two people would share a code; the check letter counts what is written."""
    total = sum(_ODD[c] for c in v[0:15:2]) + sum(int(c) if c.isdigit() else ord(c) - 65 for c in v[1:15:2])
    return chr(65 + total % 26) == v[15]


def fi_hetu(v: str) -> bool:
    return short_date(turned(v[:6])) and _HETU[int(v[:6] + v[7:10]) % 31] == v[10]


def fr_corsican(v: str) -> bool:
    """2A counts as 19, 2B as 18."""
    number = int(v[:5] + {"2A": "19", "2B": "18"}[v[5:7]] + v[7:13])
    return 97 - number % 97 == int(v[13:])


def sg_nric(v: str) -> bool:
    total = weighted(v[1:8], (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(v[0], 0)
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "XWUTRQPNJLK"}.get(v[0], "XWUTRQPNMLK")
    return (letters[10 - total % 11] if v[0] == "M" else letters[total % 11]) == v[8]


def ie_pps(v: str) -> bool:
    second = ord(v[8]) - 64 if len(v) == 9 and v[8] != "W" else 0
    return "WABCDEFGHIJKLMNOPQRSTUV"[(weighted(v[:7], (8, 7, 6, 5, 4, 3, 2)) + 9 * second) % 23] == v[7]


def mx_curp(v: str) -> bool:
    total = sum(_CURP.index(c) * weight for c, weight in zip(v[:17], range(18, 1, -1), strict=True))
    return short_date(v[4:10]) and str(-total % 10) == v[17]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenId:
    country: str
    form: Any
    check: Callable[[str], bool]
    alone: float
    words: Words


def _kind(country: str, form: bytes, check: Callable[[str], bool], alone: float, words: str) -> WrittenId:
    words = f"{words} national_id identity_number id_number personal_id tax_id"
    return WrittenId(country=country, form=pattern(form), check=check, alone=alone, words=Words.of(words))


_FORMS: tuple[tuple[str, bytes, Callable[[str], bool], float, str], ...] = (
    (
        "GB",
        rb"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ -]?[0-9]{2}[ -]?[0-9]{2}[ -]?[0-9]{2}[ -]?[A-D]",
        gb_nino,
        0.75,
        "nino national_insurance ni_number ni_no nin",
    ),
    ("ES", rb"(?:[0-9]{8}|[0-9]{2}\.[0-9]{3}\.[0-9]{3})[ -]?[A-HJ-NP-TV-Z]", es_dni, 0.65, "dni nif documento"),
    ("ES", rb"[XYZ][ -]?[0-9]{7}[ -]?[A-HJ-NP-TV-Z]", es_nie, 0.75, "nie nif extranjero"),
    (
        "IT",
        rb"[A-Z]{6}[0-9L-NP-V]{2}[A-EHLMPRST][0-9L-NP-V]{2}[A-Z][0-9L-NP-V]{3}[A-Z]",
        it_codice_fiscale,
        0.95,
        "codice_fiscale cod_fisc cf",
    ),
    ("FI", rb"[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]", fi_hetu, 0.9, "hetu henkilotunnus personbeteckning"),
    (
        "FR",
        rb"[12] ?[0-9]{2} ?[0-9]{2} ?2[AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}",
        fr_corsican,
        0.95,
        "nir insee securite_sociale secu",
    ),
    ("CN", rb"[1-6][0-9]{16}X", cn_resident, 0.95, "身份证 resident_id"),
    ("SG", rb"[STFGM][0-9]{7}[A-Z]", sg_nric, 0.8, "nric fin"),
    ("IE", rb"[0-9]{7}[A-W][A-IW]?", ie_pps, 0.4, "pps ppsn"),
    ("MX", rb"[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]", mx_curp, 0.95, "curp"),
)
WRITTEN_IDS: tuple[WrittenId, ...] = tuple(_kind(*form) for form in _FORMS)
_ANY = pattern(rb"(?i)\b(?:" + b"|".join(form[1] for form in _FORMS) + rb")\b")
_SHORTEST = 8
_SIGNS = b" -."


def written_ids(page: Page) -> Iterator[Candidate]:
    """Capitals are the rule; in other letters an id needs a word near by, for hashes and tokens look like that."""
    data = page.data
    if len(data) < _SHORTEST or not page.digits:
        return
    for match in _ANY.finditer(data):
        start, end = match.span()
        written = data[start:end].upper()
        score = max((_score(page, kind, start, end, written) for kind in WRITTEN_IDS), default=0.0)
        if score and not _inside_something(data, start, end):
            yield Candidate("national_id", start, end, score if data[start:end] == written else score - 0.3)


def _score(page: Page, kind: WrittenId, start: int, end: int, written: bytes) -> float:
    if not kind.form.fullmatch(written):
        return 0.0
    keep_sign = kind.country == "FI"
    bare = written if keep_sign else written.translate(None, _SIGNS)
    if not kind.check(bare.decode("ascii")):
        return 0.0
    return 0.95 if kind.words.near(page, start, end) else kind.alone


def _inside_something(data: bytes, start: int, end: int) -> bool:
    """Whether hyphens or slashes make it a part of a longer code."""
    before, behind = data[max(0, start - 2) : start], data[end : end + 2]
    return (before[1:] in (b"-", b"/") and before[:1].isalnum()) or (
        behind[:1] in (b"-", b"/") and behind[1:].isalnum()
    )
