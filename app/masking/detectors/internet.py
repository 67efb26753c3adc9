"""E-mail addresses and IP addresses."""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from app.masking.detectors.escapes import decoded
from app.masking.detectors.folding import LETTER
from app.masking.detectors.page import Candidate, Page, Words, pattern

_L = bytes([LETTER])
# Unbounded on purpose: a counted repetition costs RE2 a state for each count, and RFC 5321 bounds nobody who smuggles.
_LOCAL = rb"[A-Za-z0-9_" + _L + rb"][A-Za-z0-9.!#$%&'*+/=?^_`{|}~\-" + _L + rb"]*"
_LABEL = rb"[A-Za-z0-9" + _L + rb"][A-Za-z0-9\-" + _L + rb"]*"
_TOP = rb"(?:xn--[A-Za-z0-9\-]+|[A-Za-z]{2,24}|" + _L + rb"{2,24})"
_EMAILS = pattern(_LOCAL + rb"@(?:" + _LABEL + rb"\.)+" + _TOP)
_QUOTED = pattern(rb'"[^"\n\x00-\x1f]{1,62}"@(?:' + _LABEL + rb"\.)+" + _TOP)

_TOPS = (
    rb"(?:com|org|net|edu|gov|io|info|biz|eu|uk|de|fr|nl|be|es|it|ch|at|se|no|dk|fi|pl|pt|ie|in|br|us|ca|au|"
    rb"example|test)"
)
_AT = rb"(?: ?[(\[{<] ?(?:at|@|arroba|chez|ad) ?[)\]}>] ?| (?:AT|at) )"
_DOT = rb"(?: ?[(\[{<] ?(?:dot|punkt|punto|point|\.) ?[)\]}>] ?| (?:DOT|dot) |\.)"
_SPELT = pattern(
    rb"(?i)\b[A-Za-z0-9][A-Za-z0-9._+\-]{0,63}" + _AT + rb"(?:[A-Za-z0-9\-]{1,63}" + _DOT + rb"){1,4}" + _TOPS + rb"\b"
)
_SIGNED = pattern(rb"(?i)[(\[{<] ?(?:at|@|arroba|chez|ad|dot|punkt|punto|point|\.) ?[)\]}>]| dot ")

