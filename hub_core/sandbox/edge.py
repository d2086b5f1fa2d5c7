"""Answers that come from something in front of Bitwarden: the cloud's network, a proxy, a sign-in page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub_core.sandbox.faults import Fault
from hub_core.sandbox.limits import rate_limit_answer
from hub_core.sandbox.wire import SECURITY_HEADERS, Answer, html_answer, json_answer, nginx_page, text_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub_core.sandbox.faults import Parameters
    from hub_core.sandbox.sandbox import Exchange

_RAY = (("Server", "cloudflare"), ("CF-RAY", "8c1f0f6a9b2d3e4f-FRA"))
_PHRASES = {502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}
_LIBRARY_AGENTS = ("python-requests/", "python-httpx/", "python-urllib/", "aiohttp/", "go-http-client/", "okhttp/")
_BLOCKED_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>Attention Required! | Cloudflare</title></head>"
    "<body><h1>Sorry, you have been blocked</h1><p>You are unable to access this site.</p>"
    "<p>Cloudflare Ray ID: 8c1f0f6a9b2d3e4f</p></body></html>\n"
)
WEB_VAULT_PAGE = (
    '<!doctype html>\n<html><head><meta charset="utf-8"><title>Sandbox web vault</title></head><body>'
    "<h1>Sandbox web vault</h1><p>This is the link hub's stand-in Bitwarden; there is nothing to sign in to. On a real "
    "server an Owner finds the key here under Admin Console, Settings, Organization info, View API key.</p>"
    "</body></html>\n"
)


def edge_answer(exchange: Exchange) -> Answer | None:
    """Return the answer of what stands in front, if a fault makes it answer."""
    for fault, make in _ANSWERS.items():
        parameters = exchange.fault(fault)
        if parameters is not None:
            answer = make(exchange, parameters)
            if answer is not None:
                return answer
    return None


def _bad_gateway(_: Exchange, parameters: Parameters) -> Answer:
    status = int(parameters["status"])
    return nginx_page(status, _PHRASES.get(status, "Error"))


def _redirect(exchange: Exchange, parameters: Parameters) -> Answer:
    location = f"{parameters['to']}?rd={exchange.sandbox.origin}{exchange.request.path}"
    return html_answer(302, f'<a href="{location}">Found</a>.\n', headers=(("Location", location),))


def _user_agent(exchange: Exchange, parameters: Parameters) -> Answer | None:
    if not exchange.request.headers.get("user-agent", "").lower().startswith(_LIBRARY_AGENTS):
        return None
    return Answer(int(parameters["status"]), headers=_RAY)


def _rate_limited(_: Exchange, parameters: Parameters) -> Answer:
    return rate_limit_answer(str(parameters["period"]), int(parameters["seconds"])).adding(SECURITY_HEADERS)


def _unusual(_: Exchange, parameters: Parameters) -> Answer:
    message = "Traffic from your network looks unusual. Connect to a different network or try again later."
    body = {"message": message, "validationErrors": None, "object": "error"}
    return json_answer(int(parameters["status"]), body).adding(SECURITY_HEADERS)


def _basic_auth(*_: object) -> Answer:
    challenge = ("WWW-Authenticate", 'Basic realm="Restricted"')
    return nginx_page(401, "Authorization Required").adding((challenge,))


_ANSWERS: dict[Fault, Callable[[Exchange, Parameters], Answer | None]] = {
    Fault.EDGE_403: lambda _, __: html_answer(403, _BLOCKED_PAGE, headers=_RAY),
    Fault.EDGE_1020: lambda _, __: text_answer(403, "error code: 1020", headers=_RAY),
    Fault.EDGE_429: lambda _, __: Answer(429, headers=_RAY),
    Fault.EDGE_USER_AGENT: _user_agent,
    Fault.BASIC_AUTH: _basic_auth,
    Fault.REDIRECT: _redirect,
    Fault.HTML: lambda _, __: html_answer(200, WEB_VAULT_PAGE),
    Fault.BAD_GATEWAY: _bad_gateway,
    Fault.RATE_LIMITED: _rate_limited,
    Fault.UNUSUAL_TRAFFIC: _unusual,
}
