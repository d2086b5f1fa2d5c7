"""The fault matrix: what can go wrong at each stage of a check, and the one finding that is expected of it."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hub_core.clock import Clock
from tests.cells import (
    CONFIG,
    EU,
    HANGING,
    HTML,
    ORGANIZATION,
    OTHER_ORGANIZATION,
    PAGE,
    READ,
    SECRET,
    SHOP,
    TOKEN,
    Act,
    ByPort,
    Cell,
    bearer,
    black_hole,
    config_of,
    front,
    granted,
    jwt,
    listed,
    nobody,
    own,
    page,
)
from tests.hostile import HOST, Talk, after_hello, answer, gzip_answer
from tests.matrix_answers import (
    DEGRADED,
    EVERYWHERE,
    FAILING,
    HEALTHY,
    LIMITED,
    MOVED,
    NO_READS,
    NOT_FOUND,
    ODD,
    TOKEN_BLOCKED,
    UNHANDLED,
    UNKNOWN,
    UNREACHABLE,
    Finding,
    R,
    limit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hub_core.model import Reason

POLICIES, GROUPS = f"{READ}policies", f"{READ}groups"
LONG = "[*click*](http://evil.test) \x1b[31m\u202e" + "x" * 5000


def cell(stage: str, fault: str, finding: Finding, /, **more: Any) -> list[Cell]:
    """Make one cell."""
    return [Cell(stage, fault, *finding, **more)]


def fine(stage: str, path: str, oddity: str, act: Act) -> list[Cell]:
    """Make a cell whose oddity must not disturb anybody."""
    return cell(stage, oddity, (None, HEALTHY), at={path: act})


# Names, sockets, TLS.


async def _no_such_name(host: str, port: int) -> Sequence[str]:
    raise socket.gaierror(socket.EAI_NONAME, "unknown")


async def _try_again(host: str, port: int) -> Sequence[str]:
    raise socket.gaierror(socket.EAI_AGAIN, "later")


async def _slow_name(host: str, port: int) -> Sequence[str]:
    await asyncio.sleep(3600)
    return []


async def _no_address(host: str, port: int) -> Sequence[str]:
    return []


async def _metadata(host: str, port: int) -> Sequence[str]:
    return ["169.254.169.254"]


def unreachable(reason: Reason) -> Finding:
    """Return the finding of a server that was not reached."""
    return reason, UNREACHABLE


_PLAIN = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
_CERTIFICATES = (
    ("expired", SHOP.expired, R.CERTIFICATE_EXPIRED),
    ("not yet valid", SHOP.not_yet, R.CERTIFICATE_NOT_YET_VALID),
    ("self-signed", SHOP.self_signed, R.CERTIFICATE_SELF_SIGNED),
    ("unknown issuer", SHOP.unknown_authority, R.CERTIFICATE_UNKNOWN_ISSUER),
    ("intermediate not sent", SHOP.missing_intermediate, R.CERTIFICATE_UNKNOWN_ISSUER),
    ("wrong name", SHOP.wrong_host, R.CERTIFICATE_WRONG_NAME),
)
_TLS12, _TLS13 = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)

NETWORK = [
    *cell("reach", "name unknown", unreachable(R.NAME_NOT_FOUND), resolve=_no_such_name),
    *cell("reach", "name without an address", unreachable(R.NAME_NOT_FOUND), resolve=_no_address),
    *cell("reach", "name server fails", unreachable(R.NAME_TIMEOUT), resolve=_try_again),
    *cell("reach", "name server silent", unreachable(R.NAME_TIMEOUT), resolve=_slow_name, deadline=HANGING),
    *cell("reach", "name leads to a metadata address", (R.ADDRESS_NOT_ALLOWED, FAILING), resolve=_metadata),
    *cell("reach", "refused", unreachable(R.CONNECTION_REFUSED), port=nobody),
    *cell("reach", "black hole", unreachable(R.CONNECTION_TIMEOUT), port=black_hole, deadline=HANGING),
    *cell("reach", "identity refused", unreachable(R.CONNECTION_REFUSED), identity_port=nobody),
    *cell(
        "reach", "identity a black hole", unreachable(R.CONNECTION_TIMEOUT), identity_port=black_hole, deadline=HANGING
    ),
    *[c for fault, made, reason in _CERTIFICATES for c in cell("tls", fault, unreachable(reason), tls=made)],
    *[
        c
        for fault, made, reason in _CERTIFICATES
        for c in cell("tls", f"identity: {fault}", unreachable(reason), identity_tls=made)
    ],
    *cell("tls", "intercepted cloud", unreachable(R.CERTIFICATE_INTERCEPTED), tls=SHOP.self_signed, official=True),
    *cell("tls", "weak key", unreachable(R.CERTIFICATE_LEGACY_CA), tls=SHOP.weak_key),
    *cell("tls", "authority that is none", unreachable(R.CERTIFICATE_LEGACY_CA), tls=SHOP.not_an_authority),
    *cell("tls", "client certificate, 1.2", unreachable(R.CLIENT_CERTIFICATE_WANTED), tls=lambda: _mutual(older=True)),
    *cell(
        "server", "client certificate, 1.3", unreachable(R.CLIENT_CERTIFICATE_WANTED), tls=lambda: _mutual(older=False)
    ),
    *cell("tls", "plain HTTP", unreachable(R.TLS_FAILED), raw=after_hello(lambda talk: talk.send(_PLAIN))),
    *cell("tls", "closed in the handshake", unreachable(R.TLS_FAILED), raw=after_hello(Talk.leave)),
    *cell("tls", "reset in the handshake", unreachable(R.TLS_FAILED), raw=after_hello(Talk.reset)),
    *cell("tls", "silent handshake", unreachable(R.TLS_TIMEOUT), raw=after_hello(Talk.stall), deadline=HANGING),
    *cell("tls", "ends in 20 days", (R.CERTIFICATE_ENDS_SOON, DEGRADED), tls=lambda: SHOP.ending_in(20)),
    *cell("tls", "identity ends in 1 day", (R.CERTIFICATE_ENDS_SOON, DEGRADED), identity_tls=lambda: SHOP.ending_in(1)),
    *cell("tls", "ends in 22 days", (None, HEALTHY), tls=lambda: SHOP.ending_in(22)),
]


def _mutual(*, older: bool) -> ssl.SSLContext:
    return SHOP.wants_client_certificate(_TLS12 if older else _TLS13)


# What the server tells about itself.


def config(fault: str, finding: Finding, body: Callable[[int], object], **more: Any) -> list[Cell]:
    """Make a cell in which `/config` says this."""
    return cell("server", fault, finding, at={CONFIG: ByPort(body)}, **more)


def _environment(port: int, **changes: object) -> dict[str, object]:
    return config_of(port, environment=config_of(port)["environment"] | changes)


def dated(fault: str, finding: Finding, seconds: float, **more: Any) -> list[Cell]:
    """Make a cell in which our clock stands off by so many seconds."""
    return cell(
        "server", fault, finding, clock=Clock(now=lambda: datetime.now(UTC) + timedelta(seconds=seconds)), **more
    )


_SKEW = (R.CLOCK_SKEW, DEGRADED)
_VAULTWARDEN = {"name": "Vaultwarden", "url": "https://github.com/dani-garcia/vaultwarden"}

SERVER = [
    *config("other region's identity", (R.HOSTS_MISMATCH, FAILING), lambda p: _environment(p, identity=EU.identity)),
    *config("other name", (R.HOSTS_RENAMED, HEALTHY), lambda p: _environment(p, identity="https://old.test/identity")),
    *config("odd identity address", (None, HEALTHY), lambda p: _environment(p, identity="https://[")),
    *config("identity is a number", (None, HEALTHY), lambda p: _environment(p, identity=7)),
    *config("no environment", (None, HEALTHY), lambda p: config_of(p, environment=None)),
    *config("environment is a list", (None, HEALTHY), lambda p: config_of(p, environment=[1])),
    *config("version is an object", (None, HEALTHY), lambda p: config_of(p, version={"a": 1})),
    *config("nothing but the kind", (None, HEALTHY), lambda _: {"Object": "config"}),
    *config("empty object", (R.SERVER_UNKNOWN, HEALTHY), lambda _: {}),
    *config("server of another name", (R.SERVER_UNKNOWN, HEALTHY), lambda p: config_of(p, server={"name": LONG})),
    *config("its name is our secret", (R.SERVER_UNKNOWN, HEALTHY), lambda p: config_of(p, server={"name": SECRET})),
    *config("Vaultwarden that reads", (None, HEALTHY), lambda p: config_of(p, server=_VAULTWARDEN)),
    *fine("server", CONFIG, "BOM", own(b'\xef\xbb\xbf{"object": "config"}')),
    *fine("server", CONFIG, "no Date", answer(b'{"object": "config"}')),
    *fine("server", CONFIG, "nonsense for a Date", own({"object": "config"}, Date="soon")),
    *fine("server", CONFIG, "proper gzip", gzip_answer(gzip.compress(b'{"object": "config"}'))),
    *dated("clock 1 h ahead", _SKEW, 3600),
    *dated("clock 1 h behind", _SKEW, -3600),
    *dated("clock 90 s ahead", _SKEW, 90),
    *dated("clock 90 s behind", _SKEW, -90),
    *dated("clock 30 s ahead", (None, HEALTHY), 30),
    *dated("clock 1 h off against a cloud", (R.CLOCK_WRONG_HERE, DEGRADED), 3600, official=True),
    *dated("clock 90 s off against a cloud", _SKEW, 90, official=True),
]

# What the server says to the key.


def refusal(error: str, finding: Finding, **more: Any) -> list[Cell]:
    """Make a cell in which the token endpoint says this OAuth error."""
    return cell("token", error, finding, at={TOKEN: own({"error": error}, "400 Bad Request")}, **more)


def vaultwarden(message: str, reason: Reason) -> list[Cell]:
    """Make a cell in which Vaultwarden says no in its own words."""
    model = {"message": message, "object": "error"}
    body = {"message": message, "errorModel": model, "error": "", "error_description": "", "object": "error"}
    return cell("token", f"Vaultwarden: {message[:40]}", (reason, FAILING), at={TOKEN: own(body, "400 Bad Request")})


def given(oddity: str, finding: Finding, body: Act, **more: Any) -> list[Cell]:
    """Make a cell in which the token endpoint gives this."""
    return cell("token", oddity, finding, at={TOKEN: body}, **more)


_ACCEPTED: Finding = (None, HEALTHY)
_UNNAMED: Finding = (R.ORGANIZATION_NOT_REPORTED, HEALTHY)

KEY = [
    *refusal("invalid_client", (R.KEY_NEVER_ACCEPTED, FAILING)),
    *cell(
        "token",
        "invalid_client, worked before",
        (R.KEY_NO_LONGER_ACCEPTED, FAILING),
        at={TOKEN: own({"error": "invalid_client"}, "400 Bad Request")},
        worked_before=True,
    ),
    *refusal("invalid_scope", (R.SCOPE_REFUSED, FAILING)),
    *refusal("unsupported_grant_type", (R.GRANT_REFUSED, FAILING)),
    *refusal("unauthorized_client", (R.GRANT_REFUSED, FAILING)),
    *refusal("invalid_grant", (R.GRANT_REFUSED, FAILING)),
    *refusal("invalid_request", (R.REQUEST_MANGLED, FAILING)),
    *refusal("something_new", ODD),
    *vaultwarden("Invalid client_id", R.VAULTWARDEN_UNKNOWN_ID),
    *vaultwarden("Malformed client_id", R.VAULTWARDEN_UNKNOWN_ID),
    *vaultwarden("Incorrect client_secret", R.VAULTWARDEN_WRONG_SECRET),
    *vaultwarden("device_identifier cannot be blank", R.VAULTWARDEN_REFUSED),
    *vaultwarden("Scope not supported", R.VAULTWARDEN_REFUSED),
    *vaultwarden(f"{SECRET} is no good. {LONG}", R.VAULTWARDEN_REFUSED),
    *given("415", (R.REQUEST_MANGLED, FAILING), own(b"", "415 Unsupported Media Type")),
    *given("422 page", (R.REQUEST_MANGLED, FAILING), page("422 Unprocessable Entity")),
    *given("422", (R.REQUEST_MANGLED, FAILING), own(b"", "422 Unprocessable Entity")),
    *given("400 of unknown form", TOKEN_BLOCKED, own('{"code": 7}', "400 Bad Request")),
    *given("400 empty", TOKEN_BLOCKED, front(b"", "400 Bad Request")),
    *given("error is a number", TOKEN_BLOCKED, own('{"error": 7}', "400 Bad Request")),
    *given("errorModel is a list", TOKEN_BLOCKED, own('{"errorModel": [1]}', "400 Bad Request")),
    *given("a key of another case, gzip", ODD, own({"accesstoken": "x"})),
    *given("token is a number", ODD, granted(access_token=7)),
    *given("token with a line break", ODD, granted(access_token="a\r\nX: y")),
    *given("token of 900 KB", ODD, granted(access_token="a" * 900_000)),
    *given("lifetime is text", _ACCEPTED, granted(expires_in="soon")),
    *given("no lifetime, no type", _ACCEPTED, granted(expires_in=None, token_type=None, scope=None)),
    *given("BOM", _ACCEPTED, own(b"\xef\xbb\xbf" + granted().partition(b"\r\n\r\n")[2])),
    *given("secret in the redirect", MOVED, front(b"", "302 Found", Location=f"https://x.test/{SECRET}/{LONG[:9]}")),
    *given("secret as the error", ODD, own({"error": SECRET}, "400 Bad Request")),
    *cell("token", "own budget spent", (R.BUDGET_SPENT, UNKNOWN), hold=90),
]

# What the API says to the token.


def bearing(description: str, finding: Finding, fault: str = "") -> list[Cell]:
    """Make a cell in which the API refuses the token with these words."""
    return cell("read", fault or description[:40], finding, at={READ: bearer(description)})


def read(fault: str, finding: Finding, /, **at: Act) -> list[Cell]:
    """Make a cell in which single lists answer this."""
    return cell("read", fault, finding, at={READ + name: act for name, act in at.items()})


def _unread(reason: Reason) -> Finding:
    return reason, UNREACHABLE


_PARTLY, _PARTLY_BROKEN = (R.READS_PARTLY_REFUSED, DEGRADED), (R.READ_FAULT, DEGRADED)
_GONE, _NO_MORE = own(b"", "404 Not Found"), own(b"", "403 Forbidden")
_SELF_HOSTED = own('{"object":"error","message":"Only allowed when not self hosted.","errors":null}', "400 Bad Request")
_ISSUER = "The issuer '{}' is invalid"

LISTS = [
    *bearing("", _unread(R.TOKEN_NOT_DELIVERED), "401 Bearer, nothing else"),
    *bearing(_ISSUER.format("http://identity"), _unread(R.SERVER_CANNOT_VALIDATE)),
    *bearing(_ISSUER.format("https://identity.bitwarden.eu"), (R.TOKEN_OF_OTHER_SERVER, FAILING)),
    *bearing("The signature key was not found", _unread(R.SIGNING_KEY_UNKNOWN)),
    *bearing("The token expired at '01/01/2026 00:00:00'", _unread(R.TOKEN_ALREADY_EXPIRED)),
    *bearing("The token is not valid before '01/01/2030 00:00:00'", _unread(R.TOKEN_NOT_YET_VALID)),
    *bearing("The signature is invalid", (R.TOKEN_REFUSED, FAILING)),
    *bearing(f"{jwt()} and {SECRET}: {LONG[:20]}", (R.TOKEN_REFUSED, FAILING), "the token and secret as words"),
    *cell(
        "read",
        "invalid_token without words",
        (R.TOKEN_REFUSED, FAILING),
        at={READ: own(b"", "401 Unauthorized", WWW_Authenticate='Bearer error="invalid_token"')},
    ),
    *cell("read", "401 without a scheme", (R.TOKEN_REFUSED, FAILING), at={READ: own(b"", "401 Unauthorized")}),
    *cell(
        "read",
        "401 Bearer behind a page",
        _unread(R.TOKEN_NOT_DELIVERED),
        at={READ: answer(HTML, status="401 Unauthorized", headers=PAGE | {"WWW-Authenticate": "Bearer"})},
    ),
    *cell("read", "402", ODD, at={READ: own('{"message": "An error has occurred."}', "402 Payment Required")}),
    *read("self-hosted: no subscription", (None, HEALTHY), **{"organization/subscription": _SELF_HOSTED}),
    *read("old server: no subscription", (None, HEALTHY), **{"organization/subscription": _GONE}),
    *read("no events", (None, LIMITED), events=_GONE),
    *read("one list refused", _PARTLY, groups=_NO_MORE),
    *read("one list blocked by a proxy", _PARTLY, groups=page("403 Forbidden")),
    *read("one list wants another token", _PARTLY, groups=bearer("The signature is invalid")),
    *read("one list broken", _PARTLY_BROKEN, groups=own(UNHANDLED, "500 Internal Server Error")),
    *read("one list damaged", _PARTLY_BROKEN, groups=own("{nope")),
    *read("one list reset", _PARTLY_BROKEN, groups=Talk.reset),
    *read("one list of numbers", _PARTLY_BROKEN, groups=own(listed(1, 2))),
    *cell("read", "one list silent", _PARTLY_BROKEN, at={GROUPS: Talk.stall}, deadline=HANGING),
    *read("a limit in the middle", (R.RATE_LIMITED, HEALTHY), groups=limit(Retry_After="37")),
    *read("a limit of the edge in the middle", (R.EDGE_RATE_LIMITED, HEALTHY), groups=page("429 Too Many Requests")),
    *read("first list refused, others not", _PARTLY, policies=_NO_MORE),
    *read("first list broken, others not", _PARTLY_BROKEN, policies=own(UNHANDLED, "500 Internal Server Error")),
    *read("no members", (R.MEMBERS_EMPTY, FAILING), members=own(listed())),
    *read("empty lists", (None, HEALTHY), groups=own(listed()), collections=own(listed()), events=own(listed())),
    *read("unknown member status", (None, HEALTHY), members=own(listed({"status": 3}, {"status": 9}, {"status": -1}))),
    *read(
        "odd member status",
        (None, HEALTHY),
        members=own(listed({}, {"status": "2"}, {"status": True}, {"status": 9**99})),
    ),
    *read("data is an object", ODD, policies=own({"data": {}})),
    *read("no data", ODD, policies=own({})),
    *read("PascalCase", (None, HEALTHY), groups=own({"Object": "list", "Data": [{"Id": "x"}]})),
    *read("BOM", (None, HEALTHY), groups=own(b'\xef\xbb\xbf{"data": []}')),
    *read("subscription is empty", (None, HEALTHY), **{"organization/subscription": own({})}),
    *read("seats are text", (None, HEALTHY), **{"organization/subscription": own({"passwordManager": {"seats": "5"}})}),
    *read("manager is text", (None, HEALTHY), **{"organization/subscription": own({"passwordManager": "5"})}),
    *read("unknown event type", (None, HEALTHY), events=own(listed({"type": 9999}) | {"continuationToken": ""})),
    *cell(
        "read",
        "Vaultwarden end to end",
        NO_READS,
        at={
            CONFIG: ByPort(lambda port: config_of(port, server=_VAULTWARDEN)),
            "/api/version": own('"1.34.3"'),
            TOKEN: granted(access_token=jwt(iss=f"https://{HOST}|api.organization")),
            READ: own(NOT_FOUND, "404 Not Found"),
        },
    ),
]

# Whose key it is.

WHOSE = [
    *cell(
        "identity",
        "other organization's token",
        (R.WRONG_ORGANIZATION, FAILING),
        at={TOKEN: granted(access_token=jwt(client_id=f"organization.{OTHER_ORGANIZATION}"))},
    ),
    *cell(
        "identity",
        "a name that is no id",
        (R.WRONG_ORGANIZATION, FAILING),
        at={TOKEN: granted(access_token=jwt(client_id=LONG))},
    ),
    *cell(
        "identity",
        "upper-case id",
        _ACCEPTED,
        at={
            TOKEN: granted(access_token=jwt(client_id=f"organization.{ORGANIZATION.upper()}")),
        },
    ),
    *cell("identity", "opaque token", _UNNAMED, at={TOKEN: granted(access_token="opaque")}),
    *cell("identity", "claims are no JSON", _UNNAMED, at={TOKEN: granted(access_token="a.b.c")}),
    *cell("identity", "claims are a list", _UNNAMED, at={TOKEN: granted(access_token="a.WzFd.c")}),
    *cell("identity", "client_id is a number", _UNNAMED, at={TOKEN: granted(access_token=jwt(client_id=7))}),
]

TABLE: tuple[Cell, ...] = (*NETWORK, *EVERYWHERE, *SERVER, *KEY, *LISTS, *WHOSE)
