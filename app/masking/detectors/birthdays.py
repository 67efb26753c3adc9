"""Dates inside national ids. A century that the number does not tell is left open."""

from calendar import monthrange


def is_date(year: int, month: int, day: int) -> bool:
    return 1800 <= year <= 2099 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]


def short_date(yymmdd: str) -> bool:
    """YYMMDD of any century; 29 February is believed when one of them had it."""
    year, month, day = int(yymmdd[:2]), int(yymmdd[2:4]), int(yymmdd[4:6])
    return is_date(1900 + year, month, day) or is_date(2000 + year, month, day)


def turned(ddmmyy: str) -> str:
    """DDMMYY as YYMMDD."""
    return ddmmyy[4:6] + ddmmyy[2:4] + ddmmyy[:2]
