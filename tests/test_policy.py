"""Which addresses may be contacted: every row of the table, and what no setting can allow."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_core.bitwarden.policy import OutboundPolicy
from hub_core.errors import RemoteError
from hub_core.model import Reason
from hub_core.settings import Settings

ALONE = OutboundPolicy()
SHARED = OutboundPolicy(shared=True)
EVERYTHING = OutboundPolicy.from_settings(
    Settings(
        address="10.0.0.5",
        allow_open=True,
        hosts=("hub.example",),
        outbound_allow=("vault.example", "0.0.0.0/0", "::/0", "169.254.169.254", "fd00:ec2::254"),
        outbound_loopback=("vault.example:443", "127.0.0.1:443"),
        outbound_ports=tuple(range(1, 65536)),
    )
)
"""The most an operator can allow."""

NEVER = {
    "metadata address": [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.0.1",
        "169.254.255.255",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:42::42",
        "fd00:c1::a9fe:a9fe",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::ffff:168.63.129.16",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::168.63.129.16",
        "64:ff9b:1::a9fe:a9fe",
        "64:ff9b:1:a9fe:a9:fe00::",
        "64:ff9b:1:12a9:fe:a9fe::",
        "64:ff9b:1:1234:a9:fea9:500:0",
        "2002:a9fe:a9fe::1",
        "2002:6464:64c8::",
        "2001:0:a9fe:a9fe::1",
        "2001:0:808:808::5601:5601",
    ],
    "link-local": ["fe80::1", "fe80::1%eth0", "febf:ffff::1", "[fe80::a9fe:a9fe]"],
    "unspecified address": ["0.0.0.0", "::", "::ffff:0.0.0.0", "64:ff9b::", "64:ff9b:1::", "2002::"],  # noqa: S104 - addresses that are refused
    "multicast": ["224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1", "::ffff:224.0.0.1"],
    "broadcast": ["255.255.255.255", "::ffff:255.255.255.255"],
    "reserved range": [
        "0.1.2.3",
        "192.0.0.1",
        "192.0.0.8",
        "192.88.99.1",
        "240.0.0.1",
        "250.1.2.3",
        "::2",
        "::127.0.0.1",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "100::1",
        "2001:1::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "4000::1",
        "5f00::1",
        "fec0::1",
        "64:ff9b:2::1",
        "not an address",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "",
    ],
    "documentation range": ["192.0.2.1", "198.51.100.7", "203.0.113.9", "2001:db8::1", "3fff::1", "64:ff9b::192.0.2.1"],
}
LOOPBACK = ["127.0.0.1", "127.0.0.53", "127.255.255.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]
PRIVATE = [
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "198.18.0.5",
    "198.19.255.255",
    "fc00::1",
    "fd12:3456::1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::8.8.8.8",
    "2002:a00:1::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "168.63.129.15",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700::1",
    "2a00:1450::1",
    "2001:4860:4860::8888",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]


def rule(policy: OutboundPolicy, ip: str, *, host: str = "vault.example", port: int = 443) -> str | None:
    try:
        policy.check(ip, host=host, port=port)
    except RemoteError as error:
        explained = error.reason is Reason.ADDRESS_NOT_ALLOWED and set(error.evidence) == {"host", "rule"}
        return error.evidence["rule"] if explained else "not explained"
    return None


@pytest.mark.parametrize("policy", [ALONE, SHARED, EVERYTHING], ids=["alone", "shared", "everything"])
@pytest.mark.parametrize(("expected", "ip"), [(rule, ip) for rule, ips in NEVER.items() for ip in ips])
def test_some_addresses_are_never_contacted(policy: OutboundPolicy, expected: str, ip: str) -> None:
    """No setting opens metadata, link-local, unspecified, multicast, reserved or documentation addresses."""
    assert rule(policy, ip) == expected


@pytest.mark.parametrize("ip", LOOPBACK)
def test_loopback_is_contacted_only_as_listed(ip: str) -> None:
    """This machine is out of reach unless exactly this host and port are listed."""
    assert rule(ALONE, ip) == "loopback"
    assert rule(SHARED, ip) == "loopback"
    assert rule(OutboundPolicy(shared=True, hosts=frozenset({"vault.example"})), ip) == "loopback"
    listed = OutboundPolicy(loopback=frozenset({"vault.example:8443"}))
    assert rule(listed, ip, port=8443) is None
    assert rule(listed, ip, port=443) == "loopback"
    assert rule(listed, ip, host="evil.example", port=8443) == "loopback"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_the_names_of_this_machine_are_one(host: str) -> None:
    """Listing one of localhost, 127.0.0.1 and [::1] lists all three, and still no other name that leads here."""
    for listed in ("localhost:1234", "127.0.0.1:1234", "[::1]:1234"):
        policy = OutboundPolicy(shared=True, loopback=frozenset({listed}))
        assert rule(policy, "127.0.0.1", host=host, port=1234) is None
        assert rule(policy, "::1", host=host, port=1234) is None
        assert rule(policy, "127.0.0.1", host=host, port=1235) == "loopback"
        assert rule(policy, "127.0.0.1", host="evil.example", port=1234) == "loopback"


@pytest.mark.parametrize("ip", PRIVATE)
def test_private_ranges_are_the_operators_decision_once_shared(ip: str) -> None:
    """On the operator's own machine the local network is open; once shared, only what is listed."""
    assert rule(ALONE, ip) is None
    assert rule(SHARED, ip) == "private range"
    by_host = OutboundPolicy(shared=True, hosts=frozenset({"vault.example"}))
    assert rule(by_host, ip) is None
    assert rule(by_host, ip, host="other.example") == "private range"


