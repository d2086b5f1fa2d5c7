"""Asks Bitwarden's servers and translates what they answer into values and reasons.

What an answer means follows bitwarden-protocol section 14 and field-problems section 3.2: the content type is read
first, the status second, the body third. HTML never means a bad key.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hub_core.bitwarden.transport import Side
from hub_core.errors import RemoteError
from hub_core.model import Capability, Reason, Secret, ServerKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub_core.bitwarden.transport import Answer, Session
    from hub_core.model import ApiKey

LISTS = (
    "/public/policies",
    "/public/members",
    "/public/groups",
    "/public/collections",
    "/public/events",
    "/public/organization/subscription",
)
"""Every GET list of the public API, the cheapest first: policies always answers 200 (bitwarden-protocol 14)."""

LIST_LIMIT = 32 * 1024 * 1024
MAX_WAIT = 3600
DEFAULT_WAIT = 60

_EDGE_CODE = re.compile(rb"error code: ?1\d{3}")
_HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<body)", re.IGNORECASE)
_ISSUER = re.compile(r"The issuer '([^']*)' is invalid")
_SERVER_MARKS = ("x-frame-options", "x-content-type-options")


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What `{api}/config` tells without credentials; None means not reported."""

    kind: ServerKind
    name: str | None
    version: str | None
    vault: str | None
    api: str | None
    identity: str | None
    date: datetime | None
    received_at: datetime
    ms: int


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token and what it says of itself."""

    secret: Secret
    expires_in: int
    client_id: str | None
    issuer: str | None


@dataclass(frozen=True, slots=True)
class ListAnswer:
    """What one list of the public API answered."""

    capability: Capability
    ms: int
    items: tuple[Mapping[str, Any], ...] = ()
    value: Mapping[str, Any] | None = None
    reason: Reason | None = None
    retry_after: int | None = None


class Client:
    """The questions we ask; every one is a GET but the token request."""

    def __init__(self, session: Session, *, device: str) -> None:
        """Ask through `session`; `device` is this hub's constant uuid, which Vaultwarden wants."""
        self._session = session
        self._device = device

    async def config(self, *, now: datetime) -> ServerInfo:
        """Ask `{api}/config` who the server is; raises RemoteError."""
        answer = await self._session.get(Side.API, "/config")
        _judge_front(answer, now=now)
        if answer.status in {404, 405}:
            raise RemoteError(Reason.API_PATH_WRONG, evidence=_status(answer))
        if answer.status >= 500:  # noqa: PLR2004 - server errors
            raise RemoteError(Reason.SERVER_FAULT, evidence=_status(answer))
        body = _object(answer)
        environment = _mapping(_member(body, "environment"))
        about = _mapping(_member(body, "server"))
        name = _text(_member(about, "name"))
        return ServerInfo(
            kind=_kind(body, name),
            name=name,
            version=_text(_member(body, "version")),
            vault=_text(_member(environment, "vault")),
            api=_text(_member(environment, "api")),
            identity=_text(_member(environment, "identity")),
            date=_date(answer.headers.get("date")),
            received_at=now,
            ms=answer.ms,
        )

    async def version(self) -> str | None:
        """Ask `{api}/version`; None when it does not say. Vaultwarden's `/config` imitates Bitwarden's number."""
        try:
            answer = await self._session.get(Side.API, "/version")
            return _text(answer.json()) if answer.status == 200 else None  # noqa: PLR2004 - OK
        except RemoteError:
            return None

    async def issuer(self) -> str | None:
        """Ask the identity server's discovery document for its issuer; None when it does not say."""
        try:
            answer = await self._session.get(Side.IDENTITY, "/.well-known/openid-configuration")
            return _text(_member(_object(answer), "issuer"))
        except RemoteError:
            return None

    async def token(self, key: ApiKey, *, worked_before: bool, now: datetime) -> AccessToken:
        """Exchange the key for a fresh access token; raises RemoteError."""
        answer = await self._session.post_token(
            {
                "grant_type": "client_credentials",
                "client_id": key.client_id,
                "client_secret": key.secret.reveal(),
                "scope": "api.organization",
                "deviceType": "8",
                "deviceIdentifier": self._device,
                "deviceName": "link-hub",
            }
        )
        _judge_front(answer, now=now, stage_token=True)
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise _token_refusal(answer, key, worked_before=worked_before)
        body = _object(answer)
        text = _text(_member(body, "access_token"))
        expires = _member(body, "expires_in")
        if not text or not text.isascii() or not text.isprintable():
            raise RemoteError(Reason.ANSWER_UNEXPECTED, evidence=_status(answer))
        claims = _claims(text)
        return AccessToken(
            Secret(text),
            expires if isinstance(expires, int) and 0 < expires <= 86400 else 3600,  # noqa: PLR2004 - a day, an hour
            _text(claims.get("client_id")),
            _text(claims.get("iss")),
        )

    async def read(self, path: str, token: AccessToken, *, now: datetime) -> ListAnswer:
        """Ask one list of the public API.

        Raises:
            RemoteError: the answer is not about this list but about the link: not Bitwarden's, too slow,
                or the token was refused.
        """
        params = None
        if path == "/public/events":
            # Both or neither: with only one of them the server silently ignores it (bitwarden-protocol 4.6).
            end = now - timedelta(seconds=30)
            params = {"start": _iso(end - timedelta(days=1)), "end": _iso(end)}
        answer = await self._session.get(Side.API, path, token=token.secret.reveal(), params=params, limit=LIST_LIMIT)
        _judge_front(answer, now=now)
        if answer.status == 401:  # noqa: PLR2004 - unauthorized
            raise await self._token_rejected(answer, token)
        return _list_answer(answer)

    async def _token_rejected(self, answer: Answer, token: AccessToken) -> RemoteError:
        """Tell from `WWW-Authenticate` why a fresh token was refused (bitwarden-protocol 4.8)."""
        says = answer.headers.get("www-authenticate", "").strip()
        evidence = _status(answer)
        if says.lower() == "bearer":
            return RemoteError(Reason.TOKEN_NOT_DELIVERED, evidence=evidence)
        found = _ISSUER.search(says)
        if found:
            own = await self.issuer()
            same = found[1] in {own, token.issuer} and (own is None or own == token.issuer)
            reason = Reason.SERVER_CANNOT_VALIDATE if same and own else Reason.TOKEN_OF_OTHER_SERVER
            return RemoteError(reason, evidence={**evidence, "issuer": found[1][:200]})
        for phrase, reason in (
            ("signature key was not found", Reason.SIGNING_KEY_UNKNOWN),
            ("token expired at", Reason.TOKEN_ALREADY_EXPIRED),
            ("not valid before", Reason.TOKEN_NOT_YET_VALID),
        ):
            if phrase in says.lower():
                return RemoteError(reason, evidence=evidence)
        return RemoteError(Reason.TOKEN_REFUSED, evidence=evidence)


