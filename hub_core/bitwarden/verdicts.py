"""Says what an answer means: who gave it, whether it asks to wait, why it refuses.

It follows bitwarden-protocol section 14 and field-problems section 3.2: the content type is read first, the status
second, the body third. HTML never means a bad key. The words of strangers are returned as they came; `client.safe_text`
cleans them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hub_core.errors import RemoteError
from hub_core.model import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub_core.bitwarden.answer import Answer
    from hub_core.model import ApiKey

MAX_WAIT = 3600
DEFAULT_WAIT = 60
"""Seconds to wait: at most, whatever a server asks for, and where it asks without saying how long."""

ABSENT = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
"""Statuses of a path that the server does not have."""

_EDGE_CODE = re.compile(rb"error code: ?1\d{3}")
_HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<body)", re.IGNORECASE)
_PROXY_SCHEMES = re.compile(r"(^|,\s*)(basic|digest|negotiate|ntlm)\b", re.IGNORECASE)
_RAY = re.compile(r"[0-9a-zA-Z-]{1,64}")
_SLOW_DOWN = (b"Slow down! Too many requests", b"Too many login requests")
_UNUSUAL = "Traffic from your network looks unusual"
_SERVER_MARKS = ("x-frame-options", "x-content-type-options")
_REDIRECTS = range(300, 400)
_REFUSALS = range(400, 500)
_EDGE_CANNOT_REACH = range(520, 531)
"""Statuses the cloud's edge makes up when the server behind it is out of reach."""
_DOWN = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
_MANGLED = frozenset({HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.UNPROCESSABLE_ENTITY})


def judge_front(answer: Answer, *, now: datetime, at_token: bool = False) -> None:
    """Raise when the answer comes from something in front of the server, or asks to wait."""
    evidence = seen(answer)
    refused = answer.status >= HTTPStatus.BAD_REQUEST
    if answer.status in _REDIRECTS:
        raise RemoteError(Reason.REDIRECTED, evidence=evidence | _location(answer))
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS or (refused and any(say in answer.body for say in _SLOW_DOWN)):
        asked = retry_after(answer.headers.get("retry-after"), now=now)
        wait = asked or DEFAULT_WAIT
        reason = Reason.RATE_LIMITED if _server_asks(answer, asked) else Reason.EDGE_RATE_LIMITED
        raise RemoteError(reason, evidence=evidence | {"wait": str(wait)}, retry_after=wait)
    if refused and _UNUSUAL.encode() in answer.body:
        raise RemoteError(Reason.TRAFFIC_UNUSUAL, evidence=evidence | message(words_of(answer) or _UNUSUAL))
    if refused and b"No required SSL certificate was sent" in answer.body:
        raise RemoteError(Reason.CLIENT_CERTIFICATE_WANTED, evidence=evidence)
    front = _proxy_reason(answer) or (_page_reason(answer.status, evidence, at_token) if _is_page(answer) else None)
    if front:
        raise RemoteError(front, evidence=evidence)


def _server_asks(answer: Answer, asked: int | None) -> bool:
    """Tell the server's own wish to wait from that of something in front of it (bitwarden-protocol 2.4)."""
    if _is_html(answer):
        return False
    own = answer.content_type == "application/json" and bool(answer.body.strip())
    return own or _from_server(answer) or (asked is not None and "cf-ray" not in answer.headers)


def _proxy_reason(answer: Answer) -> Reason | None:
    """Return what a status alone says about something in front of the server."""
    status, wants = answer.status, answer.headers.get("www-authenticate", "")
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED or (
        status == HTTPStatus.UNAUTHORIZED and _PROXY_SCHEMES.search(wants)
    ):
        return Reason.PROXY_PASSWORD
    # A 503 page of the edge is its bot defence; its 502 and 504 mean that the server behind it is down.
    bots = _is_html(answer) and "cf-ray" in answer.headers
    if status in _DOWN or status in _EDGE_CANNOT_REACH or (status == HTTPStatus.SERVICE_UNAVAILABLE and not bots):
        return Reason.APPLICATION_DOWN
    if _from_server(answer):
        return None
    bare = status == HTTPStatus.FORBIDDEN and answer.content_type != "application/json"
    blocked = status >= HTTPStatus.BAD_REQUEST and _EDGE_CODE.search(answer.body[:4096])
    return Reason.EDGE_BLOCKED if bare or blocked else None


def _is_html(answer: Answer) -> bool:
    return "html" in answer.content_type or _HTML.match(answer.body[:4096]) is not None


def _is_page(answer: Answer) -> bool:
    """Whether a page for people came, and neither status nor header says more than the page does."""
    token_judged = answer.status == HTTPStatus.UNAUTHORIZED and "www-authenticate" in answer.headers
    return _is_html(answer) and answer.status not in ABSENT and not token_judged


def _page_reason(status: int, evidence: Mapping[str, str], at_token: bool) -> Reason:  # noqa: FBT001 - three facts
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return Reason.WEB_PAGE
    if "ray" in evidence:
        return Reason.EDGE_BLOCKED
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Reason.SERVER_FAULT
    if at_token:
        return Reason.REQUEST_MANGLED if status in _MANGLED else Reason.TOKEN_REQUEST_BLOCKED
    return Reason.WEB_PAGE if status == HTTPStatus.UNAUTHORIZED else Reason.ANSWER_UNEXPECTED


