"""Answers whether somebody checks, how long a check is believed, and when the next one comes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hub_core.health.status import is_stale
from hub_core.model import Account

if TYPE_CHECKING:
    from datetime import datetime

    from hub_core.clock import Clock
    from hub_core.health.rhythm import Rhythm
    from hub_core.storage.store import AccountRow, Store

MISSED = 3
"""Intervals without any sign of a scheduler or a check before people are told."""


class Watching:
    """What can be asked about the schedule; the scheduler itself is another matter, perhaps of another process."""

    def __init__(self, store: Store, rhythm: Rhythm, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.rhythm = rhythm

    def stale(self, of: AccountRow | Account) -> bool:
        """Tell whether an account's status is too old to believe."""
        if isinstance(of, Account):
            checked_at, refused_until = of.standing.checked_at, of.due.key_at if of.due.refusals else None
        else:
            checked_at, refused_until = of.checked_at, of.refused_until
        holds = self.rhythm.holds(of.neighbours)
        if checked_at and refused_until:  # nobody tries a refused key sooner, so what was found holds as long
            holds += max(refused_until - checked_at, timedelta())
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
