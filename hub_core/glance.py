"""The state of every account at one glance: one snapshot in memory for everybody who looks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from hub_core.health.maintenance import concerns
from hub_core.health.rollup import hour_of

if TYPE_CHECKING:
    from datetime import datetime

    from hub_core.clock import Clock
    from hub_core.health.maintenance import Window
    from hub_core.history import Incident, Uptime
    from hub_core.storage.glancing import Line
    from hub_core.storage.store import AccountRow, Store
    from hub_core.watching import QueueState, Watching
    from hub_core.windows import Windows

EVERY_S = 2.0
"""The database is read no more often than that, however many look."""


class GlanceLine(NamedTuple):
    """One account at a glance."""

    row: AccountRow
    pulse: str
    """Letters of `Pulse` for the last checks, thirty at most, oldest first."""
    latencies: tuple[int | None, ...]
    """Milliseconds, of the same checks."""
    uptime: Uptime
    incident: Incident | None
    """The open one."""
    maintenance: bool
    """A maintenance window is open for it."""


@dataclass(frozen=True, slots=True)
class Glance:
    """Every account at one moment."""

    version: int
    """Another one for everything that is different."""
    at: datetime
    """When it was read; it stands for later moments too, for as long as nothing changes."""
    lines: tuple[GlanceLine, ...]
    """In no particular order."""
    queue: QueueState
    nobody_since: datetime | None
    offline_since: datetime | None


class Glances:
    """Keeps the one snapshot, and reads only what has changed."""

    def __init__(self, store: Store, watching: Watching, windows: Windows, clock: Clock) -> None:
        self._store = store
        self._watching = watching
        self._clock = clock
        self._windows = windows
        self._turn = threading.Lock()
        self._kept: Glance | None = None
        self._read_at = 0.0
        self._mark = 0
        self._stored: dict[str, Line] = {}
        self._lines: dict[str, GlanceLine] = {}
        self._hours: set[int] = set()
        """In which they were read: time alone changes the uptime of those of another hour."""
        self._open: tuple[Window, ...] = ()

    def latest(self, *, fresh: bool = False) -> Glance:
        """Return the state of all accounts: two seconds old at most, or of now if `fresh`; raises StorageError.

        The same object as before while nothing has changed. Whoever asks while somebody else is reading gets what
        was read before.
        """
        if not fresh and self._kept and not self._is_due():
            return self._kept
        if not self._turn.acquire(blocking=fresh or self._kept is None):
            return self._kept or self.latest()
        try:
            if fresh or self._kept is None or self._is_due():
                self._read_at = self._clock.monotonic()
                self._kept = self._read(self._kept)
            return self._kept
        finally:
            self._turn.release()

    def _is_due(self) -> bool:
        return self._clock.monotonic() - self._read_at >= EVERY_S

    def _read(self, before: Glance | None) -> Glance:
        now, mark = self._clock.now(), self._store.database.mark()
        hour = hour_of(now)
        stored = self._stored
        if before is None or mark != self._mark or self._hours - {hour}:
            stored = self._store.lines(stored, now)
            self._hours = {line.hour for line in stored.values()}
        open_now = self._windows.open_now(now)
        if stored is not self._stored or open_now != self._open:
            self._lines = self._drawn(stored, open_now)
        self._stored, self._mark, self._open = stored, mark, open_now
        made = Glance(
            before.version if before else 0,
            before.at if before else now,
            tuple(self._lines.values()),
            self._watching.queue(),
            self._watching.nobody_since(),
            self._watching.offline_since(),
        )
        return before if before and made == before else replace(made, version=made.version + 1, at=now)

    def _drawn(self, stored: dict[str, Line], windows: tuple[Window, ...]) -> dict[str, GlanceLine]:
        """Return the lines to show; those that are as before are the same objects."""
        drawn = {}
        for account_id, line in stored.items():
            maintenance = bool(windows) and any(concerns(window, account_id, line.row.tags) for window in windows)
            made = self._lines.get(account_id)
            if made is None or line is not self._stored.get(account_id) or made.maintenance is not maintenance:
                made = GlanceLine(line.row, line.pulse, line.latencies, line.uptime, line.incident, maintenance)
            drawn[account_id] = made
        return drawn
