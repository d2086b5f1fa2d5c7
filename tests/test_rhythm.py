"""When an account is checked next: the rhythm's formula, and a table of what each kind of check plans."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_core.bitwarden.client import LISTS
from hub_core.health import status
from hub_core.health.rhythm import USUAL, Rhythm, next_due
from hub_core.model import (
    Account,
    Capability,
    Check,
    Due,
    Endpoints,
    Facts,
    Lifecycle,
    Observation,
    Outcome,
    Reason,
    RegionId,
    Stage,
    Standing,
    Status,
    Trigger,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PLANNED = Due(NOON, NOON + 10 * MINUTE, NOON + 6 * HOUR)
"""A light check is due at noon, a key check ten minutes later."""

HEALTHY = Standing(Status.HEALTHY, None, NOON - DAY, NOON - 5 * MINUTE, NOON - 5 * MINUTE, NOON - 5 * MINUTE)
PASS, SKIP, FAIL = Outcome.PASS, Outcome.SKIP, Outcome.FAIL


def account(due: Due = PLANNED, standing: Standing = HEALTHY, neighbours: int = 1) -> Account:
    place = Endpoints(RegionId.US, "https://identity.bitwarden.com", "https://api.bitwarden.com")
    who = Account(
        "id", "Label", place, "organization.x", None, (), "", Lifecycle.ACTIVE, "", NOON, NOON, standing, Facts()
    )
    return replace(who, due=due, neighbours=neighbours)


def check(
    *seen: tuple[Stage, Outcome] | tuple[Stage, Outcome, Reason],
    trigger: Trigger = Trigger.SCHEDULE,
    lists: dict[str, Capability] | None = None,
    retry_after: int | None = None,
    at: datetime = NOON,
) -> Check:
    made = tuple(Observation(*one) for one in seen)
    return Check(at, trigger, made, Facts(capabilities=lists or {}), retry_after)


def planned(seen: Check, due: Due = PLANNED, *, failures: int = 0, neighbours: int = 1) -> Due:
    standing = replace(HEALTHY, failures=failures)
    return next_due(account(due, neighbours=neighbours), standing, seen, USUAL, chance=0.5)


ONE = {LISTS[0]: Capability.READABLE}
ALL = dict.fromkeys(LISTS, Capability.READABLE)
LIGHT_WELL = check((Stage.TOKEN, SKIP), (Stage.READ, PASS), lists=ONE)
KEY_WELL = check((Stage.TOKEN, PASS), (Stage.READ, PASS), lists=ONE)
DEEP_WELL = check((Stage.TOKEN, PASS), (Stage.READ, PASS), lists=ALL)
REFUSED = check((Stage.TOKEN, FAIL, Reason.KEY_NO_LONGER_ACCEPTED))
DOUBTED = check((Stage.TOKEN, SKIP), (Stage.READ, FAIL, Reason.TOKEN_REFUSED))
UNREACHED = check((Stage.REACH, FAIL, Reason.CONNECTION_TIMEOUT))
TOKEN_BROKEN = check((Stage.TOKEN, FAIL, Reason.TOKEN_FAULT))
LIMITED = check((Stage.TOKEN, PASS), (Stage.READ, FAIL, Reason.RATE_LIMITED))
CRASHED = check((Stage.FORMAT, FAIL, Reason.INTERNAL))


@pytest.mark.parametrize(
    ("neighbours", "limit", "minutes"), [(1, 8, 15), (90, 8, 15), (120, 8, 20), (200, 8, 200 / 6), (200, 60, 15)]
)
def test_a_key_check_comes_as_often_as_three_quarters_of_the_budget_allow(
    neighbours: int, limit: int, minutes: float
) -> None:
    """Every fifteen minutes, or as often as N accounts on one origin can share what people leave."""
    assert Rhythm(token_limit=limit).key_every(neighbours) == timedelta(minutes=minutes)


def test_a_check_holds_for_two_intervals_and_for_the_wait_without_a_token() -> None:
    """With more accounts than tokens can be renewed in their life, the wait for a turn is not called stale."""
    assert USUAL.holds(1) == USUAL.holds(330) == 10 * MINUTE
    assert USUAL.holds(660) == 10 * MINUTE + 55 * MINUTE
    assert Rhythm(timedelta(hours=12)).holds(1) == DAY


def test_how_long_a_rotated_key_can_stay_unseen_is_the_latest_key_check() -> None:
    """Jitter may put the next key check a tenth later, and the last of many wait for their turn after a restart."""
    assert USUAL.unseen(24) == 15 * MINUTE * 1.1 + MINUTE
    assert USUAL.unseen(200) == timedelta(minutes=200 / 6) * 1.1 + timedelta(minutes=200 / 6 - 200 / 8)


@pytest.mark.parametrize(
    ("seen", "light", "key"),
    [
        pytest.param(LIGHT_WELL, 5, 10, id="a light check leaves the key check where it is"),
        pytest.param(KEY_WELL, 5, 15, id="a key check stands for the light one, too"),
        pytest.param(REFUSED, 15.75, 15.75, id="a refusal is left alone for a quarter of an hour"),
        pytest.param(DOUBTED, 5, 0, id="a kept token that is refused wants a fresh one at once"),
        pytest.param(UNREACHED, 5, 10, id="who cannot be reached is tried again in an interval"),
        pytest.param(TOKEN_BROKEN, 5, 5, id="a broken token request is confirmed soon"),
        pytest.param(LIMITED, 1.05, 10, id="told to wait, without saying how long: a minute"),
        pytest.param(CRASHED, 60, 60, id="what failed inside the hub waits for an hour"),
    ],
)
def test_each_kind_of_check_plans_the_next(seen: Check, light: float, key: float) -> None:
    """The table of next light and next key check, in minutes, in the middle of the jitter."""
    due = planned(seen)
    assert due.light_at is not None
    assert due.key_at is not None
    assert (due.light_at - NOON, due.key_at - NOON) == (light * MINUTE, key * MINUTE)


def test_a_refusal_is_tried_again_ever_more_rarely_until_a_person_acts() -> None:
    """Fifteen minutes, doubling to a day; a person's own check begins anew."""
    due, gaps = PLANNED, []
    for _ in range(9):
        due = planned(REFUSED, due)
        assert due.next_at is not None
        gaps.append((due.next_at - NOON) / MINUTE)
    assert gaps[:3] == [15.75, 31.5, 63.0]
    assert gaps[-1] == DAY / MINUTE
    by_person = planned(Check(NOON, Trigger.MANUAL, REFUSED.observations), due)
    assert by_person.refusals == 1
    assert planned(KEY_WELL, due).refusals == 0


