"""What only the past tells of a check: slow against the link's own usual, and a key proof that is overdue."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_core.clock import Clock
from hub_core.health import latency, status, usual
from hub_core.health.rhythm import JITTER, TOKEN_KEPT, USUAL, Rhythm
from hub_core.hub import Hub
from hub_core.model import (
    Account,
    Capability,
    Check,
    Endpoints,
    Facts,
    Lifecycle,
    Observation,
    Outcome,
    Reason,
    RegionId,
    ServerKind,
    Stage,
    Standing,
    Status,
    Trigger,
)
from hub_core.storage.sums import Keep
from tests.scaled import organizations, proven, store_linked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hub_core.health.status import Step
    from hub_core.settings import Settings

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PLACE = Endpoints(RegionId.US, "https://identity.bitwarden.com", "https://api.bitwarden.com")
READABLE = {"/public/policies": Capability.READABLE}
KEPT, FRESH = Observation(Stage.TOKEN, Outcome.SKIP), Observation(Stage.TOKEN, Outcome.PASS)
READ = Observation(Stage.READ, Outcome.PASS, None, 9)
LIMIT = 3000
"""Above it a check is slow where 1,000 ms are usual."""

SLOW, BETWEEN, QUICK = LIMIT + 1, 2500, 2000
HEALTHY = Standing(Status.HEALTHY, None, NOON, NOON, NOON, NOON)


def account(usual_ms: int | None = 1000, *, kind: ServerKind = ServerKind.OFFICIAL, neighbours: int = 1) -> Account:
    return Account(
        "id", "Label", PLACE, "organization.x", None, (), "", Lifecycle.ACTIVE, "", NOON, NOON, HEALTHY,
        Facts(server_kind=kind), neighbours=neighbours, usual_ms=usual_ms,
    )  # fmt: skip


def check(
    ms: int | None = 40, *, fresh: bool = True, trigger: Trigger = Trigger.SCHEDULE, at: datetime = NOON
) -> Check:
    return Check(at, trigger, (FRESH if fresh else KEPT, READ), Facts(capabilities=READABLE, latency_ms=ms))


def light(ms: int = 40, at: datetime = NOON) -> Check:
    return check(ms, fresh=False, at=at)


def failed(reason: Reason = Reason.CONNECTION_TIMEOUT) -> Check:
    return Check(NOON, Trigger.SCHEDULE, (Observation(Stage.REACH, Outcome.FAIL, reason),))


def after(who: Account, checks: Iterable[Check], rhythm: Rhythm = USUAL) -> list[Step]:
    """Return what each of some checks did, five minutes apart."""
    steps = []
    for number, one in enumerate(checks, 1):
        done = status.step(who, replace(one, at=NOON + number * 5 * MINUTE), rhythm)
        who = replace(who, standing=done.standing, facts=done.facts, due=done.due)
        steps.append(done)
    return steps


def reasons(steps: Iterable[Step]) -> list[Reason | None]:
    return [done.standing.reason for done in steps]


# ---- what is usual


def day(ms: int, checks: int = 288) -> latency.Buckets:
    return latency.count([ms] * checks)


def test_the_usual_is_the_middle_of_the_days() -> None:
    """A bad day or two among seven do not change it, and what has been slow for four is usual."""
    quiet = usual.usual_ms([day(200)] * 7)
    assert quiet
    assert 181 <= quiet <= 256
    assert usual.usual_ms([day(200)] * 4 + [day(9000)] * 3) == quiet
    grown = usual.usual_ms([day(200)] * 3 + [day(9000)] * 4)
    assert grown
    assert grown > 8000


def test_the_usual_is_what_most_checks_do_not_exceed() -> None:
    """One check in thirty that takes seconds is no measure of a day; one in ten is."""
    few, many = (latency.count([100] * (300 - slow) + [5000] * slow) for slow in (10, 30))
    assert (usual.usual_ms([few] * 3) or 0) < 200
    assert (usual.usual_ms([many] * 3) or 0) > 4000


@pytest.mark.parametrize(
    "days",
    [[], [None] * 7, [day(200)] * 2, [day(200)] * 2 + [day(200, 19)] * 5],
    ids=["none", "nothing measured", "too few days", "too few checks"],
)
def test_too_little_is_no_usual(days: list[latency.Buckets | None]) -> None:
    """Three days with twenty measured checks each are the least."""
    assert usual.usual_ms(days) is None
    assert usual.usual_ms([day(200, 20)] * 3)


# ---- slow


def test_five_slow_checks_in_a_row_are_slow() -> None:
    """Not sooner; it is told in the check itself, with both figures, and the account is degraded from then on."""
    steps = after(account(), [check(SLOW)] * 6)
    assert reasons(steps) == [None] * 4 + [Reason.SLOW] * 2
    assert [done.transition is not None for done in steps] == [False] * 4 + [True, False]
    told = steps[4]
    assert told.found == (Status.DEGRADED, Reason.SLOW)
    assert [one.outcome for one in told.check.observations] == [Outcome.PASS, Outcome.WARN]
    assert told.check.observations[1].evidence == {"got": "3001 ms", "expected": "1000 ms"}
    assert told.check.observations[1].ms == READ.ms


def test_one_quick_check_begins_the_count_anew() -> None:
    """Slow and not slow in turns is no trouble."""
    assert set(reasons(after(account(), ([check(SLOW)] * 4 + [check(LIMIT)]) * 5))) == {None}


def test_a_check_that_failed_or_measured_nothing_neither_counts_nor_ends() -> None:
    """It says nothing about how fast an answer is."""
    steps = after(account(), [*[check(SLOW)] * 4, failed(), check(None), check(SLOW)])
    assert reasons(steps) == [None] * 6 + [Reason.SLOW]
    assert steps[4].check.observations == failed().observations


def test_what_was_slow_needs_three_quick_checks_well_below_the_limit() -> None:
    """Around the limit it does not come and go."""
    slow = [check(SLOW)] * 5
    hovering = after(account(), [*slow, *[check(LIMIT - 1), check(BETWEEN), check(QUICK), check(QUICK)] * 3])
    assert set(reasons(hovering[4:])) == {Reason.SLOW}
    assert reasons(after(account(), [*slow, *[check(QUICK)] * 3]))[4:] == [Reason.SLOW] * 3 + [None]


def test_a_person_s_check_ends_it_at_once_and_never_begins_it() -> None:
    """Who mended a server sees that; who looks five times in a slow minute causes no trouble."""
    manual = check(SLOW, trigger=Trigger.MANUAL)
    assert set(reasons(after(account(), [manual] * 9))) == {None}
    quick = check(QUICK, trigger=Trigger.MANUAL)
    assert reasons(after(account(), [*[check(SLOW)] * 5, manual, quick]))[4:] == [Reason.SLOW, Reason.SLOW, None]


@pytest.mark.parametrize(("usual_ms", "slow_from"), [(1, 2000), (666, 2000), (1000, 3000)])
def test_what_is_fast_is_never_slow(usual_ms: int, slow_from: int) -> None:
    """Three times the usual, and at least two seconds."""
    assert usual.slow_from(usual_ms) == slow_from
    assert set(reasons(after(account(usual_ms), [check(slow_from)] * 9))) == {None}
    assert after(account(usual_ms), [check(slow_from + 1)] * 9)[-1].standing.reason is Reason.SLOW


def test_without_a_usual_nothing_is_slow() -> None:
    """Neither for a new account nor once the usual is not known any more."""
    assert set(reasons(after(account(None), [check(60_000)] * 9))) == {None}
    was = after(account(), [check(SLOW)] * 5)[-1].standing
    assert after(replace(account(None), standing=was), [check(SLOW)])[0].standing.reason is None


def test_another_reason_to_be_degraded_comes_first() -> None:
    """The past decides where nothing else does, also against a list that this check did not ask; all is listed."""
    who = replace(account(), facts=Facts(capabilities={"/public/events": Capability.REFUSED}))
    (*_, last) = after(who, [check(SLOW)] * 5)
    assert last.standing.reason is Reason.READS_PARTLY_REFUSED
    assert Reason.SLOW in {one.reason for one in last.check.observations}
    skewed = Observation(Stage.SERVER, Outcome.WARN, Reason.CLOCK_SKEW)
    (*_, last) = after(account(), [replace(check(SLOW), observations=(FRESH, READ, skewed))] * 5)
    assert last.standing.reason is Reason.CLOCK_SKEW


@given(st.lists(st.sampled_from([SLOW, LIMIT, BETWEEN, QUICK, 1, None]), max_size=60))
def test_slow_is_never_said_without_five_slow_checks_in_a_row(measured: list[int | None]) -> None:
    """Whatever is measured, it begins with five in a row and ends with three."""
    steps = after(account(), [check(ms) for ms in measured])
    before, known = None, []
    for ms, done in zip(measured, steps, strict=True):
        known += [] if ms is None else [ms]
        now = done.standing.reason
        if now and not before:
            assert known[-5:] == [SLOW] * 5
        if before and not now:
            assert len(known[-3:]) == 3
            assert max(known[-3:]) <= QUICK
        before = now


# ---- the key proof is overdue


@pytest.mark.parametrize("minutes", [1, 5, 15, 30, 60])
@pytest.mark.parametrize("neighbours", [1, 30, 100, 200, 500])
def test_a_key_proof_is_overdue_well_after_what_is_promised(minutes: int, neighbours: int) -> None:
    """However close the light checks are, a quarter of an hour lies between the promise and the alarm."""
    rhythm = Rhythm(minutes * MINUTE)
    least = usual.overdue_from(rhythm, neighbours) * rhythm.interval * (1 - JITTER)
    assert least >= rhythm.unseen(neighbours) + 15 * MINUTE


def test_a_key_proof_can_be_overdue_while_a_token_is_kept() -> None:
    """Alone, and among a hundred neighbours, it is said before the token ends."""
    for neighbours in (1, 100):
        assert usual.overdue_from(USUAL, neighbours) * USUAL.interval < TOKEN_KEPT


def test_light_checks_without_a_fresh_token_are_degraded_in_the_end() -> None:
    """The eighth in a row, with nobody beside; the time is told, and neither the token nor the key seems proven."""
    steps = after(account(), [light()] * 9)
    assert usual.overdue_from(USUAL, 1) == 8
    assert reasons(steps) == [None] * 7 + [Reason.KEY_OVERDUE] * 2
    told = steps[7].check.observations[1]
    assert (told.stage, told.reason, told.evidence) == (Stage.READ, Reason.KEY_OVERDUE, {"wait": "2400"})
    assert (steps[8].check.key_proven, steps[8].standing.key_proven_at) == (False, NOON)


def test_one_fresh_token_ends_it() -> None:
    """At once, and the count begins anew."""
    steps = after(account(), [*[light()] * 9, check(), *[light()] * 6])
    assert set(reasons(steps[9:])) == {None}


def test_time_in_which_nobody_checked_makes_nothing_overdue() -> None:
    """After a night without a hub, asleep or offline, a light check that comes before the key's turn is no alarm."""
    who = replace(account(), standing=replace(HEALTHY, lights=3))
    late = light(at=NOON + 9 * HOUR)
    done = status.step(who, late)
    assert (done.standing.status, done.standing.lights) == (Status.HEALTHY, 4)