def _judge_front(answer: Answer, *, now: datetime, stage_token: bool = False) -> None:
    """Raise when the answer comes from something in front of the server, or asks to wait."""
    evidence = _status(answer)
    status, body = answer.status, answer.body[:4096]
    html = "html" in answer.content_type or _HTML.match(body) is not None
    ray = answer.headers.get("cf-ray")
    if ray and re.fullmatch(r"[0-9a-zA-Z-]{1,64}", ray):
        evidence["ray"] = ray
    if 300 <= status < 400:  # noqa: PLR2004 - redirections
        raise RemoteError(Reason.REDIRECTED, evidence={**evidence, **_location(answer)})
    if status == 401 and answer.headers.get("www-authenticate", "").lower().startswith("basic"):  # noqa: PLR2004
        raise RemoteError(Reason.PROXY_PASSWORD, evidence=evidence)
    if status == 429 or b"Slow down! Too many requests" in body:  # noqa: PLR2004 - too many requests
        wait = retry_after(answer.headers.get("retry-after"), now=now)
        from_server = answer.content_type == "application/json" and body.strip() and not html
        reason = Reason.RATE_LIMITED if from_server or (wait and not html and not ray) else Reason.EDGE_RATE_LIMITED
        raise RemoteError(reason, evidence=evidence, retry_after=wait or DEFAULT_WAIT)
    if b"Traffic from your network looks unusual" in body:
        raise RemoteError(Reason.TRAFFIC_UNUSUAL, evidence=evidence)
    if b"No required SSL certificate was sent" in body:
        raise RemoteError(Reason.CLIENT_CERTIFICATE_WANTED, evidence=evidence)
    if _EDGE_CODE.search(body) and not _from_server(answer):
        raise RemoteError(Reason.EDGE_BLOCKED, evidence=evidence)
    # A 503 page of the edge is its bot defence; its 502 and 504 mean that the server behind it is down.
    if status in {502, 504} or (status == 503 and not (html and ray)):  # noqa: PLR2004 - unavailable
        raise RemoteError(Reason.APPLICATION_DOWN, evidence=evidence)
    if status == 403 and not _from_server(answer) and answer.content_type != "application/json":  # noqa: PLR2004
        raise RemoteError(Reason.EDGE_BLOCKED, evidence=evidence)
    if html and status not in {404, 405}:
        raise RemoteError(_html_reason(status, edge=ray is not None, stage_token=stage_token), evidence=evidence)


