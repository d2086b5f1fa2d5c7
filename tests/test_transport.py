"""The transport against badly behaved servers, over real sockets and real TLS."""

from __future__ import annotations

import asyncio
import gzip
import re
import resource
import socket
import ssl
import subprocess
import sys
import time
import traceback
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from httpx import Request

from hub_core import __version__
from hub_core.bitwarden.guarded import GuardedTransport
from hub_core.bitwarden.policy import OutboundPolicy
from hub_core.bitwarden.tls import CA_LIMIT, TlsFacts, context_for, parse_ca
from hub_core.bitwarden.transport import LIST_LIMIT, Answer, Connected, ForbiddenRequest, Headers, Session, Side, permit
from hub_core.errors import InputError, RemoteError
from hub_core.model import Endpoints, Reason, RegionId
from hub_core.settings import Settings
from tests.hostile import (
    HOST,
    Hostile,
    Script,
    Shop,
    Talk,
    after_hello,
    after_request,
    answer,
    closed_port,
    gzip_answer,
    gzip_bomb,
    json_answer,
    once,
    polite,
    truncated_gzip,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

CANARY = "CaNaRyNeverPrinted0123456789"
FORM = {"grant_type": "client_credentials", "client_secret": CANARY}
SHOP = Shop()

T = TypeVar("T")


async def to_loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def at(port: int, *, identity_port: int | None = None, scheme: str = "http", host: str = HOST) -> Endpoints:
    return Endpoints(
        RegionId.SELF_HOSTED,
        identity=f"{scheme}://{host}:{identity_port or port}/identity",
        api=f"{scheme}://{host}:{port}/api",
    )


def session(
    endpoints: Endpoints,
    *,
    policy: OutboundPolicy | None = None,
    resolve: Callable[[str, int], Awaitable[Sequence[str]]] = to_loopback,
    ca_pem: str | None = None,
    official: Callable[[str], bool] = lambda _: False,
    deadline_s: float = 10.0,
    connect_s: float = 5.0,
) -> Session:
    targets = (base.partition("://")[2].partition("/")[0] for base in (endpoints.api, endpoints.identity))
    return Session(
        endpoints,
        policy or OutboundPolicy(loopback=frozenset(targets)),
        ca_pem=ca_pem,
        official=official,
        connect_s=connect_s,
        deadline_s=deadline_s,
        resolve=resolve,
    )


def run(opened: Session, do: Callable[[Session], Awaitable[T]]) -> T:
    async def whole() -> T:
        async with opened as entered:
            return await do(entered)

    return asyncio.run(whole())


def refused(opened: Session, do: Callable[[Session], Awaitable[object]]) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        run(opened, do)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.evidence)
    assert CANARY not in shown
    return caught.value


def read_config(opened: Session) -> Awaitable[Answer]:
    return opened.get(Side.API, "/config", token=CANARY)


def post(opened: Session) -> Awaitable[Answer]:
    return opened.post_token(FORM)


# What a proper exchange is.


def test_sends_our_own_headers_and_nothing_more() -> None:
    """A read carries our name, asks for plain JSON, and nothing a library would add."""
    with Hostile(polite()) as server:
        run(
            session(at(server.port)),
            lambda s: s.get(Side.API, "/public/events", token="abc", params={"start": "2026-01-01", "x": "a b&c"}),
        )
        (request,) = server.requests
    assert request.line == "GET /api/public/events?start=2026-01-01&x=a+b%26c HTTP/1.1"
    assert request.headers == {
        "host": f"{HOST}:{server.port}",
        "user-agent": f"link-hub/{__version__}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "authorization": "Bearer abc",
    }


def test_sends_the_form_to_the_token_path_once() -> None:
    """The key goes out as one form, to the identity server's token path."""
    with Hostile(polite()) as server:
        got = run(session(at(server.port)), post)
        (request,) = server.requests
    assert got.status == 200
    assert request.line == "POST /identity/connect/token HTTP/1.1"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.body == f"grant_type=client_credentials&client_secret={CANARY}".encode()
    assert "authorization" not in request.headers


def test_one_connection_serves_a_whole_check() -> None:
    """Both sides on one origin share a connection, and requests follow each other on it."""

    async def check(opened: Session) -> list[Connected]:
        connected = [await opened.connect(side) for side in (Side.API, Side.IDENTITY)]
        await opened.get(Side.API, "/config")
        await opened.post_token(FORM)
        await opened.get(Side.API, "/public/policies", token="t")
        return connected

    with Hostile(polite()) as server:
        first, second = run(session(at(server.port)), check)
        assert server.connections() == 1
        assert len(server.requests) == 3
    assert first.addresses == second.addresses == ("127.0.0.1",)
    assert second.ms == 0


def test_the_token_never_goes_to_the_identity_server() -> None:
    """Asking for it is a fault in our code, found before any packet."""
    with Hostile(polite()) as api, Hostile(polite()) as identity:
        opened = session(at(api.port, identity_port=identity.port))
        with pytest.raises(ForbiddenRequest):
            run(opened, lambda s: s.get(Side.IDENTITY, "/alive", token=CANARY))
        assert identity.connections() == api.connections() == 0


