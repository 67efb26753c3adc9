"""National ids made of digits: how each is set, how sure the digits are by themselves, and which words support them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.masking.detectors import national_checks as check
from app.masking.detectors.page import Page, Words

_ID_WORDS = (
    "national_id nationalid identity_number identification_number personal_number personal_id citizen_id id_number "
    "ausweisnummer personalausweis carte_d_identite documento_de_identidad documento_identita"
)
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitId:
    """`alone`: the score of each way to write it without a word near by; below a caller's threshold, words decide."""

    country: str
    check: Callable[[str], bool]
    alone: Mapping[Shape, float]
    words: Words
    supported: float = 0.9

    def score(self, page: Page, start: int, end: int, digits: str, shape: Shape, trust: float) -> float:
        """`trust` is multiplied with the score that the digits have by themselves."""
        supported = self.words.near(page, start, end)
        score = self.supported if supported else self.alone[shape] * trust
        return score if score and self.check(digits) else 0.0


def _kind(
    country: str, checked: Callable[[str], bool], alone: Mapping[Shape, float], words: str, supported: float = 0.9
) -> DigitId:
    return DigitId(
        country=country,
        check=checked,
        alone=alone,
        words=Words.of(f"{words} {_ID_WORDS}"),
        supported=supported,
    )


_SSN_WORDS = "ssn social_security socialsecurity social_sec sss_no tax_id taxid tin itin"
_NINE = {(9,): 0.0, (3, 3, 3): 0.0}

DIGIT_IDS: tuple[DigitId, ...] = (
    _kind("US", check.us_ssn, {(3, 2, 4): 0.8, (9,): 0.0}, _SSN_WORDS),
    _kind("US", check.us_itin, {(3, 2, 4): 0.6, (9,): 0.0}, _SSN_WORDS),
    _kind("US", check.us_reserved, {(3, 2, 4): 0.3}, _SSN_WORDS, supported=0.6),
    _kind(
        "NL",
        check.nl_bsn,
        {(9,): 0.0, (4, 2, 3): 0.0, (3, 3, 3): 0.0},
        "bsn burgerservicenummer burger_service sofinummer sofi",
    ),
    _kind(
        "DE",
        check.de_tax_id,
        {(11,): 0.55, (2, 3, 3, 3): 0.75},
        "steuer steueridentifikationsnummer steuer_id idnr identifikationsnummer tin tax_id",
    ),
    _kind(
        "FR",
        check.fr_nir,
        {(15,): 0.85, (13, 2): 0.85, (1, 2, 2, 2, 3, 3, 2): 0.95},
        "nir insee securite_sociale secu numero_de_secu",
    ),
    _kind(
        "BE",
        check.be_rrn,
        {(11,): 0.4, (2, 2, 2, 3, 2): 0.9, (6, 3, 2): 0.85, (6, 5): 0.4},
        "rijksregister rijksregisternummer registre_national numero_national niss insz nrn",
    ),
    _kind("PL", check.pl_pesel, {(11,): 0.4}, "pesel"),
    _kind(
        "SE",
        check.se_personnummer,
        {(6, 4): 0.7, (8, 4): 0.85, (10,): 0.0, (12,): 0.4},
        "personnummer personnr samordningsnummer pnr",
    ),
    _kind(
        "NO",
        check.no_fodselsnummer,
        {(11,): 0.7, (6, 5): 0.8, (2, 2, 2, 5): 0.8},
        "fodselsnummer personnummer d_nummer fnr",
    ),
    _kind("DK", check.dk_cpr_checked, {(6, 4): 0.6, (10,): 0.0}, "cpr personnummer"),
    _kind("DK", check.dk_cpr, {(6, 4): 0.3, (10,): 0.0}, "cpr personnummer", supported=0.75),
    _kind("CH", check.ch_ahv, {(3, 4, 4, 2): 0.95, (13,): 0.75}, "ahv avs ahvn13 navs13 sozialversicherung"),
    _kind("PT", check.pt_nif, _NINE, "nif contribuinte numero_fiscal"),
    _kind("BR", check.br_cpf, {(3, 3, 3, 2): 0.9, (11,): 0.3, (9, 2): 0.6}, "cpf"),
    _kind("IN", check.in_aadhaar, {(4, 4, 4): 0.6, (12,): 0.0}, "aadhaar aadhar adhaar uidai uid आधार"),
    _kind("CA", check.ca_sin, _NINE, "social_insurance sin_number sin_no assurance_sociale nas"),
    _kind("CN", check.cn_resident, {(18,): 0.95}, "身份证 resident_id"),
    _kind("KR", check.kr_rrn, {(6, 7): 0.6, (13,): 0.0}, "rrn 주민등록번호 주민번호 resident_registration"),
    _kind("ZA", check.za_id, {(13,): 0.6, (6, 4, 2, 1): 0.7, (6, 4, 3): 0.7}, "id_no identity said sa_id"),
    _kind("RO", check.ro_cnp, {(13,): 0.6}, "cnp cod_numeric"),
    _kind("CZ", check.cz_rodne_cislo, {(6, 4): 0.65, (10,): 0.0}, "rodne_cislo rodne rc r_c"),
    _kind("TR", check.tr_kimlik, {(11,): 0.3}, "kimlik tckn tc_no t_c"),
    _kind("HR", check.hr_oib, {(11,): 0.0}, "oib"),
    _kind("EE", check.ee_isikukood, {(11,): 0.45}, "isikukood asmens_kodas ik"),
    _kind("GB", check.gb_nhs, {(3, 3, 4): 0.0, (10,): 0.0}, "nhs"),
    _kind("AU", check.au_tfn, _NINE, "tfn tax_file"),
    _kind("JP", check.jp_my_number, {(12,): 0.0, (4, 4, 4): 0.0}, "マイナンバー 個人番号 my_number"),
    _kind("GR", check.gr_amka, {(11,): 0.4}, "amka αμκα ΑΜΚΑ"),
    _kind("BG", check.bg_egn, {(10,): 0.0}, "egn егн ЕГН"),
)


def _by_shape() -> dict[Shape, tuple[DigitId, ...]]:
    shapes: dict[Shape, tuple[DigitId, ...]] = {}
    for kind in DIGIT_IDS:
        for shape in kind.alone:
            shapes[shape] = (*shapes.get(shape, ()), kind)
    return shapes


BY_SHAPE = _by_shape()
