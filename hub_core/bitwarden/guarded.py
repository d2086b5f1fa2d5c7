"""The only HTTP: httpx's transport interface over sockets we resolved, checked and pinned ourselves.

HTTP/1.1 is spoken by h11. There is no client above this that could follow a redirect, keep a cookie or read the
environment; a request that is not on the list does not leave, and every failure leaves as a `RemoteError` whose text
holds no header and no body.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import h11
from httpx import AsyncBaseTransport, Request, Response

from hub_core.bitwarden.answer import Body
from hub_core.bitwarden.kept import Line, Way
from hub_core.bitwarden.reach import Origin, Reach, Resolver, resolve, within
from hub_core.bitwarden.tls import Tls, TlsFacts, context_for
from hub_core.errors import InputError, RemoteError
from hub_core.model import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub_core.bitwarden.kept import Kept
    from hub_core.bitwarden.policy import OutboundPolicy
    from hub_core.model import Endpoints

OBJECT_LIMIT = 1_000_000
LIST_LIMIT = 32_000_000
"""Bytes of a body: a single object, a list."""

TOKEN_PATH = "/connect/token"  # noqa: S105 - the path of a request

_FRAMING = 200_000
_HEADER_TOO_LARGE = 431
# What the body's bytes were on the wire; httpx must not undo it a second time.
_OF_THE_WIRE = {b"content-encoding", b"content-length", b"transfer-encoding"}

_Heard = tuple[int, list[tuple[bytes, bytes]], bytes, int]


class Side(Enum):
    """One of the two servers an account talks to."""

    API = "api"
    IDENTITY = "identity"


_MAY_GET = {
    Side.API: frozenset(
        {"/config", "/alive", "/now", "/version", "/public/organization/subscription"}
        | {f"/public/{name}" for name in ("members", "groups", "collections", "policies", "events")}
    ),
    Side.IDENTITY: frozenset({"/.well-known/openid-configuration", "/alive", "/version"}),
}


class ForbiddenRequest(RuntimeError):
    """A request that this program must never make was asked for: a fault in our code, found before any packet."""


def permit(method: str, side: Side, path: str) -> None:
    """Accept one of the requests this program is for.

    Raises:
        ForbiddenRequest: for everything else.
    """
    read = method == "GET" and path in _MAY_GET[side]
    token = method == "POST" and side is Side.IDENTITY and path == TOKEN_PATH
    if not read and not token:
        raise ForbiddenRequest("not one of the requests this program may make")


@dataclass(frozen=True, slots=True)
class Connected:
    """A TCP connection is there."""

    addresses: tuple[str, ...]
    """What the name resolved to; empty where a proxy resolves."""
    ms: int


class _Unanswered(RemoteError):
    """The connection ended before any byte of the answer."""


class GuardedTransport(AsyncBaseTransport):
    """Sends requests to one account's two servers, and nothing but the listed ones."""

    def __init__(
        self,
        endpoints: Endpoints,
        policy: OutboundPolicy,
        *,
        ca_pem: str | None = None,
        official: Callable[[str], bool] = lambda _: False,
        connect_s: float = 5.0,
        deadline_s: float = 30.0,
        resolve: Resolver = resolve,
        monotonic: Callable[[], float] = time.monotonic,
        kept: Kept | None = None,
    ) -> None:
        """Go where `policy` allows; `kept` lends connections of earlier checks and gets them back."""
        self._kept = kept
        self._reach = Reach(policy=policy, resolve=resolve, connect_s=connect_s)
        self._ca_pem = ca_pem
        self._official = official
        self._deadline_s = deadline_s
        self._monotonic = monotonic
        self._bases = {side: (Origin.of(url), urlsplit(url).path.rstrip("/")) for side, url in _sides(endpoints)}
        self._lines: dict[Origin, Line] = {}
        self._turn = asyncio.Lock()

    async def aclose(self) -> None:
        """Close every connection, or give it back to be kept."""
        for origin, line in self._lines.items():
            if self._kept and line.ready:
                self._kept.give(self._way(origin), line)
            else:
                line.hang_up()
        self._lines.clear()

    async def connect(self, side: Side) -> Connected:
        """Resolve the name once, check every address, and connect to one of them; 0 ms where that is done.

        Raises:
            RemoteError: ADDRESS_…, NAME_…, CONNECTION_…, NO_ROUTE, PROXY_FAILED.
        """
        async with self._turn:
            started, until = self._monotonic(), self._until()
            line = await self._line(side, until=until)
            if line.plug:
                return Connected(line.addresses, 0)
            await self._connected(line, until=until)
            return Connected(line.addresses, self._ms(started))

    async def handshake(self, side: Side) -> TlsFacts | None:
        """Shake hands, the name verified, and return what the server showed; nothing for plaintext.

        Raises:
            RemoteError: CERTIFICATE_…, CLIENT_CERTIFICATE_WANTED, TLS_…, or those of `connect`.
        """
        async with self._turn:
            until = self._until()
            line = await self._line(side, until=until)
            await self._ready(line, until=until)
            return line.facts

    async def handle_async_request(self, request: Request) -> Response:
        """Send one listed request and return the whole answer; the extension `ms` tells how long it took.

        The request's extension `limit` is the most bytes its answer's body may have.

        Raises:
            RemoteError: ANSWER_…, or those of `handshake`.
            ForbiddenRequest: for anything else, before any packet.
        """
        side = self._permitted(request)
        body = request.content
        sent = h11.Request(
            method=request.method,
            target=request.url.raw_path,
            headers=[
                (b"Host", self._bases[side][0].header),
                *((n, v) for n, v in request.headers.raw if n.lower() != b"host"),
            ],
        )
        limit = int(request.extensions.get("limit", OBJECT_LIMIT))
        async with self._turn:
            until = self._until()
            line = await self._line(side, until=until)
            if line.plug and line.answers and not line.fresh(self._monotonic()):
                line.hang_up()
            used = line.answers > 0
            try:
                heard = await self._exchange(line, sent, body, limit=limit, until=until)
            except _Unanswered:
                if request.method != "GET" or not used:
                    raise
                heard = await self._exchange(line, sent, body, limit=limit, until=until)
        status, headers, content, ms = heard
        kept = [(name, value) for name, value in headers if name not in _OF_THE_WIRE]
        return Response(status, headers=kept, content=content, request=request, extensions={"ms": ms})

    def _permitted(self, request: Request) -> Side:
        """Return the side a request is for."""
        origin, path = _target(str(request.url))
        for side, (base, prefix) in self._bases.items():
            if origin == base and path.startswith(prefix):
                try:
                    permit(request.method, side, path[len(prefix) :])
                except ForbiddenRequest:
                    continue
                if side is not Side.API and "authorization" in request.headers:
                    raise ForbiddenRequest("the token is for the API only")
                return side
        raise ForbiddenRequest("not one of the requests this program may make")

    async def _exchange(self, line: Line, request: h11.Request, body: bytes, *, limit: int, until: float) -> _Heard:
        await self._ready(line, until=until)
        try:
            async with asyncio.timeout_at(until):
                started = self._monotonic()
                await _send(line, request, body)
                status, headers, content = await _receive(line, limit)
        except BaseException as error:
            failure = self._lost(line, error)
            line.hang_up()
            if failure:
                raise failure from None
            raise
        self._keep(line)
        return status, headers, content, self._ms(started)

    def _lost(self, line: Line, error: BaseException) -> RemoteError | None:
        """Return what a broken exchange means; nothing where the error says so itself."""
        evidence = {"host": line.origin.host}
        if isinstance(error, TimeoutError):
            return RemoteError(Reason.ANSWER_TIMEOUT, evidence=evidence)
        if isinstance(error, ssl.SSLError) and line.tls:
            failure = line.tls.failure(error, host=line.origin.host, official=False)
            if failure.reason is Reason.CLIENT_CERTIFICATE_WANTED:
                return failure
        if isinstance(error, OSError):
            return (RemoteError if line.heard else _Unanswered)(Reason.ANSWER_LOST, evidence=evidence)
        if isinstance(error, h11.RemoteProtocolError):
            large = error.error_status_hint == _HEADER_TOO_LARGE
            broken = Reason.ANSWER_LOST if line.ended else Reason.ANSWER_UNREADABLE
            return RemoteError(Reason.ANSWER_TOO_LARGE if large else broken, evidence=evidence)
        return None

    def _keep(self, line: Line) -> None:
        """Keep the connection for the next request, if both ends are done with this one and nothing is left over."""
        both_done = line.http.our_state is h11.DONE and line.http.their_state is h11.DONE
        if not both_done or line.http.trailing_data[0]:
            line.hang_up()
            return
        line.http.start_next_cycle()
        line.answers += 1
        line.alive_at = self._monotonic()

    async def _connected(self, line: Line, *, until: float) -> None:
        if not line.plug:
            line.plug, line.addresses = await self._reach.open(line.origin, line.addresses, until=until)
            line.opened_at = line.alive_at = self._monotonic()

    async def _ready(self, line: Line, *, until: float) -> None:
        await self._connected(line, until=until)
        if not line.origin.secure or line.tls or not line.plug:
            return
        host = line.origin.host
        tls = Tls(line.plug, self._context(), host)
        try:
            line.facts = await within(tls.handshake(), until=until, late=Reason.TLS_TIMEOUT, host=host)
        except OSError as error:
            failure = tls.failure(error, host=host, official=self._official(host))
            line.hang_up()
            raise failure from None
        except BaseException:
            line.hang_up()
            raise
        line.tls = tls

    def _context(self) -> ssl.SSLContext:
        try:
            return context_for(self._ca_pem)
        except InputError as error:
            raise RemoteError(error.reason) from None

    async def _line(self, side: Side, *, until: float) -> Line:
        origin = self._bases[side][0]
        if origin not in self._lines:
            way = self._way(origin)
            self._lines[origin] = await self._kept.take(way, self._reach, until=until) if self._kept else Line(origin)
        return self._lines[origin]

    def _way(self, origin: Origin) -> Way:
        return Way(self._reach.policy, self._ca_pem, origin)

    def _until(self) -> float:
        return asyncio.get_running_loop().time() + self._deadline_s

    def _ms(self, started: float) -> int:
        return round((self._monotonic() - started) * 1000)


