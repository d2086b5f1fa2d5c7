"""The vocabulary of alerts: channels, their rules, deliveries; no input or output."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from hub_core.model import Status

if TYPE_CHECKING:
    from datetime import datetime, time

    from hub_core.model import RegionId, Secret


class Kind(StrEnum):
    """How a channel is reached."""

    WEBHOOK = "webhook"
    APPRISE = "apprise"


class Sort(StrEnum):
    """What a message is about."""

    TROUBLE = "trouble"
    RECOVERY = "recovery"
    REMINDER = "reminder"
    DIGEST = "digest"
    """What was held back, in one message."""
    SUMMARY = "summary"
    """The daily look at everything."""
    NOTICE = "notice"
    """About the hub itself."""
    TEST = "test"


class State(StrEnum):
    """How far a message is."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


class Quiet(NamedTuple):
    """Hours, by the clock on the wall, in which nothing is sent; over midnight where they begin later than they end."""

    begins: time
    ends: time


TOLD_BY_DEFAULT = frozenset({Status.FAILING, Status.UNREACHABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a channel is told, and when."""

    statuses: frozenset[Status] = TOLD_BY_DEFAULT
    tags: frozenset[str] = frozenset()
    """Accounts with any of these; all accounts where empty."""
    regions: frozenset[RegionId] = frozenset()
    """Accounts in any of these; all accounts where empty."""
    recovery: bool = True
    reminder_hours: int = 0
    """Hours between two reminders of an open incident that nobody acknowledged; 0 for none."""
    quiet: Quiet | None = None
    every_minutes: int = 0
    """Minutes for which messages are gathered into one; 0 for at once."""
    daily_at: time | None = None
    """When everything gathered is sent, once a day, instead of every so many minutes."""
    summary_at: time | None = None
    """When the daily summary is sent: what failed, and what will."""

    @property
    def at_once(self) -> bool:
        """Whether messages are sent as they come."""
        return not self.every_minutes and self.daily_at is None


@dataclass(frozen=True, slots=True)
class Channel:
    """Where messages go. It holds no secret: of its address only scheme and host."""

    id: str
    name: str
    kind: Kind
    hint: str
    """Scheme and host of its address; no path, user or token."""
    enabled: bool
    rules: Rules
    made_at: datetime
    failing_since: datetime | None = None
    error: str = ""
    """Why the last attempt failed, in a sentence that is safe to show; empty while all is well."""
    stopped: str = ""
    """Why the hub itself switched it off; empty where it did not."""
    locked: bool = False
    """Its stored address was given up and has to be entered again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelDraft:
    """A channel as it will be stored; what is None stays as it is."""

    name: str
    kind: Kind
    rules: Rules
    hint: str | None = None
    target: Secret | None = field(default=None, repr=False)
    secret: Secret | None = field(default=None, repr=False)
    """The webhook's signing secret."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one channel, and how far it is."""

    id: str
    channel_id: str
    sort: Sort
    title: str
    made_at: datetime
    state: State
    attempts: int
    next_at: datetime | None
    """When it is tried next; None unless it waits."""
    done_at: datetime | None
    error: str


class Tested(NamedTuple):
    """What came of a test message."""

    well: bool
    sentence: str


class Told(NamedTuple):
    """What came of telling people once, beside whoever watches."""

    sent: int
    """Messages that got there."""
    waiting: int
    """Messages that are tried again."""


class Added(NamedTuple):
    """A channel that was stored, and its signing secret where that was made here: it is shown this once."""

    channel: Channel
    secret: Secret | None
