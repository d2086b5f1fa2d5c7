"""The dashboard's own HTTP routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from hub_core import __version__
from hub_core.web import api, badge, metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from hub_core.hub import Hub


def routes(ready: Callable[[], bool]) -> list[Route]:
    """Return the routes; `ready` says whether the database can be read."""

    # Not a coroutine, so that Starlette runs the database read on a thread and not on the loop of every web socket.
    def healthz(_request: Request) -> JSONResponse:
        if ready():
            return JSONResponse({"status": "ok", "version": __version__})
        return JSONResponse({"status": "failing"}, status_code=503)

    return [Route("/healthz", healthz, methods=["GET"]), Route("/accounts", _landing, methods=["GET"])]


def for_machines(hub: Hub) -> list[Route]:
    """Return what programs read."""
    return [*api.routes(hub), metrics.route(hub), *badge.routes(hub)]


async def _landing(request: Request) -> RedirectResponse:
    # Streamlit serves the landing page at the root only: under its own name it says that there is no such page.
    return RedirectResponse(f"./?{request.url.query}" if request.url.query else "./")
