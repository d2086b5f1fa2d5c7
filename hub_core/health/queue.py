"""Decides whose turn it is: importance, places overall and at each host, and the pace each server can bear."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from hub_core.model import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hub_core.health.rhythm import Rhythm
    from hub_core.storage.schedule import DueRow
    from hub_core.storage.workload import Waiting

AT_ONCE = 10
"""Scheduled checks at the same time."""

AT_ONCE_PER_HOST = 3
"""How many of them at one API origin, so that one slow server keeps no place from the others."""

GETS_A_MINUTE = 150
"""Checks that begin in a minute at one API origin; each asks a path once, and the cloud allows 200 (monitors.md 0)."""

_MINUTE = 60.0
_CATCHING_UP = 3
"""Turns that came late may be made up for; the budget in the database has the last word."""

LIGHT_S = 1.0
"""What a light check is taken to need when the time for many is estimated."""

_AT_REST = frozenset({Status.HEALTHY, Status.LIMITED})


class Turn(NamedTuple):
    """A check that may begin now."""

    row: DueRow
    light: bool
    limit: int
    """Token requests a minute that it has to keep to."""


class Queue:
    """Remembers what began when, by a counter of seconds that never jumps."""

    def __init__(self, rhythm: Rhythm) -> None:
        self._rhythm = rhythm
        self._began: defaultdict[str, deque[float]] = defaultdict(deque)
        self._next_token: dict[str, float] = {}
        self.crowded = False
        """Whether somebody was left out of the last choice for want of a place: then an end of a check changes it."""

    def choose(
        self, due: Iterable[DueRow], *, running: Sequence[str], has_token: Callable[[DueRow], bool], at: float
    ) -> list[Turn]:
        """Return the checks that may begin at this moment, the most important first.

        `running` holds the API origin of every check that has not ended.
        """
        places, at_host = AT_ONCE - len(running), Counter(running)
        chosen: list[Turn] = []
        self.crowded = False
        for row in sorted(due, key=lambda row: _importance(row, bare=not has_token(row))):
            if len(chosen) >= places:
                self.crowded = True
                break
            if at_host[row.api_origin] >= AT_ONCE_PER_HOST:
                self.crowded = True
                continue
            if not self._bears(row.api_origin, at):
                continue
            kept = has_token(row)
            # Whoever has no token cannot be judged at all: then the share that is left to people is used, too.
            limit = self._rhythm.routine_limit if kept else self._rhythm.token_limit
            light = kept and not row.key_due
            if not light and not self._token_free(row.identity_origin, limit, at):
                if not (kept and row.light_due):
                    continue
                light = True  # the key has to wait for its turn; whether the link works need not
            at_host[row.api_origin] += 1
            self._began[row.api_origin].append(at)
            chosen.append(Turn(row, light, limit))
        return chosen

    def give_back(self, turn: Turn) -> None:
        """Leave a token request to others: the check ended before it asked for one."""
        if turn.row.identity_origin in self._next_token:
            self._next_token[turn.row.identity_origin] -= _MINUTE / turn.limit

    def hold(self, identity_origin: str, until: float) -> None:
        """Begin no key check there before: somebody else has used the budget up."""
        self._next_token[identity_origin] = max(self._next_token.get(identity_origin, until), until)

    def _bears(self, origin: str, at: float) -> bool:
        began = self._began[origin]
        while began and began[0] <= at - _MINUTE:
            began.popleft()
        return len(began) < GETS_A_MINUTE

    def _token_free(self, origin: str, limit: int, at: float) -> bool:
        """Take the next of the evenly spaced token requests, if its time has come.

        Evenly, because a burst would leave nothing for a person who asks for a check in the rest of the minute.
        """
        spacing = _MINUTE / limit
        free = self._next_token.get(origin, at)
        if free > at:
            return False
        self._next_token[origin] = max(free, at - _CATCHING_UP * spacing) + spacing
        return True


def _importance(row: DueRow, *, bare: bool) -> tuple[bool, bool, float]:
    """Put what is in trouble first, then who cannot be checked without a token, then what has waited longest.

    Who has a token and wants a fresh one has waited since the key was proven; everybody else since the last check.
    """
    since = row.key_proven_at if row.key_due and row.key_proven_at and not bare else row.checked_at
    return row.status in _AT_REST, not bare, since.timestamp() if since else 0.0


def time_for(waiting: Iterable[Waiting], rhythm: Rhythm) -> timedelta | None:
    """Return how long it takes to check everything that is due; None when nothing is.

    Key checks take as long as the token requests of their identity origin, light ones as long as their places and the
    reads a minute that a server bears.
    """
    busy = [one for one in waiting if one.light + one.key + one.bare]
    if not busy:
        return None
    lights = sum(one.light for one in busy)
    return timedelta(seconds=max(lights * LIGHT_S / AT_ONCE, *(_seconds_at(one, rhythm) for one in busy)))


def _seconds_at(origin: Waiting, rhythm: Rhythm) -> float:
    tokens = origin.bare * _MINUTE / rhythm.token_limit + origin.key * _MINUTE / rhythm.routine_limit
    lights = origin.light * max(LIGHT_S / AT_ONCE_PER_HOST, _MINUTE / GETS_A_MINUTE)
    return origin.held.total_seconds() + max(tokens, lights)
