"""One cell of the fault matrix: a check against servers of its own that do everything properly but one thing.

The servers stand on 127.0.0.1, with real sockets and real TLS. The table itself is `tests/matrix.py`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import resource
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub_core.bitwarden.budget import TokenBudget
from hub_core.bitwarden.client import LISTS
from hub_core.bitwarden.policy import OutboundPolicy
from hub_core.bitwarden.transport import Session
from hub_core.clock import Clock
from hub_core.health import checks, status
from hub_core.health.servers import Servers
from hub_core.model import ApiKey, Check, Endpoints, Reason, RegionId, Secret, Stage, Standing, Status, Trigger
from hub_core.storage.store import Store
from tests.hostile import HOST, Hostile, Shop, Talk, answer, closed_port

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from hub_core.bitwarden.transport import Resolver

ORGANIZATION = "3f8b1c52-6d0e-4a57-9b1f-2c6d7e8f9a01"
OTHER_ORGANIZATION = "11111111-2222-4333-8444-555555555555"
CLIENT_ID = f"organization.{ORGANIZATION}"
SECRET = "CaNaRySecretNeverShown01234567"
TOKEN_CANARY = "cAnArYtOkEnNeVeRsHoWn"
QUICK = 10.0
"""Seconds a check may take where nothing should make it wait."""
HANGING = 1.0
"""Seconds a check may take where something hangs, so that the deadline is what ends it."""
GRACE = 2.0
"""Seconds more that a busy machine may need; without its deadline a cell would take far longer, or for ever."""
AT_ONCE = 6

SHOP = Shop()
EU = Endpoints(RegionId.EU, identity="https://identity.bitwarden.eu", api="https://api.bitwarden.eu")
MARKS = {"X-Frame-Options": "SAMEORIGIN", "X-Content-Type-Options": "nosniff"}
RAY = {"CF-Ray": "8a1b2c3d4e5f-FRA", "Server": "cloudflare"}
PAGE = {"Content-Type": "text/html; charset=utf-8"}
TEXT = {"Content-Type": "text/plain"}
HTML = b"<!DOCTYPE html><html><body>hello</body></html>"
CONFIG, TOKEN, READ = "/api/config", "/identity/connect/token", "/api/public/"
MEMBERS = "/api/public/members"

Act = bytes | Callable[[Talk], object]
"""What a server does in place of its proper answer."""


# What a proper server answers.


def own(body: object = b"", code: str = "200 OK", /, **headers: str) -> bytes:
    """Return an answer with the marks of Bitwarden's own; a text or bytes as they are, anything else as JSON."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return answer(_bytes(body), status=code, headers=MARKS | {"Date": _NOW} | named)


_NOW = "@now@"


def stamped(data: bytes) -> bytes:
    """Return an answer with the present time in its Date header: the table is older than its run."""
    return data.replace(_NOW.encode(), format_datetime(datetime.now(UTC), usegmt=True).encode(), 1)


def front(body: bytes, code: str, **headers: str) -> bytes:
    """Return an answer that something in front of the server makes."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return answer(body, status=code, headers=named)


def page(code: str, *, ray: bool = False, body: bytes = HTML) -> bytes:
    """Return a page for people, with the edge's mark or without."""
    return answer(body, status=code, headers=PAGE | (RAY if ray else {}))


def bearer(description: str = "") -> bytes:
    """Return the API's refusal of a token."""
    extra = f' error="invalid_token", error_description="{description}"' if description else ""
    return own(b"", "401 Unauthorized", WWW_Authenticate=f"Bearer{extra}")


def jwt(**claims: object) -> str:
    """Return something shaped like an access token, signed by nobody."""
    parts = ({"alg": "RS256", "typ": "at+jwt"}, {"iss": "http://identity", "client_id": CLIENT_ID, **claims})
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*coded, TOKEN_CANARY])


def granted(**changes: object) -> bytes:
    """Return what the token endpoint says to a good key; None takes a member away."""
    body = {"access_token": jwt(), "expires_in": 3600, "token_type": "Bearer", "scope": "api.organization"} | changes
    return own({name: value for name, value in body.items() if value is not None})


def config_of(port: int, **changes: object) -> dict[str, Any]:
    """Return what `/config` says of itself; None stays in it."""
    environment = {"cloudRegion": "US", "vault": f"https://{HOST}:{port}", "api": f"https://{HOST}:{port}/api"}
    environment["identity"] = f"https://{HOST}:{port}/identity"
    return {"object": "config", "version": "2026.8.0", "server": None, "environment": environment} | changes