def _html_reason(status: int, *, edge: bool, stage_token: bool) -> Reason:
    if status < 300:  # noqa: PLR2004 - success
        return Reason.WEB_PAGE
    if edge:
        return Reason.EDGE_BLOCKED
    if status >= 500:  # noqa: PLR2004 - server errors
        return Reason.SERVER_FAULT
    return Reason.TOKEN_REQUEST_BLOCKED if stage_token else Reason.ANSWER_UNEXPECTED


def _token_refusal(answer: Answer, key: ApiKey, *, worked_before: bool) -> RemoteError:
    """Tell why the token endpoint said no (bitwarden-protocol 2.2, field-problems 1.1)."""
    evidence = _status(answer)
    status = answer.status
    if status in {404, 405}:
        return RemoteError(Reason.IDENTITY_PATH_WRONG, evidence=evidence)
    if status in {415, 422}:
        return RemoteError(Reason.REQUEST_MANGLED, evidence=evidence)
    if status >= 500:  # noqa: PLR2004 - server errors
        return RemoteError(Reason.TOKEN_FAULT if not answer.body else Reason.SERVER_FAULT, evidence=evidence)
    try:
        body = _object(answer)
    except RemoteError:
        reason = Reason.TOKEN_REQUEST_BLOCKED if 400 <= status < 500 else Reason.ANSWER_UNEXPECTED  # noqa: PLR2004
        return RemoteError(reason, evidence=evidence)
    error = _text(_member(body, "error")) or ""
    refused = Reason.KEY_NO_LONGER_ACCEPTED if worked_before else Reason.KEY_NEVER_ACCEPTED
    known = {
        "invalid_client": refused,
        "invalid_scope": Reason.PERSONAL_KEY if key.client_id.startswith("user.") else Reason.SCOPE_REFUSED,
        "unsupported_grant_type": Reason.GRANT_REFUSED,
        "unauthorized_client": Reason.GRANT_REFUSED,
        "invalid_grant": Reason.GRANT_REFUSED,
        "invalid_request": Reason.REQUEST_MANGLED,
    }
    if error in known:
        return RemoteError(known[error], evidence={**evidence, "error": error})
    message = _text(_member(_mapping(_member(body, "errorModel")), "message"))
    if message:
        return RemoteError(_vaultwarden_reason(message), evidence={**evidence, "message": message[:200]})
    return RemoteError(Reason.TOKEN_REQUEST_BLOCKED, evidence=evidence)


