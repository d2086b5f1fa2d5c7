"""Properties of an account's standing and incidents over checks nobody thought of, clocks that jump, and restarts.

The rules are written down a second time here, from the history as a whole and not from counters, to be held against.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hub_core.health import status
from hub_core.health.status import advance
from hub_core.history import IN_TROUBLE
from hub_core.hub import Hub
from hub_core.model import (
    Check,
    Endpoints,
    Facts,
    RegionId,
    Standing,
    Status,
    Transition,
    Trigger,
)
from hub_core.settings import Settings
from tests.scaled import organizations, proven, store_linked
from tests.test_status_table import FINDINGS, JUDGE_NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLACE = Endpoints(RegionId.US, "https://identity.bitwarden.com", "https://api.bitwarden.com")
SAYS = {
    "well": Status.HEALTHY,
    "light": Status.HEALTHY,
    "limited": Status.LIMITED,
    "ends": Status.DEGRADED,
    "slow": Status.DEGRADED,
    "overdue": Status.DEGRADED,
    "refused": Status.FAILING,
    "gone": Status.UNREACHABLE,
}
"""What each kind of check says by itself; the others say nothing."""

STEPS = st.tuples(
    st.sampled_from([*FINDINGS, *["gone"] * 8, *["light"] * 4]),
    st.sampled_from([Trigger.SCHEDULE] * 5 + [Trigger.MANUAL]),
    st.sampled_from([5, 5, 5, 6, 61, 600, -3, -125, -10_000]),
)
HISTORIES = st.lists(STEPS, max_size=14)


def made(what: str, trigger: Trigger, at: datetime) -> Check:
    # Every list is answered by every check, so that none stands for another: that has tables of its own.
    answers = FINDINGS["well"].lists if what in {"well", "light", "ends", "slow", "overdue"} else {}
    return Check(at, trigger, FINDINGS[what].seen, Facts(capabilities=answers))


def dated(history: list[tuple[str, Trigger, int]]) -> list[tuple[str, Check]]:
    """Return the checks of a history; the third value is by how many minutes the clock moved before each."""
    at, checks = NOON, []
    for what, trigger, minutes in history:
        at += minutes * MINUTE
        checks.append((what, made(what, trigger, at)))
    return checks


COMES_AND_GOES = [("gone", Trigger.MANUAL, 5), ("well", Trigger.SCHEDULE, 5), ("gone", Trigger.MANUAL, 5)]


@dataclass
class Rules:
    """What the rules say of a history: lists of what was seen, and no counters."""

    status: Status = Status.UNKNOWN
    gone: list[datetime] = field(default_factory=list)
    """When it could not be reached, since it last was judged otherwise."""
    good: int = 0
    fallen: datetime | None = None
    back: datetime | None = None

    def see(self, what: str, check: Check) -> None:
        """Take the next check into account."""
        if what in JUDGE_NOTHING:
            return
        by_person, says = check.trigger is not Trigger.SCHEDULE, SAYS[what]
        if self.fallen:
            self.fallen = min(self.fallen, check.at)
        if says is Status.UNREACHABLE:
            self.gone.append(check.at)
            self.good = 0
            if self.status is not says and (by_person or len(self.gone) >= 3):
                self.status, self.fallen = says, min(self.gone)
            return
        if self.status is Status.UNREACHABLE and says is not Status.FAILING:
            self.good += 1
            flaps = self.fallen and self.back and timedelta() <= self.fallen - self.back < timedelta(hours=1)
            if flaps and not by_person and self.good < 4:
                return
            self.back = check.at
        self.status, self.gone, self.good = says, [], 0


@given(HISTORIES)
@example([*COMES_AND_GOES, *[("well", Trigger.SCHEDULE, 5)] * 5])
def test_the_status_is_what_the_evidence_supports(history: list[tuple[str, Trigger, int]]) -> None:
    """Whatever was seen, and however the clock jumped, the status is the one that the rules give to the history."""
    standing, rules = Standing(), Rules()
    for what, check in dated(history):
        standing, _ = advance(standing, check)
        rules.see(what, check)
        assert standing.status is rules.status
        if what not in JUDGE_NOTHING and check.trigger is not Trigger.SCHEDULE:
            assert standing.status is SAYS[what]


@given(HISTORIES)
def test_nothing_begins_in_the_future_and_changes_alternate(history: list[tuple[str, Trigger, int]]) -> None:
    """A status began before it was seen, even if the clock was set back; a change begins where the last one ended."""
    standing = Standing()
    changes: list[Transition] = []
    for _, check in dated(history):
        standing, change = advance(standing, check)
        assert standing.since is None or standing.since <= check.at
        changes += [change] if change else []
    assert all(earlier.after is later.before for earlier, later in pairwise(changes))
    assert all(change.before is not change.after for change in changes)
    assert standing.status is (changes[-1].after if changes else Status.UNKNOWN)


# ---- with the database in between


class Remembered:
    """A hub whose accounts are checked by hand; it is closed and opened again whenever a history says so."""

    def __init__(self, where: Settings) -> None:
        self._where = where
        self._number = 0
        self.hub = Hub.open(where)

    def restart(self) -> None:
        """Close the hub and open it again."""
        self.hub.close()
        self.hub = Hub.open(self._where)

    def link(self) -> str:
        """Store another account."""
        self._number += 1
        who = organizations(self._number)[-1]
        return store_linked(self.hub, who, PLACE, ca_pem=None, check=proven(NOON))

    def record(self, account_id: str, check: Check) -> status.Step:
        """Store a check and return what it did."""
        done = self.hub.store.record(account_id, 0, step=lambda account: status.step(account, check))
        assert done
        return done


@pytest.fixture(scope="module")
def remembered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remembered]:
    folder = tmp_path_factory.mktemp("remembered")
    hub = Remembered(Settings(data=folder / "data", config=folder / "config"))
    with closing(hub.hub):
        yield hub
        hub.hub.close()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(history=HISTORIES, restarts=st.sets(st.integers(0, 13), max_size=1))
def test_the_database_forgets_nothing_between_two_checks(
    remembered: Remembered, history: list[tuple[str, Trigger, int]], restarts: set[int]
) -> None:
    """Stored and read again after every check, across restarts, a standing goes the same way as in one's head."""
    account_id = remembered.link()
    standing = remembered.hub.account(account_id).standing
    for number, (_, check) in enumerate(dated(history)):
        if number in restarts:
            remembered.restart()
        in_ones_head = status.step(replace(remembered.hub.account(account_id), standing=standing), check)
        done, standing = remembered.record(account_id, check), in_ones_head.standing
        assert (done.standing, done.transition) == (standing, in_ones_head.transition)
        assert remembered.hub.account(account_id).standing == standing
        _incidents_are_sound(remembered.hub, account_id, standing)


def _incidents_are_sound(hub: Hub, account_id: str, standing: Standing) -> None:
    """One is open exactly while the account is in trouble; none ends before it begins, or tells a story backwards."""
    incidents = hub.past.incidents(account_id=account_id)
    open_now = [incident for incident in incidents if incident.closed_at is None]
    assert len(open_now) == (standing.status in IN_TROUBLE)
    for incident in incidents:
        moments = [stretch.at for stretch in incident.story]
        assert incident.opened_at == moments[0]
        assert moments == sorted(moments)
        assert incident.closed_at is None or incident.closed_at >= moments[-1]
        assert all(earlier[1:] != later[1:] for earlier, later in pairwise(incident.story))
        assert all(stretch.status in IN_TROUBLE for stretch in incident.story)
    if open_now:
        assert open_now[0].status is standing.status
        assert open_now[0].reason is standing.reason
