"""The way to a server: a name to checked addresses, one of them to a connected socket, or a proxy's tunnel."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import h11

from hub_core.errors import RemoteError
from hub_core.model import Reason

if TYPE_CHECKING:
    from hub_core.bitwarden.policy import OutboundPolicy

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a name; raises `socket.gaierror` where there are none."""

_T = TypeVar("_T")
_CHUNK = 16 * 1024
_READS_IN_A_ROW = 8
_HEADER_LIMIT = 100 * 1024
_SUCCESS = range(200, 300)
_BY_ERRNO = {
    errno.ECONNREFUSED: Reason.CONNECTION_REFUSED,
    errno.ECONNRESET: Reason.CONNECTION_REFUSED,
    errno.ENOTCONN: Reason.CONNECTION_REFUSED,
    errno.ETIMEDOUT: Reason.CONNECTION_TIMEOUT,
}
# Of several addresses that all failed, the one that came furthest says most.
_FURTHEST = (Reason.CONNECTION_REFUSED, Reason.CONNECTION_TIMEOUT, Reason.NO_ROUTE)

# A resolver that hangs holds its thread; beyond these the next name waits, and runs into its own deadline.
_resolving = ThreadPoolExecutor(max_workers=16, thread_name_prefix="names")


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a base address."""

    secure: bool
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """Read the origin of an already normalized address."""
        return cls(*_parts(url))

    @property
    def authority(self) -> str:
        """`host:port`, with brackets where the host is an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def header(self) -> bytes:
        """What stands in the Host header."""
        usual = self.port == (443 if self.secure else 80)
        return (self.authority.removesuffix(f":{self.port}") if usual else self.authority).encode("ascii")


@lru_cache(maxsize=1024)
def _parts(url: str) -> tuple[bool, str, int]:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    return secure, parts.hostname or "", parts.port or (443 if secure else 80)


