"""A made-up world of Bitwarden servers and their organizations, and the troubles they have: the truth is known.

Only what a server answers is made up. Everything that asks, judges, remembers and tells is the product's own.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn
from uuid import UUID

from hub_core.bitwarden.transport import Answer, Connected, Headers, Session, Side, TlsFacts
from hub_core.errors import RemoteError
from hub_core.health.rhythm import KEY_FLOOR
from hub_core.model import ApiKey, Endpoints, Reason, RegionId, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from types import TracebackType

    from tests.virtual import VirtualTime

MINUTE = timedelta(minutes=1)
ROUNDING = timedelta(milliseconds=5)
"""Of two requests a minute apart, the hub counts whole milliseconds."""

TOKEN_LIVES = timedelta(minutes=60)
PATIENCE_S = 5.0
"""How long a connection is waited for."""

_LATENCY_S = 0.04
_SLOW_S = 9.0
_MARKS = {"content-type": "application/json", "x-frame-options": "SAMEORIGIN", "x-content-type-options": "nosniff"}
_MEMBERS = b'{"object":"list","data":[{"id":"m1","status":2},{"id":"m2","status":0}]}'
_EMPTY = b'{"object":"list","data":[]}'
_SEATS = b'{"passwordManager":{"seats":20}}'
_NOT_HOSTED = b'{"object":"error","message":"Only allowed when not self hosted."}'
_ABSENT = b'{"error":{"code":404}}'


class Kind(StrEnum):
    """What can go wrong."""

    KEY_REFUSED = "key refused"
    """Rotated, or the organization was disabled, or its plan lapsed: tokens that were given go on for their hour."""
    NO_ANSWER = "no answer"
    NO_NAME = "name gone"
    BAD_GATEWAY = "bad gateway"
    TOKEN_FAULT = "token requests fail"
    CERTIFICATE_ENDS = "certificate ends soon"
    CERTIFICATE_ENDED = "certificate ended"
    TOO_MANY = "told to wait"
    SLOW = "slow"
    OFFLINE = "the hub is offline"


@dataclass(frozen=True)
class Server:
    """One installation of a server."""

    endpoints: Endpoints
    vaultwarden: bool = False

    @property
    def identity(self) -> str:
        """Its identity origin."""
        return self.endpoints.identity_origin


@dataclass
class Organization:
    """An organization, and the secret its owner knows at present."""

    number: int
    server: Server
    tags: tuple[str, ...] = ()
    generation: int = 0

    @property
    def client_id(self) -> str:
        """Its client id."""
        return f"organization.{UUID(int=self.number + 1)}"

    @property
    def key(self) -> ApiKey:
        """The key that is right at present."""
        return ApiKey(self.client_id, Secret(f"secret-{self.number:05d}-{self.generation:05d}-of-the-world"))


@dataclass
class Trouble:
    """Something that is wrong from one moment to another, at a server, at one organization or with the hub."""

    kind: Kind
    begins: datetime
    ends: datetime
    server: Server | None = None
    organization: Organization | None = None


@dataclass
class Traffic:
    """What arrived at the servers."""

    tokens: dict[str, deque[datetime]] = field(default_factory=lambda: defaultdict(deque))
    configs: dict[str, deque[datetime]] = field(default_factory=lambda: defaultdict(deque))
    most_tokens: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By identity origin, the most token requests within any minute."""
    most_reads: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    requests: int = 0
    last_token: dict[str, datetime] = field(default_factory=dict)
    """By client id."""
    waits: list[tuple[Organization, datetime, datetime]] = field(default_factory=list)
    """Between two token requests of an organization, where it was longer than the shortest rhythm."""