def test_each_side_gets_only_what_is_its_own() -> None:
    """With two servers the token reaches the API only and the form the identity server only."""

    async def check(opened: Session) -> None:
        await opened.post_token(FORM)
        await opened.get(Side.API, "/public/members", token="the-token")
        await opened.get(Side.IDENTITY, "/.well-known/openid-configuration")

    with Hostile(polite()) as api, Hostile(polite()) as identity:
        run(session(at(api.port, identity_port=identity.port)), check)
    assert CANARY.encode() not in b"".join(request.raw for request in api.requests)
    assert b"the-token" not in b"".join(request.raw for request in identity.requests)


def test_a_redirect_is_an_ordinary_answer() -> None:
    """Nothing is followed: the target hears nothing."""
    with Hostile(polite()) as target:
        moved = answer(status="307 Temporary Redirect", headers={"Location": f"http://127.0.0.1:{target.port}/"})
        with Hostile(once(moved)) as server:
            got = run(session(at(server.port)), post)
        assert (got.status, got.headers["location"]) == (307, f"http://127.0.0.1:{target.port}/")
        assert target.connections() == 0


def test_cookies_are_not_kept() -> None:
    """A cookie set by one answer is not sent with the next request."""

    async def twice(opened: Session) -> None:
        await opened.get(Side.API, "/config")
        await opened.get(Side.API, "/config")

    with Hostile(polite({"/api/config": answer(b"{}", headers={"Set-Cookie": "a=b"})})) as server:
        run(session(at(server.port)), twice)
    assert not any("cookie" in request.headers for request in server.requests)


def test_environment_proxies_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the operator's setting names a proxy."""
    with Hostile(polite()) as trap, Hostile(polite()) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
        assert run(session(at(server.port)), read_config).status == 200
        assert trap.connections() == 0


def test_headers_are_found_whatever_their_case() -> None:
    """Names are compared without case, and repeated headers are joined."""
    reply = b"HTTP/1.1 200 OK\r\nRETRY-after: 7\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n"
    with Hostile(once(reply)) as server:
        got = run(session(at(server.port)), read_config)
    assert got.headers["Retry-After"] == "7"
    assert got.headers.get("X-a") == "1, 2"
    assert got.headers.get("nothing") is None
    assert got.content_type == ""


# Physically read-only.

PATHS = (
    "/config",
    "/alive",
    "/now",
    "/version",
    "/public/members",
    "/public/groups",
    "/public/collections",
    "/public/policies",
    "/public/events",
    "/public/organization/subscription",
    "/.well-known/openid-configuration",
    "/connect/token",
    "/public/members/",
    "/public/members/1234",
    "/public/members/1234/reinvite",
    "/public/organization/import",
    "/public/../accounts",
    "//public/members",
    "/public/members?x=1",
    "/public/Members",
    "/accounts/profile",
    "/connect/token/",
    "/connect/revocation",
    "",
    "/",
)
ALLOWED = (
    {("GET", Side.API, path) for path in PATHS[:10]}
    | {("GET", Side.IDENTITY, path) for path in ("/alive", "/version", "/.well-known/openid-configuration")}
    | {("POST", Side.IDENTITY, "/connect/token")}
)


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "get"])
def test_only_the_listed_requests_are_possible(method: str, side: Side) -> None:
    """Every verb with every path is forbidden, but for the reads and the one token request."""
    for path in PATHS:
        if (method, side, path) in ALLOWED:
            permit(method, side, path)
        else:
            with pytest.raises(ForbiddenRequest):
                permit(method, side, path)


def test_a_forbidden_read_sends_nothing() -> None:
    """The refusal comes before any packet."""
    with Hostile(polite()) as server:
        with pytest.raises(ForbiddenRequest):
            run(session(at(server.port)), lambda s: s.get(Side.API, "/public/members/1", token=CANARY))
        assert server.connections() == 0


# Names and addresses.


@pytest.mark.parametrize(
    "resolved",
    [
        ["127.0.0.1", "169.254.169.254"],
        ["169.254.169.254", "127.0.0.1"],
        ["127.0.0.1", "::ffff:100.100.100.200"],
        ["127.0.0.1", "0.0.0.0"],  # noqa: S104 - an address that is refused
    ],
)
def test_a_mixed_answer_is_refused_without_a_packet(resolved: list[str]) -> None:
    """One bad address among good ones refuses the name, and nothing is sent to any of them."""

    async def mixed(host: str, port: int) -> Sequence[str]:
        return resolved

    with Hostile(polite()) as server:
        error = refused(session(at(server.port), resolve=mixed), read_config)
        assert server.connections() == 0
    assert error.reason is Reason.ADDRESS_NOT_ALLOWED
    assert set(error.evidence) == {"host", "rule"}
    assert not any(address in str(error.evidence) for address in resolved)


def test_a_name_that_rebinds_is_asked_only_once() -> None:
    """A second look-up, that could answer differently, never happens: not even when reconnecting."""
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    async def twice(opened: Session) -> None:
        await opened.get(Side.API, "/config")
        await opened.get(Side.API, "/config")

    with Hostile(once(json_answer())) as server:
        run(session(at(server.port), resolve=rebinding), twice)
        assert server.connections() == 2
    assert asked == [HOST]


