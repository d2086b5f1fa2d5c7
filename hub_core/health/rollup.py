"""Pure: what the beats of an account say about spans of time: how long it worked, was down, paused, not watched."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from hub_core.health import latency
from hub_core.history import DOWN, Period
from hub_core.model import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hub_core.history import Beat

HOUR = 3600
"""Seconds; hours and days are numbered from 1970, UTC."""

DAY = 24 * HOUR

State = Literal["up", "degraded", "down", "maintenance", "paused"]


class Span(NamedTuple):
    """A stretch of time with one state, in whole seconds since 1970; what no span covers, nobody watched."""

    begins: int
    ends: int
    state: State


def spans(beats: Sequence[Beat], until: int) -> list[Span]:
    """Return what beats, oldest first, say of the time after each, up to a second; the latest first.

    A beat is believed for as long as it holds, or until the next one that judged something. One that judged nothing
    is passed over, but it ends a pause.
    """
    found: list[Span] = []
    judged = following = until
    for beat in reversed(beats):
        begins = int(beat.at.timestamp())
        if beat.paused or beat.status is not Status.UNKNOWN:
            ends = following if beat.paused else min(judged, begins + int(beat.holds.total_seconds()))
            if begins < ends:
                found.append(Span(begins, ends, _state(beat)))
            judged = min(judged, begins)
        following = min(following, begins)
    return found


def hours(beats: Sequence[Beat], first: int, last: int, *, until: int) -> list[Period]:
    """Return a period for each hour from `first` to before `last`, numbers of hours since 1970.

    Args:
        beats: oldest first, from the last one before the first hour that judged something, or began a pause, on.
        first: the first hour.
        last: the hour after the last one.
        until: the present, in seconds: nothing is known of the time after.
    """
    sums: list[dict[State, int]] = [{} for _ in range(first, last)]
    for span in spans(beats, min(until, last * HOUR)):
        for hour in range(max(span.begins // HOUR, first), min((span.ends - 1) // HOUR + 1, last)):
            seconds = min(span.ends, (hour + 1) * HOUR) - max(span.begins, hour * HOUR)
            of_hour = sums[hour - first]
            of_hour[span.state] = of_hour.get(span.state, 0) + seconds
    made: list[list[Beat]] = [[] for _ in range(first, last)]
    for beat in beats:
        place = int(beat.at.timestamp()) // HOUR - first
        if 0 <= place < len(made) and not beat.paused:
            made[place].append(beat)
    return [_period(first + n, sums[n], made[n]) for n in range(last - first)]


def joined(begins: datetime, length: timedelta, parts: Iterable[Period]) -> Period:
    """Return periods within one as that one."""
    parts = list(parts)
    counted = latency.merge(part.latency for part in parts)
    return replace(
        empty(begins, length),
        checks=sum(part.checks for part in parts),
        failed=sum(part.failed for part in parts),
        up=sum(part.up for part in parts),
        degraded=sum(part.degraded for part in parts),
        down=sum(part.down for part in parts),
        maintenance=sum(part.maintenance for part in parts),
        paused=sum(part.paused for part in parts),
        latency=counted or None,
    )


def empty(begins: datetime, length: timedelta) -> Period:
    """Return a period of which nothing is known."""
    return Period(begins, length)


def hour_of(at: datetime) -> int:
    """Return the number of the hour that a time lies in."""
    return int(at.timestamp()) // HOUR


def hour_begins(hour: int) -> datetime:
    """Return when an hour begins."""
    return datetime.fromtimestamp(hour * HOUR, UTC)


def _period(hour: int, sums: dict[State, int], made: list[Beat]) -> Period:
    counted = latency.count(beat.latency_ms for beat in made if beat.latency_ms is not None)
    return Period(
        hour_begins(hour),
        timedelta(seconds=HOUR),
        len(made),
        sum(beat.status in DOWN for beat in made),
        sums.get("up", 0) + sums.get("degraded", 0),
        sums.get("degraded", 0),
        sums.get("down", 0),
        sums.get("maintenance", 0),
        sums.get("paused", 0),
        counted or None,
    )


def _state(beat: Beat) -> State:
    if beat.paused:
        return "paused"
    if beat.maintenance:
        return "maintenance"
    if beat.down:
        return "down"
    return "degraded" if beat.status is Status.DEGRADED else "up"
