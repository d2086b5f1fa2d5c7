"""The schedule's rows: who may watch, what is due, and whose result counts; and the tokens a watcher keeps."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hub_core.bitwarden.client import LISTS, AccessToken
from hub_core.clock import Clock
from hub_core.health import status
from hub_core.health.light import Tokens, small_read
from hub_core.health.queue import AT_ONCE, AT_ONCE_PER_HOST, GETS_A_MINUTE, Queue
from hub_core.health.rhythm import USUAL
from hub_core.hub import Hub
from hub_core.model import (
    Capability,
    Check,
    Endpoints,
    Lifecycle,
    Observation,
    Outcome,
    Reason,
    RegionId,
    Secret,
    Stage,
    Status,
    Trigger,
)
from hub_core.storage.schedule import DueRow
from tests.scaled import organizations, proven, store_linked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub_core.settings import Settings

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LEASE, MINUTE, DAY = timedelta(seconds=30), timedelta(minutes=1), timedelta(days=1)
PLACE = Endpoints(RegionId.US, "https://identity.bitwarden.com", "https://api.bitwarden.com")


@pytest.fixture
def hub(settings: Settings) -> Iterator[Hub]:
    with closing(Hub.open(settings)) as opened:
        yield opened


@pytest.fixture
def account_id(hub: Hub) -> str:
    return store_linked(hub, organizations(1)[0], PLACE, ca_pem=None, check=proven(NOON))


def due(hub: Hub, at: datetime) -> list[str]:
    return [row.id for row in hub.store.schedule.due(at)]


def test_one_watcher_at_a_time(hub: Hub) -> None:
    """A second waits until the first gives no more signs or lets go; each new owner gets a higher token."""
    schedule = hub.store.schedule
    assert schedule.take_lease("one", now=NOON, lasts=LEASE) == 1
    assert schedule.take_lease("two", now=NOON + LEASE / 2, lasts=LEASE) is None
    assert schedule.take_lease("one", now=NOON + LEASE / 2, lasts=LEASE) == 1
    assert schedule.take_lease("two", now=NOON + 1.5 * LEASE, lasts=LEASE) == 2
    assert schedule.take_lease("one", now=NOON + 1.5 * LEASE, lasts=LEASE) is None
    schedule.release_lease("one")
    assert schedule.take_lease("one", now=NOON + 1.5 * LEASE, lasts=LEASE) is None
    schedule.release_lease("two")
    assert schedule.take_lease("one", now=NOON + 1.5 * LEASE, lasts=LEASE) == 3


def test_a_lease_of_a_clock_that_was_ahead_binds_nobody(hub: Hub) -> None:
    """A sign from the future ends with the clock that gave it."""
    assert hub.store.schedule.take_lease("one", now=NOON + DAY, lasts=LEASE) == 1
    assert hub.store.schedule.take_lease("two", now=NOON, lasts=LEASE) == 2


@pytest.mark.parametrize("who", ["one", "another"])
def test_a_clock_that_was_set_back_takes_what_was_planned_along(hub: Hub, account_id: str, who: str) -> None:
    """Nobody waits until the clock has caught up, whether the same watcher goes on or another one after a restart."""
    assert hub.store.schedule.take_lease("one", now=NOON, lasts=LEASE)
    back = NOON - timedelta(hours=2)
    assert hub.store.schedule.take_lease(who, now=back, lasts=LEASE)
    assert due(hub, back + 4 * MINUTE) == []
    assert due(hub, back + 6 * MINUTE) == [account_id]
    planned = hub.account(account_id).due
    assert hub.store.schedule.take_lease(who, now=back + LEASE / 3, lasts=LEASE)
    assert hub.account(account_id).due == planned


def test_what_a_replaced_watcher_found_does_not_count(hub: Hub, account_id: str) -> None:
    """Neither its claims nor its results survive the lease; the new watcher's do."""
    schedule, later = hub.store.schedule, NOON + MINUTE
    old = schedule.take_lease("old", now=NOON, lasts=LEASE)
    assert old
    assert schedule.claim([account_id], owner="old", fence=old, now=NOON) == {account_id}
    new = schedule.take_lease("new", now=later, lasts=LEASE)
    assert new
    assert schedule.claim([account_id], owner="old", fence=old, now=later) == set()

    def record(fence: int | None) -> status.Step | None:
        check = proven(later, Trigger.SCHEDULE)
        step = lambda present: status.step(present, check)  # noqa: E731 - as short as what it says
        return hub.store.record(account_id, 0, step=step, fence=fence)

    assert record(old) is None
    assert record(new) is None  # not claimed by it yet
    assert schedule.claim([account_id], owner="new", fence=new, now=later) == {account_id}
    assert record(old) is None
    assert record(new)
    assert record(new) is None  # the claim ended with the result