def test_private_addresses_can_be_listed_by_network_and_by_address() -> None:
    """A network or a single address opens exactly itself."""
    policy = OutboundPolicy.from_settings(
        Settings(address="10.0.0.5", outbound_allow=("10.20.0.0/16", "192.168.1.7", "[fd12::7]", "fd34::/64"))
    )
    allowed = ["10.20.255.1", "::ffff:10.20.0.1", "192.168.1.7", "fd12::7", "fd34::9"]
    refused = ["10.21.0.1", "192.168.1.8", "fd12::8", "fd34:0:0:1::9"]
    assert [rule(policy, ip) for ip in allowed] == [None] * len(allowed)
    assert [rule(policy, ip) for ip in refused] == ["private range"] * len(refused)


@pytest.mark.parametrize("ip", PUBLIC)
def test_public_addresses_are_allowed(ip: str) -> None:
    """The neighbours of every refused range, and what carries a public address, stay reachable."""
    assert rule(ALONE, ip) is None
    assert rule(SHARED, ip) is None


def test_ports_are_limited_once_shared() -> None:
    """Alone any port is open; shared only 443, 8443 and the listed ones."""
    policy = OutboundPolicy(shared=True, ports=frozenset({9443}))
    assert [rule(policy, "8.8.8.8", port=port) for port in (443, 8443, 9443)] == [None] * 3
    assert [rule(policy, "8.8.8.8", port=port) for port in (22, 80, 444, 6379)] == ["port"] * 4
    assert [rule(ALONE, "8.8.8.8", port=port) for port in (22, 80, 9999)] == [None] * 3


def test_the_range_is_named_before_the_port() -> None:
    """A metadata address on an odd port is refused for what it is."""
    assert rule(SHARED, "169.254.169.254", port=80) == "metadata address"


def test_the_sandbox_is_listed_only_while_it_is_offered() -> None:
    """Its port on this machine opens with it, and closes when the hub is shared or the sandbox is off."""

    def sandbox(given: Settings) -> str | None:
        return rule(OutboundPolicy.from_settings(given), "127.0.0.1", host="127.0.0.1", port=given.sandbox_port)

    assert sandbox(Settings()) is None
    assert sandbox(Settings(sandbox_port=9000)) is None
    assert sandbox(Settings(sandbox=False)) == "loopback"
    assert sandbox(Settings(address="10.0.0.5")) == "loopback"


