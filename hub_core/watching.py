"""Answers whether somebody checks, how long a check is believed, what waits, and how much of the budgets is used."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hub_core.health.queue import time_for
from hub_core.health.status import is_stale
from hub_core.model import Account
from hub_core.storage.notices import NoticeKind, Notices
from hub_core.storage.workload import Load, Workload

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from hub_core.clock import Clock
    from hub_core.health.rhythm import Rhythm
    from hub_core.storage.store import AccountRow, Store

MISSED = 3
"""Intervals without any sign of a scheduler or a check before people are told."""


class QueueState(NamedTuple):
    """What waits to be checked at one moment."""

    due: int
    """Accounts whose time has come and that are not being checked yet."""
    running: int
    """Accounts that are being checked, on a schedule or for a person."""
    oldest_due: datetime | None
    """Since when the longest wait lasts; None when nothing waits, or nothing that was planned."""
    done_in: timedelta | None
    """How long until everything due is checked, as estimated; None when nothing is due, or nobody checks."""


class Watching:
    """What can be asked about the schedule; the scheduler itself is another matter, perhaps of another process."""

    def __init__(self, store: Store, rhythm: Rhythm, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._workload = Workload(store.database)
        self._notices = Notices(store.database)
        self.rhythm = rhythm
        self._holds = lru_cache(rhythm.holds)

    def stale(self, of: AccountRow | Account) -> bool:
        """Tell whether an account's status is too old to believe."""
        if isinstance(of, Account):
            checked_at, rests_until = of.standing.checked_at, of.rests_until
        else:
            checked_at, rests_until = of.checked_at, of.rests_until
        holds = self._holds(of.neighbours)
        if checked_at and rests_until:  # nobody tries sooner, so what was found holds as long
            holds += max(rests_until - checked_at, timedelta())
        return is_stale(checked_at, of.lifecycle, now=self._clock.now(), holds=holds)

    def nobody_since(self) -> datetime | None:
        """Return the last sign that somebody checks, if it is older than three intervals; None while all is well."""
        watcher = self._store.schedule.watcher()
        signs = [at for at in (watcher.beat_at, watcher.last_check_at) if at]
        if not watcher.accounts or not signs:
            return None
        last = max(signs)
        return last if self._clock.now() - last > MISSED * self.rhythm.interval else None

    def somebody(self) -> bool:
        """Tell whether a scheduler has given a sign of life lately."""
        beat = self._store.schedule.watcher().beat_at
        return beat is not None and self._clock.now() - beat <= MISSED * self.rhythm.interval

    def goes_on(self) -> bool:
        """Tell whether some process watches at this moment, and thus tells people."""
        return self._store.schedule.is_held(self._clock.now())

    def queue(self) -> QueueState:
        """Return what waits to be checked and how long that takes; one query."""
        now = self._clock.now()
        waiting = self._workload.waiting(now)
        oldest = min((one.oldest for one in waiting if one.oldest), default=None)
        return QueueState(
            sum(one.light + one.key + one.bare for one in waiting),
            sum(one.running for one in waiting),
            oldest,
            time_for(waiting, self.rhythm) if self.somebody() else None,
        )

    def offline_since(self) -> datetime | None:
        """Return since when no server at all can be reached from here; None while some answer."""
        return self._notices.since(NoticeKind.OFFLINE)

    def load(self) -> list[Load]:
        """Return how much of the token budget of each identity origin is used."""
        return self._workload.used(self._clock.now(), self.rhythm.token_limit)

    def twins(self) -> Mapping[str, tuple[str, ...]]:
        """Return, for each account whose organization is linked elsewhere too, the other accounts' ids."""
        return twins_among(self._store.overview())


def twins_among(rows: Iterable[AccountRow]) -> dict[str, tuple[str, ...]]:
    """Return, for each account whose organization is linked on another identity origin too, the other ids."""
    by_organization: dict[str, list[str]] = {}
    for row in rows:
        by_organization.setdefault(row.client_id, []).append(row.id)
    return {
        one: tuple(sorted(other for other in ids if other != one))
        for ids in by_organization.values()
        if len(ids) > 1
        for one in ids
    }
