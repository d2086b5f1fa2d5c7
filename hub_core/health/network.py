"""Tells a server that cannot be reached from a hub that reaches nobody."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from hub_core.bitwarden.regions import REGIONS
from hub_core.model import RegionId, Stage, origin_of
from hub_core.storage.notices import NoticeKind, Notices

if TYPE_CHECKING:
    from hub_core.clock import Clock
    from hub_core.health.examiner import Examiner
    from hub_core.model import Check
    from hub_core.storage.schedule import DueRow
    from hub_core.storage.store import Store

log = logging.getLogger(__name__)

PAUSE_S = 60.0
WITNESSES = 3
"""How many other hosts are asked before the hub calls itself offline."""

CLOUDS = tuple(row.endpoints for row in REGIONS if row.endpoints)


class Network:
    """What the scheduler knows of the way out of this machine, and one notice for as long as there is none."""

    def __init__(self, store: Store, examiner: Examiner, clock: Clock) -> None:
        self._schedule = store.schedule
        self._notices = Notices(store.database)
        self._examiner = examiner
        self._clock = clock
        self._asking = asyncio.Lock()
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what may have changed while another process watched."""
        self._answered = float("-inf")
        self._noticed = True
        self.down_until = float("-inf")
        """Until when nothing need be tried, by the clock's counter of seconds."""

    async def is_down(self, row: DueRow, check: Check) -> bool:
        """Tell whether nothing at all can be reached from here, so that the account is not to blame.

        Only where connecting failed, no server has answered for a minute, and witnesses on other hosts do not either.
        """
        if row.region is RegionId.SANDBOX:
            return False  # it is this machine, and says nothing about the network
        failure = check.failure
        if failure is None or failure.stage is not Stage.REACH:
            if any(seen.stage is Stage.REACH for seen in check.observations):
                await self._heard()
            return False
        async with self._asking:
            at = self._clock.monotonic()
            if at < self.down_until:
                return True
            return at - self._answered >= PAUSE_S and await self._nobody_answers(row)

    async def _nobody_answers(self, row: DueRow) -> bool:
        asked = 0
        for account_id in await asyncio.to_thread(self._schedule.others, row.api_origin, WITNESSES):
            asked += 1
            if await self._examiner.answers(account_id):
                return await self._heard()
        if not asked and row.region is not RegionId.SELF_HOSTED:
            # One cloud and nothing else: whoever is allowed out to it can connect to another one, if to anything.
            for cloud in CLOUDS:
                if origin_of(cloud.api) != row.api_origin:
                    asked += 1
                    if await self._examiner.reaches(cloud):
                        return await self._heard()
        if not asked:
            return False
        await self._unheard(asked + 1)
        return True

    async def _unheard(self, hosts: int) -> None:
        if self.down_until == float("-inf"):
            log.error(
                "No server answers, on none of %d hosts: this machine is offline, and no account is blamed. "
                "Trying again every minute.",
                hosts,
            )
        self.down_until, self._noticed = self._clock.monotonic() + PAUSE_S, True
        await asyncio.to_thread(self._notices.begin, NoticeKind.OFFLINE, self._clock.now())

    async def _heard(self) -> bool:
        """Remember that somebody answers; always False, as the answer to whether nobody does."""
        self.down_until = float("-inf")
        self._answered = self._clock.monotonic()
        if self._noticed:
            if await asyncio.to_thread(self._notices.end, NoticeKind.OFFLINE, self._clock.now()):
                log.warning("Servers answer again.")
            self._noticed = False
        return False