_CUTS = (b"=", b"/", b"?", b"&", b"|", b"{", b"}", b"`", b"*", b"!", b"#", b"$", b"^")
_UNSPACED = re.compile(
    "(?s).*[\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u31ff\u3400-\u9fff\ua960-\ua97f\uac00-\ud7ff"
    "\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff]"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, Han, Kana; Hangul, because Korean sets its particles against other words."""
_JOINING = b"._+-"
_SIGNS = (b" ", b"(", b"[", b"{", b"<")
_FILES = frozenset(
    b"png jpg jpeg gif svg webp avif ico css js mjs ts tsx jsx map json html htm xml pdf zip gz tgz jar war py rb rs "
    b"go java class lock toml yaml yml md txt whl deb rpm exe dll so".split()
)
_PREFIXES_OF_OTHERS = (b"git@", b"hg@", b"svn@")


def emails(page: Page) -> Iterator[Candidate]:
    """Addresses as RFC 5321 writes them, in international domains too, and as people spell them to escape robots."""
    data = page.data
    if b"@" in data:
        for match in _EMAILS.finditer(data):
            start, end = match.span()
            start = _beginning(page, start)
            if _is_mail(data, start, end):
                yield Candidate("email", start, end, 0.95)
        if b'"@' in data:
            for match in _QUOTED.finditer(data):
                yield Candidate("email", match.start(), match.end(), 0.9)
    if any(sign in data for sign in _SIGNS) and _SIGNED.search(data):
        for match in _SPELT.finditer(data):
            start, end = match.span()
            if _SIGNED.search(data[start:end]):
                yield Candidate("email", start, end, 0.75)


def _beginning(page: Page, start: int) -> int:
    """Behind a name that the address was given to, and behind words of a script that needs no spaces.

    RFC 5322 lets `=`, `/` and the like into an address; in what people and programs write they end one.
    """
    data = page.data
    at = data.index(b"@", start)
    local = data[start:at]
    cut = max(local.rfind(sign) for sign in _CUTS) + 1
    start += cut if cut < len(local) else 0
    if data.find(_L, start, at) >= 0 and data[start:at].translate(None, _L):
        start = _behind_unspaced(page, start, at)
    return start


def _behind_unspaced(page: Page, start: int, at: int) -> int:
    """Of a local part: letters that a sign joins to the rest belong to it in any script."""
    begin, end = page.folded.start_of(start), page.folded.start_of(at)
    words = _UNSPACED.match(decoded(page.text[begin:end]) if page.folded.escaped else page.text[begin:end])
    behind = page.folded.at(begin + words.end()) if words else start
    return start if behind >= at or page.data[behind] in _JOINING else behind


def _is_mail(data: bytes, start: int, end: int) -> bool:
    """Not a file name with a density (`logo@2x.png`), nor a repository (`git@host:path`)."""
    domain = data[data.index(b"@", start) + 1 : end]
    if domain[:1].isdigit() and domain.rpartition(b".")[2].lower() in _FILES:
        return False
    return not (data.startswith(_PREFIXES_OF_OTHERS, start) and data[end : end + 1] in (b":", b"/"))


_IPV4 = pattern(rb"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b")
_IPV6 = pattern(
    rb"(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}"
    rb"|(?:[0-9A-Fa-f]{1,4}:){6}(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
    rb"|(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6})?::(?:[0-9A-Fa-f]{1,4}:){0,6}"
    rb"(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9A-Fa-f]{1,4})?"
)
_VERSION = Words.of(
    "version versions ver v release released build firmware driver section sections chapter clause article appendix "
    "abschnitt kapitel artikel para paragraph table figure rev revision upgrade upgraded oid schema"
)
_NETWORK = Words.of(
    "ip ips ipv4 ipv6 addr address host hosts server from client peer remote src dst login ping ssh dns gateway "
    "adresse direccion indirizzo ip_adres x_forwarded_for forwarded listen"
)
_PRODUCT = pattern(rb"[A-Za-z]/")
"""In front of the version of a program, as RFC 9110 has it in User-Agent: `Chrome/119.0.0.0`."""
_WORD_BYTES = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_:")


def ips(page: Page) -> Iterator[Candidate]:
    """Addresses that can tell one machine from others: not loopback, unspecified, a netmask or a network."""
    data = page.data
    for match in _IPV4.finditer(data) if data.count(b".") >= 3 else ():
        start, end = match.span()
        score = _ipv4_score(page, start, end)
        if score:
            yield Candidate("ip", start, end, score)
    if data.count(b":") < 2:
        return
    for match in _IPV6.finditer(data):
        start, end = match.span()
        if _is_ipv6(data, start, end):
            yield Candidate("ip", start, end, 0.9)


def _ipv4_score(page: Page, start: int, end: int) -> float:
    data = page.data
    if data[end : end + 1] in (b".", b"-", b"+") and data[end + 1 : end + 2].isalnum():
        return 0.0
    if data[max(0, start - 1) : start] in (b".", b"-", b"+", b"=") and data[max(0, start - 2) : start - 1].isdigit():
        return 0.0
    try:
        address = IPv4Address(data[start:end].decode("ascii"))
    except AddressValueError:
        return 0.0
    if address.is_loopback or address.is_unspecified or address.packed[0] == 255:
        return 0.0
    if not any(address.packed[1:]) or (not address.packed[3] and _PRODUCT.fullmatch(data[max(0, start - 2) : start])):
        return 0.0
    if _NETWORK.near(page, start, end, 24, 0):
        return 0.95
    if _VERSION.near(page, start, end, 24, 0):
        return 0.2
    return 0.85 if max(address.packed) >= 32 else 0.55


def _is_ipv6(data: bytes, start: int, end: int) -> bool:
    """`::` alone is no address, nor is `dead::beef` in code, which has no digit."""
    if (start and data[start - 1] in _WORD_BYTES) or (end < len(data) and data[end] in _WORD_BYTES):
        return False
    written = data[start:end]
    try:
        address = IPv6Address(written.decode("ascii"))
    except AddressValueError:
        return False
    if address.is_loopback or address.is_unspecified:
        return False
    return any(0x30 <= byte <= 0x39 for byte in written) and (written.count(b":") > 2 or written[:1] in b"23fF")