async def _send(line: Line, request: h11.Request, body: bytes) -> None:
    line.heard = line.ended = False
    events = [request, h11.Data(data=body), h11.EndOfMessage()] if body else [request, h11.EndOfMessage()]
    packet = b"".join(line.http.send(event) or b"" for event in events)
    try:
        await line.wire.write(packet)
    except ConnectionError:
        # The server hung up while we were sending; it may have said why.
        return


async def _receive(line: Line, limit: int) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    status, body, seen = 0, Body("", limit), 0
    headers: list[tuple[bytes, bytes]] = []
    while True:
        event = line.http.next_event()
        if event is h11.NEED_DATA:
            data = await line.wire.read()
            if not data and line.http.their_state is h11.SEND_RESPONSE:
                raise ConnectionError("closed")
            seen += len(data)
            if seen > 2 * limit + _FRAMING:
                raise RemoteError(Reason.ANSWER_TOO_LARGE, evidence={"limit": str(limit)})
            if not line.heard and not b"HTTP/".startswith(data[:5]):
                raise RemoteError(Reason.ANSWER_UNREADABLE, evidence={"host": line.origin.host, "what": "not HTTP"})
            line.heard, line.ended = True, not data
            line.http.receive_data(data)
        elif isinstance(event, h11.Response):
            status, headers = event.status_code, list(event.headers)
            # Two of them are more than one coding, and none that we know has a comma in its name.
            body = Body(", ".join(v.decode("latin-1") for n, v in headers if n == b"content-encoding"), limit)
        elif isinstance(event, h11.Data):
            body.feed(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return status, headers, body.finish()


def _sides(endpoints: Endpoints) -> tuple[tuple[Side, str], tuple[Side, str]]:
    return (Side.API, endpoints.api), (Side.IDENTITY, endpoints.identity)


@lru_cache(maxsize=1024)
def _target(url: str) -> tuple[Origin, str]:
    return Origin.of(url), urlsplit(url).path