def test_the_next_address_is_tried() -> None:
    """Where the first of several addresses refuses, the next one is used."""

    async def two(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.1"]

    with Hostile(polite()) as server:
        connected = run(session(at(server.port), resolve=two), lambda s: s.connect(Side.API))
    assert connected.addresses == ("127.0.0.2", "127.0.0.1")


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no such name"), Reason.NAME_NOT_FOUND),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), Reason.NAME_TIMEOUT),
        (UnicodeError("label too long"), Reason.NAME_NOT_FOUND),
        (OSError("resolver broken"), Reason.NAME_NOT_FOUND),
    ],
)
def test_a_name_without_address_is_said(failure: Exception, reason: Reason) -> None:
    """What the resolver says is told apart."""

    async def failing(host: str, port: int) -> Sequence[str]:
        raise failure

    error = refused(session(at(1), resolve=failing), read_config)
    assert (error.reason, error.evidence) == (reason, {"host": HOST})


def test_a_name_with_no_addresses_is_not_found() -> None:
    """An empty answer is the same as none."""

    async def empty(host: str, port: int) -> Sequence[str]:
        return []

    assert refused(session(at(1), resolve=empty), read_config).reason is Reason.NAME_NOT_FOUND


def test_a_resolver_that_hangs_has_a_deadline() -> None:
    """Waiting for a name ends with the connect limit."""

    async def hanging(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    assert refused(session(at(1), resolve=hanging, connect_s=0.1), read_config).reason is Reason.NAME_TIMEOUT


def test_a_literal_address_is_not_resolved() -> None:
    """An address needs no resolver, and is checked all the same."""

    async def never(host: str, port: int) -> Sequence[str]:
        raise AssertionError

    with Hostile(polite()) as server:
        assert run(session(at(server.port, host="127.0.0.1"), resolve=never), read_config).status == 200
        error = refused(session(at(80, host="[fe80::1]"), resolve=never, policy=PLAIN), read_config)
    assert error.evidence == {"host": "fe80::1", "rule": "link-local"}


PLAIN = OutboundPolicy(plaintext_hosts=frozenset({"fe80::1", HOST}))


def test_the_systems_resolver_is_used() -> None:
    """Without an own resolver the name `localhost` is found."""
    with Hostile(polite()) as server:
        endpoints = at(server.port, host="localhost")
        got = run(
            Session(endpoints, OutboundPolicy(loopback=frozenset({f"127.0.0.1:{server.port}"}))),
            lambda s: s.get(Side.API, "/config"),
        )
    assert got.status == 200


def test_plaintext_needs_a_listed_host() -> None:
    """Without the operator's word nothing is sent over http."""
    with Hostile(polite()) as server:
        error = refused(session(at(server.port), policy=OutboundPolicy()), read_config)
        assert server.connections() == 0
    assert error.reason is Reason.ADDRESS_PLAINTEXT


def test_refused_and_unreachable_are_told_apart() -> None:
    """A closed port refuses; an address no connection can lead to says so."""
    error = refused(session(at(closed_port())), read_config)
    assert (error.reason, error.evidence["addresses"]) == (Reason.CONNECTION_REFUSED, "127.0.0.1")
    error = refused(session(at(443), resolve=to_broadcast), read_config)
    assert error.reason is Reason.NO_ROUTE


async def to_broadcast(host: str, port: int) -> Sequence[str]:
    return ["127.255.255.255"]


def test_a_shared_hub_does_not_tell_addresses() -> None:
    """Once others look on, a failed connection names the host only."""
    port = closed_port()
    policy = OutboundPolicy(shared=True, loopback=frozenset({f"{HOST}:{port}"}))
    error = refused(session(at(port), policy=policy), read_config)
    assert error.evidence == {"host": HOST, "port": str(port)}


def test_a_connection_that_nobody_accepts_times_out() -> None:
    """A server whose queue is full is a timeout, within the connect limit."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        error = refused(session(at(port), connect_s=0.2), read_config)
        for filler in fillers:
            filler.close()
    assert error.reason is Reason.CONNECTION_TIMEOUT


# Answers that never come, never end, or are not what they say.

SLOW = b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 100_000


@pytest.mark.parametrize("method", [read_config, post])
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(after_request(Talk.stall), Reason.ANSWER_TIMEOUT, id="silence"),
        pytest.param(after_request(lambda t: t.drip(SLOW)), Reason.ANSWER_TIMEOUT, id="slow header"),
        pytest.param(
            once(answer(headers={"Content-Length": "9999"}), then=lambda t: t.drip(b"x" * 9999)),
            Reason.ANSWER_TIMEOUT,
            id="slow body",
        ),
        pytest.param(
            after_request(lambda t: t.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 99)),
            Reason.ANSWER_TIMEOUT,
            id="endless continue",
        ),
    ],
)
def test_the_deadline_covers_the_whole_answer(
    script: Script, reason: Reason, method: Callable[[Session], Awaitable[Answer]]
) -> None:
    """Silence and dripping bytes end with the total deadline, however alive the connection looks."""
    with Hostile(script) as server:
        started = time.monotonic()
        error = refused(session(at(server.port), deadline_s=0.3), method)
        assert time.monotonic() - started < 3
    assert error.reason is reason


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BROKEN = [
    pytest.param(after_request(Talk.leave), Reason.ANSWER_LOST, id="closed without answer"),
    pytest.param(after_request(Talk.reset), Reason.ANSWER_LOST, id="reset before the answer"),
    pytest.param(once(b"HTTP/1.1 200 OK\r\nContent-"), Reason.ANSWER_LOST, id="closed in the header"),
    pytest.param(once(answer(b"{", headers={"Content-Length": "50"})), Reason.ANSWER_LOST, id="short body"),
    pytest.param(
        once(answer(b"{", headers={"Content-Length": "50"}), then=Talk.reset),
        Reason.ANSWER_LOST,
        id="reset in the body",
    ),
    pytest.param(once(CHUNKED + b"5\r\nhel"), Reason.ANSWER_LOST, id="short chunk"),
    pytest.param(once(CHUNKED + b"zz\r\nhello\r\n"), Reason.ANSWER_UNREADABLE, id="bad chunk size"),
    pytest.param(once(b"SSH-2.0-OpenSSH_9\r\n", then=Talk.stall), Reason.ANSWER_UNREADABLE, id="not HTTP"),
    pytest.param(once(b"\x15\x03\x01\x00\x02\x02\x46"), Reason.ANSWER_UNREADABLE, id="TLS on a plain port"),
    pytest.param(once(b"HTTP/9.9 abc\r\n\r\n"), Reason.ANSWER_UNREADABLE, id="bad status line"),
    pytest.param(
        once(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        Reason.ANSWER_UNREADABLE,
        id="two lengths",
    ),
    pytest.param(
        once(b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}"), Reason.ANSWER_UNREADABLE, id="negative length"
    ),
    pytest.param(once(b"HTTP/1.1 101 Switching\r\n\r\n"), Reason.ANSWER_UNREADABLE, id="other protocol"),
    pytest.param(once(gzip_answer(truncated_gzip())), Reason.ANSWER_UNREADABLE, id="truncated gzip"),
    pytest.param(once(gzip_answer(b"not gzip")), Reason.ANSWER_UNREADABLE, id="no gzip"),
    pytest.param(once(gzip_answer(gzip.compress(b"{}") + b"more")), Reason.ANSWER_UNREADABLE, id="more after gzip"),
    pytest.param(
        once(gzip_answer(gzip.compress(gzip.compress(b"{}")), coding="gzip, gzip")),
        Reason.ANSWER_UNREADABLE,
        id="nested coding",
    ),
    pytest.param(once(gzip_answer(b"xx", coding="br")), Reason.ANSWER_UNREADABLE, id="unknown coding"),
    pytest.param(once(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 300_000), Reason.ANSWER_TOO_LARGE, id="header bomb"),
    pytest.param(
        after_request(lambda t: t.flood(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000)),
        Reason.ANSWER_TOO_LARGE,
        id="flood of continues",
    ),
    pytest.param(
        once(b"HTTP/1.1 200 OK\r\n\r\n", then=lambda t: t.flood(b"x" * 65536)),
        Reason.ANSWER_TOO_LARGE,
        id="endless body",
    ),
    pytest.param(
        once(CHUNKED, then=lambda t: t.flood(b"1\r\nx\r\n" * 9999)), Reason.ANSWER_TOO_LARGE, id="endless chunks"
    ),
    pytest.param(once(answer(b"x" * 1_000_001)), Reason.ANSWER_TOO_LARGE, id="one byte too many"),
]


@pytest.mark.parametrize("method", [read_config, post])
@pytest.mark.parametrize(("script", "reason"), BROKEN)
def test_a_broken_answer_has_one_reason(
    script: Script, reason: Reason, method: Callable[[Session], Awaitable[Answer]]
) -> None:
    """Every way an answer can break ends as exactly one reason, whose text shows no secret."""
    with Hostile(script) as server:
        assert refused(session(at(server.port)), method).reason is reason
        assert len(server.requests) <= 1


def test_a_flood_neither_escapes_the_deadline_nor_stops_the_others() -> None:
    """Bytes that come faster than they can be read leave the loop its turns."""
    turns = 0

    async def with_another(opened: Session) -> None:
        nonlocal turns

        async def another() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.01)

        other = asyncio.create_task(another())
        try:
            await opened.get(Side.API, "/public/members", limit=LIST_LIMIT)
        finally:
            other.cancel()

    with Hostile(once(CHUNKED, then=lambda t: t.flood(b"1\r\nx\r\n" * 99_999))) as server:
        started = time.monotonic()
        error = refused(session(at(server.port), deadline_s=0.5), with_another)
        assert time.monotonic() - started < 3
    assert error.reason is Reason.ANSWER_TIMEOUT
    assert turns > 2


def test_a_gzip_bomb_does_not_unfold() -> None:
    """200 MB behind a small answer are refused without memory growing by more than a few."""
    bomb = gzip_answer(gzip_bomb(200))
    with Hostile(once(bomb)) as server:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert refused(session(at(server.port)), read_config).reason is Reason.ANSWER_TOO_LARGE
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert len(bomb) < 300_000
    assert grown < 20_000


def test_one_gzip_coding_is_undone() -> None:
    """A server that compresses although we asked it not to is understood."""
    with Hostile(once(gzip_answer(gzip.compress(b'{"a": 1}')))) as server:
        assert run(session(at(server.port)), read_config).json() == {"a": 1}


def test_a_list_may_be_longer_than_an_object() -> None:
    """The limit is the caller's: lists ask for more."""
    with Hostile(once(answer(b"[" + b" " * 2_000_000 + b"]"))) as server:
        got = run(session(at(server.port)), lambda s: s.get(Side.API, "/public/members", limit=3_000_000))
    assert got.json() == []


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", id="no content"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n", id="old version, closed"),
        pytest.param(answer(headers={"Content-Encoding": "gzip"}), id="empty gzip"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + answer(), id="after a continue"),
    ],
)
def test_an_empty_answer_is_an_answer(reply: bytes) -> None:
    """Having nothing to say is not a broken answer."""
    with Hostile(once(reply)) as server:
        assert run(session(at(server.port)), read_config).body == b""


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_an_ipv6_address_is_written_in_brackets() -> None:
    """The Host header of a literal IPv6 address can be read by the server."""
    with Hostile(polite(), host="::1") as server:
        run(session(at(server.port, host="[::1]")), read_config)
    assert server.requests[0].headers["host"] == f"[::1]:{server.port}"


@pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "a b", "", "a\x00b", "ümlaut", "a\n"])
def test_a_token_cannot_carry_a_header(token: str) -> None:
    """A token that is not printable ASCII is refused before any packet, and not shown."""
    with Hostile(polite()) as server:
        error = refused(
            session(at(server.port)), lambda s: s.get(Side.API, "/public/policies", token=CANARY + token * 2 + "\n")
        )
        assert server.connections() == 0
    assert error.reason is Reason.ANSWER_UNREADABLE


# Kept connections.


def hangs_up_on_the_second(talk: Talk) -> None:
    """Answer the first request on a connection, and close instead of answering the second."""
    talk.request()
    talk.send(json_answer())
    talk.request()


async def read_twice(opened: Session) -> int:
    await opened.get(Side.API, "/config")
    return (await opened.get(Side.API, "/config")).status


def test_a_read_is_repeated_once_on_a_connection_closed_meanwhile() -> None:
    """A server that closes a kept connection instead of answering is asked again, on a new one."""
    with Hostile(hangs_up_on_the_second) as server:
        assert run(session(at(server.port)), read_twice) == 200
        assert server.connections() == 2
        assert len(server.requests) == 3


def test_a_read_on_a_fresh_connection_is_not_repeated() -> None:
    """The repetition is for kept connections only."""
    with Hostile(after_request(Talk.leave)) as server:
        assert refused(session(at(server.port)), read_config).reason is Reason.ANSWER_LOST
        assert server.connections() == 1


