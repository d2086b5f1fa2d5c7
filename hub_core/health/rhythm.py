"""Pure: how often an account is checked, and when next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from hub_core.bitwarden.client import LISTS
from hub_core.health.verdict import (
    BEFORE_TOKEN,
    FAILURES_NEEDED,
    TOKEN_DOUBTS,
    WAITING,
    key_in_doubt,
    key_refused,
)
from hub_core.model import Capability, Due, Reason, Stage, Trigger

if TYPE_CHECKING:
    from datetime import datetime

    from hub_core.model import Account, Check, Standing

KEY_FLOOR: Final = timedelta(minutes=15)
TOKEN_KEPT: Final = timedelta(minutes=55)
"""An access token lasts an hour and is replaced five minutes before its end."""

REFUSAL_FIRST: Final = timedelta(minutes=15)
REFUSAL_LONGEST: Final = timedelta(days=1)
WAIT_FIRST: Final = timedelta(minutes=1)
WAIT_LONGEST: Final = timedelta(minutes=15)
INTERNAL_PAUSE: Final = timedelta(hours=1)
DEEP_EVERY: Final = timedelta(days=1)
JITTER: Final = 0.1
"""A tenth earlier or later, so that accounts that were checked together do not stay together."""

_PEOPLES_SHARE: Final = 0.25
_TROUBLED: Final = frozenset({Capability.REFUSED, Capability.FAULTY})


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What the settings say about how often is checked."""

    interval: timedelta = timedelta(minutes=5)
    token_limit: int = 8

    @property
    def routine_limit(self) -> int:
        """Token requests a minute for routine; a quarter of the budget is left to people."""
        return max(1, int(self.token_limit * (1 - _PEOPLES_SHARE)))

    def key_every(self, neighbours: int) -> timedelta:
        """Return the time between two key checks of an account that shares a token budget with its neighbours."""
        return max(self.interval, KEY_FLOOR, timedelta(minutes=neighbours / self.routine_limit))

    def unseen(self, neighbours: int) -> timedelta:
        """Return how long a rotated key can stay unseen: until the next key check, as late as jitter makes it.

        After a restart all keys are proven at the full pace of the budget; at that of routine the next round takes so
        much longer that the last ones wait for their turn.
        """
        waiting = timedelta(minutes=neighbours / self.routine_limit - neighbours / self.token_limit)
        return self.key_every(neighbours) * (1 + JITTER) + waiting

    def holds(self, neighbours: int) -> timedelta:
        """Return how long a check is believed: twice the interval, and what waiting for a fresh token may add.

        With more accounts on one origin than the budget has token requests in the life of a token, an account is
        without a token until its turn comes.
        """
        without_token = self.key_every(neighbours) - max(self.interval, TOKEN_KEPT)
        return 2 * self.interval + max(without_token, timedelta())

    def believed(self, due: Due, at: datetime, neighbours: int) -> timedelta:
        """Return how long a check made at a time is believed: longer where the next one is planned for later."""
        planned = due.next_at - at + 2 * self.interval if due.next_at else timedelta()
        return max(self.holds(neighbours), planned)


USUAL: Final = Rhythm()


def next_due(account: Account, standing: Standing, check: Check, rhythm: Rhythm, *, chance: float) -> Due:
    """Return when an account is checked next, given its standing after a check.

    `chance` is from 0 to 1 and decides where within its jitter a time lies.
    """
    due, at = account.due, check.at
    refusals = due.refusals if check.trigger is Trigger.SCHEDULE else 0
    light = at + _jittered(rhythm.interval, chance)
    reason = check.failure.reason if check.failure else None
    if reason in WAITING:
        until = at + _pause(check, due.waits, chance)
        return Due(_later(due.light_at, until), _later(due.key_at, until), due.deep_at, refusals, due.waits + 1)
    if key_refused(check):
        until = at + min(REFUSAL_FIRST * 2.0 ** min(refusals, 10) * (1 + JITTER * chance), REFUSAL_LONGEST)
        return Due(until, until, None, refusals + 1)
    if key_in_doubt(check):
        return Due(light, at, due.deep_at, refusals)
    key = at + _jittered(rhythm.key_every(account.neighbours), chance)
    if check.failure:
        light, key = _after_failure(check, standing, light=light, key=key, planned=due.key_at)
        return Due(light, key, due.deep_at, refusals)
    return _after_success(check, due, light=light, key=key if check.key_proven else _later(due.key_at, at))


def _after_success(check: Check, due: Due, *, light: datetime, key: datetime) -> Due:
    asked = check.facts.capabilities
    if check.retry_after:
        until = check.at + timedelta(seconds=check.retry_after)
        light, key = _later(light, until), _later(key, until)
    deep = due.deep_at
    if not _TROUBLED.isdisjoint(asked.values()):
        deep = None  # the next key check looks at every list again
    elif asked.keys() >= set(LISTS):
        deep = check.at + DEEP_EVERY
    return Due(light, key, deep)


def _after_failure(
    check: Check, standing: Standing, *, light: datetime, key: datetime, planned: datetime | None
) -> tuple[datetime, datetime]:
    """Return the next light and key check after a failure that is not the key's.

    Without a token there is nothing to check lightly. Where the check ended before asking for one, trying again costs
    none; where it did ask, it is tried soon until the failure is confirmed, and then as often as a key check.
    """
    failure = check.failure
    if failure and (failure.stage is Stage.TOKEN or (failure.reason in TOKEN_DOUBTS and failure.stage is Stage.READ)):
        until = light if standing.failures < FAILURES_NEEDED else key
        return until, until
    if failure and failure.stage in BEFORE_TOKEN:
        return light, _later(planned, light)
    return light, key if check.key_proven else _later(planned, light)


def _pause(check: Check, waits: int, chance: float) -> timedelta:
    if check.failure and check.failure.reason is Reason.INTERNAL:
        return INTERNAL_PAUSE
    if check.retry_after:
        span = timedelta(seconds=check.retry_after)
    else:
        span = min(WAIT_FIRST * 2.0 ** min(waits, 10), WAIT_LONGEST)
    return span * (1 + JITTER * chance)


def _jittered(span: timedelta, chance: float) -> timedelta:
    return span * (1 - JITTER + 2 * JITTER * chance)


def _later(planned: datetime | None, at: datetime) -> datetime:
    return max(planned, at) if planned else at
