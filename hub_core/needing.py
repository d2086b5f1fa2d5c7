"""Decides what needs a person: one entry for each account in trouble, or for many with one cause."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from hub_core import showing, texts
from hub_core.model import Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from hub_core.glance import GlanceLine
    from hub_core.texts import StatusText

OWN_REMEDIES = frozenset({Remedy.RELINK, Remedy.CHOOSE_REGION, Remedy.ASK_OWNER, Remedy.CORRECT_INPUT})
"""What can only be done for one account at a time, however many fail alike."""

FEW = 3
"""So many accounts that need their key are listed one by one."""

_NEEDY = frozenset(
    text.word
    for text in showing.WORST_FIRST
    if text.color in {"red", "orange"} or text is texts.STALE  # locked, failing, unreachable, degraded, stale
)


class Line(NamedTuple):
    """An account at a glance, and how it is shown now."""

    seen: GlanceLine
    text: StatusText


class Need(NamedTuple):
    """Something a person has to see to."""

    text: StatusText
    lines: tuple[Line, ...]
    """The accounts, at least one."""
    title: str
    """The label of the account, or how many they are and where."""
    host: str
    """The server many have in common; empty for one account."""
    cause: str
    since: datetime | None
    remedy: Remedy
    seen_by: str
    """Who acknowledged it; empty while nobody has."""


def needs_attention(line: Line) -> bool:
    """Tell whether a person should look at this account now; during a maintenance window nobody needs to."""
    return line.text.word in _NEEDY and not line.seen.maintenance


def needing(lines: Iterable[Line]) -> list[Need]:
    """Return what needs a person, worst first; what somebody has acknowledged comes after what nobody has."""
    groups: dict[tuple[str, ...], list[Line]] = defaultdict(list)
    for line in lines:
        if needs_attention(line):
            groups[_kind(line)].append(line)
    locked = groups.get((texts.LOCKED.word,), [])
    if len(locked) <= FEW:
        groups.pop((texts.LOCKED.word,), None)
        groups |= {(texts.LOCKED.word, line.seen.row.id): [line] for line in locked}
    return sorted((_need(group) for group in groups.values()), key=_urgency)


# ---- inside


def _kind(line: Line) -> tuple[str, ...]:
    """Return what accounts have in common that need one person once."""
    row, word = line.seen.row, line.text.word
    if word in {texts.STALE.word, texts.LOCKED.word}:
        return (word,)
    if row.reason is None or texts.REASONS[row.reason].remedy in OWN_REMEDIES:
        return (word, row.id)
    return (word, row.reason, row.identity_origin)


def _need(group: Sequence[Line]) -> Need:
    first = group[0]
    row, word = first.seen.row, first.text.word
    host = "" if len(group) == 1 else urlsplit(row.identity_origin).netloc
    if word == texts.STALE.word:
        cause, remedy, host = "no recent check, so nothing is known about now", Remedy.WAIT, ""
    elif word == texts.LOCKED.word:
        cause, remedy, host = "the stored secret was given up", Remedy.RELINK, ""
    elif row.reason:
        cause, remedy = texts.REASONS[row.reason].title, texts.REASONS[row.reason].remedy
    else:
        cause, remedy = first.text.meaning, Remedy.NOTHING
    begun = [
        at for line in group if (at := line.seen.row.checked_at if word == texts.STALE.word else line.seen.row.since)
    ]
    return Need(
        text=first.text,
        lines=tuple(group),
        title=row.label if len(group) == 1 else f"{len(group)} accounts" + (f" on {host}" if host else ""),
        host=host,
        cause=cause,
        since=min(begun, default=None),
        remedy=remedy,
        seen_by=_acknowledged_by(group),
    )


def _acknowledged_by(group: Sequence[Line]) -> str:
    """Return who has seen to it, if every account of the group was acknowledged."""
    incidents = [line.seen.incident for line in group]
    if all(incident and incident.acknowledged_at for incident in incidents):
        return next((incident.acknowledged_by for incident in incidents if incident), "")
    return ""


def _urgency(need: Need) -> tuple[bool, bool, int, int, float]:
    """Order by who has seen it, how bad it is, how many it concerns, and the latest first.

    A server that is down for many stands before the refused keys of a few: both are red.
    """
    return (
        bool(need.seen_by),
        need.text.color != "red",
        -len(need.lines) if need.text.color == "red" else 0,
        showing.RANK[need.text.word],
        -need.since.timestamp() if need.since else 0.0,
    )