def test_a_read_that_was_answered_in_part_is_not_repeated() -> None:
    """Once a byte of the answer came, it is lost, not asked again."""

    def breaks_the_second(talk: Talk) -> None:
        talk.request()
        talk.send(json_answer())
        talk.request()
        talk.send(b"HTTP/1.1 200")

    with Hostile(breaks_the_second) as server:
        assert refused(session(at(server.port)), read_twice).reason is Reason.ANSWER_LOST
        assert server.connections() == 1


def test_the_key_is_never_sent_twice() -> None:
    """Where a kept connection closes instead of answering the token request, that is the end of it."""

    async def check(opened: Session) -> None:
        await opened.get(Side.API, "/config")
        await opened.post_token(FORM)

    with Hostile(hangs_up_on_the_second) as server:
        assert refused(session(at(server.port)), check).reason is Reason.ANSWER_LOST
        assert sum(request.body != b"" for request in server.requests) == 1


def test_the_key_goes_out_on_a_new_connection_after_a_pause() -> None:
    """A connection that was idle for long is not trusted with the one request that is never repeated."""
    clock = iter([0.0, 0.0, 0.0, 100.0] + [100.0] * 20)

    async def check(opened: Session) -> None:
        await opened.get(Side.API, "/config")
        await opened.post_token(FORM)

    with Hostile(polite()) as server:
        opened = Session(
            at(server.port),
            OutboundPolicy(loopback=frozenset({f"{HOST}:{server.port}"})),
            resolve=to_loopback,
            monotonic=lambda: next(clock),
        )
        run(opened, check)
        assert server.connections() == 2


def test_bytes_after_the_answer_end_the_connection() -> None:
    """An answer nobody asked for never becomes the answer to the next request."""
    with Hostile(polite({"/api/config": json_answer() + json_answer('{"evil": 1}')})) as server:
        assert run(session(at(server.port)), read_twice) == 200
        assert server.connections() == 2


def test_closing_the_session_closes_its_connections() -> None:
    """Nothing stays open behind a check."""
    ended: list[bool] = []

    def until_closed(talk: Talk) -> None:
        polite()(talk)
        ended.append(True)

    with Hostile(until_closed) as server:
        run(session(at(server.port)), read_config)
        server.wait_idle()
    assert ended == [True]


# Strict JSON.


def body_of(body: bytes) -> Answer:
    return Answer(200, Headers(), body, 0, datetime.now(UTC))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 2}}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"a": 1} more',
        b"[" * 200_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"1" * 5000,
        '{"a": 1}'.encode("utf-16"),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_anything_but_proper_json_is_unreadable(body: bytes) -> None:
    """What two readers could understand differently is not read at all."""
    with pytest.raises(RemoteError) as caught:
        body_of(body).json()
    assert caught.value.reason is Reason.ANSWER_UNREADABLE


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": 1.5, "b": null}', {"a": 1.5, "b": None}),
        (b'"2026.1.0"', "2026.1.0"),
        (b'"\\ud83d\\ude00"', "😀"),
    ],
)
def test_proper_json_is_read(body: bytes, value: object) -> None:
    """A byte order mark is tolerated; pairs of surrogates are one character."""
    assert body_of(body).json() == value


def test_an_answer_does_not_show_its_body() -> None:
    """Neither body nor header values are part of what an answer shows of itself."""
    shown = repr(Answer(200, Headers([(b"X-Token", CANARY.encode())]), CANARY.encode(), 0, datetime.now(UTC)))
    assert CANARY not in shown