def test_failures_and_waiting_make_nothing_overdue() -> None:
    """An outage has a reason of its own, and being told to wait judges nothing."""
    waiting = Check(NOON, Trigger.SCHEDULE, (KEPT, Observation(Stage.READ, Outcome.FAIL, Reason.RATE_LIMITED)))
    steps = after(account(), [*[light()] * 7, *[failed()] * 9, *[waiting] * 9])
    assert Reason.KEY_OVERDUE not in reasons(steps)


def test_vaultwarden_is_left_alone() -> None:
    """Its token requests are those of the people who log in."""
    assert set(reasons(after(account(kind=ServerKind.VAULTWARDEN), [light()] * 40))) == {None}


def test_overdue_comes_before_slow() -> None:
    """Of both, what is not known weighs more; both are listed."""
    (*_, last) = after(account(), [light(SLOW)] * 8)
    assert last.standing.reason is Reason.KEY_OVERDUE
    assert [one.reason for one in last.check.observations[1:]] == [Reason.SLOW, Reason.KEY_OVERDUE]


# ---- learned from the history, and kept


@pytest.fixture
def now() -> list[datetime]:
    """The time; a test sets it."""
    return [NOON]


@pytest.fixture
def hub(settings: Settings, now: list[datetime]) -> Iterator[Hub]:
    with closing(Hub.open(settings, clock=Clock(now=lambda: now[0]))) as opened:
        opened.store.database._writer.execute("PRAGMA synchronous=OFF")
        yield opened


