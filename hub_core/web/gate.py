"""The gate every HTTP and WebSocket request passes: who may ask, what is closed, which headers each answer carries."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import itertools
import json
import logging
import re
import traceback
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

from hub_core.settings import LOOPBACK_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hub_core.settings import Settings

_log = logging.getLogger(__name__)

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
_ORIGIN = re.compile(r"(https?)://(.+)", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}

# What the front end needs of Streamlit's own routes. All others are closed, also those a later version adds:
# metrics tell how many people are here, the agent routes drive pages without a browser, and no page takes uploads.
_OPEN_CORE_ROUTES = {"health", "host-config", "stream"}

# The front end does not start without an answer here: refused, it asks again for ever. Ours names no origin that
# may embed the page and talk to it, whatever Streamlit was configured with.
_HOST_CONFIG_PATH = "/_stcore/host-config"
_HOST_CONFIG = json.dumps({"allowedOrigins": [], "useExternalAuthToken": False}).encode()


_BADGES = "/badge/"
"""Made to be shown by pages of other sites, each because somebody wanted that."""


class _Refusal(NamedTuple):
    """Why a request goes no further: a status and a sentence."""

    status: HTTPStatus
    sentence: str


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """Return the names by which browsers may call: this machine's own, those listed, and a plain bound address."""
    names = {*LOOPBACK_NAMES, *settings.hosts}
    # Browsers reach the wildcard address too, so as a name it would let any web page in.
    if not ipaddress.ip_address(settings.address).is_unspecified:
        names.add(settings.address)
    return frozenset(f"[{name}]" if ":" in name and not name.startswith("[") else name for name in names)


def inline_script_hashes(html: str) -> tuple[str, ...]:
    """Return the Content-Security-Policy sources of the scripts written inside `html`."""
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return tuple(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def traced(error: BaseException) -> str:
    """Return the type of an error and where it happened, without its text, which may hold what somebody typed."""
    places = (f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__))
    return "\n  ".join((type(error).__qualname__, *places))


