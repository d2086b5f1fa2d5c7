"""What the decision about messages is made from, and what comes out of it; values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from hub_core.alerts.channel import Channel, Sort
    from hub_core.model import Lifecycle, Reason, RegionId, Status
    from hub_core.storage.notices import Notice

SETTLE = timedelta(minutes=2)
"""A change of status waits so long: for others of the same cause, and for being undone."""

FOLLOW = timedelta(minutes=10)
"""After one message about many accounts, the next about the same cause comes no sooner."""

MANY = 3
"""So many accounts of one cause become one message."""


class Untold(NamedTuple):
    """A change of status that people were not told of yet."""

    id: int
    account_id: str
    at: datetime
    before: Status
    after: Status
    reason: Reason | None
    maintenance: bool


class Subject(NamedTuple):
    """An account as far as messages speak of it."""

    id: str
    label: str
    tags: tuple[str, ...]
    region: RegionId
    origin: str
    """Of its identity server: accounts that share it fail together."""
    lifecycle: Lifecycle
    status: Status
    reason: Reason | None
    since: datetime | None
    key_proven_at: datetime | None
    certificate_ends: datetime | None
    invited: int | None
    """Members who have not accepted yet; None where not reported."""
    acknowledged: bool
    """Whether somebody has acknowledged its open incident."""
    evidence: Mapping[str, str]
    """Of its open incident."""
    failed_lately: bool = False
    """Whether an incident of it began within the last day."""


class Event(NamedTuple):
    """One piece of news, in words, ready to be sent or to be kept until it may be."""

    sort: Sort
    at: datetime
    headline: str
    account_id: str | None = None
    label: str = ""
    region: str = ""
    status: str = ""
    reason: str | None = None
    since: datetime | None = None
    title: str = ""
    meaning: str = ""
    steps: tuple[str, ...] = ()


class Kept(NamedTuple):
    """A piece of news that waits."""

    id: int
    channel_id: str
    event: Event


class Message(NamedTuple):
    """What is sent: for people a title and lines, for machines the same as values."""

    title: str
    text: str
    data: Mapping[str, Any]


class Post(NamedTuple):
    """A message to be put on its way."""

    channel_id: str
    sort: Sort
    message: Message
    account_id: str | None = None
    """The one account it is about: it goes when that is unlinked."""
    cause: str = ""
    """What many accounts have in common; empty unless it is about many."""


class Listener(NamedTuple):
    """A channel, and the day of its last daily summary."""

    channel: Channel
    summed_on: date


@dataclass(frozen=True, slots=True)
class Inbox:
    """Everything the decision needs, as of one moment of the database."""

    now: datetime
    listeners: tuple[Listener, ...] = ()
    untold: tuple[Untold, ...] = ()
    subjects: Mapping[str, Subject] = field(default_factory=dict)
    told: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    """When a channel was told of an account it has not seen recover, by channel and account."""
    kept: tuple[Kept, ...] = ()
    causes: Mapping[str, datetime] = field(default_factory=dict)
    """When the last message about many accounts of a cause was made."""
    notices: tuple[Notice, ...] = ()


@dataclass(slots=True)
class Decision:
    """What is stored in one transaction."""

    routed: list[int] = field(default_factory=list)
    """Changes of status that are dealt with."""
    posts: list[Post] = field(default_factory=list)
    keep: list[tuple[str, Event]] = field(default_factory=list)
    """News that waits, by channel."""
    unkeep: list[int] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    """Channel and account: told, or reminded, now."""
    untell: list[tuple[str, str]] = field(default_factory=list)
    summed: dict[str, date] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to store."""
        return not (
            self.routed or self.posts or self.keep or self.unkeep or self.told or self.untell or self.summed
        ) and not (self.notices)
