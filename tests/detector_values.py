"""Values that detectors should find, made from a seed: right check digits, but numbers of nobody.

Cards below prefixes that payment test environments use, domains of RFC 2606, addresses of RFC 5737 and 3849, telephone
numbers that regulators keep for films, tokens that were never issued.
"""

import base64
import json
import string
from collections.abc import Callable
from random import Random

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_BASE64 = string.ascii_letters + string.digits + "+/"
_WORDY = string.ascii_letters + string.digits + "-_"


def digits(r: Random, count: int) -> str:
    return "".join(r.choices(string.digits, k=count))


def drawn(r: Random, alphabet: str, count: int) -> str:
    """All kinds of the alphabet's characters occur, as in nearly every real token."""
    made = r.choices(alphabet, k=count)
    kinds = [k for k in (string.ascii_lowercase, string.ascii_uppercase, string.digits) if set(k) & set(alphabet)]
    for place, kind in zip(r.sample(range(count), 2 * len(kinds)), kinds * 2, strict=True):
        made[place] = r.choice([c for c in kind if c in alphabet])
    return "".join(made)


def luhn_digit(number: str) -> str:
    return str(-(sum(_DOUBLED[int(c)] for c in number[::-2]) + sum(map(int, number[-2::-2]))) % 10)


def until(make: Callable[[], str], good: Callable[[str], bool]) -> str:
    while not good(value := make()):
        pass
    return value


def card_digits(r: Random) -> str:
    prefix, length = r.choice(
        (("400000", 16), ("411111", 16), ("555555", 16), ("222300", 16), ("378282", 15), ("601111", 16), ("356600", 16))
    )
    body = prefix + digits(r, length - 1 - len(prefix))
    return body + luhn_digit(body)


def card(r: Random) -> str:
    return card_digits(r)


def card_spaced(r: Random) -> str:
    d = card_digits(r)
    sign = r.choice(" -")
    return sign.join((d[:4], d[4:10], d[10:]) if len(d) == 15 else (d[:4], d[4:8], d[8:12], d[12:]))


_BBANS = {
    "DE": "#" * 18, "NL": "DOUA" + "#" * 10, "GB": "DOUA" + "#" * 14, "FR": "#" * 23, "ES": "#" * 20, "BE": "#" * 12,
    "IT": "X" + "#" * 22, "CH": "#" * 17, "PL": "#" * 24, "NO": "#" * 11,
}  # fmt: skip


def iban(r: Random) -> str:
    country, pattern = r.choice(sorted(_BBANS.items()))
    bban = "".join(r.choice(string.digits) if c == "#" else c for c in pattern)
    check = 98 - int("".join(str(int(c, 36)) for c in bban + country + "00")) % 97
    return f"{country}{check:02d}{bban}"


def iban_spaced(r: Random) -> str:
    d = iban(r)
    return " ".join(d[n : n + 4] for n in range(0, len(d), 4))


_GIVEN = ("ada", "grace", "alan", "edsger", "barbara", "donald", "radia", "ken", "frances", "joan")
_FAMILY = ("lovelace", "hopper", "turing", "dijkstra", "liskov", "knuth", "perlman", "allen", "clarke")


def email(r: Random) -> str:
    host = r.choice(
        ("example.com", "example.org", "mail.example.net", "shop.example", "example.co.uk", "post.example.de")
    )
    sign = r.choice((".", "_", "", "-", "+"))
    return f"{r.choice(_GIVEN)}{sign}{r.choice(_FAMILY)}{r.choice(('', digits(r, 2)))}@{host}"


def email_spelt(r: Random) -> str:
    at, dot = r.choice(((" (at) ", " (dot) "), ("[at]", "[dot]"), (" [at] ", "."), (" at ", " dot "), ("(at)", ".")))
    return f"{r.choice(_GIVEN)}.{r.choice(_FAMILY)}{at}example{dot}{r.choice(('com', 'org', 'net'))}"


def phone_gb(r: Random) -> str:
    return r.choice((f"020 7946 0{digits(r, 3)}", f"07700 900{digits(r, 3)}", f"0161 496 0{digits(r, 3)}"))


def phone_us(r: Random) -> str:
    line = f"01{digits(r, 2)}"
    return r.choice((f"(212) 555-{line}", f"415-555-{line}", f"312.555.{line}", f"202 555 {line}"))


def phone_fr(r: Random) -> str:
    sign = r.choice(" .-")
    return sign.join(("06", "39", "98", digits(r, 2), digits(r, 2)))


