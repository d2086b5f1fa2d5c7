"""Pure: maintenance windows, and whether one is open: a time in which checks are recorded and nobody is alerted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

WEEK = timedelta(weeks=1)


class Scope(StrEnum):
    """For which accounts a window is."""

    ALL = "all"
    TAG = "tag"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Once:
    """From one moment to another."""

    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Weekly:
    """Every week, from a time of day in the hub's time zone."""

    days: frozenset[int]
    """Days of the week on which it begins, Monday being 0."""
    minute: int
    """When it begins, in minutes after midnight, as a clock on the wall shows."""
    lasts: timedelta
    """How long it lasts, in time that really passes; less than a week."""


@dataclass(frozen=True, slots=True)
class Window:
    """A maintenance window."""

    id: int
    scope: Scope
    target: str
    """The account's id, or the tag; empty for all."""
    rule: Once | Weekly
    note: str


def covers(window: Window, at: datetime, zone: tzinfo) -> bool:
    """Tell whether a window is open at a moment; the moment of its end is outside."""
    if isinstance(window.rule, Once):
        return window.rule.begins <= at < window.rule.ends
    return any(begins <= at < begins + window.rule.lasts for begins in _beginnings(window.rule, at, zone))


def concerns(window: Window, account_id: str, tags: Iterable[str]) -> bool:
    """Tell whether a window is for an account; upper and lower case of a tag are the same."""
    if window.scope is Scope.ALL:
        return True
    if window.scope is Scope.ACCOUNT:
        return window.target == account_id
    return window.target.casefold() in {tag.casefold() for tag in tags}


def open_window(
    windows: Iterable[Window], account_id: str, tags: Iterable[str], at: datetime, zone: tzinfo
) -> Window | None:
    """Return a window that is open for an account at a moment; None when there is none."""
    tags = tuple(tags)
    return next((one for one in windows if concerns(one, account_id, tags) and covers(one, at, zone)), None)


def moment(shown: datetime, zone: tzinfo, *, last: bool = False) -> datetime:
    """Return when a clock on the wall shows a day and time, in UTC.

    Of a time that comes twice when the clock is set back it is the first, or the last if asked. A time that is left
    out when the clock is set forward counts from the clock before the change, or after it if asked for the last.
    """
    return shown.replace(tzinfo=zone, fold=int(last)).astimezone(UTC)


def _beginnings(rule: Weekly, at: datetime, zone: tzinfo) -> Iterable[datetime]:
    """Yield when a weekly window began in the week before a moment.

    A time that the change to daylight saving leaves out counts from the clock before the change; of one that comes
    twice, the first counts.
    """
    today = at.astimezone(zone).date()
    began = time(rule.minute // 60, rule.minute % 60)
    # One day more than a week at both ends: the change of the clock can move a beginning over midnight.
    for back in range(-1, WEEK.days + 2):
        day = today - timedelta(days=back)
        if day.weekday() in rule.days:
            yield moment(datetime.combine(day, began), zone)