@pytest.fixture
def account_id(hub: Hub) -> str:
    return store_linked(hub, organizations(1)[0], PLACE, ca_pem=None, check=proven(NOON))


def live(hub: Hub, account_id: str, now: list[datetime], *, days: int, ms: int) -> None:
    """Let so many days pass with a check every hour, and have them summed up."""
    for _ in range(days * 24):
        now[0] += HOUR
        keep(hub, account_id, check(ms, at=now[0]))
    while hub.store.sums.roll_up(now[0] + HOUR, Keep()):
        pass


def keep(hub: Hub, account_id: str, one: Check) -> Step:
    loaded = hub.store.load(account_id)
    done = hub.store.record(
        account_id, loaded.generation, step=lambda present: status.step(present, one, hub.watching.rhythm)
    )
    assert done
    return done


def test_the_usual_is_learned_from_whole_days(hub: Hub, account_id: str, now: list[datetime]) -> None:
    """From the third whole day on, beside the sums; a check reads it with the account."""
    live(hub, account_id, now, days=3, ms=1000)
    assert hub.account(account_id).usual_ms is None
    live(hub, account_id, now, days=1, ms=1000)
    assert 724 <= (hub.account(account_id).usual_ms or 0) <= 1448
    live(hub, account_id, now, days=4, ms=9000)
    assert (hub.account(account_id).usual_ms or 0) > 8000


