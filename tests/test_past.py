"""Sums of hours and days in the database, and what is answered from them: uptime, latency, retention, size."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import quantiles
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from hub_core.clock import Clock
from hub_core.health import latency, rollup, status
from hub_core.hub import Hub
from hub_core.model import Endpoints, Lifecycle, RegionId
from hub_core.settings import Settings
from hub_core.storage.sums import LAG, Keep
from tests.lived import Life, live, populate
from tests.scaled import organizations, proven, store_linked
from tests.test_history import ending, failed, timeouts, well

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub_core.history import Period
    from hub_core.model import Check
    from hub_core.storage.store import Store

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EPOCH = datetime.fromtimestamp(0, UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
KEEP = Keep(14 * DAY, 90 * DAY, 730 * DAY)
PLACE = Endpoints(RegionId.US, "https://identity.bitwarden.com", "https://api.bitwarden.com")


class Hands:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.at = NOON

    @property
    def clock(self) -> Clock:
        """The clock that shows it."""
        return Clock(now=lambda: self.at, monotonic=self.at.timestamp)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def hub(settings: Settings, hands: Hands) -> Iterator[Hub]:
    with closing(Hub.open(settings, clock=hands.clock)) as opened:
        # What is measured and counted here does not depend on when the disk has it.
        opened.store.database._writer.execute("PRAGMA synchronous=OFF")
        yield opened


@pytest.fixture
def account_id(hub: Hub) -> str:
    return store_linked(hub, organizations(1)[0], PLACE, ca_pem=None, check=proven(NOON))


def keep(hub: Hub, account_id: str, *checks: Check, maintenance: bool = False) -> None:
    for check in checks:
        step = lambda present, check=check: status.step(present, check, hub.watching.rhythm)  # noqa: E731 - as short as what it says
        assert hub.store.record(account_id, 0, step=step, maintenance=maintenance)


def from_beats(store: Store, account_id: str, first: int, last: int, now: datetime) -> list[Period]:
    """Return hours the slow way: from every single beat there is."""
    return rollup.hours(store.past.beats(account_id, EPOCH), first, last, until=int(now.timestamp()))


# ---- summing up


def test_every_hour_is_there_whether_summed_up_or_not(hub: Hub, account_id: str, hands: Hands) -> None:
    """The answer is the same before, while and after hours are summed up; the present one is the last."""
    keep(hub, account_id, *(well(n) for n in range(5, 200, 5)), *timeouts(200, 205, 210), well(215))
    hands.at = NOON + 230 * MINUTE
    before = hub.past.hours(account_id)
    assert [later.begins - earlier.begins for earlier, later in pairwise(before)] == [HOUR] * 23
    assert (before[-1].begins, before[-2].checks) == (NOON + 3 * HOUR, 12)
    assert before == from_beats(hub.store, account_id, rollup.hour_of(NOON) - 20, rollup.hour_of(NOON) + 4, hands.at)
    assert hub.store.sums.roll_up(hands.at, KEEP, at_most=1) == 3
    assert hub.store.sums.roll_up(hands.at, KEEP) == 0
    assert hub.past.hours(account_id) == before
    assert hub.past.days(account_id, 2)[1].down == before[-1].down == 15 * 60


def test_an_hour_is_summed_up_only_some_time_after_it_is_over(hub: Hub, account_id: str, hands: Hands) -> None:
    """A check that began in it may still be running."""
    assert hub.store.sums.roll_up(NOON + HOUR + LAG - MINUTE, KEEP) == 0
    assert hub.store.sums.roll_up(NOON + HOUR + LAG, KEEP) == 1


def test_a_check_that_comes_late_is_counted(hub: Hub, account_id: str, hands: Hands) -> None:
    """Recorded after its hour was summed up, it makes the hour be summed up again."""
    hands.at = NOON + 3 * HOUR
    keep(hub, account_id, well(5))
    hub.sum_up()
    keep(hub, account_id, well(20))
    assert hub.past.hours(account_id)[-4].checks == 3
    hub.sum_up()
    assert (hub.past.hours(account_id)[-4].checks, hub.past.days(account_id, 1)[0].checks) == (3, 3)


def test_a_clock_that_was_ahead_blocks_nothing(hub: Hub, account_id: str, hands: Hands) -> None:
    """What was summed up into the future is summed up again when its time has come."""
    hands.at = NOON + 400 * DAY
    hub.pause(account_id, "", actor="test")
    hands.at = NOON + 2 * HOUR
    hub.sum_up()
    hands.at = NOON + 401 * DAY
    hub.sum_up()
    hands.at = NOON + 3 * HOUR
    hub.resume(account_id, actor="test")
    keep(hub, account_id, *(well(n) for n in range(180, 300, 5)))
    hands.at = NOON + 5 * HOUR
    hub.sum_up()
    assert [period.up for period in hub.past.hours(account_id, 3)[:2]] == [3600, 3600]
    assert hub.past.uptime(account_id).day == 1.0
    with hub.store.database.read() as con:
        (hour,) = con.execute("SELECT hour FROM rolled").fetchone()
    assert hour == rollup.hour_of(NOON) + 4


MOMENTS = st.lists(
    st.tuples(
        st.integers(0, 40 * 60), st.sampled_from(["well", "timeout", "ending", "refused", "waited", "pause", "sum"])
    ),
    max_size=40,
)


@given_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(MOMENTS)
def test_sums_are_what_all_beats_say_however_they_came(
    tmp_path_factory: pytest.TempPathFactory, moments: list[tuple[int, str]]
) -> None:
    """Whatever was recorded in whatever order, late confirmations, pauses and sums in between: the slow way agrees."""
    folder, now = tmp_path_factory.mktemp("sums"), NOON + 2 * DAY
    with closing(Hub.open(Settings(data=folder / "data", config=folder / "config"))) as hub:
        hub.store.database._writer.execute("PRAGMA synchronous=OFF")
        account_id = store_linked(hub, organizations(1)[0], PLACE, ca_pem=None, check=proven(NOON))
        # Mostly in order, as time passes, with some that come late.
        for minute, what in sorted(moments, key=lambda moment: moment[0] // 90):
            if what == "sum":
                hub.store.sums.roll_up(NOON + minute * MINUTE, KEEP, at_most=5)
            elif what == "pause":
                at = NOON + minute * MINUTE
                hub.store.set_lifecycle(account_id, Lifecycle.PAUSED, why="", at=at, actor="test")
            else:
                keep(hub, account_id, CHECKS[what](minute))
        while hub.store.sums.roll_up(now, KEEP, at_most=7):
            pass
        first = rollup.hour_of(NOON)
        slow = from_beats(hub.store, account_id, first, first + 48, now)
        assert hub.store.sums.hours(account_id, 49, now)[:-1] == slow
        days = hub.store.sums.days(account_id, 3, now)
        assert sum(day.up for day in days) == sum(hour.up for hour in slow)
        assert latency.merge(day.latency for day in days) == latency.merge(hour.latency for hour in slow)


def refused(minute: float) -> Check:
    from hub_core.model import Reason

    return failed(minute, Reason.KEY_NO_LONGER_ACCEPTED)


def waited(minute: float) -> Check:
    from hub_core.model import Reason

    return failed(minute, Reason.RATE_LIMITED)


CHECKS = {
    "well": well,
    "ending": ending,
    "timeout": lambda minute: timeouts(minute)[0],
    "refused": refused,
    "waited": waited,
}


def test_summing_up_again_changes_nothing(hub: Hub, hands: Hands) -> None:
    """Sums are replaced, not added to, wherever summing up begins anew."""
    ids = populate(hub, 9, at=NOON - 9 * DAY)
    live(hub, until=hands.at, days=6, beats_days=6)
    whole = {i: (hub.past.hours(i, 6 * 24), hub.past.days(i, 6)) for i in ids}
    with hub.store.database.write() as con:
        con.execute("UPDATE rolled SET hour = hour - 24 * (1 + no % 4) - 5")
    assert {i: (hub.past.hours(i, 6 * 24), hub.past.days(i, 6)) for i in ids} == whole
    hub.sum_up()
    assert {i: (hub.past.hours(i, 6 * 24), hub.past.days(i, 6)) for i in ids} == whole


# ---- answers


def test_uptime_counts_judged_time_only(hub: Hub, account_id: str, hands: Hands) -> None:
    """Gaps, pauses and maintenance are in neither share; an account without any judged time has none."""
    keep(hub, account_id, *(well(n) for n in range(5, 60, 5)))
    keep(hub, account_id, *timeouts(60, 65, 70))
    keep(hub, account_id, *timeouts(75, 80), maintenance=True)
    hub.store.set_lifecycle(account_id, Lifecycle.PAUSED, why="", at=NOON + 85 * MINUTE, actor="test")
    hub.store.set_lifecycle(account_id, Lifecycle.ACTIVE, why="", at=NOON + 120 * MINUTE, actor="test")
    keep(hub, account_id, *(well(n) for n in range(300, 345, 5)))
    hands.at = NOON + 345 * MINUTE
    hours = hub.past.hours(account_id, 6)
    assert sum(hour.maintenance for hour in hours) == 10 * 60
    assert sum(hour.paused for hour in hours) == (300 - 85) * 60
    assert hub.past.uptime(account_id) == (pytest.approx(105 / 120),) * 3
    hands.at += 60 * DAY
    hub.sum_up()
    assert hub.past.uptime(account_id) == (None, None, None)


def test_uptime_of_a_day_a_week_and_a_month(hub: Hub, hands: Hands) -> None:
    """Each share is of its own span: an outage of yesterday is in all, one of last week in two, one before in one."""
    (account_id,) = populate(hub, 1, at=NOON - 40 * DAY)
    hours = 24 * 30
    rows = [(1, rollup.hour_of(NOON) - back, 12, 0, 3600, 0, 0, 0, 0, None) for back in range(1, hours)]
    down = {2: 1800, 3 * 24: 3600, 20 * 24: 3600}
    rows = [
        (*r[:4], 3600 - down.get(rollup.hour_of(NOON) - r[1], 0), 0, down.get(rollup.hour_of(NOON) - r[1], 0), *r[7:])
        for r in rows
    ]
    with hub.store.database.write() as con:
        con.executemany("INSERT INTO hourly VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        con.execute("UPDATE rolled SET hour = ?", (rollup.hour_of(NOON),))
        con.execute(
            "INSERT INTO daily SELECT no, hour / 24, sum(checks), 0, sum(up), 0, sum(down), 0, 0, NULL FROM hourly "
            "GROUP BY hour / 24"
        )
    day, week, month = hub.past.uptime(account_id)
    assert day == pytest.approx(1 - 1800 / (23 * 3600))
    assert week == pytest.approx(1 - 5400 / ((7 * 24 - 1) * 3600))
    assert month == pytest.approx(1 - 9000 / ((29 * 24 + 12) * 3600))


def test_percentiles_come_from_all_checks_of_a_day(hub: Hub, account_id: str, hands: Hands) -> None:
    """A day's median is of its checks, not the average of its hours; hours without any measured are left out."""
    slow = [well(n, latency=2000) for n in range(60, 72)]
    keep(hub, account_id, *(well(n, latency=20 + n) for n in range(1, 50)), *slow, well(200, latency=None))
    hands.at = NOON + 4 * HOUR
    by_hour = hub.past.latency(account_id, DAY)
    assert [(found.at, found.checks) for found in by_hour] == [(NOON, 49), (NOON + HOUR, 12)]
    measured = [20 + n for n in range(1, 50)] + [2000] * 12
    (by_day,) = hub.past.latency(account_id, 30 * DAY)
    for found, true in ((by_day.p50, quantiles(measured, n=100)[49]), (by_day.p95, quantiles(measured, n=100)[94])):
        low, high = latency.bounds(latency.bucket_of(round(true)))
        assert int(low) <= found <= high
    assert by_day.checks == 61