def test_an_expired_lease_claims_nothing(hub: Hub, account_id: str) -> None:
    """Whoever was held up for longer than the lease has to ask for it again first."""
    fence = hub.store.schedule.take_lease("one", now=NOON, lasts=LEASE)
    assert fence
    assert hub.store.schedule.claim([account_id], owner="one", fence=fence, now=NOON + MINUTE) == set()


def keep(hub: Hub, account_id: str, check: Check) -> None:
    hub.store.record(account_id, 0, step=lambda present: status.step(present, check))


def quiet(at: datetime) -> Check:
    """A light check that finds what was known."""
    skipped = {Stage.TOKEN, Stage.IDENTITY}
    seen = tuple(Observation(stage, Outcome.SKIP if stage in skipped else Outcome.PASS) for stage in Stage)
    return Check(at, Trigger.SCHEDULE, seen, proven(at).facts)


def test_a_scheduled_check_with_nothing_new_is_kept_in_short(hub: Hub, account_id: str) -> None:
    """It is one beat, and the last check with every stage; the log keeps only what is noteworthy."""
    keep(hub, account_id, quiet(NOON + 5 * MINUTE))
    assert hub.account(account_id).standing.checked_at == NOON + 5 * MINUTE
    assert [beat.at for beat in hub.past.recent(account_id)] == [NOON + 5 * MINUTE, NOON]
    assert [check.at for check in hub.past.noteworthy(account_id)] == [NOON]
    last = hub.past.last_check(account_id)
    assert last
    assert (last.at, [seen.stage for seen in last.observations]) == (NOON + 5 * MINUTE, list(Stage))


def test_due_is_whose_time_has_come(hub: Hub, account_id: str) -> None:
    """Neither before, nor while paused; at once after resuming, and when it was planned by a clock that was ahead."""
    assert due(hub, NOON + 4 * MINUTE) == []
    assert due(hub, NOON + 5 * MINUTE) == [account_id]
    hub.pause(account_id, "", actor="test")
    assert due(hub, NOON + DAY) == []
    hub.resume(account_id, actor="test")
    assert due(hub, NOON) == [account_id]
    with hub.store.database.write() as con:
        con.execute("UPDATE schedule SET next_at = ?", (round((NOON + 365 * DAY).timestamp() * 1000),))
    assert due(hub, NOON) == [account_id]


def test_unlinking_takes_the_schedule_along(hub: Hub, account_id: str) -> None:
    """Nothing of an account stays behind."""
    hub.unlink(account_id, hub.account(account_id).label, actor="test")
    assert due(hub, NOON + DAY) == []
    assert hub.store.database.problems() == []


# ---- whose turn it is


def row(number: int, host: str = "a", *, wait: int = 0, standing: Status = Status.HEALTHY, key: bool = False) -> DueRow:
    origin = f"https://{host}.example"
    return DueRow(
        str(number), 0, RegionId.SELF_HOSTED, origin, origin, standing, NOON - wait * MINUTE, key_due=key, next_at=NOON,
        light_due=not key,
    )  # fmt: skip


def chosen(queue: Queue, rows: list[DueRow], *, at: float = 0.0, running: int = 0, token: object = True) -> list[str]:
    turns = queue.choose(rows, running=["https://busy.example"] * running, has_token=lambda _: bool(token), at=at)
    return [turn.row.id for turn in turns]


def test_trouble_comes_first_then_who_waited_longest() -> None:
    """What is failing or unreachable is looked at before what was well, and old checks before fresh ones."""
    rows = [row(1, wait=1), row(2, wait=9), row(3, standing=Status.UNREACHABLE)]
    assert chosen(Queue(USUAL), rows) == ["3", "2", "1"]


