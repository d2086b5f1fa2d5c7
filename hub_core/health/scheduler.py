"""The loop that checks every account on its rhythm: claim what is due, examine it, record what was found."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from hub_core.errors import HubError, NotFound, Paused, StorageError
from hub_core.health.examiner import Plan
from hub_core.health.network import Network
from hub_core.health.queue import Queue
from hub_core.health.rhythm import INTERNAL_PAUSE
from hub_core.health.verdict import BEFORE_TOKEN
from hub_core.model import Check, Observation, Outcome, Reason, Stage, Status, Trigger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from hub_core.clock import Clock
    from hub_core.health.examiner import Examiner
    from hub_core.health.queue import Turn
    from hub_core.model import Transition
    from hub_core.storage.schedule import DueRow
    from hub_core.storage.store import Store
    from hub_core.storage.sums import Keep

log = logging.getLogger(__name__)

LEASE_S = 30.0
"""A watcher that has given no sign for so long is taken to be dead."""

POLL_S = 1.0
PATIENCE_S = 10.0
"""How long a check waits for its token request; the queue begins none before its time."""

SUM_UP_EVERY_S = 60.0

ALL_WELL_EVERY_S = 60.0
"""How often whoever wants to know is told that checks go on."""

STORAGE_PAUSE_S = 10.0
FAULT_PAUSE_S = 60.0

_WELL = frozenset({Status.HEALTHY, Status.LIMITED})


class Scheduler:
    """One watcher; of several on one database only the one that has the lease checks."""

    def __init__(
        self,
        store: Store,
        examiner: Examiner,
        *,
        clock: Clock,
        keep: Keep,
        lease_s: float = LEASE_S,
        after_pass: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Check what `store` says is due; `after_pass` is called about once a minute while checks go on."""
        self._store = store
        self._schedule = store.schedule
        self._examiner = examiner
        self._clock = clock
        self._lease_s = lease_s
        self._owner = str(uuid4())
        self._fence: int | None = None
        self._beaten = 0.0
        self._queue = Queue(examiner.rhythm)
        self._running: dict[asyncio.Task[None], DueRow] = {}
        self._resting: dict[str, float] = {}
        """Accounts whose evaluation failed, and until when they are left alone, even if that could not be stored."""
        self._idle_until = 0.0
        self._keep = keep
        self._sum_up_at = 0.0
        self._network = Network(store, examiner, clock)
        self._after_pass = after_pass
        self._all_well_at = float("-inf")
        self._telling: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Watch until cancelled; stand by while another watcher has the lease."""
        try:
            while True:
                try:
                    pause = await self._round()
                except StorageError as error:
                    pause = self._storage_failed(error)
                except Exception:
                    log.exception("the scheduler failed; it goes on in a minute")
                    pause = FAULT_PAUSE_S
                await self._wait(pause)
        finally:
            await self._end_checks()
            if self._telling:
                self._telling.cancel()
                await asyncio.gather(self._telling, return_exceptions=True)
            with suppress(HubError):  # then the lease runs out by itself
                await asyncio.to_thread(self._schedule.release_lease, self._owner)

    async def _round(self) -> float:
        """Begin every check whose turn it is; return the seconds until looking again."""
        if not await self._holds_lease():
            await self._end_checks()
            return self._lease_s / 3
        at = self._clock.monotonic()
        idle_until = max(self._idle_until, self._network.down_until)
        if at < idle_until:
            return min(idle_until - at, self._lease_s / 3)
        self._resting = {account_id: until for account_id, until in self._resting.items() if until > at}
        left_out = self._examiner.busy() | self._resting.keys() | {row.id for row in self._running.values()}
        now = self._clock.now()
        if at >= self._sum_up_at:
            self._sum_up_at = at if await self._sum_up(now) else at + SUM_UP_EVERY_S
        due = [row for row in await asyncio.to_thread(self._schedule.due, now) if row.id not in left_out]
        turns = self._queue.choose(
            due, running=[row.api_origin for row in self._running.values()], has_token=self._has_token, at=at
        )
        if turns and self._fence is not None:
            await self._begin(turns, self._fence)
        self._say_all_is_well(at)
        return min(POLL_S, self._lease_s / 3)

    async def _sum_up(self, now: datetime) -> int:
        """Sum up a part of the history; what goes wrong with that keeps nobody from being checked."""
        try:
            return await asyncio.to_thread(self._store.sums.roll_up, now, self._keep)
        except StorageError:
            raise
        except Exception:
            log.exception("the history could not be summed up; it is tried again in a minute")
            return 0

    async def _holds_lease(self) -> bool:
        """Give a sign of life when it is time for one; tell whether we are the one who checks."""
        at = self._clock.monotonic()
        if self._fence is None or at - self._beaten >= self._lease_s / 3:
            fence = await asyncio.to_thread(
                self._schedule.take_lease,
                self._owner,
                now=self._clock.now(),
                lasts=timedelta(seconds=self._lease_s),
            )
            if fence != self._fence:
                self._network.begin_anew()  # another watcher may have found out more meanwhile
            self._fence = fence
            self._beaten = at
        return self._fence is not None

    async def _begin(self, turns: list[Turn], fence: int) -> None:
        ours = await asyncio.to_thread(
            self._schedule.claim,
            [turn.row.id for turn in turns],
            owner=self._owner,
            fence=fence,
            now=self._clock.now(),
        )
        if not ours:
            self._fence = None  # the lease ran out, or somebody else has it: ask for it again first
        for turn in turns:
            if turn.row.id in ours:
                task = asyncio.create_task(self._check(turn, fence))
                self._running[task] = turn.row
                task.add_done_callback(self._running.pop)

    async def _check(self, turn: Turn, fence: int) -> None:
        """Check one account; whatever goes wrong here is never booked against it."""
        row = turn.row
        plan = Plan(Trigger.SCHEDULE, PATIENCE_S, ahead=False, limit=turn.limit, light=turn.light)
        try:
            if row.id in self._examiner.busy():
                await asyncio.to_thread(self._schedule.unclaim, row.id, fence)  # a person wanted it a moment ago
                return
            async with self._examiner.turn(row.id):
                examined = await self._examiner.examine(row.id, plan, _ignore)
                if not turn.light and examined.check.failure and examined.check.failure.stage in BEFORE_TOKEN:
                    self._queue.give_back(turn)
                if self._budget_is_spent(row, examined.check) or await self._network.is_down(row, examined.check):
                    await asyncio.to_thread(self._schedule.unclaim, row.id, fence)
                    return
                step = await self._examiner.keep(examined, fence=fence)
        except (NotFound, Paused):
            return  # unlinked or paused meanwhile
        except StorageError as error:
            self._storage_failed(error)
        except Exception:
            log.exception("account %s: its check could not be evaluated; it is left alone for an hour", row.id)
            await self._push_ahead(row, fence)
        else:
            if step and step.transition:
                _tell(row.id, step.transition)

    async def _wait(self, seconds: float) -> None:
        """Sleep; where somebody is left without a place, not beyond the end of a check."""
        nap = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            ends = self._running if self._queue.crowded else ()
            await asyncio.wait({nap, *ends}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            nap.cancel()

    async def _end_checks(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _say_all_is_well(self, at: float) -> None:
        """Have whoever wants to know told that checks go on, beside them and never twice at once."""
        telling = self._telling is not None and not self._telling.done()
        if self._after_pass and not telling and at - self._all_well_at >= ALL_WELL_EVERY_S:
            self._all_well_at = at
            self._telling = asyncio.create_task(_tried(self._after_pass))

    # ---- what is ours and not the account's

    def _has_token(self, row: DueRow) -> bool:
        return self._examiner.tokens.get(row.id, row.generation) is not None

    def _storage_failed(self, error: StorageError) -> float:
        """Do nothing for a while: what cannot be recorded need not be asked."""
        at = self._clock.monotonic()
        if at >= self._idle_until:
            log.error("Checks pause for %.0f s: %s", STORAGE_PAUSE_S, error)
        self._idle_until = at + STORAGE_PAUSE_S
        return min(STORAGE_PAUSE_S, self._lease_s / 3)

    def _budget_is_spent(self, row: DueRow, check: Check) -> bool:
        """Tell whether somebody else used the token requests up; the account stays due."""
        if not check.failure or check.failure.reason is not Reason.BUDGET_SPENT:
            return False
        self._queue.hold(row.identity_origin, self._clock.monotonic() + (check.retry_after or 1))
        return True

    async def _push_ahead(self, row: DueRow, fence: int) -> None:
        self._resting[row.id] = self._clock.monotonic() + INTERNAL_PAUSE.total_seconds()
        now = self._clock.now()
        check = Check(now, Trigger.SCHEDULE, (Observation(Stage.FORMAT, Outcome.FAIL, Reason.INTERNAL),))
        try:
            await asyncio.to_thread(self._schedule.push_ahead, row.id, check, until=now + INTERNAL_PAUSE, fence=fence)
        except Exception:
            log.exception("account %s: that could not be stored either", row.id)


async def _tried(after_pass: Callable[[], Awaitable[None]]) -> None:
    try:
        await after_pass()
    except Exception as error:  # noqa: BLE001 - not ours, and checks go on whatever it is
        # Its text is left out: it may name an address that only its owner should know.
        log.warning("What follows a pass of checks failed: %s", type(error).__name__)


def _ignore(_: object) -> None:
    """Watch nothing."""


def _tell(account_id: str, transition: Transition) -> None:
    before, after = transition.before in _WELL, transition.after in _WELL
    if before and not after:
        log.warning("Account %s is %s: %s", account_id, transition.after, transition.reason)
    elif after and not before and transition.before is not Status.UNKNOWN:
        log.warning("Account %s works again; it was %s.", account_id, transition.before)
