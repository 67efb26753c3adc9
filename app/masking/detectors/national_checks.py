"""Whether digits can be a national id of one country. Each function knows one number and gets its digits alone.

Sources: the issuing authorities' own descriptions; where check digits are not published officially, the rule that
tax and health portals use.
"""

from app.masking.detectors.birthdays import is_date, short_date, turned
from app.masking.detectors.checksums import descending_check, ean, luhn, mod_11_2, mod_11_10, verhoeff, weighted


def us_ssn(d: str) -> bool:
    """Social security number: area never 000, 666 or 9xx, no part all zero."""
    return d[:3] not in ("000", "666") and d[0] != "9" and d[3:5] != "00" and d[5:] != "0000"


def us_itin(d: str) -> bool:
    """Individual taxpayer number: 9xx and a group that IRS gives out."""
    group = int(d[3:5])
    return d[0] == "9" and 50 <= group <= 99 and group not in (66, 67, 68, 69, 89, 93)


def us_reserved(d: str) -> bool:
    """Shaped like a social security number but never given out: samples, or a typing error."""
    return d[:3] not in ("000", "666") and d[5:] != "0000"


def nl_bsn(d: str) -> bool:
    return d != "000000000" and (weighted(d, (9, 8, 7, 6, 5, 4, 3, 2)) - int(d[8])) % 11 == 0


def de_tax_id(d: str) -> bool:
    """Steuer-IdNr: among the first ten digits one occurs twice or three times, all others at most once."""
    often = sorted(d[:10].count(c) for c in set(d[:10]))
    return d[0] != "0" and often[-1] in (2, 3) and often[-2:-1] != often[-1:] and often[-2] == 1 and mod_11_10(d)


def fr_nir(d: str) -> bool:
    """INSEE number of metropolitan France and overseas; Corsica writes letters and is read elsewhere."""
    month = int(d[3:5])
    born = 1 <= month <= 12 or 20 <= month <= 42 or month >= 50
    return d[0] in "123478" and born and d[5:7] != "00" and 97 - int(d[:13]) % 97 == int(d[13:])


def be_rrn(d: str) -> bool:
    """Rijksregisternummer; months of bis numbers are raised by 20 or 40, those born since 2000 have a 2 in front."""
    month = int(d[2:4]) % 20
    check, body = int(d[9:]), int(d[:9])
    return month <= 12 and int(d[4:6]) <= 31 and check in (97 - body % 97, 97 - (body + 2_000_000_000) % 97)


def pl_pesel(d: str) -> bool:
    """The month carries the century: + 20 for 2000, + 80 for 1800."""
    century, month = divmod(int(d[2:4]), 20)
    year = (1900, 2000, 2100, 2200, 1800)[century] + int(d[:2])
    return is_date(min(year, 2096), month, int(d[4:6])) and (weighted(d, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0)


def se_personnummer(d: str) -> bool:
    """Ten digits, or twelve with the century; days of coordination numbers are raised by 60."""
    short = d[-10:]
    day = int(short[4:6])
    date = short[:4] + f"{day - 60 if day > 60 else day:02d}"
    return short_date(date) and luhn(short) and (len(d) == 10 or d[:2] in ("18", "19", "20"))


def no_fodselsnummer(d: str) -> bool:
    """Two check digits; days of D numbers are raised by 40, months of test persons by 40 or 80."""
    day, month = int(d[:2]), int(d[2:4])
    date = f"{d[4:6]}{month % 40:02d}{day - 40 if day > 40 else day:02d}"
    first = weighted(d, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11
    second = weighted(d, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11
    return short_date(date) and first == 0 and second == 0


def dk_cpr(d: str) -> bool:
    """Only the date: since 2007 numbers are given out that fail the old check."""
    return short_date(turned(d[:6]))


def dk_cpr_checked(d: str) -> bool:
    return dk_cpr(d) and weighted(d, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def ch_ahv(d: str) -> bool:
    return d[:3] == "756" and ean(d)


def pt_nif(d: str) -> bool:
    return d[0] in "1235689" and descending_check(d[:8]) == int(d[8])


def br_cpf(d: str) -> bool:
    return len(set(d)) > 1 and descending_check(d[:9]) == int(d[9]) and descending_check(d[:10]) == int(d[10])


def in_aadhaar(d: str) -> bool:
    return d[0] not in "01" and d != d[::-1] and verhoeff(d)


def ca_sin(d: str) -> bool:
    return d[0] not in "08" and luhn(d)


def cn_resident(d: str) -> bool:
    """18 digits (the last may be X): region, date of birth, sequence, MOD 11-2."""
    return d[0] in "1234568" and is_date(int(d[6:10]), int(d[10:12]), int(d[12:14])) and mod_11_2(d)


def kr_rrn(d: str) -> bool:
    """Date and the digit for century and sex; numbers given out since 2020 have no check digit."""
    return d[6] in "12345678" and short_date(d[:6])


def za_id(d: str) -> bool:
    return short_date(d[:6]) and d[10] in "012" and luhn(d)


def ro_cnp(d: str) -> bool:
    rest = weighted(d, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return d[0] in "123456789" and short_date(d[1:7]) and int(d[12]) == (1 if rest == 10 else rest)


def cz_rodne_cislo(d: str) -> bool:
    """Months of women are raised by 50, of full series by 20 more; all ten digits are a multiple of 11.

    Until 1985 a remainder of ten was written as 0.
    """
    month = int(d[2:4]) % 50
    date = f"{d[:2]}{month - 20 if month > 20 else month:02d}{d[4:6]}"
    return short_date(date) and (int(d) % 11 == 0 or (int(d[:9]) % 11 == 10 and d[9] == "0"))


def tr_kimlik(d: str) -> bool:
    odd, even = sum(map(int, d[0:9:2])), sum(map(int, d[1:8:2]))
    return d[0] != "0" and (odd * 7 - even) % 10 == int(d[9]) and sum(map(int, d[:10])) % 10 == int(d[10])


def hr_oib(d: str) -> bool:
    return mod_11_10(d)


def ee_isikukood(d: str) -> bool:
    """Estonia and Lithuania: one rule, tried with a second set of weights when the first gives ten."""
    check = weighted(d, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = weighted(d, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return d[0] in "123456" and short_date(d[1:7]) and check == int(d[10])


def gb_nhs(d: str) -> bool:
    return d != "0000000000" and weighted(d, (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def au_tfn(d: str) -> bool:
    return d != "000000000" and weighted(d, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def jp_my_number(d: str) -> bool:
    rest = weighted(d, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest < 2 else 11 - rest) == int(d[11])


def gr_amka(d: str) -> bool:
    return short_date(turned(d[:6])) and luhn(d)


def bg_egn(d: str) -> bool:
    """Months are raised by 20 for those born before 1900 and by 40 since 2000."""
    month = int(d[2:4])
    date = f"{d[:2]}{month - 40 if month > 40 else month - 20 if month > 20 else month:02d}{d[4:6]}"
    return short_date(date) and weighted(d, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == int(d[9])
