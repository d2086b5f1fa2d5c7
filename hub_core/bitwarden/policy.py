"""Which addresses may be contacted: a pure decision over literal IP addresses, hosts and ports.

The table is our own because `ipaddress.is_global` differs between Python versions and says yes to
several metadata services. Addresses that carry another one inside (IPv4-mapped, NAT64, 6to4, Teredo)
are judged by what they carry as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from hub_core.errors import RemoteError
from hub_core.model import Reason

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from hub_core.settings import Settings

SHARED_PORTS = frozenset({443, 8443})
"""Ports that may be contacted without being listed once the dashboard is shared."""

_LOCALHOST = ("127.0.0.1", "[::1]", "localhost")


class _Kind(Enum):
    NEVER = 0
    LOOPBACK = 1
    PRIVATE = 2
    PUBLIC = 3


# First match wins, so the metadata services stand before the ranges around them.
_IPV4 = (
    ("169.254.0.0/16", _Kind.NEVER, "metadata address"),
    ("100.100.100.200/32", _Kind.NEVER, "metadata address"),
    ("168.63.129.16/32", _Kind.NEVER, "metadata address"),
    ("192.0.0.192/32", _Kind.NEVER, "metadata address"),
    ("0.0.0.0/32", _Kind.NEVER, "unspecified address"),
    ("0.0.0.0/8", _Kind.NEVER, "reserved range"),
    ("255.255.255.255/32", _Kind.NEVER, "broadcast"),
    ("224.0.0.0/4", _Kind.NEVER, "multicast"),
    ("240.0.0.0/4", _Kind.NEVER, "reserved range"),
    ("192.0.0.0/24", _Kind.NEVER, "reserved range"),
    ("192.0.2.0/24", _Kind.NEVER, "documentation range"),
    ("198.51.100.0/24", _Kind.NEVER, "documentation range"),
    ("203.0.113.0/24", _Kind.NEVER, "documentation range"),
    ("192.88.99.0/24", _Kind.NEVER, "reserved range"),
    ("127.0.0.0/8", _Kind.LOOPBACK, "loopback"),
    ("10.0.0.0/8", _Kind.PRIVATE, "private range"),
    ("172.16.0.0/12", _Kind.PRIVATE, "private range"),
    ("192.168.0.0/16", _Kind.PRIVATE, "private range"),
    ("100.64.0.0/10", _Kind.PRIVATE, "private range"),
    # Benchmarking by IANA, but what local tunnels hand out for every name they carry.
    ("198.18.0.0/15", _Kind.PRIVATE, "private range"),
    ("0.0.0.0/0", _Kind.PUBLIC, "public"),
)
_IPV6 = (
    ("fd00:ec2::/32", _Kind.NEVER, "metadata address"),
    ("fd20:ce::254/128", _Kind.NEVER, "metadata address"),
    ("fd00:42::42/128", _Kind.NEVER, "metadata address"),
    ("fd00:c1::a9fe:a9fe/128", _Kind.NEVER, "metadata address"),
    ("fe80::/10", _Kind.NEVER, "link-local"),
    ("::/128", _Kind.NEVER, "unspecified address"),
    ("::1/128", _Kind.LOOPBACK, "loopback"),
    ("::ffff:0:0/96", _Kind.PUBLIC, "public"),
    ("64:ff9b::/96", _Kind.PUBLIC, "public"),
    ("64:ff9b:1::/48", _Kind.PRIVATE, "private range"),
    ("ff00::/8", _Kind.NEVER, "multicast"),
    ("fc00::/7", _Kind.PRIVATE, "private range"),
    ("2001::/32", _Kind.PUBLIC, "public"),
    ("2001::/23", _Kind.NEVER, "reserved range"),
    ("2001:db8::/32", _Kind.NEVER, "documentation range"),
    ("3fff::/20", _Kind.NEVER, "documentation range"),
    ("2000::/3", _Kind.PUBLIC, "public"),
    ("::/0", _Kind.NEVER, "reserved range"),
)
_TABLE: dict[int, tuple[tuple[IPv4Network | IPv6Network, _Kind, str], ...]] = {
    4: tuple((ip_network(net), kind, rule) for net, kind, rule in _IPV4),
    6: tuple((ip_network(net), kind, rule) for net, kind, rule in _IPV6),
}
_NAT64 = ip_network("64:ff9b::/96")
_NAT64_LOCAL = ip_network("64:ff9b:1::/48")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundPolicy:
    """What the operator allows this hub to contact."""

    shared: bool = False
    hosts: frozenset[str] = frozenset()
    """Hosts, or single addresses, in private ranges that may be contacted once shared."""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    loopback: frozenset[str] = frozenset()
    """Targets on this machine, as `host:port`."""
    ports: frozenset[int] = frozenset()
    plaintext_hosts: frozenset[str] = frozenset()
    proxy: str | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> OutboundPolicy:
        """Read the policy from the operator's settings; the sandbox's port is listed while it is offered."""
        listed = settings.outbound_allow
        sandbox = {f"127.0.0.1:{settings.sandbox_port}"} if settings.sandbox_offered else set()
        return cls(
            shared=settings.shared,
            hosts=frozenset(entry.strip("[]") for entry in listed if "/" not in entry),
            networks=tuple(ip_network(entry) for entry in listed if "/" in entry),
            loopback=frozenset(settings.outbound_loopback) | sandbox,
            ports=frozenset(settings.outbound_ports),
            plaintext_hosts=frozenset(host.strip("[]") for host in settings.plaintext_hosts),
            proxy=settings.proxy,
        )

    def check(self, ip: str, *, host: str, port: int) -> None:
        """Accept one resolved address of `host`, or refuse it by naming the rule, never the address.

        Raises:
            RemoteError: ADDRESS_NOT_ALLOWED.
        """
        address = _parse(ip)
        if address is None:
            raise _refused(host, "reserved range")
        on_this_machine = False
        for layer in _layers(address):
            kind, rule = _classify(layer)
            on_this_machine = on_this_machine or kind is _Kind.LOOPBACK
            if not self._kind_allowed(kind, layer, host=host, port=port):
                raise _refused(host, rule)
        if not on_this_machine:
            self.check_port(host, port)

    def check_port(self, host: str, port: int) -> None:
        """Accept a port, or refuse it: any while the hub is not shared, the usual and the listed ones once it is.

        Raises:
            RemoteError: ADDRESS_NOT_ALLOWED.
        """
        if self.shared and port not in SHARED_PORTS | self.ports:
            raise _refused(host, "port")

    def on_this_machine(self, host: str, port: int) -> bool:
        """Whether `host:port` is one of the listed loopback targets."""
        same = _LOCALHOST if _bracketed(host) in _LOCALHOST else (_bracketed(host),)
        return any(f"{name}:{port}" in self.loopback for name in same)

    def plaintext_allowed(self, host: str, port: int) -> bool:
        """Whether `http://` may be used: as listed, or where nothing leaves this machine."""
        return host.strip("[]") in self.plaintext_hosts or self.on_this_machine(host, port)

    def _kind_allowed(self, kind: _Kind, address: IPv4Address | IPv6Address, *, host: str, port: int) -> bool:
        if kind is _Kind.LOOPBACK:
            return self.on_this_machine(host, port)
        if kind is _Kind.PRIVATE:
            return not self.shared or self._listed(address, host)
        return kind is _Kind.PUBLIC

    def _listed(self, address: IPv4Address | IPv6Address, host: str) -> bool:
        return (
            host.strip("[]") in self.hosts
            or str(address) in self.hosts
            or any(address in net for net in self.networks if net.version == address.version)
        )


def _parse(ip: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(ip.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _classify(address: IPv4Address | IPv6Address) -> tuple[_Kind, str]:
    return next((kind, rule) for net, kind, rule in _TABLE[address.version] if address in net)


def _layers(address: IPv4Address | IPv6Address) -> tuple[IPv4Address | IPv6Address, ...]:
    """Return what has to be allowed: the addresses carried inside, then the address that carries them."""
    return (address,) if isinstance(address, IPv4Address) else (*_carried(address), address)


def _carried(address: IPv6Address) -> tuple[IPv4Address, ...]:
    if address.teredo:
        return address.teredo
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    if address in _NAT64_LOCAL:
        return _local_nat64(int(address))
    single = address.ipv4_mapped or address.sixtofour
    return (single,) if single else ()


def _local_nat64(number: int) -> tuple[IPv4Address, ...]:
    """Return every IPv4 address the local NAT64 prefix may carry.

    RFC 6052 places it by prefix length, and a /48 holds networks of each: 48, 56, 64 and 96.
    """
    low = number & 0xFFFFFFFF
    at_48 = (number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF
    at_56 = (number >> 64 & 0xFF) << 24 | number >> 32 & 0xFFFFFF
    at_64 = number >> 24 & 0xFFFFFFFF
    carried = tuple(IPv4Address(value) for value in (low, at_48, at_56, at_64) if value >> 24)
    return carried or (IPv4Address(0),)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _refused(host: str, rule: str) -> RemoteError:
    return RemoteError(Reason.ADDRESS_NOT_ALLOWED, evidence={"host": host, "rule": rule})
