"""The address of a Vaultwarden server: its own sign-in with its own words, and no organization read API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub_core.sandbox.edge import WEB_VAULT_PAGE, edge_answer
from hub_core.sandbox.faults import Fault
from hub_core.sandbox.identity import ORGANIZATION_SCOPE, form_of, issue
from hub_core.sandbox.info import environment_of, named_endpoints
from hub_core.sandbox.sandbox import VERSION
from hub_core.sandbox.wire import Answer, html_answer, json_answer, seven_decimals

if TYPE_CHECKING:
    from hub_core.sandbox.sandbox import Exchange

VAULTWARDEN_VERSION = "1.37.2"

_HEADERS = (
    ("Server", "Rocket"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-XSS-Protection", "0"),
    ("Referrer-Policy", "same-origin"),
)
_REQUIRED = ("client_id", "client_secret", "scope", "device_identifier", "device_name", "device_type")
_NOT_FOUND = {
    "error": {"code": 404, "reason": "Not Found", "description": "The requested resource could not be found."}
}
_UNREADABLE = (
    "<!DOCTYPE html>\n<html><head><title>422 Unprocessable Entity</title></head><body><h1>422: Unprocessable Entity"
    "</h1><p>The request was well-formed but was unable to be followed due to semantic errors.</p></body></html>\n"
)
_NOT_FOUND_PAGE = "<!DOCTYPE html>\n<html><head><title>Page not found!</title></head><body><h1>404</h1></body></html>\n"


def vaultwarden_answer(exchange: Exchange) -> Answer:
    """Answer one request to a Vaultwarden server."""
    return edge_answer(exchange) or _routed(exchange).adding(_HEADERS)


def _routed(exchange: Exchange) -> Answer:
    method, path = exchange.request.method, exchange.request.path
    if (method, path) == ("POST", "/identity/connect/token"):
        return _sign_in(exchange)
    if path.startswith("/api/"):
        return _api(exchange, path.removeprefix("/api"))
    if path == "/alive" and method in {"GET", "HEAD"}:
        return json_answer(200, seven_decimals(exchange.now))
    if path in {"", "/"} and method in {"GET", "HEAD"}:
        return html_answer(200, WEB_VAULT_PAGE)
    return html_answer(404, _NOT_FOUND_PAGE)


def _api(exchange: Exchange, path: str) -> Answer:
    method = exchange.request.method
    if exchange.fault(Fault.VAULT_AT_API) is not None and path == "/config":
        return html_answer(200, WEB_VAULT_PAGE)
    if method == "GET" and path == "/config":
        return json_answer(200, _config(exchange))
    if method == "GET" and path == "/version":
        return json_answer(200, VAULTWARDEN_VERSION)
    if method == "GET" and path in {"/alive", "/now"}:
        return json_answer(200, seven_decimals(exchange.now))
    if (method, path) == ("POST", "/public/organization/import"):
        return _refusal("The sandbox changes nothing.")
    return json_answer(404, _NOT_FOUND)


def _config(exchange: Exchange) -> dict[str, Any]:
    return {
        "version": VERSION,
        "gitHash": None,
        "server": {"name": "Vaultwarden", "url": "https://github.com/dani-garcia/vaultwarden"},
        "settings": {"disableUserRegistration": False},
        "environment": environment_of(named_endpoints(exchange), None),
        "push": {"pushTechnology": 0, "vapidPublicKey": None},
        "featureStates": {},
        "object": "config",
    }


def _sign_in(exchange: Exchange) -> Answer:
    sandbox = exchange.sandbox
    if exchange.fault(Fault.TOKEN_500) is not None:
        return Answer(500)
    form = {name.lower(): value for name, value in reversed(form_of(exchange.request).items())}
    if not form.get("grant_type"):
        return html_answer(422, _UNREADABLE)
    for name in _REQUIRED:
        if not form.get(name, form.get(name.replace("_", ""))):
            return _refusal(f"{name} cannot be blank")
    if not sandbox.limits.vaultwarden_sign_in(exchange.request.peer, sandbox.clock()):
        return _refusal("Too many login requests", 429)
    problem = _key_problem(exchange, form)
    organization = exchange.organization
    if problem or organization is None:
        return _refusal(problem)
    return json_answer(200, issue(exchange, organization, ORGANIZATION_SCOPE))


def _key_problem(exchange: Exchange, form: dict[str, str]) -> str:
    """Say what is wrong with the key; unlike Bitwarden, Vaultwarden tells an unknown id from a wrong secret."""
    client_id = form.get("client_id", form.get("clientid", ""))
    if form["scope"] != ORGANIZATION_SCOPE:
        return "Scope not supported"
    if not client_id.startswith("organization."):
        return "Malformed client_id"
    organization = exchange.organization
    if organization is None or exchange.fault(Fault.DELETE) is not None:
        return "Invalid client_id"
    return (
        "" if form.get("client_secret", form.get("clientsecret")) == organization.secret else "Incorrect client_secret"
    )


def _refusal(message: str, status: int = 400) -> Answer:
    body = {
        "message": message,
        "validationErrors": {"": [message]},
        "errorModel": {"message": message, "object": "error"},
        "error": "",
        "error_description": "",
        "exceptionMessage": None,
        "exceptionStackTrace": None,
        "innerExceptionMessage": None,
        "object": "error",
    }
    return json_answer(status, body)
