"""Asks Bitwarden's servers and translates what they answer into values and reasons."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from hub_core.bitwarden.transport import Side
from hub_core.bitwarden.verdicts import (
    ABSENT,
    judge_front,
    mapping,
    member,
    message,
    moment,
    proper_object,
    retry_after,
    seen,
    text_of,
    token_refusal,
    words_of,
)
from hub_core.errors import RemoteError
from hub_core.model import Capability, Reason, Secret, ServerKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub_core.bitwarden.transport import Answer, Session
    from hub_core.model import ApiKey

__all__ = ["LISTS", "LIST_LIMIT", "AccessToken", "Client", "ListAnswer", "ServerInfo", "retry_after", "safe_text"]

LISTS = (
    "/public/policies",
    "/public/members",
    "/public/groups",
    "/public/collections",
    "/public/events",
    "/public/organization/subscription",
)
"""Every GET list of the public API, the cheapest first: policies always answers 200 (bitwarden-protocol 14)."""

LIST_LIMIT = 32_000_000

_SUBSCRIPTION = LISTS[-1]
_SAFE_LENGTH = 200
_TOKEN_LIMIT = 16_000
_SHORTEST_SECRET = 8
_ISSUER = re.compile(r"The issuer '([^']*)' is invalid")
_DESCRIPTION = re.compile(r'error(?:_description)?="([^"]*)"')
_VISIBLE = re.compile(r"[\x21-\x7e]+")


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
    status: int | None = None


class Client:
    """The questions we ask; every one is a GET but the token request."""

    def __init__(self, session: Session, *, device: str) -> None:
        """Ask through `session`; `device` is this hub's constant uuid, which Vaultwarden wants."""
        self._session = session
        self._device = device

    async def config(self, *, now: datetime) -> ServerInfo:
        """Ask `{api}/config` who the server is; raises RemoteError."""
        answer = await self._session.get(Side.API, "/config")
        judge_front(answer, now=now)
        if answer.status in ABSENT:
            raise RemoteError(Reason.API_PATH_WRONG, evidence=seen(answer))
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise RemoteError(Reason.SERVER_FAULT, evidence=seen(answer))
        body = proper_object(answer)
        environment = mapping(member(body, "environment"))
        name = text_of(member(mapping(member(body, "server")), "name"))
        return ServerInfo(
            kind=_kind(body, name),
            name=name,
            version=text_of(member(body, "version")),
            vault=text_of(member(environment, "vault")),
            api=text_of(member(environment, "api")),
            identity=text_of(member(environment, "identity")),
            date=moment(answer.headers.get("date")),
            received_at=now + timedelta(milliseconds=answer.ms),
            ms=answer.ms,
        )

    async def server(self, *, now: datetime) -> ServerInfo:
        """Ask the server who it is, and Vaultwarden its own version, too; raises RemoteError."""
        info = await self.config(now=now)
        if info.kind is not ServerKind.VAULTWARDEN:
            return info
        # Its /config gives the Bitwarden version it imitates; its own is at /version (field-problems 1.2).
        return replace(info, version=await self.version() or info.version)

    async def version(self) -> str | None:
        """Ask `{api}/version`; None when it does not say."""
        try:
            answer = await self._session.get(Side.API, "/version")
            return text_of(answer.json()) if answer.status == HTTPStatus.OK else None
        except RemoteError:
            return None

    async def issuer(self) -> str | None:
        """Ask the identity server's discovery document for its issuer; None when it does not say."""
        try:
            answer = await self._session.get(Side.IDENTITY, "/.well-known/openid-configuration")
            return text_of(member(proper_object(answer), "issuer"))
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
        judge_front(answer, now=now, at_token=True)
        if answer.status != HTTPStatus.OK:
            raise token_refusal(answer, key, worked_before=worked_before)
        body = proper_object(answer)
        text, expires = text_of(member(body, "access_token")), member(body, "expires_in")
        if not text or len(text) > _TOKEN_LIMIT or not _VISIBLE.fullmatch(text):
            raise RemoteError(Reason.ANSWER_UNEXPECTED, evidence=seen(answer))
        claims = _claims(text)
        return AccessToken(
            Secret(text),
            expires if isinstance(expires, int) and 0 < expires <= 86400 else 3600,  # noqa: PLR2004 - a day, an hour
            text_of(claims.get("client_id")),
            text_of(claims.get("iss")),
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
        judge_front(answer, now=now)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise await self._token_rejected(answer, token)
        return _list_answer(answer, path)

    async def _token_rejected(self, answer: Answer, token: AccessToken) -> RemoteError:
        """Tell from `WWW-Authenticate` why a fresh token was refused (bitwarden-protocol 4.8)."""
        says = answer.headers.get("www-authenticate", "").strip()
        evidence = seen(answer)
        if says.lower() == "bearer":
            return RemoteError(Reason.TOKEN_NOT_DELIVERED, evidence=evidence)
        found = _ISSUER.search(says)
        if found:
            # The token's own issuer, so both belong together, unless discovery names another.
            own = found[1] == (await self.issuer() or token.issuer)
            reason = Reason.SERVER_CANNOT_VALIDATE if own else Reason.TOKEN_OF_OTHER_SERVER
            return RemoteError(reason, evidence={**evidence, "issuer": found[1]})
        for phrase, reason in (
            ("signature key was not found", Reason.SIGNING_KEY_UNKNOWN),
            ("token expired at", Reason.TOKEN_ALREADY_EXPIRED),
            ("not valid before", Reason.TOKEN_NOT_YET_VALID),
        ):
            if phrase in says.lower():
                return RemoteError(reason, evidence=evidence)
        words = _DESCRIPTION.findall(says)
        return RemoteError(Reason.TOKEN_REFUSED, evidence=evidence | message(words[-1] if words else words_of(answer)))


def safe_text(text: str, *secrets: Secret) -> str:
    """Return a stranger's text on one line: no control or direction characters, none of the secrets, 200 long."""
    words = " ".join(text[: 100 * _SAFE_LENGTH].split())
    line = "".join(char for char in words if not unicodedata.category(char).startswith("C")).strip()
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            line = line.replace(secret.reveal(), Secret.DOTS)
    return line if len(line) <= _SAFE_LENGTH else line[: _SAFE_LENGTH - 1] + "…"


def _list_answer(answer: Answer, path: str) -> ListAnswer:
    """Tell what a list answered, once it is sure that the server itself answered."""
    status, ms = answer.status, answer.ms
    if status == HTTPStatus.OK:
        body = proper_object(answer)
        if path == _SUBSCRIPTION:
            return ListAnswer(Capability.READABLE, ms, value=body, status=status)
        items = member(body, "data")
        if isinstance(items, list) and all(isinstance(item, dict) for item in items):
            return ListAnswer(Capability.READABLE, ms, tuple(items), status=status)
        raise RemoteError(Reason.ANSWER_UNEXPECTED, evidence=seen(answer))
    if status == HTTPStatus.BAD_REQUEST and b"not self hosted" in answer.body:
        return ListAnswer(Capability.NOT_APPLICABLE, ms, status=status)
    if status == HTTPStatus.FORBIDDEN:
        return ListAnswer(Capability.REFUSED, ms, reason=Reason.READ_FORBIDDEN, status=status)
    if status in ABSENT:
        return ListAnswer(Capability.NOT_OFFERED, ms, status=status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ListAnswer(Capability.FAULTY, ms, reason=Reason.READ_FAULT, status=status)
    raise RemoteError(Reason.ANSWER_UNEXPECTED, evidence=seen(answer) | message(words_of(answer)))


def _kind(body: Mapping[str, Any], name: str | None) -> ServerKind:
    if name:
        return ServerKind.VAULTWARDEN if name.lower() == "vaultwarden" else ServerKind.UNKNOWN
    return ServerKind.OFFICIAL if member(body, "object") == "config" else ServerKind.UNKNOWN


def _claims(token: str) -> Mapping[str, Any]:
    """Read a JWT's claims without judging it; nothing when it is not a JWT. Its server judges it."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload, signature
        return {}
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        return mapping(json.loads(base64.urlsafe_b64decode(padded)))
    except (ValueError, RecursionError):
        return {}


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