# TLS.


def tls_session(
    server: Hostile,
    *,
    ca_pem: str | None = None,
    host: str = HOST,
    official: Callable[[str], bool] = lambda _: False,
    deadline_s: float = 10.0,
) -> Session:
    endpoints = at(server.port, scheme="https", host=host)
    return session(
        endpoints, ca_pem=SHOP.ca_pem if ca_pem is None else ca_pem, official=official, deadline_s=deadline_s
    )


def shake(opened: Session) -> Awaitable[TlsFacts | None]:
    return opened.handshake(Side.API)


@pytest.mark.parametrize(
    ("version", "said"), [(ssl.TLSVersion.TLSv1_2, "TLS 1.2"), (ssl.TLSVersion.TLSv1_3, "TLS 1.3")]
)
def test_a_good_certificate_tells_its_facts(version: ssl.TLSVersion, said: str) -> None:
    """The handshake returns version, issuer, names, end and fingerprint, and the answer comes over it."""

    async def check(opened: Session) -> tuple[TlsFacts | None, Answer]:
        return await opened.handshake(Side.API), await opened.post_token(FORM)

    with Hostile(polite(), tls=SHOP.good(version=version)) as server:
        facts, got = run(tls_session(server), check)
        assert server.connections() == 1
    assert facts is not None
    assert (facts.version, facts.issuer, facts.names) == (said, "Corp Trust", (HOST,))
    assert facts.not_after.tzinfo is not None
    assert re.fullmatch("[0-9a-f]{64}", facts.sha256)
    assert got.status == 200


def test_the_name_is_asked_for_and_verified_not_the_address() -> None:
    """The server hears the name (SNI) although we connected to an address."""
    heard: list[str | None] = []
    context = SHOP.good()
    context.sni_callback = lambda _socket, name, _context: heard.append(name)
    with Hostile(polite(), tls=context) as server:
        run(tls_session(server), read_config)
    assert heard == [HOST]


def test_plaintext_has_no_handshake() -> None:
    """Over http there is nothing to shake hands about."""
    with Hostile(polite()) as server:
        assert run(session(at(server.port)), shake) is None


CERTIFICATES = [
    (SHOP.expired, Reason.CERTIFICATE_EXPIRED),
    (SHOP.not_yet, Reason.CERTIFICATE_NOT_YET_VALID),
    (SHOP.wrong_host, Reason.CERTIFICATE_WRONG_NAME),
    (SHOP.self_signed, Reason.CERTIFICATE_SELF_SIGNED),
    (SHOP.unknown_authority, Reason.CERTIFICATE_UNKNOWN_ISSUER),
    (SHOP.missing_intermediate, Reason.CERTIFICATE_UNKNOWN_ISSUER),
]


@pytest.mark.parametrize(("kind", "reason"), CERTIFICATES, ids=lambda case: getattr(case, "__name__", ""))
def test_a_bad_certificate_has_one_reason(kind: Callable[[], ssl.SSLContext], reason: Reason) -> None:
    """Each fault is told apart, with what the certificate said, and no request is sent."""
    with Hostile(polite(), tls=kind()) as server:
        error = refused(tls_session(server), post)
        assert server.requests == []
    assert error.reason is reason
    assert error.evidence["host"] == HOST
    assert {"issuer", "names", "expires", "sha256"} <= set(error.evidence)


def test_a_wrong_name_is_told_with_the_right_ones() -> None:
    """The evidence of a mismatch names what the certificate is for."""
    with Hostile(polite(), tls=SHOP.wrong_host()) as server:
        assert refused(tls_session(server), shake).evidence["names"] == "other.test"
    with Hostile(polite(), tls=SHOP.good()) as server:
        assert refused(tls_session(server, host="127.0.0.1"), shake).reason is Reason.CERTIFICATE_WRONG_NAME


@pytest.mark.parametrize("kind", [SHOP.self_signed, SHOP.unknown_authority])
def test_a_stranger_in_the_official_clouds_name_is_an_interception(kind: Callable[[], ssl.SSLContext]) -> None:
    """For an official host an unknown issuer means that something on the way re-signs TLS."""
    with Hostile(polite(), tls=kind()) as server:
        error = refused(tls_session(server, official=lambda host: host == HOST), shake)
    assert error.reason is Reason.CERTIFICATE_INTERCEPTED


@pytest.mark.parametrize("kind", [SHOP.weak_key, SHOP.not_an_authority])
def test_a_sloppy_private_authority_is_a_finding_of_its_own(kind: Callable[[], tuple[ssl.SSLContext, str]]) -> None:
    """A known authority that does not meet today's profile is not called unknown."""
    context, ca_pem = kind()
    with Hostile(polite(), tls=context) as server:
        assert refused(tls_session(server, ca_pem=ca_pem), shake).reason is Reason.CERTIFICATE_LEGACY_CA


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_wish_for_a_client_certificate_is_recognized(version: ssl.TLSVersion) -> None:
    """TLS 1.2 says so in the handshake, TLS 1.3 only with the first read."""
    with Hostile(polite(), tls=SHOP.wants_client_certificate(version)) as server:
        assert refused(tls_session(server), read_config).reason is Reason.CLIENT_CERTIFICATE_WANTED


