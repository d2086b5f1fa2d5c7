"""What messages say, for people as text and for machines as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub_core import texts
from hub_core.alerts.channel import Sort
from hub_core.alerts.inbox import Event, Message
from hub_core.health.checks import CERTIFICATE_WARNING
from hub_core.history import IN_TROUBLE
from hub_core.model import Lifecycle, RegionId, Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hub_core.alerts.inbox import Subject
    from hub_core.model import Reason

FIRST = 20
"""So many accounts are named in one message; of the others the number."""

_WELL = frozenset({Status.HEALTHY, Status.LIMITED})


# ---- pieces of news


def trouble(subject: Subject, status: Status, reason: Reason | None, at: datetime) -> Event:
    """Say that an account is in trouble."""
    headline = f"{subject.label} is {_word(status)}"
    return _explained(_plainly(subject, Sort.TROUBLE, status, at, headline), subject, reason)


def recovery(subject: Subject, status: Status, reason: Reason | None, at: datetime) -> Event:
    """Say that an account is no longer what a channel was told."""
    if status in _WELL:
        return _plainly(subject, Sort.RECOVERY, status, at, f"{subject.label} works again")
    headline = f"{subject.label} is {_word(status)} now"
    return _explained(_plainly(subject, Sort.RECOVERY, status, at, headline), subject, reason)


def reminder(subject: Subject, now: datetime) -> Event:
    """Say that an account still is in trouble."""
    since = f" for {texts.duration((now - subject.since).total_seconds())}" if subject.since else ""
    headline = f"{subject.label} has been {_word(subject.status)}{since}"
    return _explained(_plainly(subject, Sort.REMINDER, subject.status, now, headline), subject, subject.reason)


def notice(began: datetime, ended: datetime | None, now: datetime) -> Event:
    """Say that the hub itself was, or is, offline."""
    meaning = "No server could be reached from the hub's own network, so no account was judged."
    if ended is None:
        since = texts.duration((now - began).total_seconds())
        headline = f"The hub has been offline for {since}"
        steps: tuple[str, ...] = ("Look at the network of the machine that Link Hub runs on.",)
        return Event(Sort.NOTICE, now, headline, title="Hub offline", meaning=meaning, since=began, steps=steps)
    headline = f"The hub was offline for {texts.duration((ended - began).total_seconds())} and is back"
    return Event(Sort.NOTICE, ended, headline, title="Hub was offline", meaning=meaning, since=began)


# ---- messages


def one(event: Event, url: str | None) -> Message:
    """Return the message about one piece of news."""
    headline = f"{event.headline}: {event.title}" if event.title and event.sort is not Sort.NOTICE else event.headline
    lines = [event.meaning, *(f"{number}. {step}" for number, step in enumerate(event.steps, 1))]
    lines += [f"Since {_moment(event.since)}." if event.since else "", _link(event, url)]
    return Message(headline, _text(lines), {"title": headline, "count": 1, "accounts": _accounts([event], url)})


def many(events: Sequence[Event], url: str | None) -> Message:
    """Return the message about many accounts of one cause."""
    first = events[0]
    number = len(events)
    if first.sort is Sort.REMINDER:
        title = f"{_accounts_word(number)} still in trouble"
        lines = [f"{event.headline}: {event.title}" for event in events[:FIRST]]
    elif first.sort is Sort.RECOVERY and first.status in _WELL:
        title = f"{_accounts_word(number)} work again"
        lines = [event.label for event in events[:FIRST]]
    else:
        title = f"{_accounts_word(number)} are {_word(Status(first.status))}: {first.title}"
        lines = [first.meaning, *(f"{n}. {step}" for n, step in enumerate(first.steps, 1)), ""]
        lines += [event.label for event in events[:FIRST]]
    lines += [_rest(number), url or ""]
    return Message(title, _text(lines), {"title": title, "count": number, "accounts": _accounts(events, url)})


def digest(events: Sequence[Event], url: str | None) -> Message:
    """Return the message about everything that waited."""
    title = f"{len(events)} messages since {_moment(min(event.at for event in events))}"
    lines = [f"{_moment(event.at)}  {_line(event)}" for event in events[:FIRST]]
    lines += [_rest(len(events)), url or ""]
    return Message(title, _text(lines), {"title": title, "count": len(events), "accounts": _accounts(events, url)})


def summary(subjects: Sequence[Subject], now: datetime, url: str | None) -> Message:
    """Return the daily summary: what is wrong, what failed in the last day, and what will."""
    watched = [subject for subject in subjects if subject.lifecycle is Lifecycle.ACTIVE]
    wrong = [subject for subject in watched if subject.status in IN_TROUBLE]
    over = [subject for subject in watched if subject.failed_lately and subject.status not in IN_TROUBLE]
    ending = sorted(
        (subject.certificate_ends, subject.label)
        for subject in watched
        if subject.certificate_ends and subject.certificate_ends - now <= CERTIFICATE_WARNING
    )
    invited = [subject for subject in watched if subject.invited]
    title = f"{len(wrong)} of {_accounts_word(len(watched))} need you" if wrong else _all_well(len(watched))
    lines = [
        *_part("In trouble now", [f"{s.label}: {_word(s.status)}, {_cause(s.reason)}" for s in wrong]),
        *_part("Failed in the last day, and works again", [s.label for s in over]),
        *_part("Certificates that end", [f"{label}: {ends:%Y-%m-%d}" for ends, label in ending]),
        *_part("Invitations not accepted yet", [f"{s.label}: {s.invited}" for s in invited]),
        url or "",
    ]
    data: dict[str, Any] = {
        "title": title,
        "count": len(wrong),
        "watched": len(watched),
        "accounts": _accounts([trouble(s, s.status, s.reason, s.since or now) for s in wrong], url),
        "failed_lately": [s.label for s in over[:FIRST]],
        "certificates": [{"label": label, "ends": _iso(ends)} for ends, label in ending[:FIRST]],
        "invitations": [{"label": s.label, "open": s.invited} for s in invited[:FIRST]],
    }
    return Message(title, _text(lines), data)


def test_message(name: str, url: str | None) -> Message:
    """Return the message by which a channel is tried."""
    title = f"Test of “{name}”"
    text = "Link Hub for Bitwarden can reach you here. Nothing is wrong."
    return Message(title, _text([text, url or ""]), {"title": title, "count": 0, "accounts": []})


# ---- parts


def _explained(event: Event, subject: Subject, reason: Reason | None) -> Event:
    """Add what a reason means and what to do about it."""
    if reason is None:
        return event
    own = subject.region is RegionId.SELF_HOSTED
    proven = subject.key_proven_at
    told = texts.explain(
        reason, evidence=subject.evidence, worked_until=_moment(proven) if proven else None, self_hosted=own
    )
    return event._replace(reason=reason, title=told.title, meaning=told.meaning, steps=told.steps)


def _plainly(subject: Subject, sort: Sort, status: Status, at: datetime, headline: str) -> Event:
    since = subject.since if sort is Sort.REMINDER else at
    return Event(sort, at, headline, subject.id, subject.label, subject.region, status, since=since)


def _accounts(events: Sequence[Event], url: str | None) -> list[dict[str, Any]]:
    return [
        {
            "id": event.account_id,
            "label": event.label,
            "region": event.region,
            "status": event.status,
            "reason": event.reason,
            "title": event.title,
            "meaning": event.meaning,
            "since": _iso(event.since),
            "steps": list(event.steps),
            "link": _link(event, url) or None,
            "news": event.sort,
        }
        for event in events[:FIRST]
        if event.account_id
    ]


def _link(event: Event, url: str | None) -> str:
    if url is None:
        return ""
    return f"{url}/account?account={event.account_id}" if event.account_id else url


def _line(event: Event) -> str:
    return f"{event.headline}: {event.title}" if event.title and event.account_id else event.headline


def _part(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{title}:", *lines[:FIRST], _rest(len(lines)), ""] if lines else []


def _rest(number: int) -> str:
    return f"and {number - FIRST} more" if number > FIRST else ""


def _all_well(number: int) -> str:
    return f"{_accounts_word(number)} watched, none in trouble"


def _accounts_word(number: int) -> str:
    return f"{number} account" if number == 1 else f"{number} accounts"


def _word(status: Status) -> str:
    return texts.STATUSES[status].word.lower()


def _cause(reason: Reason | None) -> str:
    return texts.REASONS[reason].title if reason else "no cause is known"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


def _text(lines: Sequence[str]) -> str:
    """Return lines as text, with no blank line at its ends and never two in a row."""
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).strip()