def phone_de(r: Random) -> str:
    return r.choice((f"030 23125 {digits(r, 3)}", f"0221/4710 {digits(r, 3)}", f"089-99998-{digits(r, 3)}"))


def phone_plus(r: Random) -> str:
    return r.choice(
        (
            f"+44 20 7946 0{digits(r, 3)}",
            f"+44 (0)161 496 0{digits(r, 3)}",
            f"+1 (212) 555-01{digits(r, 2)}",
            f"+1-415-555-01{digits(r, 2)}",
            f"+336399 8{digits(r, 4)}".replace(" ", ""),
            f"+49 30 23125{digits(r, 3)}",
            f"0044 7700 900{digits(r, 3)}",
            f"+46 8 465 004 {digits(r, 2)}",
            f"+447700900{digits(r, 3)}",
        )
    )


def phone_plain(r: Random) -> str:
    """Without signs: only words near by tell."""
    return r.choice((f"02079460{digits(r, 3)}", f"07700900{digits(r, 3)}", f"212555{'01' + digits(r, 2)}"))


def id_us(r: Random) -> str:
    return f"{r.randrange(1, 666):03d}-{r.randrange(1, 100):02d}-{r.randrange(1, 10_000):04d}"


def id_us_plain(r: Random) -> str:
    return id_us(r).replace("-", "")


def id_gb(r: Random) -> str:
    d = digits(r, 6)
    return r.choice((f"QQ{d}C", f"JG {d[:2]} {d[2:4]} {d[4:]} A", f"AB{d}D")).replace("QQ", "PX")


def weighted(value: str, weights: tuple[int, ...]) -> int:
    return sum(int(c) * w for c, w in zip(value, weights, strict=False))


def id_nl(r: Random) -> str:
    def right(d: str) -> bool:
        return (weighted(d, (9, 8, 7, 6, 5, 4, 3, 2)) - int(d[8])) % 11 == 0

    return until(lambda: digits(r, 9), right)


def id_de(r: Random) -> str:
    ten = list(r.sample(string.digits, 9))
    ten.insert(r.randrange(2, 9), ten[0])
    if ten[0] == "0":
        ten = [str((int(c) + 1) % 10) for c in ten]
    carry = 10
    for c in ten:
        carry = ((carry + int(c)) % 10 or 10) * 2 % 11
    return "".join(ten) + str((11 - carry) % 10)


def birthday(r: Random) -> tuple[str, str, str]:
    return f"{r.randrange(40, 99):02d}", f"{r.randrange(1, 13):02d}", f"{r.randrange(1, 29):02d}"


def id_fr(r: Random) -> str:
    year, month, _ = birthday(r)
    place = f"{r.randrange(1, 96):02d}{r.randrange(1, 990):03d}"
    body = f"{r.choice('12')}{year}{month}{place}{r.randrange(1, 999):03d}"
    check = f"{97 - int(body) % 97:02d}"
    spaced = f"{body[0]} {body[1:3]} {body[3:5]} {body[5:7]} {body[7:10]} {body[10:]} {check}"
    return r.choice((body + check, spaced))


def id_es(r: Random) -> str:
    n = r.randrange(10**7, 10**8)
    letter = "TRWAGMYFPDXBNJZSQVHLCKE"
    return r.choice((f"{n}{letter[n % 23]}", f"X{n % 10**7:07d}{letter[n % 10**7 % 23]}"))


_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def id_it(r: Random) -> str:
    name = "".join(r.choices("BCDFGLMNPRSTVZ", k=6))
    born = f"{r.randrange(40, 99):02d}{r.choice('ABCDEHLMPRST')}{r.randrange(1, 29):02d}"
    body = f"{name}{born}{r.choice('ABCDEFGH')}{digits(r, 3)}"
    places = [int(c) if c.isdigit() else ord(c) - 65 for c in body]
    return body + chr(65 + (sum(_ODD[p] for p in places[0::2]) + sum(places[1::2])) % 26)


def id_be(r: Random) -> str:
    year, month, day = birthday(r)
    serial = f"{r.randrange(1, 998):03d}"
    check = 97 - int(year + month + day + serial) % 97
    return f"{year}.{month}.{day}-{serial}.{check:02d}"