def token_refusal(answer: Answer, key: ApiKey, *, worked_before: bool) -> RemoteError:
    """Tell why the token endpoint said no (bitwarden-protocol 2.2, field-problems 1.1)."""
    evidence, status = seen(answer), answer.status
    if status in ABSENT:
        return RemoteError(Reason.IDENTITY_PATH_WRONG, evidence=evidence)
    if status in _MANGLED:
        return RemoteError(Reason.REQUEST_MANGLED, evidence=evidence)
    if status not in _REFUSALS:
        fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return RemoteError(Reason.TOKEN_FAULT if fault else Reason.ANSWER_UNEXPECTED, evidence=evidence)
    try:
        body = mapping(answer.json())
    except RemoteError:
        body = {}
    error = text_of(member(body, "error"))
    if error:
        reason = _oauth_reason(error, key, worked_before=worked_before)
        return RemoteError(reason, evidence=evidence | {"error": error} | message(error))
    # Vaultwarden leaves `error` empty and says it in words.
    said = text_of(member(mapping(member(body, "errorModel")), "message"))
    said = said or (text_of(member(body, "message")) if "error" in body else None)
    if said:
        return RemoteError(_vaultwarden_reason(said.lower()), evidence=evidence | message(said))
    return RemoteError(Reason.TOKEN_REQUEST_BLOCKED, evidence=evidence)


def _oauth_reason(error: str, key: ApiKey, *, worked_before: bool) -> Reason:
    known = {
        "invalid_client": Reason.KEY_NO_LONGER_ACCEPTED if worked_before else Reason.KEY_NEVER_ACCEPTED,
        "invalid_scope": Reason.PERSONAL_KEY if key.client_id.startswith("user.") else Reason.SCOPE_REFUSED,
        "unsupported_grant_type": Reason.GRANT_REFUSED,
        "unauthorized_client": Reason.GRANT_REFUSED,
        "invalid_grant": Reason.GRANT_REFUSED,
        "invalid_request": Reason.REQUEST_MANGLED,
    }
    return known.get(error, Reason.ANSWER_UNEXPECTED)


def _vaultwarden_reason(words: str) -> Reason:
    if "client_secret" in words and "blank" not in words:
        return Reason.VAULTWARDEN_WRONG_SECRET
    if "client_id" in words and "blank" not in words:
        return Reason.VAULTWARDEN_UNKNOWN_ID
    return Reason.VAULTWARDEN_REFUSED


def retry_after(text: str | None, *, now: datetime) -> int | None:
    """Return the seconds of a `Retry-After` header, given as seconds or as a date, between 1 and an hour."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return min(max(int(text.lstrip("0")[:9] or "0"), 1), MAX_WAIT)
    at = moment(text)
    return None if at is None else min(max(round((at - now).total_seconds()), 1), MAX_WAIT)


def _from_server(answer: Answer) -> bool:
    return all(mark in answer.headers for mark in _SERVER_MARKS)


def proper_object(answer: Answer) -> Mapping[str, Any]:
    """Return the JSON object of a proper answer; raises RemoteError when it is none."""
    value = answer.json() if answer.status == HTTPStatus.OK and answer.body.strip() else None
    if not isinstance(value, dict):
        raise RemoteError(Reason.ANSWER_UNEXPECTED, evidence=seen(answer))
    return value


def member(body: Mapping[str, Any], name: str) -> Any:
    """Return a member by its camelCase name; servers before December 2021 wrote PascalCase."""
    return body[name] if name in body else body.get(name[:1].upper() + name[1:])


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def text_of(value: Any) -> str | None:
    """Return a JSON string, or None in place of an empty one or anything else."""
    return value if isinstance(value, str) and value else None


def seen(answer: Answer) -> dict[str, str]:
    """Return the status, and the edge's id of this exchange where there is one."""
    ray = answer.headers.get("cf-ray", "")
    return {"status": str(answer.status)} | ({"ray": ray} if _RAY.fullmatch(ray) else {})


def message(words: str) -> dict[str, str]:
    """Return what was said as evidence, unless nothing was said."""
    return {"message": words} if words else {}


def words_of(answer: Answer) -> str:
    """Return what an error in JSON says to people; nothing when it says nothing."""
    try:
        body = mapping(answer.json())
    except RemoteError:
        return ""
    return text_of(member(mapping(member(body, "errorModel")), "message")) or text_of(member(body, "message")) or ""


def _location(answer: Answer) -> dict[str, str]:
    """Return where a redirect points, without query and fragment: those may carry session ids."""
    try:
        parts = urlsplit(answer.headers.get("location", ""))
        where = f"{parts.scheme}://{parts.hostname}{parts.path}" if parts.hostname else parts.path
    except ValueError:
        return {}
    return {"location": where} if where else {}


def moment(text: str | None) -> datetime | None:
    """Read a date of a header; None when it is none."""
    try:
        at = parsedate_to_datetime(text or "")
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
