"""The faults any answer can have, each put at server, token and read: what breaks, what is in front, what is said."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

from hub_core.model import Reason, Status
from tests.cells import CONFIG, HANGING, HTML, RAY, READ, TEXT, TOKEN, Act, Cell, front, own, page
from tests.hostile import HOST, Talk, answer, gzip_answer, gzip_bomb, truncated_gzip

if TYPE_CHECKING:
    from collections.abc import Callable

R = Reason
HEALTHY, LIMITED, DEGRADED = Status.HEALTHY, Status.LIMITED, Status.DEGRADED
FAILING, UNREACHABLE, UNKNOWN = Status.FAILING, Status.UNREACHABLE, Status.UNKNOWN

PATHS = {"server": CONFIG, "token": TOKEN, "read": READ}
BOMB = gzip_bomb()

Finding = tuple[Reason | None, Status]


def http(fault: str, act: Act, *findings: Finding, deadline: float = 10.0, big: bool = False) -> list[Cell]:
    """Put one fault at server, token and read: one finding for all, or one for each."""
    each = findings if len(findings) == len(PATHS) else findings * len(PATHS)
    return [
        Cell(stage, fault, reason, status, {path: act}, deadline, big=big and stage == "read")
        for (stage, path), (reason, status) in zip(PATHS.items(), each, strict=True)
    ]


# What breaks on the way of a request or of its answer.

_LOST, _SLOW = (R.ANSWER_LOST, UNREACHABLE), (R.ANSWER_TIMEOUT, UNREACHABLE)
_DAMAGED, _LARGE = (R.ANSWER_UNREADABLE, UNREACHABLE), (R.ANSWER_TOO_LARGE, UNREACHABLE)
ODD, _DOWN = (R.ANSWER_UNEXPECTED, UNREACHABLE), (R.APPLICATION_DOWN, UNREACHABLE)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n"


def _half_then(end: Callable[[Talk], object]) -> Callable[[Talk], None]:
    def act(talk: Talk) -> None:
        talk.send(_HEAD + b'\r\n{"object":')
        end(talk)

    return act


def _drip_body(talk: Talk) -> None:
    talk.send(_HEAD + b"\r\n")
    talk.drip(b" " * 400)


def _flood(talk: Talk) -> None:
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
    talk.flood(b" " * 65536)


BROKEN = [
    *http("reset", Talk.reset, _LOST),
    *http("reset in the body", _half_then(Talk.reset), _LOST),
    *http("short body", _half_then(Talk.leave), _LOST),
    *http("closed without an answer", Talk.leave, _LOST),
    *http("silence", Talk.stall, _SLOW, deadline=HANGING),
    *http("dripping header", lambda talk: talk.drip(_HEAD), _SLOW, deadline=HANGING),
    *http("dripping body", _drip_body, _SLOW, deadline=HANGING),
    *http("not HTTP", b"SSH-2.0-OpenSSH_9.2\r\n", _DAMAGED),
    *http("endless header", lambda talk: talk.flood(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 65536), _LARGE),
    *http("endless body", _flood, _LARGE, big=True),
    *http("gzip bomb", gzip_answer(BOMB), _LARGE, big=True),
    *http("cut-off gzip", gzip_answer(truncated_gzip()), _DAMAGED),
    *http("gzip in gzip", gzip_answer(gzip.compress(gzip.compress(b"{}")), coding="gzip, gzip"), _DAMAGED),
    *http("unknown coding", gzip_answer(b"{}", coding="br"), _DAMAGED),
]

# What is no answer of Bitwarden's, or none that can be read.

CONTENT = [
    *http("invalid JSON", own("{nope"), _DAMAGED),
    *http("NaN", own('{"data": [], "n": NaN}'), _DAMAGED),
    *http("Infinity", own('{"data": [], "n": 1e999}'), _DAMAGED),
    *http("a key twice", own('{"data": [], "data": [1]}'), _DAMAGED),
    *http("deep nesting", own("[" * 200_000), _DAMAGED),
    *http("invalid UTF-8", own(b'{"data": "\xff"}'), _DAMAGED),
    *http("half a surrogate pair", own('{"data": "\\ud800"}'), _DAMAGED),
    *http("a list in place of an object", own("[1, 2]"), ODD),
    *http("a bare null", own("null"), ODD),
    *http("204 without a body", own(b"", "204 No Content", Content_Length="0"), ODD),
    *http("200 without a body", own(b""), ODD),
]

# What something in front says.

MOVED, _PAGE = (R.REDIRECTED, UNREACHABLE), (R.WEB_PAGE, UNREACHABLE)
_ASKED, _BLOCKED = (R.PROXY_PASSWORD, UNREACHABLE), (R.EDGE_BLOCKED, UNREACHABLE)
_WAIT, _EDGE_WAIT = (R.RATE_LIMITED, UNKNOWN), (R.EDGE_RATE_LIMITED, UNKNOWN)
TOKEN_BLOCKED, _UNUSUAL = (R.TOKEN_REQUEST_BLOCKED, UNREACHABLE), (R.TRAFFIC_UNUSUAL, UNREACHABLE)
_FAULT, _CLIENT = (R.SERVER_FAULT, UNREACHABLE), (R.CLIENT_CERTIFICATE_WANTED, UNREACHABLE)
_SLOW_DOWN = '{"object":"error","message":"Slow down! Too many requests. Try again in 1m.","validationErrors":null}'
_UNUSUAL_BODY = '{"message":"Traffic from your network looks unusual. Connect to a different network."}'
_NO_CERTIFICATE = b"<html><head><title>400 No required SSL certificate was sent</title></head></html>"
_LIMITED_TOO = '{"message":"Too many login requests","errorModel":{"message":"Too many login requests"},"error":""}'


def _date(**ahead: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(**ahead), usegmt=True)


def limit(**headers: str) -> bytes:
    """Return the server's own wish to wait."""
    return own(_SLOW_DOWN, "429 Too Many Requests", **headers)


