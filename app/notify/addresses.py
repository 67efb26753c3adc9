"""Which addresses a notification may be sent to: the public internet, and the networks that the operator named."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Listed here and not asked of `ipaddress`: what its `is_global` says differs between releases of Python.
_NOT_PUBLIC_4 = tuple(
    (IPv4Network(network), what)
    for network, what in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a carrier"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's own service"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "reserved"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "reserved"),
        ("198.51.100.0/24", "reserved"),
        ("203.0.113.0/24", "reserved"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_PUBLIC_6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_NOT_PUBLIC_6 = tuple(
    (IPv6Network(network), what)
    for network, what in (
        ("2001::/23", "reserved"),  # Teredo among them, which carries an IPv4 address that nobody checked
        ("2001:db8::/32", "reserved"),
        ("2002::/16", "a tunnel to an IPv4 address"),
        ("3fff::/20", "reserved"),
    )
)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


def literal(host: str) -> Address | None:
    """The address that a URL's host is, None for a name."""
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def named(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether the operator named a network that the address is in."""
    return any(address in network for network in allowed)


def not_public(address: Address) -> str | None:
    """What keeps the address from being one of the public internet, in a word or two; None: it is one."""
    match address:
        case IPv4Address():
            return next((what for network, what in _NOT_PUBLIC_4 if address in network), None)
        case IPv6Address() if address in _NAT64:
            return not_public(IPv4Address(address.packed[12:]))
        case IPv6Address():
            if address.scope_id is not None or address not in _PUBLIC_6:
                return _word(address)
            return next((what for network, what in _NOT_PUBLIC_6 if address in network), None)


def _word(address: IPv6Address) -> str:
    for holds, what in (
        (address.is_loopback, "loopback"),
        (address.is_unspecified, "unspecified"),
        (address.is_link_local or address.scope_id is not None, "link-local"),
        (address.is_multicast, "multicast"),
        (address.ipv4_mapped is not None, "an IPv4 address in disguise"),
        (address.is_private, "private"),
    ):
        if holds:
            return what
    return "reserved"


def refusal(address: Address, allowed: Iterable[Network]) -> str | None:
    """Why nothing may be sent there; None when it may."""
    if named(address, allowed):
        return None
    return not_public(address)