# ---- what is thrown away


def test_old_beats_and_sums_go_a_part_at_a_time(hub: Hub, hands: Hands) -> None:
    """Single checks, hours and days each have their own age; a pause is known however old, the last check stays."""
    well_id, paused_id = populate(hub, 2, at=NOON - 60 * DAY)
    live(hub, until=hands.at, days=40, beats_days=40, lives=(Life.WELL, Life.PAUSED))
    short = Keep(2 * DAY, 10 * DAY, 20 * DAY)
    for hour in range(30):
        hands.at = NOON + hour * HOUR + LAG
        while hub.store.sums.roll_up(hands.at, short):
            pass
    with hub.store.database.read() as con:
        oldest = {
            table: con.execute(f"SELECT min({column}) FROM {table} WHERE no = 1").fetchone()[0]  # noqa: S608 - names above
            for table, column in (("beat", "at"), ("hourly", "hour"), ("daily", "day"))
        }
        assert con.execute("SELECT count(*) FROM beat WHERE no = 2").fetchone()[0] == 1
    hour = rollup.hour_of(hands.at)
    assert hands.at - 2 * DAY <= datetime.fromtimestamp(oldest["beat"] / 1000, UTC) < hands.at - 47 * HOUR
    assert oldest["hourly"] == hour - 10 * 24
    assert oldest["daily"] == (hour - 20 * 24) // 24
    assert hub.past.last_check(well_id)
    assert [period.paused for period in hub.past.hours(paused_id, 3)[:2]] == [3600, 3600]