IN_FRONT = [
    *http("HTML 200", page("200 OK"), _PAGE),
    *http("HTML labelled as JSON", answer(HTML), _PAGE),
    *http("HTML 200 of the edge", page("200 OK", ray=True), _PAGE),
    *http("302 to a login page", front(b"", "302 Found", Location="https://login.test/?next=1"), MOVED),
    *http("301 from http to https", front(b"", "301 Moved Permanently", Location=f"https://{HOST}/x"), MOVED),
    *http("307 with a broken Location", front(b"", "307 Temporary Redirect", Location="http://["), MOVED),
    *http("401 Basic", front(b"", "401 Unauthorized", WWW_Authenticate='Basic realm="x"'), _ASKED),
    *http("401 Negotiate", front(b"", "401 Unauthorized", WWW_Authenticate="Negotiate, NTLM"), _ASKED),
    *http("407", front(b"", "407 Proxy Authentication Required"), _ASKED),
    *http("401 HTML", page("401 Unauthorized"), _PAGE, TOKEN_BLOCKED, _PAGE),
    *http("403 HTML of the edge", page("403 Forbidden", ray=True), _BLOCKED),
    *http("403 HTML", page("403 Forbidden"), _BLOCKED),
    *http("403 empty, not the server's", front(b"", "403 Forbidden", **TEXT), _BLOCKED),
    *http("error code: 1020", front(b"error code: 1020", "403 Forbidden", **(TEXT | RAY)), _BLOCKED),
    *http("403 empty, the server's", own(b"", "403 Forbidden"), ODD, TOKEN_BLOCKED, (R.READ_FORBIDDEN, FAILING)),
    *http("400 HTML", page("400 Bad Request"), ODD, TOKEN_BLOCKED, ODD),
    *http("400 HTML of the edge", page("400 Bad Request", ray=True), _BLOCKED),
    *http("nginx wants a client certificate", page("400 Bad Request", body=_NO_CERTIFICATE), _CLIENT),
    *http("unusual traffic", own(_UNUSUAL_BODY, "403 Forbidden"), _UNUSUAL),
    *http("429, seconds", limit(Retry_After="37"), _WAIT),
    *http("429, a date", limit(Retry_After=_date(seconds=90)), _WAIT),
    *http("429, an absurd time", limit(Retry_After="9" * 30), _WAIT),
    *http("429, nonsense", limit(Retry_After="soon"), _WAIT),
    *http("429 without Retry-After", own(_LIMITED_TOO, "429 Too Many Requests"), _WAIT),
    *http("slow down under another status", own(_SLOW_DOWN, "400 Bad Request"), _WAIT),
    *http("429 empty with a ray", front(b"", "429 Too Many Requests", **(TEXT | RAY)), _EDGE_WAIT),
    *http("429 HTML", page("429 Too Many Requests"), _EDGE_WAIT),
    *http("502 HTML", page("502 Bad Gateway"), _DOWN),
    *http("503 HTML", page("503 Service Unavailable"), _DOWN),
    *http("504 HTML", page("504 Gateway Timeout"), _DOWN),
    *http("502 HTML of the edge", page("502 Bad Gateway", ray=True), _DOWN),
    *http("522 of the edge", front(b"error code: 522", "522 Timed Out", **(TEXT | RAY)), _DOWN),
    *http("503 HTML of the edge", page("503 Service Unavailable", ray=True), _BLOCKED),
    *http("500 HTML", page("500 Internal Server Error"), _FAULT),
]

# What the server itself says.

_READ_FAULT, NO_READS = (R.READ_FAULT, UNREACHABLE), (R.READ_API_ABSENT, LIMITED)
_NO_PATHS = ((R.API_PATH_WRONG, FAILING), (R.IDENTITY_PATH_WRONG, FAILING), NO_READS)
_FAULTS = (_FAULT, (R.TOKEN_FAULT, UNREACHABLE), _READ_FAULT)
NOT_FOUND = '{"error":{"code":404,"reason":"Not Found","description":"The requested resource could not be found."}}'
UNHANDLED = '{"object":"error","message":"An unhandled server error has occurred.","errors":null}'

BY_SERVER = [
    *http("404 empty", own(b"", "404 Not Found"), *_NO_PATHS),
    *http("404 HTML", page("404 Not Found"), *_NO_PATHS),
    *http("404 JSON of Vaultwarden", own(NOT_FOUND, "404 Not Found"), *_NO_PATHS),
    *http("405 empty", own(b"", "405 Method Not Allowed", Allow="GET"), *_NO_PATHS),
    *http("500 empty", own(b"", "500 Internal Server Error"), *_FAULTS),
    *http("500 JSON", own(UNHANDLED, "500 Internal Server Error"), *_FAULTS),
]


EVERYWHERE: tuple[Cell, ...] = (*BROKEN, *CONTENT, *IN_FRONT, *BY_SERVER)
