"""The gate: who may ask, what is closed, and which headers every answer carries."""

from __future__ import annotations

import asyncio
import http.client
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

from hub_core import __version__
from hub_core.settings import Settings
from hub_core.web.gate import Gate, allowed_hosts, inline_script_hashes
from hub_core.web.routes import routes
from tests.serving import Answer, ask, handshake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]", "hub.corp.example"})
HASH = "'sha256-THxz9J9+wf7rhwR2YkXJoSZ13UCmYyC+3lNDv2+8ugA='"
CANARY = "CANARY-typed-by-somebody"
SECURITY_HEADERS = {
    "content-security-policy": (
        f"default-src 'self'; script-src 'self' {HASH}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


async def _page(_request: Request) -> Response:
    headers = {
        "X-Frame-Options": "ALLOWALL",
        "Content-Security-Policy": "default-src *",
        "Cache-Control": "public, max-age=600",
        "Access-Control-Allow-Origin": "http://localhost:9999",
    }
    return HTMLResponse("<p>a page</p>", headers=headers)


async def _asset(_request: Request) -> Response:
    return PlainTextResponse("an asset", headers={"Cache-Control": "public, immutable"})


async def _breaks(_request: Request) -> Response:
    raise ValueError(CANARY)


async def _breaks_half_way(_request: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        yield "one half"
        raise ValueError(CANARY)

    return StreamingResponse(parts(), headers={"Content-Length": "100"})


async def _socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


async def _socket_refuses(websocket: WebSocket) -> None:
    await websocket.close(1008)


async def _socket_breaks(_websocket: WebSocket) -> None:
    raise ValueError(CANARY)


def _application() -> Starlette:
    everything = ["GET", "POST", "PUT", "DELETE", "OPTIONS"]
    return Starlette(
        routes=[
            Route("/", _page, methods=everything),
            Route("/static/asset.js", _asset),
            Route("/media/{name}", _asset),
            Route("/breaks", _breaks),
            Route("/breaks-half-way", _breaks_half_way),
            Route("/_stcore/health", _page),
            Route("/_stcore/upload_file/s/f", _page, methods=everything),
            Route("/_stcore/metrics", _page),
            Route("/_stcore/agent/interact", _page, methods=everything),
            WebSocketRoute("/_stcore/stream", _socket),
            WebSocketRoute("/refuses", _socket_refuses),
            WebSocketRoute("/breaks", _socket_breaks),
        ],
        middleware=[Middleware(Gate, hosts=HOSTS, script_hashes=(HASH,))],
    )


def send(
    path: str = "/",
    *headers: tuple[str, str],
    method: str = "GET",
    kind: str = "http",
    extensions: tuple[str, ...] = ("websocket.http.response",),
) -> Answer | int:
    """Pass one request through the gate; return the answer, or the code with which a socket was closed instead."""
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"} if kind == "websocket" else {"type": "http.request", "body": b""}

    async def collect(message: Any) -> None:
        messages.append(message)

    scope: dict[str, Any] = {
        "type": kind,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http" if kind == "http" else "ws",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "extensions": {name: {} for name in extensions},
        **({"method": method} if kind == "http" else {"subprotocols": []}),
    }
    asyncio.run(_application()(scope, receive, collect))
    first = messages[0]
    if first["type"] == "websocket.close":
        return int(first["code"])
    found: dict[str, str] = {}
    for name, value in first.get("headers", ()):
        assert name not in found, f"{name} was sent twice"
        found[name] = value
    body = b"".join(message.get("body", b"") for message in messages[1:])
    decoded = {bytes(name).decode(): bytes(value).decode() for name, value in found.items()}  # type: ignore[arg-type]
    return Answer(first.get("status", 101), decoded, body.decode())


def status(path: str, *headers: tuple[str, str], method: str = "GET", kind: str = "http") -> int:
    """Return the status of the answer, after seeing that it carries every header of ours exactly once."""
    answer = send(path, *headers, method=method, kind=kind)
    assert isinstance(answer, Answer)
    assert_guarded(answer)
    return answer.status


def assert_guarded(answer: Answer) -> None:
    """Fail unless every security header is there once, with our value."""
    assert {name: answer.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Serve the bare application, gate in front, by a real uvicorn on a free loopback port."""
    config = uvicorn.Config(
        _application(), host="127.0.0.1", port=0, log_level="critical", ws="websockets-sansio", lifespan="off"
    )
    sock = config.bind_socket()
    sock.listen()
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    yield sock.getsockname()[1]
    server.should_exit = True
    thread.join(20)
    sock.close()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", 200),
        ("LOCALHOST:8501", 200),
        ("localhost.", 200),
        ("127.0.0.1:8501", 200),
        ("[::1]:8501", 200),
        ("hub.corp.example", 200),
        ("hub.corp.example:443", 200),
        ("evil.example", 421),
        ("evil.example:8501", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("0.0.0.0:8501", 421),
        ("127.0.0.2", 421),
        ("[::ffff:127.0.0.1]", 421),
        ("sub.hub.corp.example", 421),
        ("", 400),
        ("localhost:", 400),
        ("localhost:port", 400),
        ("localhost:8501:8501", 400),
        ("user@localhost", 400),
        ("localhost/", 400),
        ("localhost, evil.example", 400),
        ("local host", 400),
        ("::1", 400),
    ],
)
def test_only_names_of_this_dashboard_are_answered(host: str, expected: int) -> None:
    """A request under any other name is refused, over HTTP and over a WebSocket alike."""
    origin = ("Origin", f"http://{host}")
    assert status("/", ("Host", host)) == expected
    assert (
        status("/_stcore/stream", ("Host", host), origin, kind="websocket")
        in {
            200: {101},
            421: {421},
            400: {400},
        }[expected]
    )


@pytest.mark.parametrize("hosts", [(), ("localhost", "localhost"), ("localhost", "evil.example")])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_host_is_named_exactly_once(hosts: tuple[str, ...], kind: str) -> None:
    """A request with no Host, or with two, is not understood."""
    assert status("/", *(("Host", host) for host in hosts), ("Origin", "http://localhost"), kind=kind) == 400


@pytest.mark.parametrize(
    ("host", "origin", "same"),
    [
        ("localhost:8501", "http://localhost:8501", True),
        ("LOCALHOST:8501", "http://localhost:8501", True),
        ("[::1]:8501", "http://[::1]:8501", True),
        ("hub.corp.example", "https://hub.corp.example", True),
        ("hub.corp.example", "http://hub.corp.example", True),
        ("hub.corp.example:443", "https://hub.corp.example", True),
        ("hub.corp.example:8443", "https://hub.corp.example:8443", True),
        ("localhost:8501", "http://localhost:9999", False),
        ("localhost:8501", "http://127.0.0.1:8501", False),
        ("localhost:8501", "http://localhost", False),
        ("localhost:8501", "http://evil.example:8501", False),
        ("localhost:8501", "http://localhost:8501.evil.example", False),
        ("localhost:8501", "http://evil.example@localhost:8501", False),
        ("hub.corp.example", "https://hub.corp.example:8443", False),
        ("hub.corp.example:443", "http://hub.corp.example", False),
        ("localhost:8501", "null", False),
        ("localhost:8501", "", False),
        ("localhost:8501", "localhost:8501", False),
        ("localhost:8501", "file://localhost:8501", False),
        ("localhost:8501", "http://localhost:8501/", False),
    ],
)
def test_origin_must_be_the_host(host: str, origin: str, same: bool) -> None:  # noqa: FBT001 - a row of the table
    """A page of another origin is refused, whether it reads, writes or opens a socket."""
    headers = (("Host", host), ("Origin", origin))
    assert status("/_stcore/stream", *headers, kind="websocket") == (101 if same else 403)
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        assert status("/", *headers, method=method) == (200 if same else 403)


def test_a_socket_needs_an_origin() -> None:
    """Only browsers open sockets here, and they always name an origin, once."""
    host, same = ("Host", "localhost"), ("Origin", "http://localhost")
    assert status("/_stcore/stream", host, kind="websocket") == 403
    assert status("/_stcore/stream", host, same, ("Origin", "http://evil.example"), kind="websocket") == 403
    assert status("/_stcore/stream", host, same, kind="websocket") == 101


@pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin", "none"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST", "PUT", "DELETE"])
def test_other_sites_change_nothing(method: str, site: str) -> None:
    """What a browser says comes from elsewhere may follow a link here, never change something."""
    refused = method in {"POST", "PUT", "DELETE"} and site in {"cross-site", "same-site"}
    answer = status("/", ("Host", "localhost"), ("Sec-Fetch-Site", site), method=method)
    assert answer == (403 if refused else 200)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/_stcore/health", 200),
        ("/_stcore/upload_file/s/f", 404),
        ("/_stcore/host-config", 200),
        ("/_stcore/metrics", 404),
        ("/_stcore/metrics/", 404),
        ("//_stcore//metrics", 404),
        ("/_stcore/./metrics", 404),
        ("/x/../_stcore/metrics", 404),
        ("/prefix/_stcore/metrics", 404),
        ("/_stcore/agent", 404),
        ("/_stcore/agent/interact", 404),
        ("/_stcore/agent/openapi.json", 404),
        ("/_stcore/agent/mcp", 404),
        ("/_stcore/script-health-check", 404),
        ("/_stcore/something-new", 404),
        ("/_stcore/_stcore/metrics", 404),
        ("/_stcore/health/_stcore/metrics", 404),
        ("/_stcore", 404),
        ("/_stcore/", 404),
    ],
)
def test_streamlits_own_routes_are_closed_but_four(path: str, expected: int) -> None:
    """Metrics, agent routes and whatever a later version adds are not there, whatever the method."""
    assert status(path, ("Host", "localhost")) == expected
    if expected == 404:
        assert status(path, ("Host", "localhost"), method="POST") == 404
        assert status(path, ("Host", "localhost"), ("Origin", "http://localhost"), kind="websocket") == 404


def test_host_config_lets_nobody_embed_the_page() -> None:
    """The front end gets the answer it cannot start without, and it names no origin."""
    answer = send("/_stcore/host-config", ("Host", "localhost"))
    assert isinstance(answer, Answer)
    assert answer.body == '{"allowedOrigins": [], "useExternalAuthToken": false}'


def test_headers_from_below_are_replaced() -> None:
    """What the application says about framing, policy or other origins does not reach the browser."""
    answer = send("/", ("Host", "localhost"))
    assert isinstance(answer, Answer)
    assert_guarded(answer)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("path", "kept"), [("/", "no-store"), ("/media/a.csv", "no-store"), ("/static/asset.js", "public, immutable")]
)
def test_pages_and_downloads_are_not_kept(path: str, kept: str) -> None:
    """Browsers and proxies keep the program's own files, and no page or download."""
    answer = send(path, ("Host", "localhost"))
    assert isinstance(answer, Answer)
    assert answer.headers["cache-control"] == kept


def test_a_failing_answer_is_guarded_and_silent(caplog: pytest.LogCaptureFixture) -> None:
    """An error gives 500 with our headers; its text is in neither the answer nor the log, its place is."""
    with caplog.at_level(logging.DEBUG):
        answer = send("/breaks", ("Host", "localhost"))
        socket_status = status("/breaks", ("Host", "localhost"), ("Origin", "http://localhost"), kind="websocket")
    assert isinstance(answer, Answer)
    assert_guarded(answer)
    assert (answer.status, socket_status) == (500, 500)
    assert CANARY not in answer.body + caplog.text
    assert "ValueError" in caplog.text
    assert "test_gate.py" in caplog.text


def test_an_answer_that_fails_half_way_is_visibly_cut(port: int) -> None:
    """What was begun cannot become a 500: the connection ends early, so nobody takes half for the whole."""
    with pytest.raises(http.client.IncompleteRead):
        ask(port, "/breaks-half-way")


def test_a_socket_that_cannot_carry_a_refusal_is_closed() -> None:
    """A server without the extension for refusing answers closes before accepting."""
    assert send("/_stcore/stream", ("Host", "evil.example"), kind="websocket", extensions=()) == 1008


@pytest.mark.parametrize(
    ("path", "host", "origin", "expected"),
    [
        ("/_stcore/stream", "localhost", "http://localhost", 101),
        ("/_stcore/stream", "localhost", None, 403),
        ("/_stcore/stream", "localhost", "http://evil.example", 403),
        ("/_stcore/stream", "localhost", "http://localhost:9999", 403),
        ("/_stcore/stream", "evil.example", "http://evil.example", 421),
        ("/_stcore/metrics", "localhost", "http://localhost", 404),
        ("/nowhere", "localhost", "http://localhost", 403),
        ("/refuses", "localhost", "http://localhost", 403),
        ("/breaks", "localhost", "http://localhost", 500),
    ],
)
def test_handshakes_on_the_wire(port: int, path: str, host: str, origin: str | None, expected: int) -> None:
    """A real server sends refusals of sockets as answers with our headers, its own and the application's alike."""
    answer = handshake(port, path, host=host, origin=origin)
    assert answer.status == expected
    assert_guarded(answer)


@pytest.mark.parametrize(
    ("path", "host", "expected"),
    [
        ("/", "localhost", 200),
        ("/nowhere", "localhost", 404),
        ("/", "evil.example", 421),
        ("/breaks", "localhost", 500),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_answers_on_the_wire(port: int, path: str, host: str, expected: int, method: str) -> None:
    """A real server sends our headers with every status, and HEAD answers like GET without a body."""
    answer = ask(port, path, host=host, method=method)
    assert answer.status == expected
    assert_guarded(answer)
    assert bool(answer.body) == (method == "GET")


def test_refusals_say_what_to_do() -> None:
    """A refused name is told apart from a broken page by a plain sentence."""
    answer = send("/", ("Host", "hub.example"))
    assert isinstance(answer, Answer)
    assert "LINKHUB_HOSTS" in answer.body
    assert answer.headers["content-type"].startswith("text/plain")


def test_hosts_of_settings() -> None:
    """This machine's names, those listed and a plain bound address may call; the wildcard is no name."""
    assert allowed_hosts(Settings()) == {"localhost", "127.0.0.1", "[::1]"}
    shared = Settings(address="::", hosts=("hub.corp.example", "fd00::1"))
    assert allowed_hosts(shared) == {"localhost", "127.0.0.1", "[::1]", "hub.corp.example", "[fd00::1]"}
    assert "[fd00::2]" in allowed_hosts(Settings(address="fd00::2"))


def test_inline_scripts_are_hashed() -> None:
    """Each inline script of a page becomes one source of the policy; scripts from files need none."""
    html = "<script>\n      window.prerenderReady = false\n    </script><script type='module' src='a.js'></script>"
    assert inline_script_hashes(html) == (HASH,)


@pytest.mark.parametrize(
    ("ready", "expected", "body"),
    [(True, 200, f'{{"status":"ok","version":"{__version__}"}}'), (False, 503, '{"status":"failing"}')],
)
def test_health(ready: bool, expected: int, body: str) -> None:  # noqa: FBT001 - a row of the table
    """The health route says whether the database can be read, and no more than the version."""
    application = Starlette(routes=list(routes(lambda: ready)))
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def collect(message: Any) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "GET", "path": "/healthz", "headers": [], "query_string": b"", "root_path": ""}
    asyncio.run(application(scope, receive, collect))
    assert (messages[0]["status"], messages[1]["body"].decode()) == (expected, body)