def test_plaintext_is_for_listed_hosts_and_this_machine() -> None:
    """Plain http is possible where the operator named the host, or where nothing leaves the machine."""
    policy = OutboundPolicy.from_settings(Settings(plaintext_hosts=("old.corp.example",)))
    assert policy.plaintext_allowed("old.corp.example", 8080)
    assert policy.plaintext_allowed("127.0.0.1", Settings().sandbox_port)
    assert not policy.plaintext_allowed("vault.example", 80)
    assert not policy.plaintext_allowed("127.0.0.1", 80)


def test_the_proxy_is_the_operators() -> None:
    """The policy carries the setting as it is."""
    assert OutboundPolicy.from_settings(Settings(proxy="http://proxy.corp:3128")).proxy == "http://proxy.corp:3128"


FORBIDDEN_V4 = [
    ipaddress.IPv4Network(net)
    for net in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "192.88.99.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
forbidden_v4 = st.sampled_from(FORBIDDEN_V4).flatmap(
    lambda net: st.integers(int(net[0]), int(net[-1])).map(IPv4Address)
)
policies = st.builds(
    OutboundPolicy,
    shared=st.booleans(),
    hosts=st.sampled_from([frozenset(), frozenset({"vault.example"})]),
    networks=st.sampled_from([(), (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))]),
    loopback=st.sampled_from([frozenset(), frozenset({"vault.example:443"})]),
    ports=st.frozensets(st.integers(1, 65535), max_size=3),
    plaintext_hosts=st.sampled_from([frozenset(), frozenset({"vault.example"})]),
)


def carriers(inner: IPv4Address, rest: int) -> list[IPv4Address | IPv6Address]:
    """Return an IPv4 address in every dress it can come in; `rest` fills the bits that do not matter."""
    number, low64, low80 = int(inner), rest & (1 << 64) - 1, rest & (1 << 80) - 1
    flipped = number ^ 0xFFFFFFFF
    return [
        inner,
        IPv6Address(0xFFFF << 32 | number),
        IPv6Address(0x64FF9B << 96 | number),
        IPv6Address(0x64FF9B0001 << 80 | number),
        IPv6Address(0x2002 << 112 | number << 80 | low80),
        IPv6Address(0x20010000 << 96 | number << 64 | low64),
        IPv6Address(0x20010000 << 96 | low64 >> 32 << 64 | (rest & 0xFFFFFFFF) << 32 | flipped),
    ]


@settings(max_examples=300, deadline=None)
@given(inner=forbidden_v4, rest=st.integers(0, (1 << 80) - 1), policy=policies)
def test_no_setting_and_no_dress_opens_a_forbidden_address(
    inner: IPv4Address, rest: int, policy: OutboundPolicy
) -> None:
    """Whatever is allowed and however it is carried, a forbidden IPv4 address is refused."""
    for address in carriers(inner, rest):
        assert rule(policy, str(address)) is not None, address


@settings(max_examples=300, deadline=None)
@given(number=st.integers(0, (1 << 128) - 1), policy=policies)
def test_only_the_known_parts_of_ipv6_are_open(number: int, policy: OutboundPolicy) -> None:
    """Outside global unicast, unique local and the NAT64 prefixes no IPv6 address is contacted."""
    address = IPv6Address(number)
    known = ("2000::/3", "fc00::/7", "64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0/96", "::1/128")
    if not any(address in ipaddress.IPv6Network(net) for net in known):
        assert rule(policy, str(address)) is not None


@settings(max_examples=300, deadline=None)
@given(number=st.integers(0, (1 << 32) - 1))
def test_a_shared_hub_reaches_nothing_python_calls_private(number: int) -> None:
    """As a second opinion: what `ipaddress` calls not global is never open to a shared hub that lists nothing."""
    address = IPv4Address(number)
    if rule(SHARED, str(address)) is None:
        assert address.is_global
