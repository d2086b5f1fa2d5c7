"""Pure: what only the past tells of a check that works: its answer was slow for this link, its key proof is overdue."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from statistics import median_low
from typing import TYPE_CHECKING, Final

from hub_core.health import latency
from hub_core.health.rhythm import JITTER, KEY_FLOOR
from hub_core.model import Observation, Outcome, Reason, ServerKind, Stage, Trigger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hub_core.health.rhythm import Rhythm
    from hub_core.model import Account, Check, Standing

DAYS: Final = 7
"""Whole days, UTC, from which the usual is learned: a week has its weekend."""

DAYS_NEEDED: Final = 3
"""Of fewer the middle one is chance."""

CHECKS_A_DAY: Final = 20
"""Measured checks that a day needs to count: of fewer, one in twenty is none. An hourly check gives 24."""

_SHARE: Final = 0.95

SLOW_TIMES: Final = 3
"""So many times the usual is slow. The usual itself is known within a bucket's width, a factor of 1.4."""

SLOW_FLOOR_MS: Final = 2000
"""Nothing faster is called slow: three times 30 ms hurts nobody."""

SLOW_NEEDED: Final = 5
"""Slow checks in a row on a schedule, 25 minutes of them: where one in fifty is, five by chance come in 3,000 years."""

QUICK_NEEDED: Final = 3
"""Quick checks in a row until it is over."""

_STILL: Final = 2 / 3
"""What is called slow has to get below this share of the limit, so that it does not come and go around it."""


def usual_ms(days: Iterable[Mapping[int, int] | None]) -> int | None:
    """Return what 19 of 20 checks do not exceed on a usual day, in milliseconds; None while too little is known.

    The middle one of days: a bad day or two do not change it, and what stays slow is usual after four.
    """
    enough = [day for day in days if day and sum(day.values()) >= CHECKS_A_DAY]
    shares = [ms for day in enough if (ms := latency.percentile(day, _SHARE)) is not None]
    return median_low(shares) if len(shares) >= DAYS_NEEDED else None


def slow_from(usual: int) -> int:
    """Return above how many milliseconds a check is slow where so many are usual."""
    return max(SLOW_TIMES * usual, SLOW_FLOOR_MS)


def overdue_from(rhythm: Rhythm, neighbours: int) -> int:
    """Return after how many light checks in a row the key proof is overdue.

    So many as lie in the time that is promised and a quarter of an hour more, were they as close as jitter makes them.
    Checks are counted, not hours: while the hub did not run, slept or was offline there were none, and after a start
    there is none before the key was proven. With 175 neighbours or more a token ends before: the account grows stale.
    """
    return ceil((rhythm.unseen(neighbours) + KEY_FLOOR) / (rhythm.interval * (1 - JITTER)))


def counted(account: Account, check: Check) -> Standing:
    """Return an account's standing with what a check adds to the counts in a row; it is not judged here."""
    standing = _paced(account.standing, check, account.usual_ms)
    if check.key_proven:
        return replace(standing, lights=0)
    return replace(standing, lights=standing.lights + 1) if check.light and not check.failure else standing


def remarked(account: Account, standing: Standing, check: Check, rhythm: Rhythm) -> Check:
    """Return a check with what the past tells of it as warnings of its read; a failed one as it is."""
    if check.failure:
        return check
    if standing.slow >= SLOW_NEEDED and account.usual_ms is not None:
        ms = check.facts.latency_ms
        measured = {} if ms is None else {"got": f"{ms} ms"}
        check = _warned(check, Reason.SLOW, {**measured, "expected": f"{account.usual_ms} ms"})
    if _overdue(account, standing, check, rhythm):
        proven = standing.key_proven_at
        waited = {} if proven is None else {"wait": str(max(round((check.at - proven).total_seconds()), 0))}
        check = _warned(check, Reason.KEY_OVERDUE, waited)
    return check


# ---- inside


def _paced(standing: Standing, check: Check, usual: int | None) -> Standing:
    if usual is None:
        return replace(standing, slow=0, quick=0)
    if check.facts.latency_ms is None or check.failure:
        return standing
    share = check.facts.latency_ms / slow_from(usual)
    scheduled = check.trigger is Trigger.SCHEDULE
    if standing.slow < SLOW_NEEDED:
        # A person who looks five times in a minute has seen one slow moment.
        return replace(standing, slow=standing.slow + scheduled if share > 1 else 0)
    if share > _STILL:
        return replace(standing, quick=0)
    over = not scheduled or standing.quick + 1 >= QUICK_NEEDED
    return replace(standing, slow=0, quick=0) if over else replace(standing, quick=standing.quick + 1)


def _overdue(account: Account, standing: Standing, check: Check, rhythm: Rhythm) -> bool:
    # Vaultwarden's token requests are shared with people who log in: nobody is urged to ask for more.
    if not check.light or account.facts.server_kind is ServerKind.VAULTWARDEN:
        return False
    return standing.lights >= overdue_from(rhythm, account.neighbours)


def _warned(check: Check, reason: Reason, evidence: Mapping[str, str]) -> Check:
    """Return a check whose read is remarked on; where it simply passed, the remark takes its place."""
    seen = list(check.observations)
    places = [place for place, one in enumerate(seen) if one.stage is Stage.READ]
    ms, place = 0, places[-1] + 1 if places else len(seen)
    if places and seen[place - 1].outcome is Outcome.PASS:
        place -= 1
        ms = seen.pop(place).ms
    seen.insert(place, Observation(Stage.READ, Outcome.WARN, reason, ms, evidence))
    return replace(check, observations=tuple(seen))
