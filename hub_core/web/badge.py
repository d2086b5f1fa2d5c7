"""Draws the badges: the status of an account in word and color, for wikis and read-me files, and nothing else."""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from hub_core.access import badge_path
from hub_core.errors import NotFound
from hub_core.showing import shown
from hub_core.web.bearer import Problem, reading, reply

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from hub_core.hub import Hub

MAX_AGE_S: Final = 60

_NAME: Final = "Link Hub"
_COLORS: Final = {"green": "#1a7f37", "blue": "#0969da", "orange": "#9a5b00", "red": "#cf222e", "gray": "#57606a"}
"""White text on each has a contrast of at least 4.5 to 1."""

_HEIGHT: Final = 20
_PAD: Final = 8
_PER_LETTER: Final = 7


def routes(hub: Hub) -> list[Route]:
    """Return the routes of the badges; where there is none, nothing says why."""

    def badge(request: Request) -> Response:
        account_id = request.path_params["account_id"]
        if not hub.access.badge_shown(account_id):
            raise _nothing()
        try:
            text = shown(hub, hub.account(account_id))
        except NotFound:  # unlinked a moment ago
            raise _nothing() from None
        headers = {"cache-control": f"max-age={MAX_AGE_S}"}
        return reply(drawn(text.word, _COLORS[text.color]), "image/svg+xml; charset=utf-8", headers=headers)

    def elsewhere(_request: Request) -> Response:
        raise _nothing()

    return [
        reading(badge_path("{account_id}"), badge, access=hub.access, scope=None),
        reading("/badge/{rest:path}", elsewhere, access=hub.access, scope=None),
    ]


def drawn(word: str, color: str) -> str:
    """Return a badge as SVG."""
    left, right = (len(text) * _PER_LETTER + 2 * _PAD for text in (_NAME, word))
    word = escape(word)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{_HEIGHT}" role="img" '
        f'aria-label="{_NAME}: {word}"><title>{_NAME}: {word}</title>'
        f'<clipPath id="r"><rect width="{left + right}" height="{_HEIGHT}" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="{_HEIGHT}" fill="#32383f"/>'
        f'<rect x="{left}" width="{right}" height="{_HEIGHT}" fill="{color}"/></g>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2}" y="14">{_NAME}</text><text x="{left + right / 2}" y="14">{word}</text></g></svg>'
    )


def _nothing() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "There is no such badge.")
