"""Requests to the addresses of channels: one POST or GET to exactly one address, over a socket we checked and pinned.

The same rules as for servers: the name is resolved once, every address is checked, the connection goes to a checked
one; no redirect is followed, nothing is read from the environment, and the answer's body is not read at all.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import h11

from hub_core import __version__
from hub_core.bitwarden.reach import Origin, Plug, Reach, Resolver, speaker
from hub_core.bitwarden.tls import Tls, context_for
from hub_core.errors import RemoteError
from hub_core.model import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub_core.bitwarden.policy import OutboundPolicy

CONNECT_S = 5.0
DEADLINE_S = 15.0
"""Seconds one request may take, from the name to the answer's headers."""

_MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Posted:
    """What the receiver answered."""

    status: int
    retry_after: int | None
    """Seconds it asked to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poster:
    """Sends to channels by the operator's rules."""

    policy: OutboundPolicy
    resolve: Resolver
    deadline_s: float = DEADLINE_S

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Posted:
        """Send `body` to a webhook's address; raises RemoteError, whose text holds no part of the address."""
        return await self._ask("POST", url, {**headers, "Content-Length": str(len(body))}, body)

    async def get(self, url: str) -> Posted:
        """Ask an address, only to be noticed; raises RemoteError."""
        return await self._ask("GET", url, {}, b"")

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Posted:
        origin, parts = Origin.of(url), urlsplit(url)
        evidence = {"host": origin.host}
        request = h11.Request(
            method=method,
            target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            headers=[
                ("Host", origin.header.decode("ascii")),
                ("User-Agent", f"link-hub/{__version__}"),
                ("Accept", "*/*"),
                ("Connection", "close"),
                *headers.items(),
            ],
        )
        until = asyncio.get_running_loop().time() + self.deadline_s
        reach = Reach(policy=self.policy, resolve=self.resolve, connect_s=CONNECT_S)
        plug, _ = await reach.open(origin, (), until=until)
        try:
            async with asyncio.timeout_at(until):
                return await _exchange(plug, origin, request, body)
        except TimeoutError:
            raise RemoteError(Reason.ANSWER_TIMEOUT, evidence=evidence) from None
        except (OSError, h11.RemoteProtocolError):
            raise RemoteError(Reason.ANSWER_LOST, evidence=evidence) from None
        finally:
            plug.close()


async def _exchange(plug: Plug, origin: Origin, request: h11.Request, body: bytes) -> Posted:
    wire: Plug | Tls = plug
    if origin.secure:
        wire = tls = Tls(plug, context_for(None), origin.host)
        try:
            await tls.handshake()
        except (ssl.SSLError, OSError) as error:
            raise tls.failure(error, host=origin.host, official=False) from None
    http = speaker()
    events = [request, *([h11.Data(data=body)] if body else []), h11.EndOfMessage()]
    await wire.write(b"".join(http.send(event) or b"" for event in events))
    seen = 0
    while True:
        event = http.next_event()
        if isinstance(event, h11.Response):
            return Posted(event.status_code, _retry_after(event))
        if event is h11.NEED_DATA:
            data = await wire.read()
            seen += len(data)
            if not data or seen > _MOST_BYTES:
                raise ConnectionError("no answer")
            http.receive_data(data)


def _retry_after(response: h11.Response) -> int | None:
    """Return the seconds the receiver asked to wait, given as such or as a date."""
    text = next((value.decode("latin-1").strip() for name, value in response.headers if name == b"retry-after"), "")
    if text.isascii() and text.isdecimal():
        return int(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0, round((at - datetime.now(UTC)).total_seconds()))
