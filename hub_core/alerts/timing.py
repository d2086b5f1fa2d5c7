"""When a channel is told: quiet hours, digests, reminders, daily summaries; pure decisions on the clock of the wall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, tzinfo

    from hub_core.alerts.channel import Rules


def is_quiet(rules: Rules, now: datetime, zone: tzinfo) -> bool:
    """Tell whether nothing is sent now."""
    if rules.quiet is None:
        return False
    begins, ends = rules.quiet
    clock = now.astimezone(zone).time()
    if begins < ends:
        return begins <= clock < ends
    return clock >= begins or clock < ends


def is_kept(rules: Rules, now: datetime, zone: tzinfo) -> bool:
    """Tell whether news of now waits."""
    return not rules.at_once or is_quiet(rules, now, zone)


def is_released(rules: Rules, oldest: datetime, now: datetime, zone: tzinfo) -> bool:
    """Tell whether what waits, the oldest of it since a time, is sent now."""
    if is_quiet(rules, now, zone):
        return False
    if oldest > now:  # written under a clock that has been set back since
        return True
    if rules.daily_at:
        return now >= _next(rules, oldest, zone)
    return now - oldest >= timedelta(minutes=rules.every_minutes)


def is_summary_due(rules: Rules, summed_on: date, now: datetime, zone: tzinfo) -> bool:
    """Tell whether the daily summary of this day is to be sent; of missed days none is made up for."""
    local = now.astimezone(zone)
    # A day ahead may be another time zone's; more was noted under a clock that has been set back since.
    new = not timedelta() <= summed_on - local.date() <= timedelta(days=1)
    return rules.summary_at is not None and new and local.time() >= rules.summary_at


def summed_until(rules: Rules, now: datetime, zone: tzinfo) -> date:
    """Return the day a new channel counts as summed up: today if its hour is over, so that the first comes tomorrow."""
    local = now.astimezone(zone)
    over = rules.summary_at is not None and local.time() >= rules.summary_at
    return local.date() if over else local.date() - timedelta(days=1)


def is_reminder_due(rules: Rules, told_at: datetime, now: datetime, zone: tzinfo) -> bool:
    """Tell whether somebody is to be reminded of what they were told at a time."""
    hours = rules.reminder_hours
    # Told at a time ahead, by a clock that has been set back since, is not told lately.
    lately = timedelta() <= now - told_at < timedelta(hours=hours)
    return bool(hours) and not lately and not is_quiet(rules, now, zone)


def _next(rules: Rules, after: datetime, zone: tzinfo) -> datetime:
    """Return the first time, after a moment, at which the clock on the wall shows the daily time."""
    day = after.astimezone(zone).date()
    while True:
        # An hour that is left out in spring, or comes twice in autumn, still comes to one moment each day.
        at = datetime.combine(day, rules.daily_at or datetime.min.time(), zone).astimezone(UTC)
        if at > after:
            return at
        day += timedelta(days=1)
