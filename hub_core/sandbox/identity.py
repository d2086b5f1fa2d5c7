"""The identity service of an official server: the token endpoint, the discovery document and its keys."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus

from hub_core.sandbox.faults import Fault
from hub_core.sandbox.info import info_answer
from hub_core.sandbox.organizations import ServerName
from hub_core.sandbox.tokens import LIFETIME, kid_of
from hub_core.sandbox.wire import Answer, compact

if TYPE_CHECKING:
    from hub_core.sandbox.organizations import SandboxOrganization
    from hub_core.sandbox.sandbox import Exchange
    from hub_core.sandbox.wire import Request

ORGANIZATION_SCOPE = "api.organization"

_LONGEST_CREDENTIAL = 100
_LONGEST_SCOPE = 300
_OTHER_GRANTS = {"password", "authorization_code", "urn:ietf:params:oauth:grant-type:device_code"}
_DEVICE_FIELDS = ("deviceIdentifier", "deviceName", "deviceType")
_GUID = re.compile(
    r"\s*(?:[0-9a-f]{32}|(?P<open>[{(])?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?(open)[)}]))\s*\Z", re.IGNORECASE
)
_NO_STORE = (("Cache-Control", "no-store, no-cache, max-age=0"), ("Pragma", "no-cache"))
_JSON = ("Content-Type", "application/json; charset=UTF-8")


def identity_answer(exchange: Exchange) -> Answer:
    """Answer one request to the identity service."""
    path = exchange.request.path.lower()
    if path == "/connect/token":
        return _token(exchange)
    if path == "/.well-known/openid-configuration":
        return _document(exchange, discovery(exchange))
    if path == "/.well-known/openid-configuration/jwks":
        return _document(exchange, exchange.sandbox.signer.key_set(_signing_kid(exchange)))
    return info_answer(exchange) or Answer(404)


def carried_client_id(request: Request) -> str | None:
    """Return the client id of a token request in its canonical spelling, if it has one that can be read."""
    form = form_of(request)
    # Vaultwarden reads the name of the field without case and without underscores, Bitwarden only as it is.
    spelled = next((value for name, value in form.items() if name.lower().replace("_", "") == "clientid"), "")
    credentials = _credentials(request, form)
    return canonical(credentials[0] if credentials else spelled)


def canonical(client_id: str) -> str | None:
    """Return a client id with its uuid lower case and dashed, whatever spelling .NET would accept."""
    prefix, _, guid = client_id.partition(".")
    if prefix not in {"organization", "user"} or not _GUID.match(guid):
        return None
    digits = re.sub(r"[^0-9a-f]", "", guid.lower())
    return f"{prefix}.{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form, of repeated ones the first; nothing for any other body."""
    if not request.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        return {}
    form: dict[str, str] = {}
    for name, value in parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True):
        form.setdefault(name, value)
    return form


def issue(exchange: Exchange, organization: SandboxOrganization, scope: str) -> dict[str, Any]:
    """Return the body that gives a token to an organization (or a person)."""
    claims = _claims(exchange, organization, scope)
    token = exchange.sandbox.signer.sign(claims, kid=_signing_kid(exchange))
    return {"access_token": token, "expires_in": LIFETIME, "token_type": "Bearer", "scope": scope}


