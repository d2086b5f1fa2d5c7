"""Spans of time in the words a person would use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR

_JUST_NOW: Final = 10
_NEGLIGIBLE_FUTURE: Final = 90
"""Clocks of two machines differ by seconds; that is no reason to speak of the future."""


def duration(seconds: float) -> str:
    """Return a span as `45 s`, `4 min`, `2 h 10 min` or `3 days`; parts that no longer matter are dropped."""
    whole = abs(int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        hours, minutes = whole // _HOUR, whole % _HOUR // _MINUTE
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return days(whole // _DAY)


def days(count: int) -> str:
    """Return `1 day`, or the number and `days`."""
    return f"{count} day" if count == 1 else f"{count} days"


def ago(then: datetime, now: datetime) -> str:
    """Return how long before `now` something was: `just now`, `4 min ago`, or `in 2 h` for a planned time."""
    seconds = (now - then).total_seconds()
    if seconds < -_NEGLIGIBLE_FUTURE:
        return f"in {duration(seconds)}"
    if seconds < _JUST_NOW:
        return "just now"
    return f"{duration(seconds)} ago"
