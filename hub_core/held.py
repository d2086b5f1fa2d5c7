"""Keeps what a person entered between two clicks: in memory, for five minutes, for whoever has the ticket.

For the one question in between ("try the same key in EU?"), so that the secret needs neither typing again nor a place
in the page's state.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from datetime import datetime

    from hub_core.clock import Clock
    from hub_core.drafts import Draft, Form
    from hub_core.model import ApiKey

HELD_FOR = timedelta(minutes=5)


class Held:
    """Entries by ticket; each is given out once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[datetime, Draft | Form | ApiKey]] = {}
        self._lock = threading.Lock()

    def put(self, entry: Draft | Form | ApiKey) -> str:
        """Keep an entry and return its ticket; those that have expired are dropped."""
        ticket, now = str(uuid4()), self._clock.now()
        with self._lock:
            self._kept = {t: kept for t, kept in self._kept.items() if now - kept[0] < HELD_FOR}
            self._kept[ticket] = (now, entry)
        return ticket

    def take(self, ticket: str) -> Draft | Form | ApiKey | None:
        """Return an entry, once; None when it was taken or has expired."""
        with self._lock:
            kept = self._kept.pop(ticket, None)
        return kept[1] if kept and self._clock.now() - kept[0] < HELD_FOR else None
