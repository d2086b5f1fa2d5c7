"""Tells a server that cannot be reached from a hub that reaches nobody."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from hub_core.model import RegionId, Stage

if TYPE_CHECKING:
    from hub_core.clock import Clock
    from hub_core.health.examiner import Examiner
    from hub_core.model import Check
    from hub_core.storage.schedule import DueRow, Schedule

log = logging.getLogger(__name__)

PAUSE_S = 60.0
WITNESSES = 3
"""How many other hosts are asked before the hub calls itself offline."""


class Network:
    """What the scheduler knows of the way out of this machine."""

    def __init__(self, schedule: Schedule, examiner: Examiner, clock: Clock) -> None:
        self._schedule = schedule
        self._examiner = examiner
        self._clock = clock
        self._answered = float("-inf")
        self._asking = asyncio.Lock()
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
                self._heard()
            return False
        async with self._asking:
            at = self._clock.monotonic()
            if at < self.down_until:
                return True
            return at - self._answered >= PAUSE_S and await self._nobody_answers(row)

    async def _nobody_answers(self, row: DueRow) -> bool:
        others = await asyncio.to_thread(self._schedule.others, row.api_origin, WITNESSES)
        for account_id in others:
            if await self._examiner.answers(account_id):
                self._heard()
                return False
        if not others:
            return False
        if self.down_until == float("-inf"):
            log.error(
                "No server answers, on none of %d hosts: this machine is offline, and no account is blamed. "
                "Trying again every minute.",
                len(others) + 1,
            )
        self.down_until = self._clock.monotonic() + PAUSE_S
        return True

    def _heard(self) -> None:
        if self.down_until > float("-inf"):
            log.warning("Servers answer again.")
        self.down_until = float("-inf")
        self._answered = self._clock.monotonic()