def test_the_accounts_own_certificate_can_be_trusted_alone() -> None:
    """A server's self-signed certificate, given as the CA, is accepted; another one is not."""
    context = SHOP.self_signed()
    pem = ssl.DER_cert_to_PEM_cert(_shown_by(context))
    with Hostile(polite(), tls=context) as server:
        assert run(tls_session(server, ca_pem=pem), read_config).status == 200
    with Hostile(polite(), tls=SHOP.self_signed()) as server:
        assert refused(tls_session(server, ca_pem=pem), shake).reason is Reason.CERTIFICATE_SELF_SIGNED


def _shown_by(context: ssl.SSLContext) -> bytes:
    with Hostile(polite(), tls=context) as server:
        return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", server.port)))


def _old_tls() -> ssl.SSLContext:
    context = SHOP.good()
    context.set_ciphers("ALL@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.parametrize(
    ("script", "tls", "reason", "what"),
    [
        (
            after_hello(lambda t: t.send(answer(status="400 Bad Request"))),
            None,
            Reason.TLS_FAILED,
            "answered in plain HTTP",
        ),
        (after_hello(lambda t: t.send(b"SSH-2.0-x\r\n")), None, Reason.TLS_FAILED, "wrong version number"),
        (after_hello(Talk.leave), None, Reason.TLS_FAILED, "closed during the handshake"),
        (after_hello(Talk.reset), None, Reason.TLS_FAILED, "closed during the handshake"),
        (
            after_hello(lambda t: t.send(b"\x15\x03\x03\x00\x02\x02\x28")),
            None,
            Reason.TLS_FAILED,
            "sslv3 alert handshake failure",
        ),
        (Talk.stall, None, Reason.TLS_TIMEOUT, None),
        (lambda t: t.drip(b"\x16\x03\x03\x3f\xff" + b"\x02" * 9999), None, Reason.TLS_TIMEOUT, None),
        (polite(), _old_tls(), Reason.TLS_FAILED, "tlsv1 alert protocol version"),
    ],
    ids=["http", "ssh", "closed", "reset", "alert", "stalled", "dripping", "TLS 1.1"],
)
def test_no_tls_is_told_apart(script: Script, tls: ssl.SSLContext | None, reason: Reason, what: str | None) -> None:
    """A port that speaks something else, breaks off or hangs is not a certificate problem."""
    with Hostile(script, tls=tls) as server:
        error = refused(tls_session(server, deadline_s=0.4 if what is None else 10), shake)
    assert error.reason is reason
    assert error.evidence.get("what") == what


def test_contexts_are_made_once_and_always_verify() -> None:
    """The same CA text gives the same context, which checks chain and name and speaks TLS 1.2 or newer."""
    for ca_pem in (None, SHOP.ca_pem):
        context = context_for(ca_pem)
        assert context is context_for(ca_pem)
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context_for(None) is not context_for(SHOP.ca_pem)


def test_a_pasted_ca_tells_what_it_is() -> None:
    """Every certificate in the text is described; words around it do not matter."""
    other = Shop().ca_pem
    first, second = parse_ca(f"# Überschrift\r\n{SHOP.ca_pem}\r\nsubject=…\r\n{other}".replace("\n", "\r\n"))
    assert first.subject == second.subject == "Corp Trust"
    assert first.sha256 != second.sha256


@pytest.mark.parametrize(
    "pem",
    [
        "",
        " \n",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----",
        SHOP.ca_pem[:300],
        SHOP.ca_pem + SHOP.ca_pem[:300],
        "x" * (CA_LIMIT + 1),
        f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
        f"{SHOP.ca_pem}-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
    ],
    ids=["empty", "blank", "words", "no DER", "bad base64", "cut", "second cut", "long", "key", "key behind"],
)
def test_a_wrong_ca_is_refused_without_echo(pem: str) -> None:
    """What is not a list of certificates is refused by a sentence that repeats nothing of it."""
    with pytest.raises(InputError) as caught:
        parse_ca(pem)
    assert (caught.value.field, caught.value.reason) == ("ca", Reason.CA_MALFORMED)
    assert CANARY not in caught.value.message
    assert ("private key" in caught.value.message) == ("PRIVATE KEY" in pem)


def test_a_stored_ca_that_cannot_be_read_is_a_finding() -> None:
    """A check never ends in anything but a reason, not even with a damaged CA."""
    with Hostile(polite(), tls=SHOP.good()) as server:
        assert refused(tls_session(server, ca_pem="damaged"), shake).reason is Reason.CA_MALFORMED


# A proxy that the operator names.


def relay(target: int) -> Script:
    """Answer CONNECT and join the two connections."""

    def script(talk: Talk) -> None:
        talk.request()
        with socket.create_connection(("127.0.0.1", target)) as other:
            talk.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            talk.join(other)

    return script


def through(proxy: Hostile, endpoints: Endpoints, *, shared: bool = False, deadline_s: float = 10.0) -> Session:
    policy = OutboundPolicy(proxy=f"http://127.0.0.1:{proxy.port}", shared=shared, plaintext_hosts=frozenset({HOST}))
    return session(endpoints, policy=policy, resolve=_no_resolver, ca_pem=SHOP.ca_pem, deadline_s=deadline_s)


async def _no_resolver(host: str, port: int) -> Sequence[str]:
    raise AssertionError


