"""The vocabulary of what has been: beats, periods of time, incidents, changes; no input or output."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from hub_core.model import Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from hub_core.model import Reason, Trigger

IN_TROUBLE = frozenset({Status.DEGRADED, Status.FAILING, Status.UNREACHABLE})
"""An incident is open as long as an account is in one of these."""

DOWN = frozenset({Status.FAILING, Status.UNREACHABLE})
"""Counts as down time; degraded still works."""


class Beat(NamedTuple):
    """One check in short, as the history keeps it."""

    at: datetime
    status: Status
    """What this one check found; unknown where it judged nothing, being told to wait."""
    reason: Reason | None
    trigger: Trigger
    latency_ms: int | None
    holds: timedelta
    """How long it is believed: until the next check was planned, and some more. Nothing is known after that."""
    down: bool
    """Whether the account counts as down from here: its standing, not this one check's finding.

    A failure that two more confirm is down from the first; one that none confirms is not.
    """
    light: bool = False
    maintenance: bool = False
    """Made during a maintenance window: neither up nor down."""
    paused: bool = False
    """Not a check: a person stopped the checks at this moment."""


class Pulse(StrEnum):
    """One beat as one letter, for rows of many; the pages draw each as a bar."""

    UP = "u"
    DEGRADED = "d"
    FAILING = "x"
    UNREACHABLE = "n"
    """Confirmed: the account counted as down."""
    MISSED = "o"
    """Not reached once, and not confirmed by the next ones, or not yet."""
    WAITED = "w"
    """Judged nothing: told to wait."""
    MAINTENANCE = "m"
    PAUSED = "p"


def pulse_of(beat: Beat) -> Pulse:
    """Return the letter of a beat."""
    if beat.paused:
        return Pulse.PAUSED
    if beat.maintenance:
        return Pulse.MAINTENANCE
    if beat.status is Status.UNREACHABLE:
        return Pulse.UNREACHABLE if beat.down else Pulse.MISSED
    return {
        Status.FAILING: Pulse.FAILING,
        Status.DEGRADED: Pulse.DEGRADED,
        Status.UNKNOWN: Pulse.WAITED,
    }.get(beat.status, Pulse.UP)


@dataclass(frozen=True, slots=True)
class Period:
    """What is known of one account over a span of time, such as an hour or a day; seconds that add up to its length."""

    begins: datetime
    length: timedelta
    checks: int = 0
    failed: int = 0
    """Checks that found the account failing or unreachable, confirmed or not."""
    up: int = 0
    """Seconds it worked, those degraded among them."""
    degraded: int = 0
    down: int = 0
    maintenance: int = 0
    paused: int = 0
    latency: Mapping[int, int] | None = None
    """Number of checks by latency bucket, see `hub_core.health.latency`; None when none was measured."""

    @property
    def judged(self) -> int:
        """Seconds for which it is known whether it worked."""
        return self.up + self.down

    @property
    def uptime(self) -> float | None:
        """The share of the judged time in which it worked, 0 to 1; None when nothing was judged."""
        return self.up / self.judged if self.judged else None


class Uptime(NamedTuple):
    """The share of judged time in which an account worked, 0 to 1; None where nothing was judged."""

    day: float | None
    week: float | None
    month: float | None


class Stretch(NamedTuple):
    """From when on an incident had which status, for which reason."""

    at: datetime
    status: Status
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Incident:
    """The time from leaving healthy or limited until regaining it."""

    id: int
    account_id: str
    label: str
    opened_at: datetime
    closed_at: datetime | None
    story: tuple[Stretch, ...]
    """Every change of status or reason, the first being how it opened."""
    evidence: Mapping[str, str]
    """Safe facts of the check that opened it."""
    maintenance: bool = False
    """Opened during a maintenance window: recorded, and nobody was told."""
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    note: str = ""

    @property
    def status(self) -> Status:
        """The status it has, or had at its end."""
        return self.story[-1].status

    @property
    def reason(self) -> Reason | None:
        """The reason it has, or had at its end."""
        return self.story[-1].reason


class Change(NamedTuple):
    """A fact that a check found to be other than before, such as the server's version."""

    at: datetime
    what: str
    """A key of `texts.CHANGES`."""
    before: str
    after: str