def _vaultwarden_reason(message: str) -> Reason:
    words = message.lower()
    if "too many" in words:
        return Reason.RATE_LIMITED
    if "client_secret" in words and "blank" not in words:
        return Reason.VAULTWARDEN_WRONG_SECRET
    if "client_id" in words and "blank" not in words:
        return Reason.VAULTWARDEN_UNKNOWN_ID
    return Reason.VAULTWARDEN_REFUSED


def _list_answer(answer: Answer) -> ListAnswer:
    """Tell what a list answered, once it is sure that the server itself answered."""
    status = answer.status
    if status == 200:  # noqa: PLR2004 - OK
        body = _object(answer)
        items = _member(body, "data")
        if isinstance(items, list):
            return ListAnswer(
                Capability.READABLE, answer.ms, tuple(i for i in items if isinstance(i, dict)), value=body
            )
        if "passwordManager" in body or "secretsManager" in body:
            return ListAnswer(Capability.READABLE, answer.ms, value=body)
        raise RemoteError(Reason.ANSWER_UNEXPECTED, evidence=_status(answer))
    if status == 400 and b"not self hosted" in answer.body:  # noqa: PLR2004 - bad request
        return ListAnswer(Capability.NOT_APPLICABLE, answer.ms)
    if status == 403:  # noqa: PLR2004 - forbidden
        return ListAnswer(Capability.REFUSED, answer.ms, reason=Reason.READ_FORBIDDEN)
    if status in {404, 405}:
        return ListAnswer(Capability.NOT_OFFERED, answer.ms)
    if status >= 500:  # noqa: PLR2004 - server errors
        return ListAnswer(Capability.FAULTY, answer.ms, reason=Reason.READ_FAULT)
    raise RemoteError(Reason.ANSWER_UNEXPECTED, evidence=_status(answer))


def retry_after(text: str | None, *, now: datetime) -> int | None:
    """Return the seconds of a `Retry-After` header, given as seconds or as a date, between 1 and an hour."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return min(max(int(text[:9]), 1), MAX_WAIT)
    at = _date(text)
    return None if at is None else min(max(round((at - now).total_seconds()), 1), MAX_WAIT)


def _from_server(answer: Answer) -> bool:
    """Tell whether Bitwarden's own service made this answer: it marks every one (bitwarden-protocol 9)."""
    return all(mark in answer.headers for mark in _SERVER_MARKS)


def _kind(body: Mapping[str, Any], name: str | None) -> ServerKind:
    if name:
        return ServerKind.VAULTWARDEN if name.lower() == "vaultwarden" else ServerKind.UNKNOWN
    return ServerKind.OFFICIAL if _member(body, "object") == "config" else ServerKind.UNKNOWN


def _claims(token: str) -> Mapping[str, Any]:
    """Read a JWT's claims without judging it; nothing when it is not a JWT. Its server judges it."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload, signature
        return {}
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        return _mapping(json.loads(base64.urlsafe_b64decode(padded)))
    except (ValueError, RecursionError):
        return {}


def _object(answer: Answer) -> Mapping[str, Any]:
    """Return the JSON object of an answer; raises RemoteError when it is none."""
    if not answer.body.strip():
        raise RemoteError(Reason.ANSWER_UNEXPECTED, evidence=_status(answer))
    value = answer.json()
    if not isinstance(value, dict):
        raise RemoteError(Reason.ANSWER_UNEXPECTED, evidence=_status(answer))
    return value


def _member(body: Mapping[str, Any], name: str) -> Any:
    """Return a member by its camelCase name; servers before December 2021 wrote PascalCase."""
    return body[name] if name in body else body.get(name[:1].upper() + name[1:])


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _status(answer: Answer) -> dict[str, str]:
    return {"status": str(answer.status)}


def _location(answer: Answer) -> dict[str, str]:
    """Return where a redirect points, without query and fragment: those may carry session ids."""
    try:
        parts = urlsplit(answer.headers.get("location", ""))
        where = f"{parts.scheme}://{parts.hostname}{parts.path}" if parts.hostname else parts.path
    except ValueError:
        return {}
    return {"location": where[:200]} if where else {}


def _date(text: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
