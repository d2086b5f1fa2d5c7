"""Gathers what many checks want of the database at the same time, and has it done in one go by one thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Work = Callable[[], Any]

T = TypeVar("T")

MOST = 100
"""Works done in one go: nobody else waits for the database longer than these take."""


class Together:
    """Works of one event loop; who asks while others are being served is served with everybody who asked meanwhile."""

    def __init__(self, serve: Callable[[Sequence[Work]], list[Any]]) -> None:
        """Have works done by `serve`, which returns what each returned or the exception it raised."""
        self._serve = serve
        self._waiting: list[tuple[Work, asyncio.Future[Any]]] = []
        self._serving: asyncio.Task[None] | None = None

    async def do(self, work: Callable[[], T]) -> T:
        """Return what the work returns once it is done for good, or raise what it raised; it may run after a cancel."""
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, result))
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve_all())
        return await result

    async def _serve_all(self) -> None:
        while self._waiting:
            served, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            try:
                results = await asyncio.to_thread(self._serve, [work for work, _ in served])
            except Exception as error:  # noqa: BLE001 - handed to everybody who waits
                results = [error] * len(served)
            for (_, result), found in zip(served, results, strict=True):
                if result.done():
                    continue  # who asked has been cancelled
                if isinstance(found, Exception):
                    result.set_exception(found)
                else:
                    result.set_result(found)
