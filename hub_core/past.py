"""Answers what has been: beats, hours and days, uptime, latency, incidents, changed facts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from hub_core.drafts import read_note
from hub_core.health import latency
from hub_core.history import Uptime

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from hub_core.clock import Clock
    from hub_core.history import Beat, Change, Incident, Period
    from hub_core.model import Transition
    from hub_core.storage.store import Store, StoredCheck

BY_HOUR: timedelta = timedelta(days=7)
"""Up to this span latencies are told by the hour, beyond it by the day."""


class Latency(NamedTuple):
    """How long the checks of one hour or day took, in milliseconds."""

    at: datetime
    """When that hour or day began."""
    p50: int
    p95: int
    checks: int
    """How many were measured."""


class Past:
    """What can be asked about the time that is gone."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._history = store.past
        self._sums = store.sums
        self._clock = clock

    # ---- checks

    def beats(self, account_id: str, since: datetime) -> list[Beat]:
        """Return an account's checks in short from a time on, oldest first."""
        return self._history.beats(account_id, since)

    def recent(self, account_id: str, limit: int = 200) -> list[Beat]:
        """Return an account's last checks in short, newest first."""
        return self._history.recent(account_id, limit)

    def noteworthy(self, account_id: str, limit: int = 100) -> list[StoredCheck]:
        """Return the checks kept with every stage, newest first: the first, a person's, and what found something new.

        A scheduled check that found what was known is not among them; it is a beat.
        """
        return self._history.noteworthy(account_id, limit)

    def last_check(self, account_id: str) -> StoredCheck | None:
        """Return an account's last check with every stage."""
        return self._history.last_check(account_id)

    def transitions(self, account_id: str, limit: int = 200) -> list[Transition]:
        """Return an account's changes of status, newest first."""
        return self._history.transitions(account_id, limit)

    def changes(self, account_id: str, limit: int = 50) -> list[Change]:
        """Return facts of an account that a check found to be other than before, newest first."""
        return self._history.changes(account_id, limit)

    def seats_taken(self, account_id: str, at: datetime) -> int | None:
        """Return how many seats of an account were taken at a time; None if as many as now, or not known."""
        return self._history.seats_taken(account_id, at)

    # ---- spans of time

    def hours(self, account_id: str, number: int = 24) -> list[Period]:
        """Return the last hours, UTC, of an account, oldest first and the present one last, empty ones too."""
        return self._sums.hours(account_id, number, self._clock.now())

    def days(self, account_id: str, number: int = 90) -> list[Period]:
        """Return the last days, UTC, of an account, oldest first and today last, empty ones too."""
        return self._sums.days(account_id, number, self._clock.now())

    def latency(self, account_id: str, span: timedelta) -> list[Latency]:
        """Return the latencies of the last hours, or days where the span is longer than a week, oldest first.

        Those without any measured check are left out.
        """
        hours = max(1, round(span / timedelta(hours=1)))
        periods = self.hours(account_id, hours) if span <= BY_HOUR else self.days(account_id, -(-hours // 24))
        return [found for period in periods if (found := _latency(period))]

    def uptime(self, account_id: str) -> Uptime:
        """Return the share of judged time in which an account worked, in the last 24 hours, 7 days and 30 days."""
        hours = self.hours(account_id, 7 * 24)
        return Uptime(_share(hours[-24:]), _share(hours), _share(self.days(account_id, 30)))

    # ---- incidents

    def incidents(
        self,
        *,
        account_id: str | None = None,
        open_only: bool = False,
        since: datetime | None = None,
        limit: int = 500,
    ) -> list[Incident]:
        """Return incidents, the open ones first, then the newest; `since` leaves out those that ended before."""
        return self._history.incidents(account_id=account_id, open_only=open_only, since=since, limit=limit)

    def incident(self, incident_id: int) -> Incident:
        """Return one incident; raises NotFound."""
        return self._history.incident(incident_id)

    def acknowledge(self, incident_id: int, note: str, *, actor: str) -> None:
        """Say that somebody looks after an incident, and what they found; whoever comes later changes the note only.

        Raises:
            NotFound: its account was unlinked.
        """
        self._history.acknowledge(incident_id, read_note(note), at=self._clock.now(), actor=actor)


def _latency(period: Period) -> Latency | None:
    counted = period.latency or {}
    p50, p95 = latency.percentile(counted, 0.5), latency.percentile(counted, 0.95)
    return None if p50 is None or p95 is None else Latency(period.begins, p50, p95, sum(counted.values()))


def _share(periods: Iterable[Period]) -> float | None:
    periods = list(periods)
    judged = sum(period.judged for period in periods)
    return sum(period.up for period in periods) / judged if judged else None
