"""Payment cards: issuer ranges and lengths as the schemes publish them, the Luhn check, and how the groups are set."""

from app.masking.detectors.checksums import luhn
from app.masking.detectors.page import Page, Words

_WORDS = Words.of(
    "card cards credit debit creditcard visa mastercard amex maestro pan cc carte karte kreditkarte kartennummer "
    "kredietkaart tarjeta cartao carta kort kortnummer karta numer_karty kart карта карты 信用卡 卡号 カード 카드 بطاقة"
)
_SETTINGS = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 4, 1), (4, 4, 4, 3), (6, 13)})

MAX_DIGITS = 19
MIN_DIGITS = 12
"""Maestro has 12 as well; they need a word that says so."""


def _common_range(digits: str) -> bool:
    """Ranges and lengths that nearly all cards have: enough by themselves, with the Luhn check."""
    two, three, four = int(digits[:2]), int(digits[:3]), int(digits[:4])
    match len(digits):
        case 14:
            return 300 <= three <= 305 or three == 309 or two in (36, 38, 39)
        case 15:
            return two in (34, 37) or four in (1800, 2131)
        case 16:
            return (
                digits[0] == "4"
                or 51 <= two <= 55
                or 2221 <= four <= 2720
                or four == 6011
                or 644 <= three <= 659
                or two == 62
                or 3528 <= four <= 3589
                or 2200 <= four <= 2204
            )
    return False


def _known_range(digits: str) -> bool:
    """Any range that an issuer uses: rarer lengths of Visa, Maestro, UnionPay, RuPay, Troy."""
    if digits[0] == "4":
        return len(digits) in (13, 16, 19)
    if digits[0] == "6" or digits[:2] in ("50", "56", "57", "58"):
        return True
    return len(digits) == 16 and (digits[:4] == "9792" or digits[:2] in ("81", "82", "36", "38", "39"))


def card_score(
    page: Page, start: int, end: int, digits: str, groups: tuple[int, ...], *, in_row: bool = False
) -> float:
    """How sure that these digits are a card, 0 for no card. `groups`: how many of them stood together each time.

    `in_row`: they stand in a row of numbers as wide, of which every tenth window passes the check.
    """
    if not MIN_DIGITS <= len(digits) <= MAX_DIGITS:
        return 0.0
    set_like_one = groups in _SETTINGS
    if _common_range(digits):
        score = 0.9 if set_like_one else 0.75
    elif _known_range(digits):
        score = 0.6 if set_like_one else 0.35
    elif len(digits) > MIN_DIGITS:
        score = 0.3  # no range we know: only for a word near by
    else:
        return 0.0
    if len(groups) > 1 and not set_like_one:
        score -= 0.25 if len(groups) <= 4 else 0.4
    if score < 0 or not luhn(digits) or len(set(digits)) < 2:
        return 0.0
    if _WORDS.near(page, start, end):
        return min(1.0, score + 0.3)
    return max(0.0, score - 0.45) if in_row else score


def is_common_card(digits: str) -> bool:
    """Whether an issuer's range and the check speak for it, whatever stands around."""
    return _common_range(digits) and luhn(digits)