class World:
    """Servers, organizations, troubles, and the count of what was asked."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.began = time.true()
        self.traffic = Traffic()
        self.organizations: dict[str, Organization] = {}
        self._servers: dict[str, Server] = {}
        self._troubles: list[Trouble] = []
        self._at: dict[int, list[Trouble]] = defaultdict(list)
        self._hubs: list[Trouble] = []
        self._claims: dict[str, str] = {}

    def add(self, organization: Organization) -> None:
        """Let an organization be."""
        self.organizations[organization.client_id] = organization
        self._servers[organization.server.endpoints.api] = organization.server
        claims = json.dumps({"client_id": organization.client_id, "iss": "world"}).encode()
        self._claims[organization.client_id] = base64.urlsafe_b64encode(claims).decode().rstrip("=")

    def befall(self, trouble: Trouble) -> None:
        """Let something go wrong in its time."""
        self._troubles.append(trouble)
        if trouble.organization or trouble.server:
            self._at[id(trouble.organization or trouble.server)].append(trouble)
        else:
            self._hubs.append(trouble)

    def session(self, endpoints: Endpoints, _: str | None = None) -> Session:
        """Return the way to the servers at these addresses."""
        return MadeUp(self, self._servers[endpoints.api])

    def suffers(self, target: Server | Organization | None) -> set[Kind]:
        """Return what is wrong there at this moment; with None, with the hub's own way out."""
        found = self._hubs if target is None else self._at.get(id(target))
        if not found:
            return set()
        now = self.time.true()
        return {trouble.kind for trouble in found if trouble.begins <= now < trouble.ends}

    def token_of(self, organization: Organization) -> str:
        """Return an access token that begins now."""
        return f"h.{self._claims[organization.client_id]}.{round(self.time.true().timestamp())}"

    def bearer(self, token: str) -> Organization | None:
        """Return whose token it is, unless it has ended."""
        _, claims, begun = token.split(".")
        if self.time.true().timestamp() - int(begun) > TOKEN_LIVES.total_seconds():
            return None
        client_id = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["client_id"]
        return self.organizations[client_id]

    def asked(self, who: Organization) -> None:
        """Note that a fresh token was asked for."""
        now, known = self.time.true(), self.traffic.last_token
        last = known.get(who.client_id, now)
        known[who.client_id] = now
        if now - last > KEY_FLOOR:
            self.traffic.waits.append((who, last, now))

    def count(self, times: deque[datetime]) -> int:
        """Note a request; return how many there were within a minute."""
        now = self.time.true()
        while times and times[0] <= now - MINUTE + ROUNDING:
            times.popleft()
        times.append(now)
        return len(times)


