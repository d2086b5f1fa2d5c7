"""Pure: what a check does to an account: its standing, the change of status, what is known, the next check."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from hub_core.health import changes, usual
from hub_core.health.rhythm import USUAL, next_due
from hub_core.health.verdict import FAILURES_NEEDED, found, judge, key_in_doubt
from hub_core.model import Capability, Facts, Lifecycle, Reason, Standing, Status, Transition, Trigger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hub_core.health.rhythm import Rhythm
    from hub_core.history import Change
    from hub_core.model import Account, Check, Due

SUCCESSES_NEEDED = 4
"""Good checks in a row before an account that comes and goes is believed again: a quarter of an hour, usually.

Three fit into ten minutes, and a server that came for ten minutes each half hour was believed now and then."""

FLAPPING = timedelta(hours=1)
"""Who is unreachable again so soon after recovering comes and goes."""

_WORKING = frozenset({Status.HEALTHY, Status.LIMITED, Status.DEGRADED})


def advance(
    standing: Standing, check: Check, known: Mapping[str, Capability] | None = None
) -> tuple[Standing, Transition | None]:
    """Return the standing after a check, and the change of status if there was one.

    What a person asked for is judged at once. On a schedule an account is unreachable only after `FAILURES_NEEDED`
    checks in a row, counted from the first; one that came and went needs `SUCCESSES_NEEDED` good ones to recover.
    """
    verdict = None if key_in_doubt(check) else judge(check, known)
    clocks = replace(
        standing,
        # A clock that was set back leaves nothing that began in the future.
        since=min(standing.since, check.at) if standing.since else None,
        checked_at=check.at if verdict else standing.checked_at,
        link_proven_at=check.at if check.link_proven else standing.link_proven_at,
        key_proven_at=check.at if check.key_proven else standing.key_proven_at,
    )
    if verdict is None:
        return clocks, None
    status, reason = verdict
    if (
        standing.reason is Reason.MEMBERS_EMPTY
        and status in _WORKING
        and "/public/members" not in check.facts.capabilities
    ):
        return clocks, None  # found in a list that this check did not ask
    if status is Status.UNREACHABLE:
        return _unreachable(clocks, check, reason)
    if standing.status is Status.UNREACHABLE and status in _WORKING:
        return _recovered(clocks, check, status, reason)
    return _moved(replace(clocks, failures=0, first_failure_at=None, successes=0), status, reason, check.at)


def _unreachable(standing: Standing, check: Check, reason: Reason | None) -> tuple[Standing, Transition | None]:
    first = min(standing.first_failure_at or check.at, check.at)  # a clock that was set back dates nothing ahead
    counted = replace(standing, failures=standing.failures + 1, first_failure_at=first, successes=0)
    confirmed = check.trigger is not Trigger.SCHEDULE or counted.failures >= FAILURES_NEEDED
    if standing.status is not Status.UNREACHABLE and not confirmed:
        return counted, None
    return _moved(counted, Status.UNREACHABLE, reason, first)


def _recovered(
    standing: Standing, check: Check, status: Status, reason: Reason | None
) -> tuple[Standing, Transition | None]:
    fallen, back = standing.since, standing.recovered_at
    flapping = bool(fallen and back and timedelta() <= fallen - back < FLAPPING)
    good = standing.successes + 1
    if flapping and check.trigger is Trigger.SCHEDULE and good < SUCCESSES_NEEDED:
        return replace(standing, successes=good), None
    clean = replace(standing, failures=0, first_failure_at=None, successes=0, recovered_at=check.at)
    return _moved(clean, status, reason, check.at)


def _moved(
    standing: Standing, status: Status, reason: Reason | None, at: datetime
) -> tuple[Standing, Transition | None]:
    if status is standing.status:
        return replace(standing, reason=reason), None
    after = replace(standing, status=status, reason=reason, since=at)
    return after, Transition(at, standing.status, status, reason)


class Step(NamedTuple):
    """What one check does to an account."""

    standing: Standing
    transition: Transition | None
    facts: Facts
    due: Due
    check: Check
    """The check itself, with what only the past tells of it."""
    found: tuple[Status, Reason | None] = (Status.UNKNOWN, None)
    """What the check found by itself, whatever the standing makes of it; unknown where it judged nothing."""
    holds: timedelta = timedelta()
    """How long it is believed."""
    changes: tuple[Change, ...] = ()
    """Facts that are other than before."""


def step(account: Account, check: Check, rhythm: Rhythm = USUAL, *, chance: float = 0.5) -> Step:
    """Return an account's standing, change of status, facts and next checks after a check.

    `chance` is from 0 to 1 and decides where within its jitter the next check lies.
    """
    counted = usual.counted(account, check)
    check = usual.remarked(account, counted, check, rhythm)
    standing, transition = advance(counted, check, account.facts.capabilities)
    due = next_due(account, standing, check, rhythm, chance=chance)
    facts = merge_facts(account.facts, check.facts)
    return Step(
        standing,
        transition,
        facts,
        due,
        check,
        found(check, account.facts.capabilities),
        rhythm.believed(due, check.at, account.neighbours),
        tuple(changes.of_facts(account.facts, facts, check.at)),
    )


def merge_facts(known: Facts, learned: Facts) -> Facts:
    """Return what is known after a check: what it did not get to see stays as it was."""
    news = {f.name: value for f in fields(Facts) if (value := getattr(learned, f.name)) not in (None, (), {})}
    if learned.server_kind:
        news |= {name: getattr(learned, name) for name in ("server_name", "server_version", "vault", "skew_seconds")}
    merged = replace(known, **news)
    judged = {path for path, answer in learned.capabilities.items() if answer is not Capability.FAULTY}
    gone = {path for path in judged if learned.capabilities[path] is not Capability.READABLE}
    return replace(
        merged,
        capabilities={**known.capabilities, **learned.capabilities},
        # A list that can no longer be read has no number; one that broke keeps its last good one.
        counts={name: n for name, n in known.counts.items() if f"/public/{name}" not in judged} | dict(learned.counts),
        members=None if "/public/members" in gone else merged.members,
        seats=learned.seats if "/public/organization/subscription" in judged else known.seats,
    )


def is_stale(checked_at: datetime | None, lifecycle: Lifecycle, *, now: datetime, holds: timedelta) -> bool:
    """Tell whether the last check is too old to believe the status: further from now than a check holds."""
    if lifecycle is Lifecycle.PAUSED:
        return False
    # A check from the future was dated by a clock that has been set back since.
    return checked_at is None or abs(now - checked_at) > holds