def test_who_waits_for_a_fresh_token_is_looked_at_lightly_meanwhile() -> None:
    """The key proven longest ago has the one token request; the others are not left out, and not asked too often."""
    keys = [row(n, key=True)._replace(light_due=n != 4, key_proven_at=NOON - n * MINUTE) for n in range(1, 5)]
    turns = Queue(USUAL).choose(keys[:3], running=[], has_token=lambda _: True, at=0.0)
    assert [(turn.row.id, turn.light) for turn in turns] == [("3", False), ("2", True), ("1", True)]
    turns = Queue(USUAL).choose([keys[3], keys[2]], running=[], has_token=lambda _: True, at=0.0)
    assert [(turn.row.id, turn.light) for turn in turns] == [("4", False), ("3", True)]
    queue = Queue(USUAL)
    queue.hold(keys[0].identity_origin, 60.0)
    assert queue.choose(keys[3:], running=[], has_token=lambda _: True, at=0.0) == []


def test_who_cannot_be_checked_without_a_token_gets_the_next_one() -> None:
    """Before those who have one and only want a fresh one; among them who was checked longest ago: none starves."""
    queue, kept = Queue(USUAL), {"1", "2"}
    rows = [row(n, key=True, wait=10 * n)._replace(key_proven_at=NOON - (9 - n) * 60 * MINUTE) for n in range(1, 5)]
    first = [
        turn.row.id
        for at in range(0, 60, 10)
        for turn in queue.choose(rows, running=[], has_token=lambda one: one.id in kept, at=float(at))
    ]
    assert first[0] == "4"
    assert queue.choose(rows[:3], running=[], has_token=lambda one: one.id in kept, at=90.0)[0].row.id == "3"


def test_a_check_that_ended_before_its_token_request_leaves_it_to_others() -> None:
    """While a server is out of reach, who has no token is looked at as often as everybody else."""
    queue, rows = Queue(USUAL), [row(1, key=True), row(2, key=True)]
    (turn,) = queue.choose(rows, running=[], has_token=lambda _: False, at=0.0)
    assert queue.choose(rows, running=[], has_token=lambda _: False, at=0.0) == []
    queue.give_back(turn)
    assert len(queue.choose(rows, running=[], has_token=lambda _: False, at=0.0)) == 1


def test_who_is_asked_rarely_by_plan_is_not_stale(settings: Settings) -> None:
    """Where token requests fail again and again, nobody looks for a quarter of an hour, and what was found holds."""
    at = [NOON]
    with closing(Hub.open(settings, clock=Clock(now=lambda: at[0]))) as opened:
        account_id = store_linked(opened, organizations(1)[0], PLACE, ca_pem=None, check=proven(NOON))
        for _ in range(3):
            at[0] += 5 * MINUTE
            keep(opened, account_id, replace(failed(Stage.TOKEN, Reason.TOKEN_FAULT), at=at[0]))
        at[0] += 14 * MINUTE
        (line,) = opened.accounts()
        assert line.rests_until == opened.account(account_id).rests_until == NOON + 30 * MINUTE
        assert not opened.watching.stale(line)
        assert not opened.watching.stale(opened.account(account_id))
        at[0] += 12 * MINUTE
        assert opened.watching.stale(line)


def test_no_host_takes_every_place() -> None:
    """Ten at once, three of them on one host, those that still run counted in."""
    rows = [row(n, host) for host in "abcdef" for n in range(9)]
    assert len(chosen(Queue(USUAL), rows[:9])) == AT_ONCE_PER_HOST
    assert len(chosen(Queue(USUAL), rows)) == AT_ONCE
    assert len(chosen(Queue(USUAL), rows, running=AT_ONCE - 2)) == 2


def test_the_end_of_a_check_matters_while_somebody_wants_its_place() -> None:
    """A choice tells whether somebody was left without a place, overall or at a host; else nobody need look sooner."""
    queue = Queue(USUAL)
    rows = [row(n, host=f"host{n}") for n in range(AT_ONCE + 1)]
    for some, crowded in ((rows, True), (rows[:AT_ONCE], False), ([row(n) for n in range(4)], True), ([], False)):
        chosen(queue, some)
        assert queue.crowded is crowded