def listed(*items: object) -> dict[str, Any]:
    """Return the envelope of a list."""
    return {"object": "list", "data": list(items)}


def proper(path: str, port: int) -> bytes:
    """Return the proper answer to a path."""
    known: dict[str, object] = {
        CONFIG: config_of(port),
        "/identity/.well-known/openid-configuration": {"issuer": "http://identity"},
        MEMBERS: listed({"status": 2}, {"status": 0}),
        "/api/public/organization/subscription": {"passwordManager": {"seats": 5}, "secretsManager": {}},
    }
    if path == TOKEN:
        return granted()
    if path not in known and path.removeprefix("/api") in LISTS:
        return own(listed({"id": "x"}))
    return own(known[path]) if path in known else own(b"", "404 Not Found")


def _bytes(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


# One cell.


@dataclass(frozen=True)
class Cell:
    """One fault at one stage, and what is expected of it."""

    stage: str
    fault: str
    reason: Reason | None
    status: Status
    at: Mapping[str, Act] = field(default_factory=dict)
    """What the server does, by path; a path that ends in a slash stands for all below it."""
    deadline: float = QUICK
    found_at: Stage | None = None
    """Where the finding is expected, if not at the stage itself."""
    tls: Callable[[], ssl.SSLContext | tuple[ssl.SSLContext, str]] = SHOP.good
    raw: Callable[[Talk], None] | None = None
    """What the API's port does in place of speaking TLS at all."""
    identity_tls: Callable[[], ssl.SSLContext] | None = None
    """The identity server stands on a port of its own, with this certificate."""
    identity_port: Callable[[], contextlib.AbstractContextManager[int]] | None = None
    port: Callable[[], contextlib.AbstractContextManager[int]] | None = None
    """A port that takes the server's place."""
    resolve: Resolver | None = None
    worked_before: bool = False
    clouds: tuple[Endpoints, ...] = (EU,)
    official: bool = False
    hold: int = 0
    """Seconds for which the budget was told to ask nothing."""
    clock: Clock = field(default_factory=Clock)
    big: bool = False
    """Unfolds to the limit of a list, which is more memory than everything else together."""

    @property
    def name(self) -> str:
        """The cell in words."""
        return f"{self.stage}: {self.fault}"


@dataclass(frozen=True)
class Result:
    """What one cell gave."""

    cell: Cell
    check: Check
    seconds: float
    asked: tuple[str, ...]
    """The first lines of all requests, in the order in which each server got them."""

    @property
    def found_at(self) -> Stage | None:
        """The stage of the finding."""
        return next((o.stage for o in self.check.observations if o.reason), None)

    @property
    def reason(self) -> Reason | None:
        """What the check found: what stopped it, else the first thing to mend."""
        failure = self.check.failure
        return failure.reason if failure else next((o.reason for o in self.check.warnings), None)

    @property
    def status(self) -> Status:
        """The standing of an account that had none before."""
        return status.advance(Standing(), self.check)[0].status

    @property
    def in_time(self) -> bool:
        """Whether the check was over when it had to be."""
        return self.seconds <= self.cell.deadline + GRACE

    @property
    def problems(self) -> list[str]:
        """What is not as the table says."""
        wanted, found = (self.cell.reason, self.cell.status), (self.reason, self.status)
        problems = [] if wanted == found else [f"{found} instead of {wanted}"]
        stage = self.cell.found_at or Stage(self.cell.stage)
        if self.reason and self.reason is self.cell.reason and self.found_at is not stage:
            problems.append(f"found at {self.found_at} instead of {stage}")
        if not self.in_time:
            problems.append(f"took {self.seconds:.1f} s of {self.cell.deadline}")
        shown = repr(self.check)
        problems += [f"shows {canary}" for canary in (SECRET, TOKEN_CANARY) if canary in shown]
        long = [o for o in self.check.observations for text in o.evidence.values() if len(text) > 200]
        bare = [o for o in self.check.observations if o.reason and "host" not in o.evidence]
        return problems + [f"too much evidence at {o.stage}" for o in long] + [f"no host at {o.stage}" for o in bare]


async def to_loopback(host: str, port: int) -> Sequence[str]:
    """Resolve every name to this machine."""
    return ["127.0.0.1"]


def examine(cell: Cell, folder: Path) -> Result:
    """Run one cell."""
    return asyncio.run(run([cell], folder))[0]


async def run(cells: Sequence[Cell], folder: Path) -> list[Result]:
    """Run cells, some at a time, in one event loop."""
    store = Store.open(folder / "matrix.db")
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, cell: Cell) -> Result:
        # Ports come back, and with them what an earlier cell was told to wait: each cell asks hours after the last.
        pace = Clock(now=lambda: datetime.now(UTC) + number * timedelta(hours=2))
        async with places:
            with _servers(cell) as (endpoints, ca_pem, servers):
                check, seconds = await _check(cell, endpoints, ca_pem, store, pace)
                return Result(cell, check, seconds, tuple(r.line for server in servers for r in server.requests))

    try:
        return list(await asyncio.gather(*(one(number, cell) for number, cell in enumerate(cells))))
    finally:
        store.close()


