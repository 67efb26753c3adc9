"""Where a webhook goes: a URL is taken apart once, and what can be refused without asking anybody is refused here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

import httpx2

from app.notify.addresses import Address, Network, literal, named, refusal

MAX_URL_CHARS = 2_048
_CLEAR_TEXT = "without TLS only hosts in networks that notifications.allow_private names are reached: use https"
_NUMBER_FOR_A_HOST = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)\.?")


class BadEndpoint(ValueError):  # noqa: N818 - an answer to the operator
    """The message says what is wrong and what to write; it does not quote the URL, which is often a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """`host` as DNS and TLS know it: lower case, IDNA, without brackets."""

    url: httpx2.URL
    host: str
    port: int
    tls: bool


def endpoint(text: str, allowed: Sequence[Network]) -> Endpoint:
    """Raises BadEndpoint."""
    if len(text) > MAX_URL_CHARS or not text.isprintable() or text != text.strip():
        raise BadEndpoint(f"expected a URL of at most {MAX_URL_CHARS} characters, without spaces and line ends")
    try:
        url = httpx2.URL(text)
        host = url.raw_host.decode("ascii").lower()
    except (httpx2.InvalidURL, UnicodeError):
        raise BadEndpoint("this is not a URL") from None
    if url.scheme not in {"https", "http"} or not host:
        raise BadEndpoint("expected an absolute https URL")
    if url.userinfo or url.fragment:
        raise BadEndpoint("the URL must have no user, password or fragment")
    port = url.port if url.port is not None else 443 if url.scheme == "https" else 80
    if not 0 < port < 65_536:
        raise BadEndpoint("the port is between 1 and 65535")
    found = Endpoint(url=url, host=host.removeprefix("[").removesuffix("]"), port=port, tls=url.scheme == "https")
    if not found.tls and not allowed:
        raise BadEndpoint(_CLEAR_TEXT)
    refuse_host(found.host, tls=found.tls, allowed=allowed)
    return found


def refuse_host(host: str, *, tls: bool, allowed: Sequence[Network]) -> None:
    """What a host shows without a look at the DNS. Raises BadEndpoint."""
    address: Address | None = literal(host)
    if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost"):
        address = IPv4Address("127.0.0.1")
    if address is None:
        # 127.1, 0x7f000001, 2130706433: resolvers take them for addresses
        if _NUMBER_FOR_A_HOST.fullmatch(host.lower()):
            raise BadEndpoint("write the address as four decimal numbers")
        return
    if (why := refusal(address, allowed)) is not None:
        raise BadEndpoint(f"the address is {why}: name its network in notifications.allow_private if that is meant")
    if not tls and not named(address, allowed):
        raise BadEndpoint(_CLEAR_TEXT)
