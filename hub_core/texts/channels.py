"""What a channel is told, and when, in the words a person would use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hub_core.alerts.channel import Kind, Sort, State
from hub_core.bitwarden.regions import region
from hub_core.texts.times import duration
from hub_core.texts.words import STATUSES

if TYPE_CHECKING:
    from hub_core.alerts.channel import Rules

KINDS: Final = {Kind.WEBHOOK: "Signed webhook", Kind.APPRISE: "Apprise: mail, Slack, Teams, ntfy and more"}

SORTS: Final = {
    Sort.TROUBLE: "Trouble",
    Sort.RECOVERY: "Recovery",
    Sort.REMINDER: "Reminder",
    Sort.DIGEST: "Gathered",
    Sort.SUMMARY: "Daily summary",
    Sort.NOTICE: "About the hub",
    Sort.TEST: "Test",
}

STATES: Final = {State.WAITING: "Waiting", State.SENT: "Delivered", State.GIVEN_UP: "Given up"}


def rules_in_words(rules: Rules) -> str:
    """Return a line about what a channel is told, of which accounts, and when."""
    told = ", ".join(text.word.lower() for status, text in STATUSES.items() if status in rules.statuses)
    parts = [told + (", and recovery" if rules.recovery else "")]
    if rules.tags:
        parts.append("tags " + ", ".join(sorted(rules.tags, key=str.casefold)))
    if rules.regions:
        parts.append(", ".join(region(one).name for one in sorted(rules.regions)))
    if rules.daily_at:
        parts.append(f"once a day at {rules.daily_at:%H:%M}")
    else:
        parts.append(f"gathered for {duration(rules.every_minutes * 60)}" if rules.every_minutes else "at once")
    if rules.quiet:
        parts.append(f"quiet from {rules.quiet.begins:%H:%M} until {rules.quiet.ends:%H:%M}")
    if rules.reminder_hours:
        parts.append(f"reminded every {duration(rules.reminder_hours * 3600)}")
    if rules.summary_at:
        parts.append(f"daily summary at {rules.summary_at:%H:%M}")
    return " · ".join(parts)