class Gate:
    """ASGI middleware: refuses foreign hosts and origins, closes routes, puts our headers on every answer."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str], script_hashes: tuple[str, ...] = ()) -> None:
        self._app = app
        self._hosts = hosts
        self._headers = _security_headers(script_hashes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send, self._headers)
        refusal = self._refusal(scope)
        if refusal:
            await answer.refuse(*refusal)
        elif scope["path"] == _HOST_CONFIG_PATH:
            await answer.whole(HTTPStatus.OK, "application/json", _HOST_CONFIG)
        else:
            await self._passed_on(scope, receive, answer)

    def _refusal(self, scope: Scope) -> _Refusal | None:
        headers = Headers(scope=scope)
        host = headers.getlist("host")
        authority = _AUTHORITY.fullmatch(host[0]) if len(host) == 1 else None
        if not authority:
            return _Refusal(HTTPStatus.BAD_REQUEST, "The request must name one host.")
        if authority[1].lower().rstrip(".") not in self._hosts:
            return _Refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                "This dashboard is not called by that name. Its operator can list the name in LINKHUB_HOSTS.",
            )
        if _foreign(scope, headers, authority):
            return _Refusal(HTTPStatus.FORBIDDEN, "This came from a page that is not part of this dashboard.")
        if _closed(scope):
            return _Refusal(HTTPStatus.NOT_FOUND, "There is nothing here.")
        return None

    async def _passed_on(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            await self._app(scope, receive, answer.send)
        except (OSError, ClientDisconnect, WebSocketDisconnect):
            _log.debug("A browser went away before its answer was complete.")
            await answer.break_off()
        # Answered here and not further out: Starlette's own 500 lacks our headers, and the server logs error texts.
        except Exception as error:  # noqa: BLE001 - nothing may pass the gate without our headers
            _log.error("An answer failed: %s", traced(error))
            await answer.break_off()


class _Answer:
    """One answer on its way out; every way it can begin carries our headers."""

    def __init__(self, scope: Scope, send: Send, headers: Iterable[tuple[str, str]]) -> None:
        self._socket = scope["type"] == "websocket"
        self._can_refuse_with_headers = "websocket.http.response" in scope.get("extensions", {})
        self._path: str = scope["path"]
        self._send = send
        self._headers = headers
        self._begun = False
        self._closed = False

    async def send(self, message: Message) -> None:
        """Pass one message on, with our headers where the answer begins."""
        kind = message["type"]
        if kind == "websocket.close" and not self._begun and self._can_refuse_with_headers:
            await self.refuse(HTTPStatus.FORBIDDEN, "This connection is refused.")
            return
        if kind in {"http.response.start", "websocket.http.response.start", "websocket.accept"}:
            self._begun = True
            message = {**message, "headers": self._with_ours(message.get("headers", ()))}
        self._closed = self._closed or kind == "websocket.close"
        await self._send(message)

    async def refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Answer with a status and a sentence, and nothing else."""
        await self.whole(status, "text/plain; charset=utf-8", f"{sentence}\n".encode())

    async def whole(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        """Send a complete answer of our own; a socket that cannot carry one is closed."""
        if self._socket and not self._can_refuse_with_headers:
            await self.send({"type": "websocket.close", "code": 1008})
            return
        prefix = "websocket.http" if self._socket else "http"
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await self.send({"type": f"{prefix}.response.start", "status": status.value, "headers": headers})
        await self.send({"type": f"{prefix}.response.body", "body": body})

    async def break_off(self) -> None:
        """End an answer whose maker failed: say so if nothing was sent yet, else leave it visibly unfinished."""
        if not self._begun:
            await self.refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong. The dashboard's log says where.")
        elif self._socket and not self._closed:
            await self.send({"type": "websocket.close", "code": 1011})

    def _with_ours(self, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        # Streamlit lets pages on other ports of this machine read answers; ours is the only page that may.
        headers = MutableHeaders(raw=[pair for pair in given if not pair[0].lower().startswith(b"access-control-")])
        for name, value in self._headers:
            headers[name] = value
        if self._path.startswith(_BADGES):
            headers["cross-origin-resource-policy"] = "cross-origin"
        if headers.get("content-type", "").startswith("text/html") or self._path.startswith("/media/"):
            headers["cache-control"] = "no-store"
        return headers.raw


def _foreign(scope: Scope, headers: Headers, host: re.Match[str]) -> bool:
    """Whether a page of another site, or of another port of this machine, sent this."""
    origins = headers.getlist("origin")
    if not origins and scope["type"] == "websocket":
        return True
    if any(not _same(origin, host) for origin in origins):
        return True
    # Browsers leave Origin out of some requests, never Sec-Fetch-Site.
    changing = scope["type"] == "http" and scope["method"] not in _SAFE_METHODS
    return changing and headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}


def _same(origin: str, host: re.Match[str]) -> bool:
    parts = _ORIGIN.fullmatch(origin)
    authority = _AUTHORITY.fullmatch(parts[2]) if parts else None
    if not parts or not authority:
        return False
    # Behind a proxy that ends TLS only the origin knows the scheme, and with it the port that goes unsaid.
    default = _DEFAULT_PORTS[parts[1].lower()]
    return (authority[1].lower(), int(authority[2] or default)) == (host[1].lower(), int(host[2] or default))


def _closed(scope: Scope) -> bool:
    path: str = scope["path"]
    segments = [*filter(None, path.split("/")), ""]
    return any(here == "_stcore" and below not in _OPEN_CORE_ROUTES for here, below in itertools.pairwise(segments))


def _security_headers(script_hashes: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    policy = {
        "default-src": "'self'",
        "script-src": " ".join(("'self'", *script_hashes)),
        # Streamlit's style library writes style elements; it knows no nonce.
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": "'self'",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return (
        ("content-security-policy", "; ".join(f"{name} {sources}" for name, sources in policy.items())),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    )