def test_old_words_go_too(hub: Hub, account_id: str, hands: Hands) -> None:
    """Noteworthy checks with the beats; what was told and is over with the days; what is open stays."""
    keep(hub, account_id, *timeouts(5, 10, 15), well(20, server_version="1"), well(25, server_version="2"))
    keep(hub, account_id, *timeouts(30, 35, 40))
    with hub.store.database.write() as con:
        con.execute("UPDATE transition SET told = 1 WHERE after <> 'healthy'")
    for day in range(1, 6):
        hands.at = NOON + day * DAY
        while hub.store.sums.roll_up(hands.at, Keep(DAY, 31 * DAY, 2 * DAY)):
            pass
    assert hub.past.noteworthy(account_id) == hub.past.changes(account_id) == []
    assert {found.closed_at for found in hub.past.incidents()} == {None}
    assert {found.after for found in hub.past.transitions(account_id)} == {"healthy"}


def size(store: Store, folder: Path) -> int:
    copy = folder / f"copy{len(list(folder.iterdir()))}.db"
    store.database.backup(copy)
    return copy.stat().st_size


def test_a_thousand_quiet_checks_cost_25_kilobytes(hub: Hub, hands: Hands, tmp_path: Path) -> None:
    """All tables, sums of hours and days among them: what a week and a half of three accounts leaves."""
    ids = [store_linked(hub, who, PLACE, ca_pem=None, check=proven(NOON)) for who in organizations(3)]
    hub.sum_up()
    folder = tmp_path / "copies"
    folder.mkdir()
    before, number = size(hub.store, folder), 3000
    for n in range(1, number // 3 + 1):
        for account_id in ids:
            check = well(5 * n + (n * 7 % 11) / 60, light=n % 3 != 0, latency=40 + n * 31 % 60)
            keep(hub, account_id, check)
    hands.at = NOON + number // 3 * 5 * MINUTE + HOUR
    hub.sum_up()
    cost = (size(hub.store, folder) - before) / number * 1000
    print(f"{cost / 1000:.1f} KB for 1,000 quiet checks")
    assert len(hub.past.noteworthy(ids[0])) == 1
    assert cost <= 25_000, f"{cost / 1000:.1f} KB for 1,000 quiet checks"
