"""Pure: the stretches of a span of time in which an account stood as judged, and those in which nobody judged it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from hub_core.health.rollup import spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hub_core.health.rollup import State
    from hub_core.history import Beat


class Why(StrEnum):
    """Why nothing was judged."""

    NOT_LINKED = "not_linked"
    PAUSED = "paused"
    MAINTENANCE = "maintenance"
    NOBODY = "nobody"
    """The hub did not run, or had no network, or was only ever told to wait."""


class Gap(NamedTuple):
    """A stretch without judgement."""

    begins: datetime
    ends: datetime
    why: Why


class Stood(NamedTuple):
    """A stretch in which an account stood one way."""

    begins: datetime
    ends: datetime
    state: State


_SHORTEST = timedelta(minutes=1)
"""What is shorter says only that a check took its time."""

_WHYS = {"paused": Why.PAUSED, "maintenance": Why.MAINTENANCE}


def gaps(
    beats: Sequence[Beat], *, begins: datetime, ends: datetime, linked_at: datetime, paused: bool = False
) -> list[Gap]:
    """Return the stretches from `begins` to `ends` in which nothing was judged, in order, none touching its like.

    Args:
        beats: oldest first, with one from before `begins` where there is one.
        begins: of the span.
        ends: of the span, now at the latest.
        linked_at: before that there was nothing to judge.
        paused: whether checks were stopped before the first of the beats.
    """
    joined: list[Gap] = []
    for gap in _raw(beats, begins=begins, ends=ends, linked_at=linked_at, paused=paused):
        cut = Gap(max(gap.begins, begins), min(gap.ends, ends), gap.why)
        if cut.ends - cut.begins < _SHORTEST:
            continue
        if joined and joined[-1].why is cut.why and joined[-1].ends >= cut.begins:
            cut = Gap(joined.pop().begins, cut.ends, cut.why)
        joined.append(cut)
    return joined


def stood(beats: Sequence[Beat], *, begins: datetime, ends: datetime) -> list[Stood]:
    """Return the stretches from `begins` to `ends` that the beats judge, in order, none touching its like.

    A key that was refused is tried ever more rarely, and stands as refused all the while.

    Args:
        beats: oldest first, with one from before `begins` where there is one.
        begins: of the span.
        ends: of the span, now at the latest.
    """
    joined: list[Stood] = []
    for span in reversed(spans(beats, int(ends.timestamp()))):
        cut = Stood(max(_moment(span.begins), begins), min(_moment(span.ends), ends), span.state)
        if span.state in _WHYS or cut.begins >= cut.ends:
            continue
        if joined and joined[-1].state == cut.state and joined[-1].ends >= cut.begins:
            cut = Stood(joined.pop().begins, cut.ends, cut.state)
        joined.append(cut)
    return joined


# ---- inside


def _raw(
    beats: Sequence[Beat], *, begins: datetime, ends: datetime, linked_at: datetime, paused: bool
) -> Iterator[Gap]:
    yield Gap(begins, min(linked_at, ends), Why.NOT_LINKED)
    known, why = max(begins, linked_at), Why.PAUSED if paused else Why.NOBODY
    for span in reversed(spans(beats, int(ends.timestamp()))):
        yield Gap(known, _moment(span.begins), why)
        if span.state in _WHYS:
            yield Gap(_moment(span.begins), _moment(span.ends), _WHYS[span.state])
        known, why = max(known, _moment(span.ends)), Why.NOBODY
    yield Gap(known, ends, why)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
