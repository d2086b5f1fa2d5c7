"""Decides who is told what: from changes of status, reminders and digests to messages; pure."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from hub_core.alerts import timing, words
from hub_core.alerts.channel import Sort
from hub_core.alerts.inbox import FOLLOW, MANY, SETTLE, Decision, Event, Inbox, Post
from hub_core.history import IN_TROUBLE
from hub_core.model import Lifecycle, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime, tzinfo

    from hub_core.alerts.channel import Channel, Rules
    from hub_core.alerts.inbox import Listener, Subject, Untold

    Maintained = Callable[[Subject], bool]
    News = list[tuple[str, Event]]
    """What a channel is told of, each with the cause it may share with others."""

_OFFLINE_AT_LEAST = timedelta(minutes=10)
"""A hub that is offline cannot tell: the beginning alone is told only of what lasts."""


class _Change(NamedTuple):
    """What became of one account, all its untold changes of status taken together."""

    subject: Subject
    ids: tuple[int, ...]
    oldest: datetime
    last: Untold

    @property
    def cause(self) -> str:
        """What accounts that changed together have in common."""
        if self.last.after in IN_TROUBLE:
            return f"{self.subject.origin} {self.last.after} {self.last.reason or ''}"
        return f"{self.subject.origin} {self.last.after}"


def decide(
    inbox: Inbox, *, zone: tzinfo, url: str | None, maintained: Maintained, settle: timedelta = SETTLE
) -> Decision:
    """Decide what is told to whom now.

    Args:
        inbox: everything that is known, as of one moment.
        zone: by whose clock on the wall quiet hours and digests go.
        url: by which people open the dashboard.
        maintained: tells whether a maintenance window of an account is open now.
        settle: how long a change waits for others of its cause, and for being undone.
    """
    decision = Decision()
    changes = list(_settled(inbox, maintained, settle))
    decision.routed = [number for change in changes for number in change.ids]
    notices = _notices(inbox, decision)
    for listener in inbox.listeners:
        news = _news(inbox, listener.channel, changes, decision) + notices
        news += _reminders(inbox, listener.channel, maintained, decision, zone)
        _send_or_keep(inbox, listener.channel, news, decision, zone=zone, url=url)
        _sum_up(inbox, listener, decision, zone=zone, url=url)
    return decision


def matches(rules: Rules, subject: Subject) -> bool:
    """Tell whether a channel is for an account at all."""
    return (not rules.tags or bool(rules.tags & set(subject.tags))) and (
        not rules.regions or subject.region in rules.regions
    )


def _settled(inbox: Inbox, maintained: Maintained, settle: timedelta) -> Iterable[_Change]:
    """Yield what is to be told now; the rest waits, and may be undone meanwhile.

    What was recorded during maintenance waits for its end: what still is wrong then, is told.
    """
    batches: dict[str, list[_Change]] = defaultdict(list)
    for change in _changes(inbox):
        if not (change.last.maintenance and maintained(change.subject)):
            batches[change.cause].append(change)
    for cause, batch in batches.items():
        oldest = min(change.oldest for change in batch)
        settled = not timedelta() <= inbox.now - oldest < settle
        before = inbox.causes.get(cause)
        follows = before is not None and timedelta() <= inbox.now - before < FOLLOW
        if (settled and not follows) or not inbox.listeners:
            yield from batch


def _changes(inbox: Inbox) -> Iterable[_Change]:
    by_account: dict[str, list[Untold]] = defaultdict(list)
    for untold in inbox.untold:
        by_account[untold.account_id].append(untold)
    for account_id, all_of_it in by_account.items():
        ids = tuple(untold.id for untold in all_of_it)
        yield _Change(inbox.subjects[account_id], ids, min(u.at for u in all_of_it), all_of_it[-1])


def _news(inbox: Inbox, channel: Channel, changes: Iterable[_Change], decision: Decision) -> News:
    """Return what a channel is told of these changes, and note what it knows from now on."""
    news: News = []
    for change in changes:
        last, subject = change.last, change.subject
        told = (channel.id, subject.id) in inbox.told
        wanted = last.after in channel.rules.statuses
        if wanted and not told and channel.enabled and matches(channel.rules, subject):
            decision.told.append((channel.id, subject.id))
            news.append((change.cause, words.trouble(subject, last.after, last.reason, last.at)))
        elif told and not wanted and last.after is not Status.UNKNOWN:
            decision.untell.append((channel.id, subject.id))
            if channel.enabled and channel.rules.recovery:
                news.append((change.cause, words.recovery(subject, last.after, last.reason, last.at)))
    return news


def _reminders(inbox: Inbox, channel: Channel, maintained: Maintained, decision: Decision, zone: tzinfo) -> News:
    news: News = []
    if not channel.enabled:
        return news
    changing = {untold.account_id for untold in inbox.untold}
    for (channel_id, account_id), told_at in inbox.told.items():
        subject = inbox.subjects.get(account_id)
        if channel_id != channel.id or subject is None or account_id in changing:
            continue
        open_still = subject.status in channel.rules.statuses and subject.lifecycle is Lifecycle.ACTIVE
        if not open_still or subject.acknowledged or maintained(subject):
            continue
        if timing.is_reminder_due(channel.rules, told_at, inbox.now, zone):
            decision.told.append((channel_id, account_id))
            news.append(("reminder", words.reminder(subject, inbox.now)))
    return news


def _notices(inbox: Inbox, decision: Decision) -> News:
    """Return news about the hub itself; what ended is told in one message."""
    news: News = []
    for notice in inbox.notices:
        if notice.ended_at is None and inbox.now - notice.at < _OFFLINE_AT_LEAST:
            continue
        decision.notices.append(notice)
        news.append(("notice", words.notice(notice.at, notice.ended_at, inbox.now)))
    return news


def _send_or_keep(
    inbox: Inbox, channel: Channel, news: News, decision: Decision, *, zone: tzinfo, url: str | None
) -> None:
    """Put news on its way, or keep it; and send what was kept when its time has come."""
    kept = [one for one in inbox.kept if one.channel_id == channel.id]
    if not channel.enabled:
        decision.unkeep += [one.id for one in kept]
        return
    if kept and timing.is_released(channel.rules, min(one.event.at for one in kept), inbox.now, zone):
        decision.unkeep += [one.id for one in kept]
        decision.posts.append(_digest(channel, [one.event for one in kept], url))
    if timing.is_kept(channel.rules, inbox.now, zone):
        decision.keep += [(channel.id, event) for _, event in news]
        return
    by_cause: dict[str, list[Event]] = defaultdict(list)
    for cause, event in news:
        by_cause[cause].append(event)
    for cause, events in by_cause.items():
        if events[0].sort is Sort.REMINDER:
            decision.posts.append(_post(channel, events, url))
        elif events[0].sort is not Sort.NOTICE and len(events) >= MANY:
            decision.posts.append(_post(channel, events, url, cause=cause))
        else:
            decision.posts += [_post(channel, [event], url) for event in events]


def _digest(channel: Channel, events: list[Event], url: str | None) -> Post:
    if len(events) == 1:
        return _post(channel, events, url)
    return Post(channel.id, Sort.DIGEST, words.digest(events, url))


def _post(channel: Channel, events: list[Event], url: str | None, *, cause: str = "") -> Post:
    if len(events) == 1:
        return Post(channel.id, events[0].sort, words.one(events[0], url), events[0].account_id)
    return Post(channel.id, events[0].sort, words.many(events, url), cause=cause)


def _sum_up(inbox: Inbox, listener: Listener, decision: Decision, *, zone: tzinfo, url: str | None) -> None:
    channel, summed_on = listener
    if channel.enabled and timing.is_summary_due(channel.rules, summed_on, inbox.now, zone):
        of_it = [subject for subject in inbox.subjects.values() if matches(channel.rules, subject)]
        decision.summed[channel.id] = inbox.now.astimezone(zone).date()
        decision.posts.append(Post(channel.id, Sort.SUMMARY, words.summary(of_it, inbox.now, url)))
