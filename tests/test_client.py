"""What the client sends, and what it makes of answers: tables, and answers nobody thought of."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_core.bitwarden.client import LISTS, AccessToken, Client, retry_after, safe_text
from hub_core.bitwarden.policy import OutboundPolicy
from hub_core.bitwarden.transport import Answer, Headers, Session
from hub_core.bitwarden.verdicts import judge_front, token_refusal, words_of
from hub_core.errors import RemoteError
from hub_core.model import ApiKey, Capability, Endpoints, Reason, RegionId, Secret, ServerKind
from tests.cells import CLIENT_ID, SECRET, granted, own, proper
from tests.hostile import Hostile, Talk, json_answer, once, polite

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

T = TypeVar("T")

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = ApiKey(CLIENT_ID, Secret(SECRET))
PERSONAL = ApiKey("user.3f8b1c52-6d0e-4a57-9b1f-2c6d7e8f9a01", Secret(SECRET))
DEVICE = "00000000-0000-4000-8000-00000000abcd"
BEARER = AccessToken(Secret("a.b.c"), 3600, None, "http://identity")


def ask(server: Hostile, do: Callable[[Client], Awaitable[T]]) -> T:
    async def whole() -> T:
        base = f"http://127.0.0.1:{server.port}"
        place = Endpoints(RegionId.SELF_HOSTED, f"{base}/identity", f"{base}/api")
        policy = OutboundPolicy(loopback=frozenset({f"127.0.0.1:{server.port}"}))
        async with Session(place, policy, deadline_s=10) as session:
            return await do(Client(session, device=DEVICE))

    return asyncio.run(whole())


def answered(
    status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, *, kind: str = "application/json"
) -> Answer:
    pairs = {"content-type": kind} | dict(headers or {})
    return Answer(status, Headers([(n.encode(), v.encode()) for n, v in pairs.items()]), body, 5, NOON)


def finding(answer: Answer, *, at_token: bool = False) -> RemoteError | None:
    try:
        judge_front(answer, now=NOON, at_token=at_token)
    except RemoteError as error:
        return error
    return None


def proper_server(talk: Talk) -> None:
    while request := talk.request():
        talk.send(proper(request.path, talk._server.port))


# What is sent.


def test_the_token_request_has_every_field_any_server_wants() -> None:
    """One form for all servers: Vaultwarden insists on scope and device, Bitwarden ignores what it does not need."""
    with Hostile(proper_server) as server:
        token = ask(server, lambda client: client.token(KEY, worked_before=False, now=NOON))
        (request,) = server.requests
    assert request.line == "POST /identity/connect/token HTTP/1.1"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.body.decode(), strict_parsing=True) == {
        "grant_type": ["client_credentials"],
        "client_id": [CLIENT_ID],
        "client_secret": [SECRET],
        "scope": ["api.organization"],
        "deviceType": ["8"],
        "deviceIdentifier": [DEVICE],
        "deviceName": ["link-hub"],
    }
    assert (token.client_id, token.issuer, token.expires_in) == (CLIENT_ID, "http://identity", 3600)
    assert token.secret.reveal() not in repr(token)


def test_every_list_is_a_get_with_the_token() -> None:
    """Reading sends the bearer token, to the API only, and never writes."""
    with Hostile(proper_server) as server:
        for path in LISTS:
            found = ask(server, lambda client, path=path: client.read(path, BEARER, now=NOON))  # type: ignore[misc]
            assert found.capability is Capability.READABLE
        assert {request.line.split()[0] for request in server.requests} == {"GET"}
        assert {request.headers["authorization"] for request in server.requests} == {"Bearer a.b.c"}
        assert all(request.path.startswith("/api/public/") for request in server.requests)


def test_events_are_asked_with_both_ends() -> None:
    """With only one of them the server would silently ignore it."""
    with Hostile(proper_server) as server:
        ask(server, lambda client: client.read("/public/events", BEARER, now=NOON))
        query = parse_qs(urlsplit(server.requests[0].line.split()[1]).query)
    assert query == {"start": ["2026-11-22T11:59:30Z"], "end": ["2026-11-23T11:59:30Z"]}


def test_config_sends_no_credential() -> None:
    """Who the server is, is asked before any secret leaves the machine."""
    with Hostile(proper_server) as server:
        info = ask(server, lambda client: client.config(now=NOON))
        (request,) = server.requests
    assert (request.line, request.body) == ("GET /api/config HTTP/1.1", b"")
    assert "authorization" not in request.headers
    assert (info.kind, info.version, info.name) == (ServerKind.OFFICIAL, "2026.8.0", None)


@pytest.mark.parametrize("body", ["{}", "[]", "7", '"x"', '{"issuer": 7}', "{nope", ""])
def test_a_discovery_or_version_that_says_nothing_is_none(body: str) -> None:
    """Neither of the two helpers ever fails a check."""
    with Hostile(
        polite(dict.fromkeys(("/api/version", "/identity/.well-known/openid-configuration"), json_answer(body)))
    ) as s:
        assert ask(s, lambda client: client.issuer()) is None
        assert ask(s, lambda client: client.version()) == ("x" if body == '"x"' else None)
    with Hostile(once(b"")) as s:
        assert ask(s, lambda client: client.issuer()) is None
        assert ask(s, lambda client: client.version()) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"expires_in": None}, 3600),
        ({"expires_in": "60"}, 3600),
        ({"expires_in": 0}, 3600),
        ({"expires_in": -5}, 3600),
        ({"expires_in": 10**12}, 3600),
        ({"expires_in": 60}, 60),
    ],
)
def test_an_odd_lifetime_is_an_hour(changes: dict[str, object], expected: int) -> None:
    """A lifetime nobody would give is not believed."""
    with Hostile(once(granted(**changes))) as server:
        assert ask(server, lambda client: client.token(KEY, worked_before=False, now=NOON)).expires_in == expected


def test_old_servers_write_pascal_case() -> None:
    """Members of `/config` are found under either spelling."""
    body = {"Object": "config", "Version": "1.43.0", "Environment": {"Identity": "https://old.test/identity"}}
    with Hostile(once(own(body))) as server:
        info = ask(server, lambda client: client.config(now=NOON))
    assert (info.kind, info.version, info.identity) == (ServerKind.OFFICIAL, "1.43.0", "https://old.test/identity")


# What a refused key means.


@pytest.mark.parametrize(
    ("key", "error", "worked_before", "reason"),
    [
        (KEY, "invalid_client", False, Reason.KEY_NEVER_ACCEPTED),
        (KEY, "invalid_client", True, Reason.KEY_NO_LONGER_ACCEPTED),
        (KEY, "invalid_scope", True, Reason.SCOPE_REFUSED),
        (PERSONAL, "invalid_scope", False, Reason.PERSONAL_KEY),
        (KEY, "invalid_request", True, Reason.REQUEST_MANGLED),
        (KEY, "unsupported_grant_type", False, Reason.GRANT_REFUSED),
        (KEY, "unauthorized_client", False, Reason.GRANT_REFUSED),
        (KEY, "server_error", False, Reason.ANSWER_UNEXPECTED),
    ],
)
def test_history_and_kind_of_key_tell_one_refusal_from_another(
    key: ApiKey, error: str, worked_before: object, reason: Reason
) -> None:
    """One error on the wire has different meanings for a key that worked, one that never did, and a personal one."""
    refused = token_refusal(
        answered(400, json.dumps({"error": error}).encode()), key, worked_before=bool(worked_before)
    )
    assert refused.reason is reason
    assert refused.evidence["error"] == error


def test_html_is_never_a_bad_key() -> None:
    """Whatever its status, a page does not judge a key."""
    judged = {Reason.KEY_NEVER_ACCEPTED, Reason.KEY_NO_LONGER_ACCEPTED}
    for status in range(200, 600):
        answer = answered(status, b'<html>{"error":"invalid_client"}</html>', kind="text/html")
        found = finding(answer, at_token=True) or token_refusal(answer, KEY, worked_before=True)
        assert found.reason not in judged


@pytest.mark.parametrize("name", ["Slow down! Too many requests", "Traffic from your network looks unusual"])
def test_data_that_quotes_an_error_is_still_data(name: str) -> None:
    """A group may be called anything; only a refusal is read for such words."""
    judge_front(answered(200, json.dumps({"data": [{"name": name}]}).encode()), now=NOON)


# How long to wait.


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("37", 37),
        (" 37 ", 37),
        ("0", 1),
        ("000000000000060", 60),
        ("9" * 40, 3600),
        ("-5", None),
        ("1.5", None),
        ("1e3", None),
        ("٣٧", None),
        ("soon", None),
        (format_datetime(NOON + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOON - timedelta(days=1), usegmt=True), 1),
        (format_datetime(NOON + timedelta(days=400), usegmt=True), 3600),
        ("Mon, 23 Nov 2026 12:01:30", 90),
        ("Mon, 99 Nov 2026 12:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
    ],
)
def test_a_wish_to_wait_is_between_a_second_and_an_hour(text: str | None, seconds: int | None) -> None:
    """Seconds and dates are understood, absurd ones capped, nonsense ignored."""
    assert retry_after(text, now=NOON) == seconds


@given(st.text(max_size=60))
def test_no_header_breaks_the_reading_of_a_wish_to_wait(text: str) -> None:
    """Whatever stands there, the result is nothing or a sane number."""
    found = retry_after(text, now=NOON)
    assert found is None or 1 <= found <= 3600


# Words of strangers.


@given(st.text(max_size=400))
def test_a_strangers_text_is_one_short_printable_line(text: str) -> None:
    """No control, format or direction character and no line break survives."""
    safe = safe_text(text)
    assert len(safe) <= 200
    assert safe.isprintable()


@given(st.text(max_size=150), st.text(max_size=150))
def test_a_secret_never_survives_in_a_strangers_text(before: str, after: str) -> None:
    """Wherever it stands, also across the cut and with control characters inside, it becomes dots."""
    assert SECRET not in safe_text(before + SECRET + after, Secret(SECRET))
    assert SECRET not in safe_text(before + "\x00".join(SECRET) + after, Secret(SECRET))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["error", "errorModel", "message", "data", "access_token", "expires_in", "object", "server"]
            )
            | st.text(max_size=5),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
BODIES = JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=80)


@given(
    st.integers(200, 599),
    BODIES,
    st.sampled_from(["application/json", "text/html", "text/plain", ""]),
    st.dictionaries(
        st.sampled_from(["www-authenticate", "retry-after", "location", "cf-ray", "x-frame-options", "date"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
    ),
)
def test_every_answer_has_a_meaning(status: int, body: bytes, kind: str, headers: dict[str, str]) -> None:
    """No status, type, header or body leads to anything but a finding."""
    answer = answered(status, body, headers, kind=kind)
    words_of(answer)
    assert isinstance(token_refusal(answer, KEY, worked_before=False), RemoteError)
    found = finding(answer)
    waits = found is not None and found.reason in {Reason.RATE_LIMITED, Reason.EDGE_RATE_LIMITED}
    assert found is None or (found.retry_after is not None) == waits


@given(JSON)
def test_any_claims_make_a_token(claims: object) -> None:
    """What a token says of itself is read, never trusted to have a form."""
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    with Hostile(once(granted(access_token=f"a.{middle}.c"))) as server:
        token = ask(server, lambda client: client.token(KEY, worked_before=False, now=NOON))
    assert token.client_id is None or isinstance(token.client_id, str)
