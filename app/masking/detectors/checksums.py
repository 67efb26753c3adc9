"""Check digits. Every function takes text of the alphabet it names and is total on it; anything else is a mistake."""

from collections.abc import Sequence

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B: every second digit from the right counts twice, digit by digit."""
    return (sum(_DOUBLED[int(c)] for c in digits[-2::-2]) + sum(map(int, digits[::-2]))) % 10 == 0


def mod_97(alphanumeric: str) -> bool:
    """ISO/IEC 7064 MOD 97-10 over digits and letters (A = 10 … Z = 35): the remainder is 1."""
    return int("".join(str(int(c, 36)) for c in alphanumeric)) % 97 == 1


def mod_11_10(digits: str) -> bool:
    """ISO/IEC 7064 MOD 11,10 with its check digit last."""
    carry = 10
    for c in digits[:-1]:
        carry = ((carry + int(c)) % 10 or 10) * 2 % 11
    return (carry + int(digits[-1])) % 10 == 1


def mod_11_2(characters: str) -> bool:
    """ISO/IEC 7064 MOD 11-2; the last character may be X, which is ten."""
    carry = 0
    for c in characters[:-1]:
        carry = (carry + int(c)) * 2 % 11
    return (carry + (10 if characters[-1] in "xX" else int(characters[-1]))) % 11 == 1


def weighted(digits: str, weights: Sequence[int]) -> int:
    """The sum of digits times weights, over the shorter of the two."""
    return sum(int(c) * weight for c, weight in zip(digits, weights, strict=False))


def descending_check(digits: str) -> int:
    """The last digit of a CPF or NIF part: weights n … 2, 11 minus the remainder, ten and eleven count as 0."""
    rest = weighted(digits, range(len(digits) + 1, 1, -1)) % 11
    return 0 if rest < 2 else 11 - rest


def ean(digits: str) -> bool:
    """GS1: weights 3 and 1 from the right; with the check digit the sum is a multiple of ten."""
    return (3 * sum(map(int, digits[-2::-2])) + sum(map(int, digits[::-2]))) % 10 == 0


def _dihedral(a: int, b: int) -> int:
    """The product in the symmetry group of the pentagon: 0–4 turns, 5–9 reflections."""
    if a < 5:
        return (a + b) % 5 if b < 5 else (a + b - 5) % 5 + 5
    return (a - 5 - b) % 5 + 5 if b < 5 else (a - b) % 5


_SHUFFLE = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _shuffles() -> tuple[tuple[int, ...], ...]:
    rows = [tuple(range(10))]
    for _ in range(7):
        rows.append(tuple(_SHUFFLE[n] for n in rows[-1]))
    return tuple(rows)


_PRODUCT = tuple(tuple(_dihedral(a, b) for b in range(10)) for a in range(10))
_SHUFFLES = _shuffles()


def verhoeff(digits: str) -> bool:
    """Verhoeff 1969, check digit last: finds every changed digit and every swap of neighbours."""
    product = 0
    for place, c in enumerate(reversed(digits)):
        product = _PRODUCT[product][_SHUFFLES[place % 8][int(c)]]
    return product == 0
