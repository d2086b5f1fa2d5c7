"""The address of an own Bitwarden server: nginx with the API and identity behind it, and the web vault beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub_core.sandbox.api import api_answer
from hub_core.sandbox.edge import WEB_VAULT_PAGE, edge_answer
from hub_core.sandbox.identity import identity_answer
from hub_core.sandbox.wire import SECURITY_HEADERS, Answer, html_answer, nginx_page, text_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub_core.sandbox.sandbox import Exchange

_OWN_HEADERS = (
    ("Server", "nginx"),
    ("Referrer-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-XSS-Protection", "1; mode=block"),
    ("Strict-Transport-Security", "max-age=15768000"),
)
"""nginx adds these to what it passes on, so two of the server's own headers appear twice."""

_DECORATED = frozenset({200, 201, 204, 206, 301, 302, 303, 304, 307, 308})
"""nginx adds headers to no other status."""


def front_answer(exchange: Exchange) -> Answer:
    """Answer one request to the address of an own server."""
    path = exchange.request.path
    if path.startswith("/api/"):
        return _passed_on(exchange.below("api", path.removeprefix("/api")), api_answer)
    if path.startswith("/identity"):
        return _passed_on(exchange.below("identity", path.removeprefix("/identity")), identity_answer)
    if path == "/api":
        location = f"{exchange.sandbox.endpoints(exchange.server).api}/"
        return _decorated(nginx_page(301, "Moved Permanently").adding((("Location", location),)))
    if path.startswith("/alive"):
        return text_answer(200, "alive", headers=(("Server", "nginx"),))
    return _decorated(vault_answer(exchange))


def vault_answer(exchange: Exchange) -> Answer:
    """Answer as the static server of the web vault: its page at the root, an empty 404 elsewhere."""
    if exchange.request.path in {"", "/"} and exchange.request.method in {"GET", "HEAD"}:
        return html_answer(200, WEB_VAULT_PAGE)
    return Answer(404)


def _passed_on(exchange: Exchange, program: Callable[[Exchange], Answer]) -> Answer:
    stopped = edge_answer(exchange)
    return stopped or _decorated(program(exchange).adding(SECURITY_HEADERS))


def _decorated(answer: Answer) -> Answer:
    return answer.adding(_OWN_HEADERS) if answer.status in _DECORATED else answer.adding((("Server", "nginx"),))
