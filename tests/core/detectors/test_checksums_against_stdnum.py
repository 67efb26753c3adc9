"""Our checks decide as python-stdnum does (LGPL, so only here): docs/adr/0007."""

import re
import string
from collections.abc import Callable
from random import Random
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import ean, luhn, numdb, verhoeff
from stdnum.au import tfn
from stdnum.be import nn
from stdnum.bg import egn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cn import ric
from stdnum.cz import rc
from stdnum.de import idnr
from stdnum.dk import cpr
from stdnum.ee import ik
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.gr import amka
from stdnum.hr import oib
from stdnum.ie import pps
from stdnum.in_ import aadhaar
from stdnum.iso7064 import mod_11_2, mod_11_10, mod_97_10
from stdnum.it import codicefiscale
from stdnum.jp import in_ as my_number
from stdnum.kr import rrn
from stdnum.mx import curp
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.pl import pesel
from stdnum.pt import nif
from stdnum.ro import cnp
from stdnum.se import personnummer
from stdnum.tr import tckimlik
from stdnum.us import itin, ssn
from stdnum.za import idnr as za_idnr

from app.masking.detectors import checksums
from app.masking.detectors import national_checks as ours
from app.masking.detectors import written_ids as written
from app.masking.detectors.ibans import LENGTHS
from tests import detector_values as values

DIGITS = st.text("0123456789", min_size=2, max_size=25)


@settings(deadline=None)
@given(DIGITS)
def test_the_plain_checks_agree_on_any_digits(digits: str) -> None:
    assert checksums.luhn(digits) == luhn.is_valid(digits)
    assert checksums.verhoeff(digits) == verhoeff.is_valid(digits)
    assert checksums.mod_11_10(digits) == mod_11_10.is_valid(digits)
    assert checksums.mod_11_2(digits) == mod_11_2.is_valid(digits)
    assert checksums.mod_11_2(digits + "X") == mod_11_2.is_valid(digits + "X")


@settings(deadline=None)
@given(st.text("0123456789", min_size=13, max_size=13))
def test_ean_agrees_on_thirteen_digits(digits: str) -> None:
    assert checksums.ean(digits) == ean.is_valid(digits)


@settings(deadline=None)
@given(st.text(string.digits + string.ascii_uppercase, min_size=3, max_size=34))
def test_mod_97_agrees_on_letters_and_digits(text: str) -> None:
    assert checksums.mod_97(text) == mod_97_10.is_valid(text)


def test_lengths_of_ibans_are_those_of_the_registry() -> None:
    registry = {}
    for country in (a + b for a in string.ascii_uppercase for b in string.ascii_uppercase):
        ((_, known),) = numdb.get("iban").info(country)
        if "bban" in known:
            registry[country] = 4 + sum(int(count) for count in re.findall(r"([0-9]+)!", known["bban"]))
    assert len(registry) > 80
    assert {country: LENGTHS.get(country) for country in registry} == registry


def dated(r: Random, order: str, rest: int, *, months: tuple[int, ...] = (0,)) -> str:
    """A date of this order and digits behind it."""
    year, month, day = r.randrange(30, 99), r.randrange(1, 13) + r.choice(months), r.randrange(1, 29)
    date = {"ymd": f"{year:02d}{month:02d}{day:02d}", "dmy": f"{day:02d}{month:02d}{year:02d}"}[order]
    return date + values.digits(r, rest)