def test_what_counts_in_a_row_is_kept(hub: Hub, account_id: str, now: list[datetime]) -> None:
    """Five slow checks, each read from the database: beat, last check and incident tell of them."""
    live(hub, account_id, now, days=4, ms=500)
    for minute in range(5, 30, 5):
        keep(hub, account_id, light(30_000, at=now[0] + minute * MINUTE))
    standing = hub.account(account_id).standing
    assert (standing.status, standing.reason, standing.slow, standing.lights) == (Status.DEGRADED, Reason.SLOW, 5, 5)
    (beat,) = hub.past.recent(account_id, 1)
    assert (beat.status, beat.reason, beat.down) == (Status.DEGRADED, Reason.SLOW, False)
    last = hub.past.last_check(account_id)
    assert last
    assert [one.reason for one in last.observations if one.reason] == [Reason.SLOW]
    (incident,) = hub.past.incidents(account_id=account_id)
    assert (incident.reason, incident.evidence["got"]) == (Reason.SLOW, "30000 ms")
    keep(hub, account_id, check(10, trigger=Trigger.MANUAL, at=now[0] + HOUR))
    assert hub.account(account_id).standing.status is Status.HEALTHY


def test_another_api_address_begins_anew(hub: Hub, account_id: str, now: list[datetime]) -> None:
    """What was usual of the old server is forgotten at once, and never learned from its days again."""
    live(hub, account_id, now, days=4, ms=500)
    assert hub.account(account_id).usual_ms
    present = hub.store.load(account_id)
    moved = replace(present.account.endpoints, api="https://api.elsewhere.example")
    seen = check(500, trigger=Trigger.EDIT, at=now[0] + MINUTE)
    changed = status.changes.of_addresses(present.account.endpoints, moved, seen.at)
    hub.store.replace_key(
        account_id,
        present.generation,
        seal=lambda _: present.sealed.token or "",
        endpoints=moved,
        ca_pem=None,
        check=seen,
        step=lambda account: status.step(account, seen)._replace(changes=tuple(changed)),
        entered=False,
        actor="test",
        action="edit",
    )
    assert hub.account(account_id).usual_ms is None
    live(hub, account_id, now, days=3, ms=9000)
    assert hub.account(account_id).usual_ms is None
    live(hub, account_id, now, days=1, ms=9000)
    assert (hub.account(account_id).usual_ms or 0) > 8000