def test_a_proxy_carries_tls_and_resolves_names() -> None:
    """The proxy is given the name, sees no key, and the certificate is verified end to end."""
    with Hostile(polite(), tls=SHOP.good()) as server, Hostile(relay(server.port)) as proxy:
        opened = through(proxy, at(443, scheme="https"))
        assert run(opened, lambda s: s.connect(Side.API)).addresses == ()
        got = run(through(proxy, at(443, scheme="https")), post)
        assert got.status == 200
        assert proxy.requests[-1].line == f"CONNECT {HOST}:443 HTTP/1.1"
        assert CANARY.encode() not in b"".join(request.raw for request in proxy.requests)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("script", "what"),
    [
        (once(answer(status="407 Proxy Authentication Required")), "status 407"),
        (once(answer(status="502 Bad Gateway")), "status 502"),
        (after_request(Talk.leave), "no proper answer"),
        (after_request(Talk.reset), "no proper answer"),
        (once(b"nonsense\r\n\r\n"), "no proper answer"),
        (after_request(Talk.stall), "no proper answer"),
    ],
)
def test_a_failing_proxy_is_named(script: Script, what: str) -> None:
    """Whatever the proxy does wrong, the server is not blamed."""
    with Hostile(script) as proxy:
        error = refused(through(proxy, at(443, scheme="https"), deadline_s=0.5), shake)
    assert (error.reason, error.evidence["what"]) == (Reason.PROXY_FAILED, what)


def test_a_proxy_out_of_reach_is_named() -> None:
    """A refused connection to the proxy is the proxy's failure."""
    policy = OutboundPolicy(proxy=f"http://127.0.0.1:{closed_port()}")
    error = refused(session(at(443, scheme="https"), policy=policy, resolve=_no_resolver), shake)
    assert (error.reason, error.evidence["what"]) == (Reason.PROXY_FAILED, "connection_refused")


@pytest.mark.parametrize(("host", "port", "shared"), [("169.254.169.254", 443, False), (HOST, 22, True)])
def test_a_proxy_is_not_asked_for_what_can_be_judged_here(host: str, port: int, *, shared: bool) -> None:
    """Literal addresses and ports are checked before the proxy hears of them."""
    with Hostile(polite()) as proxy:
        error = refused(through(proxy, at(port, scheme="https", host=host), shared=shared), shake)
        assert proxy.connections() == 0
    assert error.reason is Reason.ADDRESS_NOT_ALLOWED


def test_targets_on_this_machine_do_not_go_through_the_proxy() -> None:
    """The sandbox is reached directly."""
    with Hostile(polite()) as server, Hostile(polite()) as proxy:
        policy = OutboundPolicy(
            proxy=f"http://127.0.0.1:{proxy.port}", loopback=frozenset({f"127.0.0.1:{server.port}"})
        )
        assert run(session(at(server.port, host="127.0.0.1"), policy=policy), read_config).status == 200
        assert proxy.connections() == 0


# What it costs to have.


def test_importing_it_is_light() -> None:
    """Cryptography is not loaded by importing the transport, nor a page's libraries."""
    code = "import sys, hub_core.bitwarden.transport; print({'cryptography', 'streamlit', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_connections_that_fail_leave_no_open_files() -> None:
    """After many failures of every kind as many files are open as before."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("open files are counted through /proc")

    def open_files() -> int:
        return len(list(folder.iterdir()))

    async def fail_often() -> tuple[int, int]:
        with Hostile(after_request(Talk.reset)) as reset, Hostile(polite(), tls=SHOP.expired()) as expired:
            counts = []
            for _ in range(20):
                for opened in (session(at(reset.port)), tls_session(expired), session(at(closed_port()))):
                    async with opened:
                        with pytest.raises(RemoteError):
                            await read_config(opened)
                reset.wait_idle()
                expired.wait_idle()
                counts.append(open_files())
        return counts[0], counts[-1]

    first, last = asyncio.run(fail_often())
    assert last <= first


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("DELETE", "https://api.example.test/public/members"),
        ("GET", "https://api.example.test/public/members/1"),
        ("GET", "https://api.example.test/connect/token"),
        ("POST", "https://api.example.test/connect/token"),
        ("POST", "https://identity.example.test/connect/token/"),
        ("GET", "https://identity.example.test/public/members"),
        ("GET", "https://elsewhere.example.test/config"),
        ("GET", "http://api.example.test/config"),
        ("GET", "https://api.example.test:444/config"),
    ],
)
def test_the_transport_itself_sends_nothing_but_the_listed_requests(method: str, url: str) -> None:
    """Whoever hands httpx's interface another request gets a refusal, and no name is even looked up."""
    asked: list[str] = []

    async def never(host: str, port: int) -> list[str]:
        asked.append(f"{host}:{port}")
        return ["127.0.0.1"]

    transport = GuardedTransport(
        Endpoints(RegionId.SELF_HOSTED, "https://identity.example.test", "https://api.example.test"),
        OutboundPolicy.from_settings(Settings()),
        resolve=never,
    )
    with pytest.raises(ForbiddenRequest):
        asyncio.run(transport.handle_async_request(Request(method, url)))

    assert not asked


def test_the_transport_keeps_the_token_from_the_identity_server() -> None:
    """A request with a bearer token goes to the API or nowhere."""
    transport = GuardedTransport(
        Endpoints(RegionId.SELF_HOSTED, "https://identity.example.test", "https://api.example.test"),
        OutboundPolicy.from_settings(Settings()),
    )
    request = Request("GET", "https://identity.example.test/alive", headers={"Authorization": "Bearer x"})
    with pytest.raises(ForbiddenRequest):
        asyncio.run(transport.handle_async_request(request))
