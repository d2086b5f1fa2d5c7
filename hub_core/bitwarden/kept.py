"""Keeps connections, and the checked addresses of names, from one scheduled check to the next.

A connection is used again only under the same policy and the same CA certificates, only while its name still leads to
its address, and only within two seconds of its last sign of life: what a check finds is never older.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hub_core.bitwarden.reach import Origin, speaker

if TYPE_CHECKING:
    from collections.abc import Callable

    import h11

    from hub_core.bitwarden.policy import OutboundPolicy
    from hub_core.bitwarden.reach import Plug, Reach
    from hub_core.bitwarden.tls import Tls, TlsFacts, Wire

FRESH_S = 2.0
"""A connection that has been silent for longer is not trusted to be there, neither within a check nor after it."""

LIFE_S = 300.0
"""After that a new connection is made, with a new handshake: a changed certificate is seen."""

NAMES_S = 30.0
"""How long the addresses of a name are believed."""

MOST_EACH = 50
MOST = 100
"""Connections kept to one server, and in all."""


@dataclass(slots=True)
class Line:
    """The connection to one origin, and how far it got."""

    origin: Origin
    addresses: tuple[str, ...] = ()
    plug: Plug | None = None
    tls: Tls | None = None
    facts: TlsFacts | None = None
    http: h11.Connection = field(default_factory=speaker)
    answers: int = 0
    heard: bool = False
    """Whether any byte of the current answer came."""
    ended: bool = False
    """Whether the server closed its side."""
    opened_at: float = 0.0
    alive_at: float = 0.0
    """When it was connected or an answer was complete, whichever was last."""

    @property
    def wire(self) -> Wire:
        """What to write to and read from."""
        wire = self.tls or self.plug
        if wire is None:
            raise ConnectionError("not connected")
        return wire

    @property
    def ready(self) -> bool:
        """Whether a request can be sent at once."""
        return self.plug is not None and (self.tls is not None or not self.origin.secure)

    def fresh(self, now: float) -> bool:
        """Whether it gave a sign of life a moment ago and has nothing to say: else it is about to close."""
        return now - self.alive_at <= FRESH_S and self.wire.quiet()

    def hang_up(self) -> None:
        """Close; the addresses stay, they were checked."""
        if self.plug:
            self.plug.close()
        self.plug = self.tls = self.facts = None
        self.http, self.answers = speaker(), 0


class Way(NamedTuple):
    """What two accounts must have in common to use one connection after each other."""

    policy: OutboundPolicy
    ca_pem: str | None
    origin: Origin


class _Name(NamedTuple):
    addresses: tuple[str, ...]
    until: float


class Kept:
    """The idle connections of one event loop."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._idle: dict[Way, list[Line]] = {}
        self._names: dict[tuple[OutboundPolicy, Origin], _Name] = {}
        self._sweep: asyncio.TimerHandle | None = None

    @property
    def number(self) -> int:
        """How many connections are kept."""
        return sum(map(len, self._idle.values()))

    async def take(self, way: Way, reach: Reach, *, until: float) -> Line:
        """Return a line to the origin: a kept connection, or none yet but checked addresses to connect to.

        Raises:
            RemoteError: ADDRESS_…, NAME_…: as for a new connection.
        """
        addresses = await self._addresses(way, reach, until=until)
        idle, now = self._idle.get(way, []), self._monotonic()
        while idle:
            line = idle.pop()
            if now - line.opened_at <= LIFE_S and _leads_to(line, addresses) and line.fresh(now):
                line.addresses = addresses
                return line
            line.hang_up()
        return Line(way.origin, addresses)

    def give(self, way: Way, line: Line) -> None:
        """Keep a connection that nobody uses now and on which nothing is under way."""
        idle = self._idle.setdefault(way, [])
        if len(idle) >= MOST_EACH or self.number >= MOST:
            line.hang_up()
            return
        idle.append(line)
        if not self._sweep:
            self._sweep = asyncio.get_running_loop().call_later(FRESH_S, self._tidy)

    def close(self) -> None:
        """Close every kept connection."""
        if self._sweep:
            self._sweep.cancel()
            self._sweep = None
        for lines in self._idle.values():
            for line in lines:
                line.hang_up()
        self._idle.clear()
        self._names.clear()

    async def _addresses(self, way: Way, reach: Reach, *, until: float) -> tuple[str, ...]:
        name = (way.policy, way.origin)
        known = self._names.pop(name, None)
        if known is None or known.until < self._monotonic():
            addresses = await reach.look_up(way.origin, until=until)
            known = _Name(addresses, self._monotonic() + NAMES_S)
        self._names[name] = known
        return known.addresses

    def _tidy(self) -> None:
        """Close what is not used any more, and come back as long as something is kept."""
        now = self._monotonic()
        for way, lines in list(self._idle.items()):
            for line in [line for line in lines if now - line.alive_at > FRESH_S]:
                lines.remove(line)
                line.hang_up()
            if not lines:
                del self._idle[way]
        self._names = {name: known for name, known in self._names.items() if known.until >= now}
        self._sweep = asyncio.get_running_loop().call_later(FRESH_S, self._tidy) if self._idle else None


def _leads_to(line: Line, addresses: tuple[str, ...]) -> bool:
    """Whether the name still gives this address; what goes through a proxy has none of its own."""
    return line.plug is not None and (line.plug.peer in addresses if line.plug.peer else not addresses)