def discovery(exchange: Exchange) -> dict[str, Any]:
    """Return the discovery document; on an own server it names hosts only the containers can reach."""
    sandbox, server = exchange.sandbox, exchange.server
    base = sandbox.endpoints(server).identity if server.cloud else "http://identity:5000/identity"
    doubled = base if server.cloud else f"{base}/identity"
    return {
        "issuer": sandbox.issuer(server),
        "jwks_uri": f"{base}/.well-known/openid-configuration/jwks",
        "authorization_endpoint": f"{doubled}/connect/authorize",
        "token_endpoint": f"{base}/connect/token",
        "device_authorization_endpoint": f"{base}/connect/deviceauthorization",
        "scopes_supported": ["api", "api.push", "api.licensing", "api.organization", "api.installation", "api.secrets"],
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token", "password"],
        "response_types_supported": ["code"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "subject_types_supported": ["public"],
    }


def _document(exchange: Exchange, value: dict[str, Any]) -> Answer:
    if exchange.request.method != "GET":
        return Answer(405)
    return Answer(200, compact(value), (_JSON,))


def _token(exchange: Exchange) -> Answer:  # noqa: PLR0911 - the checks in the order the server makes them
    request = exchange.request
    form = form_of(request)
    credentials = _credentials(request, form)
    is_form = request.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded")
    if request.method != "POST" or not is_form or credentials is None:
        return _oauth_error("invalid_request")
    if exchange.fault(Fault.TOKEN_500) is not None:
        return Answer(500)
    organization = exchange.organization
    if organization is not None and exchange.fault(Fault.MISSING_KEY_ROW) is not None:
        return Answer(500)
    if organization is None or not _open(exchange, organization) or credentials[1] != organization.secret:
        return _oauth_error("invalid_client")
    problem = _grant_problem(form)
    if problem:
        return _oauth_error(problem)
    if organization.personal:
        return _personal(exchange, organization, form)
    scopes = set(form.get("scope", "").split()) or {ORGANIZATION_SCOPE}
    if scopes != {ORGANIZATION_SCOPE} or len(form.get("scope", "")) > _LONGEST_SCOPE:
        return _oauth_error("invalid_scope")
    return _oauth(200, issue(exchange, organization, ORGANIZATION_SCOPE))


def _credentials(request: Request, form: dict[str, str]) -> tuple[str, str] | None:
    """Return id and secret: Basic first, then the form; an id without secret only if nothing better comes."""
    basic = _basic(request.headers.get("authorization", ""))
    if basic and basic[1]:
        return basic
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    return _bounded(client_id, secret) or basic


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return _bounded(unquote_plus(client_id), unquote_plus(secret)) if colon else None


def _bounded(client_id: str, secret: str) -> tuple[str, str] | None:
    if not client_id.strip() or max(len(client_id), len(secret)) > _LONGEST_CREDENTIAL:
        return None
    return client_id, secret if secret.strip() else ""


def _open(exchange: Exchange, organization: SandboxOrganization) -> bool:
    """Tell whether the organization exists, is enabled and has the API: one answer covers all three."""
    if any(exchange.fault(fault) is not None for fault in (Fault.DELETE, Fault.DISABLE, Fault.NO_API)):
        return False
    return exchange.fault(Fault.ENABLE) is not None or (organization.enabled and organization.uses_api)


def _grant_problem(form: dict[str, str]) -> str:
    grant = form.get("grant_type", "")
    if grant == "client_credentials":
        return ""
    if grant in _OTHER_GRANTS:
        return "unauthorized_client"
    if grant == "refresh_token":
        return "invalid_grant" if form.get("refresh_token", "").strip() else "invalid_request"
    return "unsupported_grant_type"


def _personal(exchange: Exchange, person: SandboxOrganization, form: dict[str, str]) -> Answer:
    """Answer for a person's key: it may ask only for `api`, and must name its device."""
    if set(form.get("scope", "").split()) - {"api"}:
        return _oauth_error("invalid_scope")
    if not all(form.get(name) for name in _DEVICE_FIELDS):
        model = {"Message": "No device information provided.", "Object": "error"}
        body = {"error": "invalid_grant", "error_description": "invalid_username_or_password", "ErrorModel": model}
        return _oauth(400, body)
    return _oauth(200, issue(exchange, person, "api"))


def _claims(exchange: Exchange, organization: SandboxOrganization, scope: str) -> dict[str, Any]:
    start = int(exchange.now.timestamp())
    number = exchange.sandbox.next_token_number()
    claims: dict[str, Any] = {
        "iss": _issuer(exchange),
        "nbf": start,
        "iat": start,
        "exp": start + LIFETIME,
        "scope": [scope],
        "client_id": organization.client_id,
    }
    if organization.personal:
        claims["sub"] = organization.guid
    else:
        claims |= {"client_sub": organization.guid, "client_type": "Organization"}
    claims["jti"] = hashlib.sha256(f"{exchange.server}:{number}".encode()).hexdigest()[:32].upper()
    return claims


def _issuer(exchange: Exchange) -> str:
    if exchange.fault(Fault.FOREIGN_ISSUER) is None:
        return exchange.sandbox.issuer(exchange.server)
    return exchange.sandbox.issuer(ServerName.US if exchange.server is ServerName.EU else ServerName.EU)


def _signing_kid(exchange: Exchange) -> str:
    replaced = exchange.fault(Fault.SIGNING_KEY_REPLACED) is not None
    return kid_of(f"{exchange.server}, replaced") if replaced else exchange.kid


def _oauth_error(code: str) -> Answer:
    return _oauth(400, {"error": code})


def _oauth(status: int, value: dict[str, Any]) -> Answer:
    return Answer(status, compact(value), (_JSON, *_NO_STORE))
