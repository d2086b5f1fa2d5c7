"""Maintenance windows in the words a person would use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hub_core.health.maintenance import Once
from hub_core.texts.times import duration

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

    from hub_core.health.maintenance import Weekly

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def rule_in_words(rule: Once | Weekly, zone: tzinfo) -> str:
    """Return when a window is open, by the clock of the hub's time zone."""
    if isinstance(rule, Once):
        begins, ends = rule.begins.astimezone(zone), rule.ends.astimezone(zone)
        until = f"{ends:%H:%M}" if begins.date() == ends.date() else f"{ends:%Y-%m-%d %H:%M}"
        return f"{begins:%Y-%m-%d %H:%M} to {until}"
    began = f"{rule.minute // 60:02}:{rule.minute % 60:02}"
    return f"{days_in_words(rule.days)} at {began} for {duration(rule.lasts.total_seconds())}"


def days_in_words(days: Iterable[int]) -> str:
    """Return days of the week, Monday being 0."""
    chosen = sorted(days)
    return "every day" if len(chosen) == len(DAYS) else ", ".join(DAYS[day] for day in chosen)
