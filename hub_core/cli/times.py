"""Reads times as people type them: moments, days of the week, times of day, lengths."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from hub_core.errors import InputError
from hub_core.health.maintenance import moment
from hub_core.model import Reason

if TYPE_CHECKING:
    from datetime import tzinfo

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_SHORTEST: Final = 3
_LENGTH: Final = re.compile(r"(?:(\d{1,2})\s*d)?\s*(?:(\d{1,3})\s*h)?\s*(?:(\d{1,4})\s*m(?:in)?)?")
_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def read_moment(text: str, zone: tzinfo, *, field: str) -> datetime:
    """Return the moment that `2026-11-24 02:00` means in a time zone; an offset in the text goes before.

    Of a time that comes twice when the clock is set back, a beginning is the first and an end the second.

    Raises:
        InputError: it is no time; `field` is `begins` or `ends`.
    """
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(field, Reason.LABEL_MISSING, "Give day and time as 2026-11-24 02:00.") from None
    if read.tzinfo is None:
        return moment(read, zone, last=field == "ends")
    return read.astimezone(UTC)


def read_days(text: str) -> frozenset[int]:
    """Return the days that `mon,tue` or `Monday Tuesday` means, Monday being 0; raises InputError."""
    found = set()
    for word in re.split(r"[\s,]+", text.strip().casefold()):
        meant = [n for n, day in enumerate(WEEKDAYS) if len(word) >= _SHORTEST and day.startswith(word)]
        if not meant:
            raise InputError("days", Reason.LABEL_MISSING, "Give days of the week such as mon,tue,sun.")
        found.update(meant)
    return frozenset(found)


def read_minute(text: str) -> int:
    """Return the minutes after midnight that `02:00` means; raises InputError."""
    match = _TIME.fullmatch(text.strip())
    if not match:
        raise InputError("at", Reason.LABEL_MISSING, "Give the time of day as 02:00.")
    return int(match[1]) * 60 + int(match[2])


def read_length(text: str) -> timedelta:
    """Return the span that `2h`, `90m`, `1h 30m` or `2d` means; raises InputError."""
    match = _LENGTH.fullmatch(text.strip().casefold())
    days, hours, minutes = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    if not days + hours + minutes:
        raise InputError("lasts", Reason.LABEL_MISSING, "Say how long it lasts, as 2h, 90m or 1h 30m.")
    return timedelta(days=days, hours=hours, minutes=minutes)
