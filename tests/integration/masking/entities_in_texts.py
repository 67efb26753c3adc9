"""Texts with personal data and secrets in them, as people write and disguise them."""

import re
import string
from typing import Any

import phonenumbers
from hypothesis import strategies as st

from app.masking.detectors import named_secrets, national_ids, secret_forms, written_ids
from app.masking.detectors.ibans import LENGTHS

ALPHANUMERIC = string.ascii_letters + string.digits
_FORMATS = tuple(
    getattr(phonenumbers.PhoneNumberFormat, name) for name in ("E164", "INTERNATIONAL", "NATIONAL", "RFC3966")
)


def _shaped_like(pattern: Any, flags: int = 0) -> st.SearchStrategy[str]:
    """What a pattern over folded bytes matches."""
    text = pattern.pattern
    written = text.decode("latin-1") if isinstance(text, bytes) else text
    return st.from_regex(re.compile(written, re.ASCII | flags), fullmatch=True)


@st.composite
def ibans(draw: st.DrawFn) -> str:
    country = draw(st.sampled_from(sorted(LENGTHS)))
    account = draw(st.text(ALPHANUMERIC, min_size=LENGTHS[country] - 4, max_size=LENGTHS[country] - 4))
    number = int("".join(str(int(c, 36)) for c in f"{account}{country}00"))
    bare = f"{country}{98 - number % 97:02d}{account}"
    sign = draw(st.sampled_from(["", " ", "-", "."]))
    return sign.join(bare[at : at + 4] for at in range(0, len(bare), 4))


@st.composite
def cards(draw: st.DrawFn) -> str:
    digits = draw(st.sampled_from(["4", "51", "34", "6011", "62"])) + draw(
        st.text("0123456789", min_size=13, max_size=13)
    )
    digits = digits[:15]
    total = sum(int(c) if at % 2 else sum(divmod(2 * int(c), 10)) for at, c in enumerate(digits))
    whole = f"{digits}{-total % 10}"
    sign = draw(st.sampled_from(["", " ", "-", "  "]))
    return sign.join(whole[at : at + 4] for at in range(0, 16, 4))


@st.composite
def phones(draw: st.DrawFn) -> str:
    region = draw(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
    kind = draw(st.sampled_from([phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE]))
    number = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    written = phonenumbers.format_number(number, draw(st.sampled_from(_FORMATS))) if number else "+442079460018"
    return draw(st.sampled_from(["", "tel ", "call me at ", "Telefon: "])) + written


@st.composite
def grouped_ids(draw: st.DrawFn) -> str:
    shape = draw(st.sampled_from(sorted(national_ids.BY_SHAPE)))
    sign = draw(st.sampled_from([" ", "-", ".", "/", ") ("]))
    groups = (draw(st.text("0123456789", min_size=size, max_size=size)) for size in shape)
    return draw(st.sampled_from(["", "ssn ", "bsn: ", "id number "])) + sign.join(groups)


_MAILS = st.emails().filter(lambda mail: mail.isprintable())
_SPELT = st.builds(
    "{}{}{}{}com".format,
    st.from_regex(r"[a-z][a-z0-9._]{0,12}", fullmatch=True),
    st.sampled_from([" (at) ", "[at]", " {AT} ", " <arroba> ", "(@)", " at "]),
    st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True),
    st.sampled_from([" (dot) ", "[dot]", " dot ", "(punto)", "[.]"]),
)
_ADDRESSES = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str), st.ip_addresses(v=6).map(str))
_TOKENS = st.one_of([_shaped_like(form.form) for form in secret_forms.FORMS])
_JWTS = st.just("eyJhbGciOiJub25lIn0.e30.") | st.just("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln")
_KEYS = st.builds(
    "-----BEGIN {0}PRIVATE KEY-----\n{1}\n{2}\n{3}".format,
    st.sampled_from(["", "RSA ", "OPENSSH "]),
    st.text(ALPHANUMERIC + "+/", min_size=30, max_size=64),
    st.text(ALPHANUMERIC + "+/=", max_size=20),
    st.sampled_from(["", "-----END RSA PRIVATE KEY-----", "-----END PRIVATE KEY-----\nthanks"]),
)
_NAMES = st.one_of(
    st.sampled_from([*named_secrets._FOREIGN_NAMES, "DB_PASSWORD", "Contraseña", "HASŁO", "şifre", "api-key"]),
    _shaped_like(named_secrets._PASSWORD_NAME),
    _shaped_like(named_secrets._STRONG_NAME),
)
_NAMED = st.builds(
    "{}{}{}".format,
    _NAMES,
    _shaped_like(named_secrets._SIGN_ALONE),
    st.one_of(
        st.text(ALPHANUMERIC + "!$%&/+-_.#", min_size=4, max_size=40),
        st.sampled_from(['hunter2"', "my dog is blue'", "correcthorse", "p4ss w0rd'", "geheim!"]),
    ),
)
_OPTIONS = st.builds(
    "{}{}".format, _shaped_like(named_secrets._OPTION), st.text(ALPHANUMERIC + "!$%&/+-_.#", min_size=4, max_size=20)
)
_URLS = st.builds(
    "https://{}:{}@example.com/x".format, st.text(ALPHANUMERIC, max_size=6), st.text(ALPHANUMERIC, min_size=4)
)
_HEX = st.builds("token {}".format, st.text("0123456789abcdef", min_size=32, max_size=64))

ENTITIES = st.one_of(
    _MAILS, _SPELT, _ADDRESSES, _TOKENS, _JWTS, _KEYS, _NAMED, _OPTIONS, _URLS, _HEX, ibans(), cards(), phones(),
    grouped_ids(),
    st.one_of([_shaped_like(kind.form) for kind in written_ids.WRITTEN_IDS]),
)  # fmt: skip

_ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_ACCENTED = str.maketrans("aeosnAEOSN", "áëøşñÀÊÖŠÑ")
_DASHED = str.maketrans({"-": "–", " ": "\xa0", '"': "“", "'": "’"})


@st.composite
def disguised(draw: st.DrawFn, entities: st.SearchStrategy[str] = ENTITIES) -> str:
    entity = draw(entities)
    match draw(st.integers(0, 9)):
        case 0:
            return entity.translate(_ARABIC)
        case 1:
            return entity.translate(_WIDE)
        case 2:
            return entity.translate(_ACCENTED)
        case 3:
            return entity.translate(_DASHED)
        case 4:
            at = draw(st.integers(0, len(entity)))
            return (
                entity[:at]
                + draw(st.sampled_from(["\u200b", "\xad", "\ufe0f", "\u2060", "\u034f", "\x01", "\x1f", "\x7f"]))
                + entity[at:]
            )
        case 5:
            at = draw(st.integers(0, len(entity)))
            return entity[:at] + entity[at : at + 2].translate(_WIDE) + entity[at + 2 :]
    return entity


_NOISE = st.one_of(
    st.sampled_from(
        ["", " ", "\n", ", ", "Grüße, ", "my ", " und ", "😀", "—", "请 ", "\t", "(", ")", ": ", "x", "7", "12 "]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6),
)
TEXTS = st.lists(st.one_of(disguised(), _NOISE), min_size=1, max_size=6).map("".join)