def test_no_more_checks_begin_in_a_minute_than_a_path_bears() -> None:
    """The hundred and fifty-first at one API origin waits for the minute to pass."""
    queue = Queue(USUAL)
    began = sum(len(chosen(queue, [row(n)], at=n * 0.1)) for n in range(GETS_A_MINUTE + 50))
    assert began == GETS_A_MINUTE
    assert chosen(queue, [row(0)], at=61.0) == ["0"]


@pytest.mark.parametrize(("token", "a_minute"), [(True, 6), (False, 8)])
def test_token_requests_are_spread_over_the_minute(token: object, a_minute: int) -> None:
    """Routine leaves a quarter to people; who has no token at all may use the whole budget."""
    queue, rows = Queue(USUAL), [row(1, key=True)]
    assert sum(len(chosen(queue, rows, at=1000 + n * 0.5, token=token)) for n in range(1200)) == 10 * a_minute
    queue.hold(rows[0].identity_origin, 2000.0)
    assert chosen(queue, rows, at=1999.0, token=token) == []


# ---- tokens


def token(seconds: int = 3600) -> AccessToken:
    return AccessToken(Secret("token"), seconds, None, None)


def failed(stage: Stage, reason: Reason) -> Check:
    return Check(NOON, Trigger.SCHEDULE, (Observation(stage, Outcome.FAIL, reason),))


def test_a_token_is_kept_until_five_minutes_before_its_end_and_for_its_key_only() -> None:
    """It is not used when it may end on the way, nor after key or server changed."""
    at = [0.0]
    tokens = Tokens(lambda: at[0])
    tokens.learn("a", 1, proven(NOON), token())
    assert tokens.get("a", 1)
    at[0] = 3299.0
    assert tokens.get("a", 1)
    at[0] = 3300.0
    assert tokens.get("a", 1) is None
    tokens.learn("a", 1, proven(NOON), token())
    assert tokens.get("a", 2) is None
    tokens.learn("a", 2, proven(NOON), token())
    tokens.forget("a")
    assert tokens.get("a", 2) is None


@pytest.mark.parametrize(
    ("check", "kept"),
    [
        (failed(Stage.READ, Reason.TOKEN_REFUSED), False),
        (failed(Stage.TOKEN, Reason.KEY_NO_LONGER_ACCEPTED), False),
        (failed(Stage.TOKEN, Reason.TOKEN_FAULT), False),
        (failed(Stage.TOKEN, Reason.RATE_LIMITED), True),
        (failed(Stage.READ, Reason.ANSWER_TIMEOUT), True),
        (failed(Stage.REACH, Reason.NO_ROUTE), True),
    ],
)
def test_a_token_goes_when_it_or_the_key_was_refused(check: Check, kept: object) -> None:
    """Trouble on the way leaves it alone: the server will know it again."""
    tokens = Tokens(lambda: 0.0)
    tokens.learn("a", 0, proven(NOON), token())
    tokens.learn("a", 0, check, None)
    assert (tokens.get("a", 0) is not None) is kept


def test_a_light_check_asks_the_cheapest_list_that_can_be_read() -> None:
    """Policies, unless they are known not to be readable and another list is."""
    assert small_read({}) == (LISTS[0],)
    assert small_read({LISTS[0]: Capability.REFUSED, LISTS[2]: Capability.READABLE}) == (LISTS[2],)


def test_a_refused_key_is_believed_until_it_is_tried_again(hub: Hub, account_id: str) -> None:
    """Its status does not grow stale while nobody means to look."""
    known = hub.account(account_id)
    refused = failed(Stage.TOKEN, Reason.KEY_NO_LONGER_ACCEPTED)
    long = replace(refused, at=hub.clock.now() - timedelta(minutes=20))
    done = status.step(known, long)
    assert not hub.watching.stale(replace(known, standing=done.standing, due=done.due))
    done = status.step(known, replace(refused, at=hub.clock.now() - timedelta(minutes=40)))
    assert hub.watching.stale(replace(known, standing=done.standing, due=done.due))
    assert known.lifecycle is Lifecycle.ACTIVE
