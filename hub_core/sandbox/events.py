"""The event log of the public API: its window, its pages and the two styles of continuation token."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from hub_core.sandbox.records import identifier, members_of
from hub_core.sandbox.wire import trimmed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub_core.sandbox.organizations import SandboxOrganization

PAGE = 50
LONGEST_RANGE = timedelta(days=367)

_SHORT_PAGES = {2: 13, 3: 0}
"""Pages of the cloud that are short, or empty, and still name a next one: its table is split into partitions."""

_TYPES = (1000, 1100, 1107, 1114, 1000, 1500, 1502, 1700, 1400, 1002)
_SPACING = timedelta(minutes=140)
_EPOCH = datetime(1, 1, 1, tzinfo=UTC)
_UTC_FLAG = 1 << 62


@dataclass(frozen=True, slots=True)
class Page:
    """One page of events and the token of the next."""

    events: list[dict[str, Any]]
    token: str | None


class BadRangeError(Exception):
    """The range asked for is too long."""


class BadTokenError(Exception):
    """The cloud cannot read this continuation token."""


def events_of(organization: SandboxOrganization, now: datetime) -> list[tuple[datetime, dict[str, Any]]]:
    """Return the whole log, newest first, ending yesterday night, so that it is always fresh."""
    midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    return [
        (moment, _event(organization, number, moment))
        for number in range(organization.events)
        for moment in (midnight - timedelta(minutes=10) - number * _SPACING,)
    ]


def window(query: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    """Return the range asked for; one date alone counts for nothing and the last 30 days hold.

    Raises:
        ValueError: if a date cannot be read.
        BadRangeError: if the range is longer than 367 days.
    """
    start, end = (_date(query[name]) if query.get(name) else None for name in ("start", "end"))
    if start is None or end is None:
        midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
        return midnight - timedelta(days=30), midnight + timedelta(days=1) - timedelta(milliseconds=1)
    if start > end:
        start, end = end, start
    if end - start > LONGEST_RANGE:
        raise BadRangeError
    return start, end


def cloud_page(events: list[tuple[datetime, dict[str, Any]]], token: str | None) -> Page:
    """Return one page of the cloud, whose token is opaque.

    Raises:
        BadTokenError: if the token is not one of ours.
    """
    page, offset = _opened(token) if token else (1, 0)
    stop = offset + _SHORT_PAGES.get(page, PAGE)
    shown = [event for _, event in events[offset:stop]]
    following = base64.urlsafe_b64encode(f"{page + 1};{stop}".encode()).decode() if stop < len(events) else None
    return Page(shown, following)


def own_server_page(events: list[tuple[datetime, dict[str, Any]]], token: str | None) -> Page:
    """Return one page of an own server, whose token is the time of the last event; an unreadable one is ignored."""
    before = _moment(token) if token else None
    rest = [(moment, event) for moment, event in events if before is None or moment < before][:PAGE]
    following = str(_binary(rest[-1][0])) if len(rest) == PAGE else None
    return Page([event for _, event in rest], following)


def _event(organization: SandboxOrganization, number: int, moment: datetime) -> dict[str, Any]:
    members = members_of(organization)
    kind = 9999 if number == 20 else _TYPES[number % len(_TYPES)]  # noqa: PLR2004 - one type nobody knows yet
    return {
        "object": "event",
        "type": kind,
        "itemId": identifier(organization, "item", number % 30) if 1100 <= kind < 1200 else None,  # noqa: PLR2004 - item events
        "collectionId": None,
        "groupId": identifier(organization, "group", 0) if kind == 1400 else None,  # noqa: PLR2004 - a group event
        "policyId": identifier(organization, "policy", 0) if kind == 1700 else None,  # noqa: PLR2004 - a policy event
        "memberId": members[number % len(members)]["id"] if 1500 <= kind < 1600 else None,  # noqa: PLR2004 - member events
        "actingUserId": identifier(organization, "user", number % 12),
        "installationId": None,
        "date": trimmed(moment),
        "device": number % 14,
        "ipAddress": f"203.0.113.{number % 200 + 1}",
        "secretId": None,
        "projectId": None,
        "serviceAccountId": None,
    }


def _date(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _opened(token: str) -> tuple[int, int]:
    try:
        match = re.fullmatch(r"(\d{1,6});(\d{1,6})", base64.b64decode(token, altchars=b"-_", validate=True).decode())
    except (binascii.Error, ValueError) as error:
        raise BadTokenError from error
    if match is None:
        raise BadTokenError
    return int(match[1]), int(match[2])


def _binary(moment: datetime) -> int:
    """Write a time as .NET's `DateTime.ToBinary`: ticks of 100 ns since year 1, flagged as UTC."""
    return ((moment - _EPOCH) // timedelta(microseconds=1) * 10) | _UTC_FLAG


def _moment(token: str) -> datetime | None:
    if not re.fullmatch(r"\d{1,19}", token):
        return None
    try:
        return _EPOCH + timedelta(microseconds=(int(token) & ~_UTC_FLAG) // 10)
    except OverflowError:
        return None