class MadeUp(Session):
    """A session with servers of the made-up world."""

    def __init__(self, world: World, server: Server) -> None:
        self._world = world
        self._server = server
        self._wrong: set[Kind] = set()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close nothing."""

    async def connect(self, side: Side) -> Connected:
        """Connect, unless name, way or server is gone."""
        if self._world.suffers(None):
            await asyncio.sleep(_LATENCY_S)
            _fail(Reason.NO_ROUTE)
        self._wrong = self._world.suffers(self._server)
        if Kind.NO_NAME in self._wrong:
            await asyncio.sleep(_LATENCY_S)
            _fail(Reason.NAME_NOT_FOUND)
        if Kind.NO_ANSWER in self._wrong:
            await asyncio.sleep(PATIENCE_S)
            _fail(Reason.CONNECTION_TIMEOUT)
        return Connected(("192.0.2.1",), 0)

    async def handshake(self, side: Side) -> TlsFacts:
        """Show a certificate."""
        if Kind.CERTIFICATE_ENDED in self._wrong:
            _fail(Reason.CERTIFICATE_EXPIRED)
        made = self._world.began
        left = timedelta(days=15) if Kind.CERTIFICATE_ENDS in self._wrong else timedelta(days=80)
        return TlsFacts(
            issuer="World CA", subject="server", names=("server",), not_before=made - timedelta(days=10),
            not_after=made + left, sha256="00", version="TLSv1.3",
        )  # fmt: skip

    async def get(
        self,
        side: Side,
        path: str,
        *,
        token: str | None = None,
        params: Mapping[str, str] | None = None,
        limit: int = 0,
    ) -> Answer:
        """Answer a read."""
        wrong = self._world.suffers(self._server)
        await asyncio.sleep(_SLOW_S if Kind.SLOW in wrong else _LATENCY_S)
        if Kind.NO_ANSWER in wrong or self._world.suffers(None):
            await asyncio.sleep(PATIENCE_S)
            _fail(Reason.ANSWER_TIMEOUT)
        if Kind.BAD_GATEWAY in wrong:
            return self._answer(502, b"<html>bad gateway</html>", {"content-type": "text/html"})
        if path == "/config":
            traffic, api = self._world.traffic, self._server.endpoints.api
            traffic.most_reads[api] = max(traffic.most_reads[api], self._world.count(traffic.configs[api]))
            return self._answer(200, self._config())
        if path == "/version":
            return self._answer(200, b'"1.37.2"')
        if Kind.TOO_MANY in wrong:
            return self._answer(429, b"{}", {**_MARKS, "retry-after": "300"})
        return self._list(path, token or "")

    async def post_token(self, form: Mapping[str, str]) -> Answer:
        """Answer a token request."""
        await asyncio.sleep(_LATENCY_S)
        traffic, origin = self._world.traffic, self._server.identity
        traffic.most_tokens[origin] = max(traffic.most_tokens[origin], self._world.count(traffic.tokens[origin]))
        wrong = self._world.suffers(self._server)
        if Kind.BAD_GATEWAY in wrong:
            return self._answer(502, b"<html>bad gateway</html>", {"content-type": "text/html"})
        if Kind.TOKEN_FAULT in wrong:
            return self._answer(500, b"{}")
        if Kind.TOO_MANY in wrong:
            return self._answer(429, b"{}", {**_MARKS, "retry-after": "300"})
        who = self._world.organizations[form["client_id"]]
        self._world.asked(who)
        if form["client_secret"] != who.key.secret.reveal() or Kind.KEY_REFUSED in self._world.suffers(who):
            return self._answer(400, b'{"error":"invalid_client"}' if not self._server.vaultwarden else _WRONG_SECRET)
        body = {"access_token": self._world.token_of(who), "expires_in": 3600, "token_type": "Bearer"}
        return self._answer(200, json.dumps(body).encode())

    def _list(self, path: str, token: str) -> Answer:
        if self._server.vaultwarden:
            return self._answer(404, _ABSENT)
        if self._world.bearer(token) is None:
            ended = {
                **_MARKS,
                "www-authenticate": 'Bearer error="invalid_token", error_description="The token expired"',
            }
            return self._answer(401, b"", ended)
        if path == "/public/organization/subscription":
            hosted = self._server.endpoints.region is not RegionId.SELF_HOSTED
            return self._answer(200, _SEATS) if hosted else self._answer(400, _NOT_HOSTED)
        return self._answer(200, _MEMBERS if path == "/public/members" else _EMPTY)

    def _config(self) -> bytes:
        place = self._server.endpoints
        body: dict[str, object] = {
            "object": "config",
            "version": "2026.8.0",
            "environment": {"identity": place.identity, "api": place.api, "vault": place.vault},
        }
        if self._server.vaultwarden:
            body["server"] = {"name": "Vaultwarden"}
        return json.dumps(body).encode()

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] = _MARKS) -> Answer:
        self._world.traffic.requests += 1
        time = self._world.time
        dated = {**headers, "date": format_datetime(time.true().replace(microsecond=0), usegmt=True)}
        took = _SLOW_S if Kind.SLOW in self._world.suffers(self._server) else _LATENCY_S
        return Answer(status, Headers(dated), body, round(took * 1000), time.shown())


_WRONG_SECRET = (
    b'{"error":"","error_description":"","message":"Incorrect client_secret",'
    b'"errorModel":{"message":"Incorrect client_secret","object":"error"}}'
)


def _fail(reason: Reason) -> NoReturn:
    raise RemoteError(reason)