# (ours, theirs, how a number begins, how many characters are tried at its end, which of them)
Row = tuple[Callable[[str], bool], ModuleType, Callable[[Random], str], int]
ROWS: tuple[Row, ...] = (
    (ours.us_ssn, ssn, lambda r: values.digits(r, 7), 2),
    (ours.us_itin, itin, lambda r: "9" + values.digits(r, 6), 2),
    (ours.nl_bsn, bsn, lambda r: values.digits(r, 8), 1),
    (ours.de_tax_id, idnr, lambda r: values.id_de(r)[:9], 2),
    (ours.fr_nir, nir, lambda r: values.id_fr(r).replace(" ", "")[:13], 2),
    (ours.be_rrn, nn, lambda r: dated(r, "ymd", 3), 2),
    (ours.pl_pesel, pesel, lambda r: dated(r, "ymd", 4, months=(0, 20)), 1),
    (ours.se_personnummer, personnummer, lambda r: dated(r, "ymd", 3), 1),
    (ours.no_fodselsnummer, fodselsnummer, lambda r: dated(r, "dmy", 3), 2),
    (ours.dk_cpr, cpr, lambda r: dated(r, "dmy", 2), 2),
    (ours.ch_ahv, ahv, lambda r: "756" + values.digits(r, 9), 1),
    (ours.pt_nif, nif, lambda r: r.choice("1235689") + values.digits(r, 7), 1),
    (ours.br_cpf, cpf, lambda r: values.digits(r, 9), 2),
    (ours.in_aadhaar, aadhaar, lambda r: values.digits(r, 11), 1),
    (ours.ca_sin, sin, lambda r: values.digits(r, 8), 1),
    (ours.cn_resident, ric, lambda r: "110105" + "19" + dated(r, "ymd", 3), 1),
    (ours.kr_rrn, rrn, lambda r: dated(r, "ymd", 0) + r.choice("1234") + values.digits(r, 5), 1),
    (ours.za_id, za_idnr, lambda r: dated(r, "ymd", 4) + r.choice("01") + "8", 1),
    (ours.ro_cnp, cnp, lambda r: r.choice("12") + dated(r, "ymd", 0) + "12" + values.digits(r, 3), 1),
    (ours.cz_rodne_cislo, rc, lambda r: dated(r, "ymd", 2, months=(0, 50)), 2),
    (ours.tr_kimlik, tckimlik, lambda r: values.digits(r, 9), 2),
    (ours.hr_oib, oib, lambda r: values.digits(r, 10), 1),
    (ours.ee_isikukood, ik, lambda r: r.choice("34") + dated(r, "ymd", 3), 1),
    (ours.gb_nhs, nhs, lambda r: values.digits(r, 9), 1),
    (ours.au_tfn, tfn, lambda r: values.digits(r, 8), 1),
    (ours.jp_my_number, my_number, lambda r: values.digits(r, 11), 1),
    (ours.gr_amka, amka, lambda r: dated(r, "dmy", 4), 1),
    (ours.bg_egn, egn, lambda r: dated(r, "ymd", 3), 1),
    (written.es_dni, dni, lambda r: values.digits(r, 8), 0),
    (written.es_nie, nie, lambda r: r.choice("XYZ") + values.digits(r, 7), 0),
    (written.it_codice_fiscale, codicefiscale, lambda r: values.id_it(r)[:15], 0),
    (written.fi_hetu, hetu, lambda r: dated(r, "dmy", 0) + "-" + values.digits(r, 3), 0),
    (written.ie_pps, pps, lambda r: values.digits(r, 7), 0),
    (written.mx_curp, curp, lambda r: "BOXW" + dated(r, "ymd", 0) + "HDFRRR0", 1),
)


@pytest.mark.parametrize(("own", "their", "begin", "last"), ROWS, ids=[row[0].__name__ for row in ROWS])
def test_what_stdnum_calls_valid_is_valid(own: Row, their: ModuleType, begin: Row, last: int) -> None:
    """And of numbers that differ in their check digits alone, none more."""
    draw = Random(20261128)
    valid = 0
    for _ in range(150):
        body = begin(draw)
        ends = [f"{n:0{last}d}" for n in range(10**last)] if last else list(string.ascii_uppercase)
        theirs = {end for end in ends if their.is_valid(body + end)}
        mine = {end for end in ends if own(body + end)}
        assert theirs <= mine, body
        if theirs:
            assert own in LENIENT or mine == theirs, body
        valid += len(theirs)
    assert valid > 20


LENIENT = {
    ours.kr_rrn,  # numbers since 2020 have no check digit
    ours.be_rrn,  # whether a date is still to come is no matter of ours: the core reads no clock
}


THEIRS = {
    "id_us": ssn, "id_us_plain": ssn, "id_nl": bsn, "id_de": idnr, "id_fr": nir, "id_it": codicefiscale, "id_be": nn,
    "id_pl": pesel, "id_se": personnummer, "id_fi": hetu, "id_no": fodselsnummer, "id_ch": ahv, "id_pt": nif,
    "id_br": cpf, "id_in": aadhaar,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(THEIRS))
def test_generated_values_are_right_by_stdnum_as_well(name: str) -> None:
    draw = Random(7)
    made = [values.VALUES[name][1](draw) for _ in range(50)]
    assert sum(THEIRS[name].is_valid(value) for value in made) > 40
