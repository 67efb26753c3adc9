"""Whether text looks drawn at random: which kinds of characters it mixes, and how evenly."""

from enum import IntEnum
from math import log2

from app.masking.detectors.page import pattern


class Randomness(IntEnum):
    NONE = 0
    FAIR = 1
    """Random, but of a form that identifiers have as well: hexadecimal digits, a UUID."""
    HIGH = 2


SHORTEST = 16
UUID_LENGTH = 36
FEWEST_KINDS = 9
"""Different characters of any other random text: fewer give no more than 3 bits each."""
_DIGITS = b"0123456789"
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
_CHARSET = pattern(rb"[A-Za-z0-9+/=_\-.~!@#$%^&*]+")
_HEX = pattern(rb"(?:[0-9a-f]+|[0-9A-F]+)")
_UUID = pattern(rb"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_WORDS = pattern(
    rb"[/._\-]*(?:(?:[a-z]+|[A-Z][a-z]+|[A-Z]+|[0-9]{1,8})[/._\-]*)(?:[/._\-]+(?:[a-z]+|[A-Z][a-z]+|[A-Z]+|[0-9]{1,8}))*"
)
_CAMEL = pattern(rb"[a-z]*(?:[A-Z][a-z]{2,})+[0-9]{0,4}")


def entropy(text: bytes) -> float:
    """Shannon's, in bits for a character."""
    shares = [text.count(byte) / len(text) for byte in set(text)]
    return -sum(share * log2(share) for share in shares)


def randomness(text: bytes) -> Randomness:
    """The more kinds of characters, the less evenness is asked for; words joined by signs are not random."""
    if len(text) < SHORTEST:
        return Randomness.NONE
    digits = len(text) - len(text.translate(None, _DIGITS))
    kinds = (text.lower() != text) + (text.upper() != text) + (digits > 0)
    if kinds < 2 and text[0] not in _HEX_DIGITS:
        return Randomness.NONE
    if not _CHARSET.fullmatch(text):
        return Randomness.NONE
    if _UUID.fullmatch(text):
        return Randomness.FAIR
    if _HEX.fullmatch(text):
        return Randomness.FAIR if len(text) >= 20 and entropy(text) > 3.0 and not text.isdigit() else Randomness.NONE
    if kinds < 2 or _WORDS.fullmatch(text) or _CAMEL.fullmatch(text):
        return Randomness.NONE
    if kinds == 3 and entropy(text) >= 3.3:
        return Randomness.HIGH
    if kinds == 2 and len(text) >= 20 and digits >= 3 and entropy(text) >= 3.5:
        return Randomness.HIGH
    return Randomness.NONE
