"""The only HTTP: resolve, check, pin, ask; physically unable to send anything but the listed requests.

HTTP/1.1 is spoken by h11 over a socket that was connected to a checked literal address. Nothing is
followed, nothing is kept, nothing comes from the environment, and every failure leaves as a
`RemoteError` whose text holds no header and no body.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode, urlsplit

import h11

from hub_core import __version__
from hub_core.bitwarden.answer import Answer, Body, Headers
from hub_core.bitwarden.reach import Origin, Plug, Reach, Resolver, resolve, speaker, within
from hub_core.bitwarden.tls import Tls, TlsFacts, Wire, context_for
from hub_core.errors import InputError, RemoteError
from hub_core.model import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from hub_core.bitwarden.policy import OutboundPolicy
    from hub_core.model import Endpoints

__all__ = [
    "LIST_LIMIT",
    "OBJECT_LIMIT",
    "Answer",
    "Connected",
    "ForbiddenRequest",
    "Headers",
    "Resolver",
    "Session",
    "Side",
    "TlsFacts",
    "permit",
    "resolve",
]

OBJECT_LIMIT = 1_000_000
LIST_LIMIT = 32_000_000
"""Bytes of a body: a single object, a list."""

_FRAMING = 200_000
_HEADER_TOO_LARGE = 431
_TOKEN_PATH = "/connect/token"  # noqa: S105 - the path of a request
_STALE_S = 2.0
_FIXED_HEADERS = (
    (b"User-Agent", f"link-hub/{__version__}".encode()),
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"identity"),
)
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


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


class ForbiddenRequest(RuntimeError):  # noqa: N818 - it names what was asked for
    """A request that this program must never make was asked for: a fault in our code, found before any packet."""


def permit(method: str, side: Side, path: str) -> None:
    """Accept one of the requests this program is for.

    Raises:
        ForbiddenRequest: for everything else.
    """
    read = method == "GET" and path in _MAY_GET[side]
    token = method == "POST" and side is Side.IDENTITY and path == _TOKEN_PATH
    if not read and not token:
        raise ForbiddenRequest("not one of the requests this program may make")


@dataclass(frozen=True, slots=True)
class Connected:
    """A TCP connection is there."""

    addresses: tuple[str, ...]
    """What the name resolved to; empty where a proxy resolves."""
    ms: int


@dataclass(slots=True)
class _Line:
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
    idle_since: float = 0.0

    @property
    def wire(self) -> Wire:
        wire = self.tls or self.plug
        if wire is None:
            raise ConnectionError("not connected")
        return wire

    def hang_up(self) -> None:
        """Close; the addresses stay, they were checked."""
        if self.plug:
            self.plug.close()
        self.plug = self.tls = self.facts = None
        self.http, self.answers = speaker(), 0


class _Unanswered(RemoteError):  # noqa: N818 - see `ForbiddenRequest`
    """The connection ended before any byte of the answer."""


class Session:
    """All connections of one check against one account."""

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
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._reach = Reach(policy=policy, resolve=resolve, connect_s=connect_s)
        self._ca_pem = ca_pem
        self._official = official
        self._deadline_s = deadline_s
        self._monotonic = monotonic
        self._now = now
        self._bases = {Side.API: _base(endpoints.api), Side.IDENTITY: _base(endpoints.identity)}
        self._lines = {origin: _Line(origin) for origin, _prefix in self._bases.values()}
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line in self._lines.values():
            line.hang_up()

    async def connect(self, side: Side) -> Connected:
        """Resolve the name once, check every address, and connect to one of them; 0 ms where that is done.

        Raises:
            RemoteError: ADDRESS_…, NAME_…, CONNECTION_…, NO_ROUTE, PROXY_FAILED.
        """
        async with self._turn:
            line, started = self._line(side), self._monotonic()
            if line.plug:
                return Connected(line.addresses, 0)
            await self._connected(line, until=self._until())
            return Connected(line.addresses, self._ms(started))

    async def handshake(self, side: Side) -> TlsFacts | None:
        """Shake hands, the name verified, and return what the server showed; nothing for plaintext.

        Raises:
            RemoteError: CERTIFICATE_…, CLIENT_CERTIFICATE_WANTED, TLS_…, or those of `connect`.
        """
        async with self._turn:
            line = self._line(side)
            await self._ready(line, until=self._until())
            return line.facts

    async def get(
        self,
        side: Side,
        path: str,
        *,
        token: str | None = None,
        params: Mapping[str, str] | None = None,
        limit: int = OBJECT_LIMIT,
    ) -> Answer:
        """Read one of the listed paths; the token goes to the API only.

        Raises:
            RemoteError: ANSWER_…, or those of `handshake`.
            ForbiddenRequest: for any other path.
        """
        permit("GET", side, path)
        headers = []
        if token is not None:
            if side is not Side.API:
                raise ForbiddenRequest("the token is for the API only")
            if not _PRINTABLE.fullmatch(token):
                raise RemoteError(Reason.ANSWER_UNREADABLE, evidence={"what": "access token"})
            headers.append((b"Authorization", b"Bearer " + token.encode("ascii")))
        query = "?" + urlencode(params) if params else ""
        return await self._ask(side, "GET", path + query, headers=headers, limit=limit)

    async def post_token(self, form: Mapping[str, str]) -> Answer:
        """Send the form to the token path of the identity server, once.

        Raises:
            RemoteError: ANSWER_…, or those of `handshake`.
        """
        permit("POST", Side.IDENTITY, _TOKEN_PATH)
        body = urlencode(form).encode("ascii")
        headers = [
            (b"Content-Type", b"application/x-www-form-urlencoded"),
            (b"Content-Length", str(len(body)).encode()),
        ]
        return await self._ask(Side.IDENTITY, "POST", _TOKEN_PATH, headers=headers, body=body)

    async def _ask(
        self,
        side: Side,
        method: str,
        target: str,
        *,
        headers: list[tuple[bytes, bytes]],
        body: bytes = b"",
        limit: int = OBJECT_LIMIT,
    ) -> Answer:
        origin, prefix = self._bases[side]
        request = h11.Request(
            method=method, target=prefix + target, headers=[(b"Host", origin.header), *_FIXED_HEADERS, *headers]
        )
        async with self._turn:
            until = self._until()
            line = self._line(side)
            self._drop_if_stale(line)
            used = line.answers > 0
            try:
                return await self._exchange(line, request, body, limit=limit, until=until)
            except _Unanswered:
                if method != "GET" or not used:
                    raise
                return await self._exchange(line, request, body, limit=limit, until=until)

    async def _exchange(self, line: _Line, request: h11.Request, body: bytes, *, limit: int, until: float) -> Answer:
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
        return Answer(status, headers, content, self._ms(started), self._now())

    def _lost(self, line: _Line, error: BaseException) -> RemoteError | None:
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

    def _keep(self, line: _Line) -> None:
        """Keep the connection for the next request, if both ends are done with this one and nothing is left over."""
        both_done = line.http.our_state is h11.DONE and line.http.their_state is h11.DONE
        if not both_done or line.http.trailing_data[0]:
            line.hang_up()
            return
        line.http.start_next_cycle()
        line.answers += 1
        line.idle_since = self._monotonic()

    def _drop_if_stale(self, line: _Line) -> None:
        if line.plug and line.answers:
            idle = self._monotonic() - line.idle_since
            if idle > _STALE_S or not line.plug.quiet():
                line.hang_up()

    async def _connected(self, line: _Line, *, until: float) -> None:
        if not line.plug:
            line.plug, line.addresses = await self._reach.open(line.origin, line.addresses, until=until)

    async def _ready(self, line: _Line, *, until: float) -> None:
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

    def _line(self, side: Side) -> _Line:
        return self._lines[self._bases[side][0]]

    def _until(self) -> float:
        return asyncio.get_running_loop().time() + self._deadline_s

    def _ms(self, started: float) -> int:
        return round((self._monotonic() - started) * 1000)


async def _send(line: _Line, request: h11.Request, body: bytes) -> None:
    line.heard = line.ended = False
    events = [request, h11.Data(data=body), h11.EndOfMessage()] if body else [request, h11.EndOfMessage()]
    packet = b"".join(line.http.send(event) or b"" for event in events)
    try:
        await line.wire.write(packet)
    except ConnectionError:
        # The server hung up while we were sending; it may have said why.
        return


async def _receive(line: _Line, limit: int) -> tuple[int, Headers, bytes]:
    status, headers, body, seen = 0, Headers(), Body(Headers(), limit), 0
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
            status, headers = event.status_code, Headers(event.headers)
            body = Body(headers, limit)
        elif isinstance(event, h11.Data):
            body.feed(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return status, headers, body.finish()


def _base(url: str) -> tuple[Origin, str]:
    return Origin.of(url), urlsplit(url).path.rstrip("/")
