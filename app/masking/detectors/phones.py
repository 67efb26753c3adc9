"""Telephone numbers: what phonenumbers calls valid; for national forms a region, how it is set, a word near by."""

from enum import IntEnum
from functools import lru_cache
from typing import Any

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from phonenumbers.phonemetadata import PhoneMetadata

from app.masking.detectors.page import Page, Words, pattern

DEFAULT_REGIONS = ("US", "CA", "GB", "DE", "FR", "NL", "BE", "ES", "IT", "CH", "AT", "SE", "PL", "IE", "PT", "BR", "IN")
"""Where a number without a country code may be from."""

_WORDS = Words.of(
    "phone phones telephone telefon telefono telefone telefonnummer telephonenumber tel tele mobile mobil mobiltelefon "
    "mobiel movil telemovel celular cell cellphone mob call_me calling_me text_me ring_me sms whatsapp fax handy "
    "handynummer rufnummer anrufen ruf portable appelez joindre llamar llame ligar ligue chiama cellulare bel bellen "
    "gsm telefoonnummer ring_mig telefonnr tlf puhelin puhelinnumero komorka zadzwon msisdn contact_number hotline "
    "helpline phonenumber phone_number reach_me "
    "телефон тел моб звоните 电话 手机 電話 携帯 전화 휴대폰 هاتف جوال फ़ोन मोबाइल τηλέφωνο טלפון"
)
_OTHER_WORDS = Words.of("call calls called calling ring dial text")
"""What one does with telephones, and with functions, loops and files as well."""
_NEAR = 40
_CODE_DIGITS = 8
"""Numbers of articles are set like short telephone numbers: `0123-4567`."""
_BEHIND_BRACKETS = frozenset({(2, 4, 4), (2, 5, 4)})
"""How Brazil writes numbers at home: `(11) 91234-5678`, without the prefix that is dialled."""
MIN_DIGITS, MAX_DIGITS = 7, 15
_KINDS = (
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal_number",
    "voip",
    "uan",
    "pager",
    "voicemail",
)


@lru_cache(maxsize=64)
def _national(regions: tuple[str, ...]) -> Any:
    """One pattern for what is valid in any of `regions`, its trunk prefix in front where the region has one."""
    forms = []
    for region in regions:
        metadata = PhoneMetadata.metadata_for_region(region)
        if metadata is None:
            raise ValueError(f"{region!r} is no region with telephone numbers: use codes of ISO 3166-1 such as GB")
        # North America dials its prefix, but seldom writes it
        forms.append(_front(metadata, optional=metadata.country_code == 1) + _numbers(metadata))
    return pattern(f"(?:{'|'.join(forms)})".encode())


@lru_cache(maxsize=512)
def _abroad(country_code: str) -> Any:
    """What may follow a country code; None where there is no such code."""
    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(country_code), ())
    found = [
        PhoneMetadata.metadata_for_nongeo_region(int(country_code))
        if region == "001"
        else PhoneMetadata.metadata_for_region(region)
        for region in regions
    ]
    # The zero of `+44 (0)20` is often written, though nobody dials it
    forms = [_front(metadata, optional=True) + _numbers(metadata) for metadata in found if metadata]
    return pattern(f"(?:{'|'.join(forms)})".encode()) if forms else None


def _front(metadata: PhoneMetadata, *, optional: bool) -> str:
    prefix = metadata.national_prefix or ""
    return f"(?:{prefix})?" if prefix and optional else prefix


def _numbers(metadata: PhoneMetadata) -> str:
    """The metadata's own patterns: what is_valid_number of phonenumbers tests, at a hundredth of its cost."""
    kinds = (getattr(metadata, kind) for kind in _KINDS)
    numbers = {kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern}
    return f"(?:{'|'.join(sorted(numbers))})"


def check_regions(regions: tuple[str, ...]) -> None:
    """ValueError for a region that has no telephone numbers."""
    _national(regions)


def valid_abroad(digits: str) -> bool:
    """Whether digits behind a plus sign are a number that its country may have given out."""
    for length in (1, 2, 3):
        code = _abroad(digits[:length])
        if code:
            return code.fullmatch(digits[length:].encode()) is not None
    return False


def valid_at_home(digits: str, regions: tuple[str, ...]) -> bool:
    return _national(regions).fullmatch(digits.encode()) is not None


class Support(IntEnum):
    """What words near by say of a number."""

    NONE = 0
    FAIR = 1
    """They are of telephones as well as of other things."""
    GOOD = 2


def phone_words(page: Page, start: int) -> Support:
    """What stands near the number that begins at `start`. A field called `text` says nothing of what is in it."""
    if _WORDS.near(page, start, start, _NEAR, _NEAR):
        return Support.GOOD
    beside = _OTHER_WORDS.near(page, start, start, _NEAR, _NEAR, in_field=False)
    return Support.FAIR if beside else Support.NONE


def international(digits: str, support: Support, *, plus: bool) -> float:
    """The score of digits behind a plus sign, `00` or `011`, the prefix not among them.

    A number that its country gave to nobody is kept for films, or mistyped: a long one is found all the same.
    """
    if not MIN_DIGITS <= len(digits) <= MAX_DIGITS:
        return 0.0
    if valid_abroad(digits):
        return 0.95 if plus else 0.75 + 0.15 * bool(support)
    if not plus and digits[0] == "0":
        return 0.0
    return 0.6 if support or len(digits) >= (10 if plus else 12) else 0.3


def national(
    digits: str, groups: tuple[int, ...], support: Support, regions: tuple[str, ...], *, bracketed: bool = False
) -> float:
    """The score of digits without a country code.

    Alone, a number must be valid in a region and be set like one: groups, and a trunk prefix or the North American
    3-3-4. With a word near by any valid number will do, and a plausible one gets the benefit of the doubt; digits that
    stand together do so where the word is of telephones alone.
    """
    if not MIN_DIGITS <= len(digits) <= 13 or len(groups) > 6 or (len(groups) > 3 and max(groups) < 2):
        return 0.0
    if bracketed and groups in _BEHIND_BRACKETS and "BR" in regions and valid_abroad("55" + digits):
        return 0.75 + 0.15 * bool(support)
    with_prefix = digits[0] == "0" and groups[0] > 1 and (support or len(digits) > _CODE_DIGITS)
    set_like_one = len(groups) > 1 and (with_prefix or groups[-3:] == (3, 3, 4)) and min(groups[1:]) > 1
    if not (set_like_one or support):
        return 0.0
    if valid_at_home(digits, regions):
        return 0.65 + 0.1 * set_like_one + 0.15 * bool(support)
    plausible = len(groups) > 1 or (len(digits) > 7 and support is Support.GOOD)
    return 0.55 if support and plausible else 0.0


def prefix_of(data: bytes, start: int) -> tuple[int, int] | None:
    """(where the number begins, how many leading digits are an exit code) if an international form begins at `start`.

    `start` is the first digit.
    """
    before = data[max(0, start - 2) : start]
    if before.endswith(b"+"):
        return start - 1, 0
    if before == b"+(":
        return start - 2, 0
    if data.startswith(b"00", start) and data[start + 2 : start + 3] not in (b"0", b""):
        return start, 2
    if data.startswith((b"011 ", b"011-"), start):
        return start, 3
    return None
