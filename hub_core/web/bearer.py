"""Answers programs: lets in who has the right API token, and says every refusal and failure as a problem document."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.routing import Route

from hub_core.access import Refused
from hub_core.errors import NotFound, StorageError
from hub_core.web.gate import traced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from hub_core.access import Access, ApiToken, Scope

_log = logging.getLogger(__name__)

PROBLEM_TYPE: Final = "application/problem+json"
_ANY_METHOD: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
_READING: Final = frozenset({"GET", "HEAD"})
_REALM: Final = 'Bearer realm="Link Hub"'


class Problem(Exception):
    """A request is not answered as it hoped: the status, a sentence, and headers that go with it."""

    def __init__(self, status: HTTPStatus, sentence: str, **headers: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(self) -> Response:
        """Return it as RFC 9457 has it."""
        body = {"type": "about:blank", "title": self.status.phrase, "status": self.status, "detail": self.sentence}
        return reply(json.dumps(body), PROBLEM_TYPE, status=self.status, headers=self.headers)


def reply(
    body: str | bytes,
    content_type: str,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an answer that nobody keeps, unless `headers` say otherwise."""
    # Given as a header: Starlette would add a charset to a media type.
    every = {"cache-control": "no-store", **(headers or {}), "content-type": content_type}
    return Response(body, status, every)


def json_reply(values: Any) -> Response:
    """Return values as JSON."""
    return reply(json.dumps(values, ensure_ascii=False, allow_nan=False), "application/json")


def reading(path: str, answer: Callable[[Request], Response], *, access: Access, scope: Scope | None) -> Route:
    """Return a route that only reads, for programs that have a token of this scope; None: for everybody.

    The function is no coroutine, so that Starlette runs it on a thread and not on the loop of every web socket.
    """

    def endpoint(request: Request) -> Response:
        try:
            _only_reads(request)
            token = _admitted(request, access, scope) if scope else None
            response = answer(request)
            if token:
                # After the answer: writing may have to wait for the database.
                response.background = BackgroundTask(access.note_use, token)
        except Exception as error:  # noqa: BLE001 - whatever happened becomes a problem document
            return _problem(error).answer()
        return response

    return Route(path, endpoint, methods=_ANY_METHOD)


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, NotFound):
        return Problem(HTTPStatus.NOT_FOUND, str(error))
    if isinstance(error, StorageError):
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "The database does not answer. Try again.", retry_after="10")
    _log.error("An answer failed: %s", traced(error))
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong. The dashboard's log says where; please report it."
    )


def _only_reads(request: Request) -> None:
    if request.method not in _READING:
        raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, "This can only be read.", allow="GET, HEAD")


def _admitted(request: Request, access: Access, scope: Scope) -> ApiToken:
    given = request.headers.getlist("authorization")
    if not given:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "Send an API token as “Authorization: Bearer …”. `linkhub token create` makes one.",
            www_authenticate=_REALM,
        )
    kind, _, text = given[0].partition(" ")
    usable = len(given) == 1 and kind.lower() == "bearer"
    found = access.admits(text.strip() if usable else "", scope)
    if found is Refused.TOO_MANY:
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "Too many wrong tokens. Wait a minute.", retry_after="60")
    if found is Refused.UNKNOWN:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "This API token does not work: it is unknown, expired or revoked.",
            www_authenticate=f'{_REALM}, error="invalid_token"',
        )
    if found is Refused.SCOPE:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            f"This API token may not read this: it lacks the scope “{scope}”.",
            www_authenticate=f'{_REALM}, error="insufficient_scope", scope="{scope}"',
        )
    return found