def test_being_told_to_wait_is_obeyed_and_grows_without_a_time() -> None:
    """`Retry-After` counts, with a little on top; without it the wait doubles to a quarter of an hour."""
    told = check((Stage.TOKEN, FAIL, Reason.RATE_LIMITED), retry_after=600)
    assert planned(told).light_at == NOON + 10 * MINUTE * 1.05
    due, gaps = PLANNED, []
    for _ in range(6):
        due = planned(LIMITED, Due(NOON, NOON, waits=due.waits))
        assert due.next_at
        gaps.append(round((due.next_at - NOON) / MINUTE / 1.05, 3))
    assert gaps == [1, 2, 4, 8, 15, 15]
    assert planned(LIGHT_WELL, due).waits == 0


def test_a_broken_token_request_is_not_repeated_often_once_confirmed() -> None:
    """Each try costs a token request that others need."""
    assert planned(TOKEN_BROKEN, failures=3).next_at == NOON + 15 * MINUTE


def test_every_list_is_asked_once_a_day_and_again_while_one_is_in_trouble() -> None:
    """A check of one list leaves the plan; a broken list is looked at by the next key check."""
    assert planned(KEY_WELL).deep_at == PLANNED.deep_at
    assert planned(DEEP_WELL).deep_at == NOON + DAY
    broken = check((Stage.TOKEN, PASS), (Stage.READ, PASS), lists=ALL | {LISTS[1]: Capability.FAULTY})
    assert planned(broken).deep_at is None


OBSERVATIONS: st.SearchStrategy[Sequence[Observation]] = st.lists(
    st.builds(
        lambda stage, outcome, reason: Observation(stage, outcome, None if outcome in {PASS, SKIP} else reason),
        st.sampled_from(list(Stage)),
        st.sampled_from(list(Outcome)),
        st.sampled_from(list(Reason)),
    ),
    max_size=6,
)
TIMES = st.integers(-5_000_000, 5_000_000).map(lambda s: NOON + timedelta(seconds=s))


@given(
    st.lists(
        st.tuples(
            OBSERVATIONS, st.sampled_from([Trigger.SCHEDULE, Trigger.MANUAL]), st.none() | st.integers(1, 3600), TIMES
        ),
        max_size=8,
    ),
    st.floats(0, 1),
    st.integers(1, 400),
)
def test_whatever_happens_the_next_check_is_neither_past_nor_lost(
    history: list[tuple[Sequence[Observation], Trigger, int | None, datetime]], chance: float, neighbours: int
) -> None:
    """After any checks, with clocks that jump, the next is planned, not before now, and within a day of it.

    Only what was planned by a clock that was ahead can lie further; the schedule then takes it for due.
    """
    present, latest = account(Due(), Standing(), neighbours), NOON - 365 * DAY
    for seen, trigger, retry_after, at in history:
        made = Check(at, trigger, tuple(seen), Facts(), retry_after)
        done = status.step(present, made, USUAL, chance=chance)
        present = replace(present, standing=done.standing, due=done.due)
        latest = max(latest, at)
        assert done.due.next_at is not None
        assert at <= done.due.next_at <= latest + DAY + HOUR