class Plug:
    """A connected socket."""

    def __init__(self, sock: socket.socket, peer: str = "") -> None:
        """Take the socket over; `peer` is the address it leads to, nothing where a proxy leads on."""
        self.peer = peer
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._reads = 0

    async def read(self) -> bytes:
        """Return the next bytes, or nothing at the end."""
        data = await self._loop.sock_recv(self._sock, _CHUNK)
        self._reads += 1
        if len(data) == _CHUNK or self._reads % _READS_IN_A_ROW == 0:
            # Bytes already there come without a pause: a flood would keep the loop, and the deadline, waiting.
            await asyncio.sleep(0)
        return data

    async def write(self, data: bytes) -> None:
        """Send all of it."""
        await self._loop.sock_sendall(self._sock, data)

    def waiting(self) -> bytes | None:
        """Take what is there to be read already: nothing (None), some bytes, or the end (no bytes)."""
        try:
            return self._sock.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def quiet(self) -> bool:
        """Whether nothing waits to be read: an idle connection with something to say is about to close."""
        return self.waiting() is None

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How to get to servers: what the operator allows, who resolves names, how long an attempt may take."""

    policy: OutboundPolicy
    resolve: Resolver
    connect_s: float

    async def open(self, origin: Origin, known: tuple[str, ...], *, until: float) -> tuple[Plug, tuple[str, ...]]:
        """Connect to the origin, resolving it unless its checked addresses are known; return those as well.

        Raises:
            RemoteError: ADDRESS_…, NAME_…, CONNECTION_…, NO_ROUTE, PROXY_FAILED.
        """
        addresses = known or await self.look_up(origin, until=until)
        if self.policy.proxy and not addresses:
            return await self._through_proxy(self.policy.proxy, origin, until=until), ()
        return await self._connect(addresses, origin, until=until), addresses

    async def look_up(self, origin: Origin, *, until: float) -> tuple[str, ...]:
        """Return the addresses of the origin, every one checked; none where a proxy looks it up.

        Raises:
            RemoteError: ADDRESS_…, NAME_….
        """
        if not origin.secure and not self.policy.plaintext_allowed(origin.host, origin.port):
            raise RemoteError(Reason.ADDRESS_PLAINTEXT, evidence={"host": origin.host})
        if self.policy.proxy and not self.policy.on_this_machine(origin.host, origin.port):
            return ()
        addresses = await self._addresses(origin, until=until)
        for address in addresses:
            self.policy.check(address, host=origin.host, port=origin.port)
        return addresses

    async def _addresses(self, origin: Origin, *, until: float) -> tuple[str, ...]:
        if _is_literal(origin.host):
            return (origin.host,)
        evidence = {"host": origin.host}
        try:
            found = await within(
                self.resolve(origin.host, origin.port), until=self._attempt(until), late=Reason.NAME_TIMEOUT, **evidence
            )
        except socket.gaierror as error:
            again = error.errno == socket.EAI_AGAIN
            raise RemoteError(Reason.NAME_TIMEOUT if again else Reason.NAME_NOT_FOUND, evidence=evidence) from None
        except (OSError, UnicodeError):
            raise RemoteError(Reason.NAME_NOT_FOUND, evidence=evidence) from None
        if not found:
            raise RemoteError(Reason.NAME_NOT_FOUND, evidence=evidence)
        return tuple(dict.fromkeys(found))

    async def _connect(self, addresses: Sequence[str], origin: Origin, *, until: float) -> Plug:
        failures = set()
        for address in addresses:
            try:
                async with asyncio.timeout_at(self._attempt(until)):
                    return Plug(await _dial(address, origin.port), address)
            except TimeoutError:
                failures.add(Reason.CONNECTION_TIMEOUT)
            except OSError as error:
                failures.add(_BY_ERRNO.get(error.errno or 0, Reason.NO_ROUTE))
        furthest = next(reason for reason in _FURTHEST if reason in failures)
        evidence = {"host": origin.host, "port": str(origin.port)}
        if not self.policy.shared:
            # Once others look on, the addresses of inner names would map the network for them.
            evidence["addresses"] = ", ".join(addresses)
        raise RemoteError(furthest, evidence=evidence)

    async def _through_proxy(self, proxy: str, origin: Origin, *, until: float) -> Plug:
        """Ask the proxy for a tunnel; it resolves names, so only literal addresses and the port are checked here."""
        if _is_literal(origin.host):
            self.policy.check(origin.host, host=origin.host, port=origin.port)
        self.policy.check_port(origin.host, origin.port)
        gate = Origin.of(proxy)
        evidence = {"host": origin.host, "proxy": gate.authority}
        try:
            plug = await self._connect(await self._addresses(gate, until=until), gate, until=until)
        except RemoteError as error:
            raise RemoteError(Reason.PROXY_FAILED, evidence=evidence | {"what": error.reason.value}) from None
        try:
            async with asyncio.timeout_at(until):
                what = await _tunnel(plug, origin)
        except (OSError, h11.RemoteProtocolError):
            what = "no proper answer"
        except BaseException:
            plug.close()
            raise
        if what:
            plug.close()
            raise RemoteError(Reason.PROXY_FAILED, evidence=evidence | {"what": what})
        plug.peer = ""
        return plug

    def _attempt(self, until: float) -> float:
        return min(until, asyncio.get_running_loop().time() + self.connect_s)


async def within(doing: Awaitable[_T], *, until: float, late: Reason, **evidence: str) -> _T:
    """Wait for it until a moment of the loop's clock.

    Raises:
        RemoteError: `late`, when the moment has come.
    """
    try:
        async with asyncio.timeout_at(until):
            return await doing
    except TimeoutError:
        raise RemoteError(late, evidence=evidence) from None


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name, by the system's resolver in a thread: it knows no deadline of its own."""
    ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_resolving, ask)
    return [str(entry[4][0]) for entry in found]


def speaker() -> h11.Connection:
    """Return a fresh client side of HTTP/1.1."""
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADER_LIMIT)


async def _dial(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
        _same_address(sock.getpeername()[0], address)
    except BaseException:
        sock.close()
        raise
    return sock


def _same_address(reached: str, checked: str) -> None:
    if ip_address(reached) != ip_address(checked):
        raise OSError(errno.EADDRNOTAVAIL, "connected to another address than the checked one")


async def _tunnel(plug: Plug, origin: Origin) -> str:
    """Ask for a tunnel; return why there is none, or nothing."""
    http = speaker()
    target = origin.authority.encode("ascii")
    request = h11.Request(method="CONNECT", target=target, headers=[(b"Host", target)])
    await plug.write((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
    while not isinstance(event := http.next_event(), h11.Response):
        if event is h11.NEED_DATA:
            data = await plug.read()
            if not data:
                return "no proper answer"
            http.receive_data(data)
    return "" if event.status_code in _SUCCESS else f"status {event.status_code}"


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