def id_pl(r: Random) -> str:
    body = "".join(birthday(r)) + digits(r, 4)
    return body + str(-weighted(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10)


def id_se(r: Random) -> str:
    body = "".join(birthday(r)) + digits(r, 3)
    return f"{body[:6]}-{body[6:]}{luhn_digit(body)}"


def id_fi(r: Random) -> str:
    year, month, day = birthday(r)
    serial = f"{r.randrange(2, 900):03d}"
    return f"{day}{month}{year}-{serial}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(day + month + year + serial) % 31]}"


def id_no(r: Random) -> str:
    def make() -> str:
        year, month, day = birthday(r)
        body = day + month + year + digits(r, 3)
        first = -weighted(body, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
        second = -weighted(body + str(first % 10), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
        return body + f"{first}{second}"

    return until(make, lambda d: len(d) == 11)


def id_dk(r: Random) -> str:
    year, month, day = birthday(r)
    return f"{day}{month}{year}-{digits(r, 4)}"


def id_ch(r: Random) -> str:
    body = "756" + digits(r, 9)
    check = -(3 * sum(map(int, body[-1::-2])) + sum(map(int, body[-2::-2]))) % 10
    return f"756.{body[3:7]}.{body[7:11]}.{body[11:]}{check}"


def _descending(body: str) -> str:
    rest = sum(int(c) * w for c, w in zip(body, range(len(body) + 1, 1, -1), strict=True)) % 11
    return str(0 if rest < 2 else 11 - rest)


def id_pt(r: Random) -> str:
    body = r.choice("12") + digits(r, 7)
    return body + _descending(body)


def id_br(r: Random) -> str:
    body = digits(r, 9)
    body += _descending(body)
    body += _descending(body)
    return f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"


def id_in(r: Random) -> str:
    from app.masking.detectors.checksums import verhoeff

    body = r.choice("23456789") + digits(r, 10)
    whole = next(body + c for c in string.digits if verhoeff(body + c))
    return f"{whole[:4]} {whole[4:8]} {whole[8:]}"


def ip(r: Random) -> str:
    return r.choice(
        (
            f"203.0.113.{r.randrange(1, 255)}",
            f"198.51.100.{r.randrange(1, 255)}",
            f"10.{r.randrange(256)}.{r.randrange(32, 256)}.{r.randrange(1, 255)}",
            f"2001:db8::{r.randrange(1, 65536):x}:{r.randrange(1, 65536):x}",
            f"2001:db8:{r.randrange(4096):x}:1:2:3:4:{r.randrange(1, 65536):x}",
        )
    )


def password(r: Random) -> str:
    return (
        r.choice(("Summer", "tr0ub4dor", "Correct", "hunter", "Winter", "s3sam"))
        + digits(r, 3)
        + r.choice("!$%*") * r.randrange(2)
    )


def aws_key(r: Random) -> str:
    return r.choice(("AKIA", "ASIA")) + "".join(r.choices(string.ascii_uppercase + "234567", k=16))


def aws_secret(r: Random) -> str:
    return drawn(r, _BASE64, 40)


def github_token(r: Random) -> str:
    tail = drawn(r, string.ascii_letters + string.digits, 36)
    return r.choice(("ghp_", "gho_", "ghs_")) + tail if r.random() < 0.7 else "github_" + "pat_" + tail + "_" + tail


def gitlab_token(r: Random) -> str:
    return "glp" + "at-" + drawn(r, _WORDY, 20)


def slack_token(r: Random) -> str:
    return (
        r.choice(("xoxb", "xoxp"))
        + f"-{digits(r, 12)}-{digits(r, 12)}-"
        + drawn(r, string.ascii_letters + string.digits, 24)
    )


def stripe_key(r: Random) -> str:
    return r.choice(("sk_", "rk_")) + r.choice(("live_", "test_")) + drawn(r, string.ascii_letters + string.digits, 24)


def google_key(r: Random) -> str:
    return "AI" + "za" + drawn(r, _WORDY, 35)


def npm_token(r: Random) -> str:
    return "npm" + "_" + drawn(r, string.ascii_letters + string.digits, 36)


def openai_key(r: Random) -> str:
    return "sk-" + r.choice(("proj-", "")) + drawn(r, string.ascii_letters + string.digits, 48)


def anthropic_key(r: Random) -> str:
    return "sk-" + "ant-" + "api03-" + drawn(r, _WORDY, 80) + "AA"


def azure_key(r: Random) -> str:
    return drawn(r, _BASE64, 86) + "=="


def telegram_token(r: Random) -> str:
    return f"{digits(r, 10)}:AA" + drawn(r, _WORDY, 33)


def _part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def jwt(r: Random) -> str:
    head = {"alg": r.choice(("HS256", "ES256")), "typ": "JWT"}
    body = {"sub": digits(r, 8), "exp": r.randrange(10**9)}
    return f"{_part(json.dumps(head).encode())}.{_part(json.dumps(body).encode())}.{_part(r.randbytes(32))}"


def private_key(r: Random) -> str:
    kind = r.choice(("", "RSA ", "EC ", "OPENSSH "))
    body = base64.b64encode(r.randbytes(r.choice((48, 600, 1200)))).decode()
    lines = "\n".join(body[n : n + 64] for n in range(0, len(body), 64))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


def high_entropy(r: Random) -> str:
    return r.choice(
        (drawn(r, string.ascii_letters + string.digits, 32), drawn(r, "0123456789abcdef", 48), drawn(r, _WORDY, 43))
    )


VALUES: dict[str, tuple[str, Callable[[Random], str]]] = {
    "card": ("card", card),
    "card_spaced": ("card", card_spaced),
    "iban": ("iban", iban),
    "iban_spaced": ("iban", iban_spaced),
    "email": ("email", email),
    "email_spelt": ("email", email_spelt),
    "ip": ("ip", ip),
    "password": ("password", password),
    "url_password": ("url_password", password),
} | {
    name: ("phone" if name.startswith("phone") else "national_id", make)
    for name, make in list(globals().items())
    if name.startswith(("phone_", "id_"))
} | {
    made.__name__: (made.__name__, made)
    for made in (
        aws_key, aws_secret, github_token, gitlab_token, slack_token, stripe_key, google_key, npm_token, openai_key,
        anthropic_key, azure_key, telegram_token, jwt, private_key, high_entropy,
    )
}  # fmt: skip
"""Name of a slot to the entity that fills it and how."""


def number(r: Random) -> str:
    return str(r.randrange(10**6, 10**9))


DECOYS: dict[str, Callable[[Random], str]] = {
    "order": lambda r: f"ORD-{r.randrange(10**8, 10**9)}",
    "invoice": lambda r: f"{r.randrange(2019, 2027)}-{r.randrange(10**5, 10**6)}",
    "date": lambda r: f"{r.randrange(2001, 2027)}-{r.randrange(1, 13):02d}-{r.randrange(1, 29):02d}",
    "date_eu": lambda r: f"{r.randrange(1, 29):02d}.{r.randrange(1, 13):02d}.{r.randrange(1950, 2027)}",
    "time": lambda r: f"{r.randrange(24):02d}:{r.randrange(60):02d}:{r.randrange(60):02d}.{digits(r, 3)}",
    "epoch": lambda r: str(r.randrange(1_500_000_000, 1_800_000_000)),
    "epoch_ms": lambda r: str(r.randrange(1_500_000_000_000, 1_800_000_000_000)),
    "version": lambda r: f"{r.randrange(1, 30)}.{r.randrange(30)}.{r.randrange(30)}.{r.randrange(1, 9999)}",
    "semver": lambda r: f"{r.randrange(1, 30)}.{r.randrange(30)}.{r.randrange(30)}",
    "sha": lambda r: drawn(r, "0123456789abcdef", 40),
    "sha256": lambda r: drawn(r, "0123456789abcdef", 64),
    "md5": lambda r: drawn(r, "0123456789abcdef", 32),
    "short_sha": lambda r: drawn(r, "0123456789abcdef", 8),
    "uuid": lambda r: "-".join(
        drawn(r, "0123456789abcdef", n) if n > 4 else "".join(r.choices("0123456789abcdef", k=n))
        for n in (8, 4, 4, 4, 12)
    ),
    "coordinates": lambda r: f"{r.uniform(-90, 90):.7f}, {r.uniform(-180, 180):.7f}",
    "price": lambda r: f"{r.randrange(1, 999)},{digits(r, 3)}.{digits(r, 2)}",
    "isbn": lambda r: f"978-{digits(r, 1)}-{digits(r, 4)}-{digits(r, 4)}-{digits(r, 1)}",
    "ean": lambda r: f"40{digits(r, 11)}",
    "tracking": lambda r: f"1Z{digits(r, 3)}AA1{digits(r, 10)}",
    "thumb": lambda r: base64.b64encode(r.randbytes(180)).decode(),
    "amount": lambda r: f"{r.randrange(1, 9999)}.{digits(r, 2)}",
    "count": lambda r: str(r.randrange(1, 10**7)),
    "eight": lambda r: digits(r, 8),
    "nine": lambda r: str(r.randrange(10**8, 10**9)),
    "eleven": lambda r: str(r.randrange(10**10, 10**11)),
    "twelve": lambda r: str(r.randrange(10**11, 10**12)),
    "word": lambda r: r.choice(("report", "summary", "invoice", "draft", "final", "backup")),
    "mac": lambda r: ":".join("".join(r.choices("0123456789abcdef", k=2)) for _ in range(6)),
}
"""What is no entity, but looks like one."""
