"""The use cases of maintenance windows: list, add, remove, and whether one is open for an account."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from hub_core.drafts import TAG_LIMIT, one_line
from hub_core.errors import InputError, NotFound
from hub_core.health.maintenance import WEEK, Once, Scope, Weekly, concerns, covers
from hub_core.model import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from hub_core.clock import Clock
    from hub_core.health.maintenance import Window
    from hub_core.storage.maintenance import MaintenanceTable

LONGEST = timedelta(days=31)
"""Of a single window; who wants no checks for longer pauses them."""

NOTE_LIMIT = 400
KEPT = timedelta(days=30)
"""How long a window that is over can still be seen."""

_FRESH_S = 5.0
"""A window that another process added counts after so many seconds at the latest."""


class Windows:
    """The maintenance windows of this installation; weekly ones follow its time zone."""

    def __init__(self, table: MaintenanceTable, clock: Clock, timezone: str) -> None:
        self._table = table
        self._clock = clock
        self.zone = ZoneInfo(timezone)
        self._known: Sequence[Window] = ()
        self._read_at = float("-inf")

    def list(self) -> list[Window]:
        """Return every window, those that were over lately among them, in the order they were made."""
        long_ago = self._clock.now() - KEPT
        return [
            window for window in self._table.all() if isinstance(window.rule, Weekly) or window.rule.ends > long_ago
        ]

    def add(self, scope: Scope, target: str, rule: Once | Weekly, note: str, *, actor: str) -> Window:
        """Add a window for one account, for a tag, or for all.

        Args:
            scope: for which accounts.
            target: the account's id, or the tag; ignored for all.
            rule: when; moments are aware of their time zone.
            note: what colleagues should know.
            actor: who is written into the audit trail.

        Raises:
            InputError: what has to be corrected; its field is `target`, `begins`, `ends`, `days`, `at` or `lasts`.
        """
        now = self._clock.now()
        if isinstance(rule, Once):
            # Python compares two moments of one zone as the wall shows them, which is wrong over a change of the clock.
            rule = Once(rule.begins.astimezone(UTC), rule.ends.astimezone(UTC))
        _check_rule(rule, now)
        if isinstance(rule, Weekly):
            rule = replace(rule, lasts=timedelta(seconds=round(rule.lasts.total_seconds())))
        target = _target(scope, target)
        if any((one.scope, one.target, one.rule) == (scope, target, rule) for one in self._table.all()):
            raise _wrong("begins" if isinstance(rule, Once) else "days", "There is such a window already.")
        try:
            made = self._table.add(scope, target, rule, one_line(note)[:NOTE_LIMIT], at=now, actor=actor)
        except NotFound:
            raise _wrong("target", "There is no such account; it may have been unlinked.") from None
        self._table.prune(now - KEPT)
        self._read_at = float("-inf")
        return made

    def remove(self, window_id: int, *, actor: str) -> None:
        """Remove a window, also while it is open; raises NotFound."""
        self._table.remove(window_id, at=self._clock.now(), actor=actor)
        self._read_at = float("-inf")

    def open_now(self, at: datetime | None = None) -> tuple[Window, ...]:
        """Return the windows that are open at a moment, now if none is given; seldom reads the database."""
        moment = at or self._clock.now()
        return tuple(window for window in self._lately() if covers(window, moment, self.zone))

    def open_for(self, account_id: str, tags: Iterable[str], *, since: datetime | None = None) -> bool:
        """Tell whether a window is open for an account now, or was at `since`, when a check began."""
        tags, now = tuple(tags), self._clock.now()
        return any(
            covers(window, now, self.zone) or (since is not None and covers(window, since, self.zone))
            for window in self._lately()
            if concerns(window, account_id, tags)
        )

    def _lately(self) -> Sequence[Window]:
        """Return every window as it was a few seconds ago at most."""
        monotonic = self._clock.monotonic()
        if monotonic - self._read_at >= _FRESH_S:
            self._known, self._read_at = self._table.all(), monotonic
        return self._known


def _target(scope: Scope, target: str) -> str:
    if scope is Scope.ALL:
        return ""
    if scope is Scope.ACCOUNT:
        return target
    tag = one_line(target)
    if not tag:
        raise _wrong("target", "Name the tag of the accounts that the window is for.")
    if len(tag) > TAG_LIMIT:
        raise _wrong("target", f"A tag has at most {TAG_LIMIT} characters.")
    return tag


def _check_rule(rule: Once | Weekly, now: datetime) -> None:
    """Accept a rule; raises InputError."""
    if isinstance(rule, Once):
        if rule.ends <= rule.begins:
            raise _wrong("ends", "The window ends before it begins. Give an end after its beginning.")
        if rule.ends <= now:
            raise _wrong("ends", "The window is over already. Give an end that is still to come.")
        if rule.ends - rule.begins > LONGEST:
            raise _wrong("ends", f"A window lasts at most {LONGEST.days} days. Pause the checks instead.")
        return
    if not rule.days:
        raise _wrong("days", "Choose at least one day of the week.")
    if not rule.days <= set(range(7)):
        raise _wrong("days", "Days of the week are numbered 0, Monday, to 6, Sunday.")
    if not 0 <= rule.minute < 24 * 60:
        raise _wrong("at", "Give the time of day at which the window begins, from 00:00 to 23:59.")
    if rule.lasts < timedelta(minutes=1):
        raise _wrong("lasts", "Say how long the window lasts: a minute at least.")
    if rule.lasts >= WEEK:
        raise _wrong("lasts", "A weekly window lasts less than a week. Pause the checks instead.")


def _wrong(field: str, message: str) -> InputError:
    return InputError(field, Reason.LABEL_MISSING, message)
