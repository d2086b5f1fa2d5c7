"""One budget of token requests for each identity origin, shared by everything that asks for tokens."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from hub_core.errors import RemoteError
from hub_core.model import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from hub_core.clock import Clock
    from hub_core.storage.store import Store

    Write = Callable[[Callable[[], Any]], Awaitable[Any]]

SPACING_S = 2.0
"""Waits this short are the spacing between two requests, not a spent budget."""

NAP_S = 5.0
"""After so long at most a waiting request asks again: others may have gone, or a server said wait."""

WISH_LONGER_S = 1.0
"""So much longer than a nap a person's wish lasts, so that it is still known when the person asks again."""


class TokenBudget:
    """Waits for a place among the token requests of an identity origin, or says how long it would take."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        limit: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        write: Write = asyncio.to_thread,
    ) -> None:
        """Count in `store`; allow `limit` requests a minute to each origin; wait by `sleep`.

        Places are taken by `write`, which may do the same for many at once.
        """
        self._write = write
        self._table = store.budget
        self._clock = clock
        self._limit = limit
        self._sleep = sleep

    async def take(
        self,
        origin: str,
        *,
        patience_s: float,
        waiting: Callable[[int], None],
        limit: int | None = None,
        ahead: bool = True,
    ) -> None:
        """Return once a token request to `origin` may be sent.

        Args:
            origin: of the identity server.
            patience_s: how long waiting is acceptable, in seconds.
            waiting: told the seconds still to wait whenever a longer wait begins.
            limit: requests a minute, where it is less than the budget has.
            ahead: whether routine is to wait meanwhile, because a person does.

        Raises:
            RemoteError: BUDGET_SPENT, with the seconds to wait, when that is longer than `patience_s`.
        """
        give_up = self._clock.monotonic() + max(patience_s, SPACING_S)
        while True:
            at = self._clock.now()
            wait_ms = await self._write(
                partial(self._table.take, origin, at=at, limit=min(limit or self._limit, self._limit), ahead=ahead)
            )
            if not wait_ms:
                return
            seconds = wait_ms / 1000
            if self._clock.monotonic() + seconds > give_up:
                raise RemoteError(
                    Reason.BUDGET_SPENT, evidence={"wait": str(math.ceil(seconds))}, retry_after=math.ceil(seconds)
                )
            if seconds > SPACING_S:
                waiting(math.ceil(seconds))
            nap = min(seconds, NAP_S)
            if ahead:
                lasts = timedelta(seconds=nap + WISH_LONGER_S)
                await asyncio.to_thread(self._table.wish, origin, at=self._clock.now(), lasts=lasts)
            await self._sleep(nap)

    async def hold(self, origin: str, seconds: int) -> None:
        """Ask nothing of `origin` for `seconds`: it said so."""
        until = self._clock.now() + timedelta(seconds=seconds)
        await asyncio.to_thread(self._table.hold, origin, until)
