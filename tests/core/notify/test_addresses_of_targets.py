"""Where a notification may go: the public internet, and what the operator named."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.notify.addresses import literal, networks, refusal
from app.notify.endpoint import BadEndpoint, endpoint, refuse_host
from app.notify.resolving import NotSent, judged

NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8",
    "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::8.8.8.8", "100::1",
    "2001::1", "2001:0:7f00:1::", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1",
    "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%1", "2606:4700::1%eth0", "fec0::1", "ff02::1",
    "4000::1", "fe80::5efe:8.8.8.8",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "100.63.255.255", "172.15.0.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::1",
          "64:ff9b::8.8.8.8", "168.63.129.17"]  # fmt: skip


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(text: str) -> None:
    assert refusal(ip_address(text), ())


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_not_refused(text: str) -> None:
    assert refusal(ip_address(text), ()) is None


def test_a_network_that_the_operator_named_is_reached_and_no_other() -> None:
    allowed = networks(["10.1.0.0/16", "fd12::/16"])
    assert refusal(ip_address("10.1.2.3"), allowed) is None
    assert refusal(ip_address("fd12::9"), allowed) is None
    assert refusal(ip_address("10.2.0.1"), allowed) == "private"
    assert refusal(ip_address("::ffff:10.1.2.3"), allowed) == "an IPv4 address in disguise"


@given(st.ip_addresses())
def test_nothing_that_the_standard_library_knows_to_be_special_is_public(address: object) -> None:
    special = ip_address(str(address))
    if (
        special.is_private
        or special.is_loopback
        or special.is_link_local
        or special.is_multicast
        or special.is_reserved
    ):
        nat64 = str(special).startswith("64:ff9b::")
        assert refusal(special, ()) is not None or nat64


@given(st.ip_addresses(v=4))
def test_nat64_is_judged_by_the_address_inside(address: object) -> None:
    inside = ip_address(str(address))
    outside = ip_address(b"\x00\x64\xff\x9b" + bytes(8) + inside.packed)
    assert refusal(outside, ()) == refusal(inside, ())


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://127.0.0.1/", "loopback"),
        ("https://[::1]/", "loopback"),
        ("https://[::ffff:10.0.0.1]/", "disguise"),
        ("https://169.254.169.254/latest/meta-data", "link-local"),
        ("https://localhost/", "loopback"),
        ("https://LOCALHOST./", "loopback"),
        ("https://ops.localhost:8443/", "loopback"),
        ("https://2130706433/", "four decimal numbers"),
        ("https://0x7f000001/", "four decimal numbers"),
        ("https://127.1/", "four decimal numbers"),
        ("https://0177.0.0.1/", ""),
        ("http://hooks.example.com/", "without TLS"),
        ("ftp://hooks.example.com/", "https"),
        ("//hooks.example.com/", "https"),
        ("https:///x", ""),
        ("https://user:secret@hooks.example.com/", "user"),
        ("https://user@hooks.example.com/", "user"),
        ("https://hooks.example.com/#x", "fragment"),
        ("https://hooks.example.com:0/", "port"),
        ("https://hooks.example.com:99999/", ""),
        ("https://hooks.example.com/\r\nx: y", "line ends"),
        (" https://hooks.example.com/", "spaces"),
        ("https://hooks.example.com/" + "x" * 3000, "characters"),
        ("https://[::1", ""),
        ("", ""),
    ],
)
def test_a_bad_url_is_refused_with_the_reason_and_without_its_text(url: str, why: str) -> None:
    with pytest.raises(BadEndpoint) as refused:
        endpoint(url, ())
    assert why in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_url_with_a_query_and_a_port_of_its_own_is_taken() -> None:
    found = endpoint("https://Hooks.Example.com:8443/flow?sig=a%2Bb&v=1", ())
    assert (found.host, found.port, found.tls) == ("hooks.example.com", 8443, True)
    assert endpoint("https://hooks.example.com", ()).port == 443


def test_clear_text_is_for_named_networks() -> None:
    allowed = networks(["127.0.0.0/8"])
    assert endpoint("http://127.0.0.1:9000/", allowed).tls is False
    with pytest.raises(BadEndpoint):
        endpoint("http://8.8.8.8/", allowed)
    with pytest.raises(BadEndpoint):
        refuse_host("10.0.0.25", tls=False, allowed=allowed)


def test_a_host_that_is_an_address_is_known_as_one() -> None:
    assert literal("[::1]") == ip_address("::1")
    assert literal("hooks.example.com") is None


async def test_one_bad_address_among_good_ones_refuses_all() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(NotSent, match="address_refused"):
        await judged("hooks.example.com", 443, allowed=(), clear_text=False, resolve=resolve)


async def test_clear_text_to_a_name_needs_every_address_in_a_named_network() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1", "8.8.8.8"]

    with pytest.raises(NotSent, match="clear_text_refused"):
        await judged("x.example", 80, allowed=networks(["127.0.0.0/8"]), clear_text=True, resolve=resolve)


@pytest.mark.parametrize("answers", [[], ["not an address"], ["8.8.8.8", ""]])
async def test_an_answer_that_is_no_address_reaches_nothing(answers: list[str]) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return answers

    with pytest.raises(NotSent):
        await judged("hooks.example.com", 443, allowed=(), clear_text=False, resolve=resolve)
