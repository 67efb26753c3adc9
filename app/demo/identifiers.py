"""Numbers that pass the checks real ones pass, in ranges that belong to nobody."""

import string
from random import Random


def digits(random: Random, count: int) -> str:
    return str(random.randrange(10**count)).zfill(count)


def fill(pattern: str, random: Random) -> str:
    """`#` becomes a digit, `Z` a capital letter, everything else stays."""
    return "".join(
        str(random.randrange(10)) if c == "#" else random.choice(string.ascii_uppercase) if c == "Z" else c
        for c in pattern
    )


_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def luhn_digit(number: str) -> str:
    """The digit that makes `number` + digit pass the Luhn check."""
    doubled = sum(_DOUBLED[int(c)] for c in number[::-2])
    return str(-(doubled + sum(map(int, number[-2::-2]))) % 10)


def card_number(random: Random) -> str:
    """16 digits below prefixes that payment test environments use."""
    number = random.choice(("40000000", "41111100", "55555500", "22230000")) + digits(random, 7)
    return number + luhn_digit(number)


_BANKS = {"DE": "00001111", "NL": "DOUA0", "GB": "DOUA000000", "FR": "0000100001", "US": "", "CA": "", "AU": ""}
_ACCOUNT_DIGITS = {"DE": 10, "NL": 9, "GB": 8, "FR": 13}


def iban(country: str, random: Random) -> str | None:
    """An IBAN of a bank that does not exist, with right check digits; None where the country has none."""
    if country not in _ACCOUNT_DIGITS:
        return None
    bban = _BANKS[country] + digits(random, _ACCOUNT_DIGITS[country])
    return f"{country}{98 - _mod97(bban + country + '00'):02d}{bban}"


def _mod97(text: str) -> int:
    return int("".join(str(int(c, 36)) for c in text)) % 97


def national_id(n: int) -> str:
    """The n-th of 490,000: areas from 900 on with groups below 50 were never issued."""
    area, rest = divmod(n * 7_919 % 490_000, 4_900)
    group, serial = divmod(rest, 100)
    return f"{900 + area}-{group + 1:02d}-{1_000 + serial * 89 % 8_999:04d}"
