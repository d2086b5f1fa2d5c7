"""The budget of token requests, over a real database file and a clock the test moves."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hub_core.bitwarden.budget import TokenBudget
from hub_core.clock import Clock
from hub_core.errors import RemoteError
from hub_core.model import Reason
from hub_core.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORIGIN = "https://identity.example.test"
LIMIT = 8


@dataclass
class Time:
    """A clock that only moves when somebody waits or the test says so."""

    at: datetime = datetime(2026, 11, 23, 12, tzinfo=UTC)
    passed: float = 0.0
    slept: list[float] = field(default_factory=list)

    @property
    def clock(self) -> Clock:
        """This time as the hub reads it."""
        return Clock(now=lambda: self.at, monotonic=lambda: self.passed)

    async def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.slept.append(seconds)
        self.go(seconds)

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)
        self.passed += seconds


@pytest.fixture
def time() -> Time:
    """A clock of the test's own."""
    return Time()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new database."""
    opened = Store.open(tmp_path / "hub.db")
    yield opened
    opened.close()


@pytest.fixture
def budget(store: Store, time: Time) -> TokenBudget:
    """The budget of one process."""
    return TokenBudget(store, time.clock, limit=LIMIT, sleep=time.sleep)


def take(budget: TokenBudget, *, origin: str = ORIGIN, patience_s: float = 0.0) -> list[int]:
    told: list[int] = []
    asyncio.run(budget.take(origin, patience_s=patience_s, waiting=told.append))
    return told


def spent(budget: TokenBudget, *, patience_s: float = 0.0) -> int:
    with pytest.raises(RemoteError) as caught:
        take(budget, patience_s=patience_s)
    assert caught.value.reason is Reason.BUDGET_SPENT
    assert caught.value.retry_after is not None
    assert caught.value.evidence == {"wait": str(caught.value.retry_after)}
    return caught.value.retry_after


def spend(budget: TokenBudget, time: Time) -> None:
    for _ in range(LIMIT):
        take(budget)
        time.go(1)


def test_a_minute_has_as_many_places_as_the_limit(budget: TokenBudget, time: Time) -> None:
    """The ninth request within a minute is told exactly how long the first one still counts."""
    spend(budget, time)
    assert spent(budget) == 52
    assert time.slept == []


def test_a_place_comes_free_after_a_minute(budget: TokenBudget, time: Time) -> None:
    """The budget slides: each place is free a minute after it was taken, not all at once."""
    spend(budget, time)
    time.go(48)
    assert spent(budget) == 4
    time.go(4)
    assert take(budget) == []
    time.go(0.5)
    assert take(budget) == []
    assert time.slept == [0.5]


def test_requests_keep_their_distance(budget: TokenBudget, time: Time) -> None:
    """Two requests at the same moment are a quarter of a second apart, and nobody is told of so short a wait."""
    assert take(budget) == take(budget) == []
    assert time.slept == [0.25]


def test_patience_waits_for_a_place(budget: TokenBudget, time: Time) -> None:
    """With patience the ninth request is sent once a place is free, and the waiting is told in seconds."""
    spend(budget, time)
    told = take(budget, patience_s=60)
    assert told[0] == 52
    assert told == sorted(told, reverse=True)
    assert sum(time.slept) == pytest.approx(52, abs=0.1)


def test_patience_that_is_too_short_waits_not_at_all(budget: TokenBudget, time: Time) -> None:
    """Nobody is kept waiting for a refusal that is certain from the start."""
    spend(budget, time)
    assert spent(budget, patience_s=30) == 52
    assert time.slept == []


def test_a_wish_to_wait_is_kept(budget: TokenBudget, time: Time) -> None:
    """After Retry-After nothing is asked until its end, although places are free."""
    take(budget)
    asyncio.run(budget.hold(ORIGIN, 37))
    assert spent(budget) == 37
    time.go(36)
    assert take(budget) == []
    assert sum(time.slept) == pytest.approx(1)


def test_the_longer_of_two_wishes_counts(budget: TokenBudget) -> None:
    """A later, shorter wish does not cut an earlier one."""
    asyncio.run(budget.hold(ORIGIN, 90))
    asyncio.run(budget.hold(ORIGIN, 5))
    assert spent(budget) == 90


def test_origins_have_budgets_of_their_own(budget: TokenBudget, time: Time) -> None:
    """A spent budget or a wish to wait concerns one identity server only."""
    spend(budget, time)
    asyncio.run(budget.hold(ORIGIN, 3600))
    assert take(budget, origin="https://identity.other.test") == []


def test_two_processes_share_one_budget(store: Store, budget: TokenBudget, time: Time, tmp_path: Path) -> None:
    """What one has spent, or was told, the other on the same file knows."""
    second = Store.open(tmp_path / "hub.db")
    other = TokenBudget(second, time.clock, limit=LIMIT, sleep=time.sleep)
    for taker in (budget, other) * (LIMIT // 2):
        take(taker)
        time.go(1)
    assert spent(budget) == spent(other) == 52
    asyncio.run(budget.hold(ORIGIN, 300))
    assert spent(other) == 300
    second.close()


def test_taking_at_once_never_exceeds_the_limit(store: Store, time: Time, tmp_path: Path) -> None:
    """Of many takers at the same moment, in two processes, exactly as many get a place as there are."""
    second = Store.open(tmp_path / "hub.db")
    with ThreadPoolExecutor(8) as pool:
        waits = pool.map(
            lambda taker: taker.budget.take(ORIGIN, at=time.at, limit=LIMIT, spacing_ms=0), (store, second) * 12
        )
    assert sum(wait == 0 for wait in waits) == LIMIT
    second.close()


def test_a_clock_that_is_set_back_does_not_block(budget: TokenBudget, time: Time) -> None:
    """Requests and wishes dated in what is now the future do not close the budget until then."""
    spend(budget, time)
    asyncio.run(budget.hold(ORIGIN, 3600))
    time.at -= timedelta(days=3)
    assert take(budget) == []


def test_routine_lets_a_waiting_person_go_first(store: Store, budget: TokenBudget, time: Time) -> None:
    """Of the next free place routine, in whichever process, is kept until the person has it."""
    spend(budget, time)
    tried: list[int] = []

    async def nap(seconds: float) -> None:
        await time.sleep(seconds)
        tried.append(store.budget.take(ORIGIN, at=time.at, limit=LIMIT, ahead=False))

    person = TokenBudget(store, time.clock, limit=LIMIT, sleep=nap)
    time.go(40)
    asyncio.run(person.take(ORIGIN, patience_s=20, waiting=lambda _: None))
    assert tried
    assert all(tried)
    time.go(10)
    assert store.budget.take(ORIGIN, at=time.at, limit=LIMIT, ahead=False) == 0


def test_a_person_who_gives_up_holds_up_nobody(store: Store, budget: TokenBudget, time: Time) -> None:
    """Whoever is told to come back later has made no wish."""
    spend(budget, time)
    time.go(48)
    assert spent(budget) == 4
    time.go(4)
    assert store.budget.take(ORIGIN, at=time.at, limit=LIMIT, ahead=False) == 0