def peak_mb() -> float:
    """Return the most memory this process has held, in MB."""
    with contextlib.suppress(OSError):
        # `resource` would start from the peak of the process that started this one.
        told = Path("/proc/self/status").read_text("ascii")
        return int(told.partition("VmHWM:")[2].split()[0]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


async def _check(cell: Cell, endpoints: Endpoints, ca_pem: str, store: Store, pace: Clock) -> tuple[Check, float]:
    hosts = frozenset(base.partition("://")[2].partition("/")[0] for base in (endpoints.api, endpoints.identity))
    if cell.hold:
        store.budget.hold(endpoints.identity_origin, pace.now() + timedelta(seconds=cell.hold))

    def session(subject: checks.Subject) -> Session:
        return Session(
            subject.endpoints,
            OutboundPolicy(loopback=hosts),
            ca_pem=subject.ca_pem,
            official=lambda _: cell.official,
            connect_s=cell.deadline / 2,
            deadline_s=cell.deadline,
            resolve=cell.resolve or to_loopback,
        )

    means = checks.Means(
        session=session,
        budget=TokenBudget(store, pace, limit=60),
        clock=cell.clock,
        device="00000000-0000-4000-8000-000000000000",
        clouds=cell.clouds,
        official=lambda _: cell.official,
        servers=Servers(time.monotonic, believed_s=0),
        deadline_s=cell.deadline,
    )
    subject = checks.Subject(
        endpoints, ApiKey(CLIENT_ID, Secret(SECRET)), cell.worked_before, Trigger.MANUAL, ca_pem=ca_pem
    )
    began = time.monotonic()
    check = await checks.run(subject, means, lambda _: None)
    return check, time.monotonic() - began


@contextlib.contextmanager
def _servers(cell: Cell) -> Iterator[tuple[Endpoints, str, list[Hostile]]]:
    made = cell.tls()
    context, ca_pem = made if isinstance(made, tuple) else (made, SHOP.ca_pem)
    servers = [Hostile(cell.raw) if cell.raw else Hostile(_script(cell), tls=context)]
    if cell.identity_tls:
        servers.append(Hostile(_script(cell), tls=cell.identity_tls()))
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(server).port for server in servers]
        port = stack.enter_context(cell.port()) if cell.port else ports[0]
        identity = stack.enter_context(cell.identity_port()) if cell.identity_port else ports[-1]
        if cell.port and not cell.identity_tls:
            identity = port
        base = f"https://{HOST}"
        endpoints = Endpoints(RegionId.SELF_HOSTED, f"{base}:{identity}/identity", f"{base}:{port}/api")
        yield endpoints, ca_pem, servers


def _script(cell: Cell) -> Callable[[Talk], None]:
    def serve(talk: Talk) -> None:
        while request := talk.request():
            act = next((a for path, a in cell.at.items() if _covers(path, request.path)), None)
            if act is None:
                talk.send(stamped(proper(request.path, talk._server.port)))
            elif isinstance(act, bytes):
                talk.send(stamped(act))
            elif isinstance(act, ByPort):
                act(talk)
            else:
                act(talk)
                return

    return serve


def _covers(path: str, asked: str) -> bool:
    return asked.startswith(path) if path.endswith("/") else asked == path


@dataclass(frozen=True)
class ByPort:
    """A proper answer that names the server's own port."""

    body: Callable[[int], object]

    def __call__(self, talk: Talk) -> None:
        """Send it."""
        talk.send(stamped(own(self.body(talk._server.port))))


@contextlib.contextmanager
def nobody() -> Iterator[int]:
    """Give a port on which nothing listens."""
    yield closed_port()


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """Give a port whose queue is full: a connection attempt gets no answer at all."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port
