"""The scheduler over real sandboxes, in time that passes faster: rhythm, order, pacing, and what it never does."""

from __future__ import annotations

import fcntl
import logging
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from hub_core.model import Reason, RegionId, Status, Trigger
from hub_core.sandbox import Fault, Sandbox, serve
from tests.linked import installation
from tests.scaled import FastTime, fill, organizations, until, watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub_core.history import Beat
    from hub_core.hub import Hub
    from hub_core.sandbox import RunningSandbox
    from hub_core.settings import Settings

pytestmark = pytest.mark.paced

LONG_AGO = timedelta(hours=3)


@contextmanager
def served(number: int, time: FastTime, *, rate_limits: bool = False, port: int = 0) -> Iterator[RunningSandbox]:
    """Serve a sandbox with so many organizations, whose time passes as fast."""
    sandbox = Sandbox(clock=time.now, rate_limits=rate_limits, organizations=organizations(number))
    with serve(sandbox, port=port) as running:
        yield running


def two_hosts(folder: Path, *running: RunningSandbox, **options: object) -> Settings:
    """Return settings that let sandboxes pass for servers somewhere else."""
    targets = tuple(one.origin.removeprefix("https://") for one in running)
    return installation(folder, running[0], outbound_loopback=targets, **options)


def scheduled(hub: Hub, account_id: str) -> list[Beat]:
    """Return what the scheduler found of an account, oldest first."""
    return [beat for beat in reversed(hub.past.recent(account_id, 1000)) if beat.trigger is Trigger.SCHEDULE]


def overlaps(checks: list[Beat]) -> int:
    """Count the checks of one account that began before the one before had its answer."""
    return sum(
        later.at < earlier.at + timedelta(milliseconds=earlier.latency_ms or 0) for earlier, later in pairwise(checks)
    )


def test_two_hundred_accounts_are_judged_after_a_restart_as_fast_as_the_limit_allows(tmp_path: Path) -> None:
    """All are judged within 1.1 times 200 / 8 minutes, those in trouble first, and the server never says stop."""
    time = FastTime(60)
    with served(200, time, rate_limits=True) as running:
        settings = installation(tmp_path, running, token_limit=8)
        with watched(settings, time) as hub:
            ids = fill(hub, running, at=time.now() - LONG_AGO)
            troubled = ids[-5:]
            with hub.store.database.write() as con:
                con.executemany("UPDATE account SET status = 'unreachable' WHERE id = ?", [(i,) for i in troubled])
            began = time.now()
            hub.start_watching()
            until(lambda: all(row.checked_at and row.checked_at >= began for row in hub.accounts()))
            took = max(row.checked_at for row in hub.accounts() if row.checked_at) - began
            found = {i: scheduled(hub, i) for i in ids}
    print(f"200 accounts judged in {took.total_seconds() / 60:.1f} min of {200 / 8:.0f}")
    assert took <= 1.1 * timedelta(minutes=200 / 8)
    assert {row.reason for checks in found.values() for row in checks} == {None}
    assert {row.status for checks in found.values() for row in checks} == {Status.HEALTHY}
    firsts = sorted(ids, key=lambda i: found[i][0].at)
    assert set(firsts[:5]) == set(troubled)


def test_two_watchers_on_one_database_keep_one_rhythm(tmp_path: Path) -> None:
    """Each account gets its light and key checks in time, by one watcher; when it leaves the other goes on."""
    time = FastTime(300)
    with served(4, time) as running:
        settings = installation(tmp_path, running)
        with watched(settings, time) as second:
            ids = fill(second, running, at=time.now())
            with watched(settings, time) as first:
                first.start_watching()
                until(lambda: first.store.schedule.watcher().beat_at is not None)
                second.start_watching()
                began = time.now()
                until(lambda: time.now() - began > timedelta(minutes=50))
            left = time.now()
            until(lambda: all(row.checked_at and row.checked_at > left for row in second.accounts()))
            found = {i: scheduled(second, i) for i in ids}
    for checks in found.values():
        assert overlaps(checks) == 0
        assert {check.status for check in checks} == {Status.HEALTHY}
        gaps = [later.at - earlier.at for earlier, later in pairwise(checks)]
        assert max(gaps) < timedelta(minutes=7)
        assert sorted(gaps)[len(gaps) // 2] > timedelta(minutes=4)
        fresh = [check.at for check in checks if not check.light]
        light = [check for check in checks if check.light]
        assert len(light) > len(fresh) > 1
        assert max(later - earlier for earlier, later in pairwise(fresh)) < timedelta(minutes=23)


def test_a_slow_server_delays_nobody_else(tmp_path: Path) -> None:
    """While every check of one server hangs, the accounts of another one keep their rhythm."""
    time = FastTime(60)
    with served(12, time) as slow, served(6, time) as fast:
        slow.sandbox.faults.set("us", Fault.SLOW, seconds=60)
        settings = two_hosts(tmp_path, slow, fast)
        with watched(settings, time, deadline_s=20.0) as hub:
            fill(hub, slow, at=time.now() - LONG_AGO, region=RegionId.SELF_HOSTED)
            ids = fill(hub, fast, at=time.now() - LONG_AGO, region=RegionId.SELF_HOSTED, known=2)
            began = time.now()
            hub.start_watching()
            until(lambda: all(len(scheduled(hub, i)) > 1 for i in ids))
            took = time.now() - began
    assert took < timedelta(minutes=8)


def test_a_refused_key_is_found_at_once_and_not_hammered(tmp_path: Path) -> None:
    """A light check that meets 401 is confirmed by one fresh token; a refusal is tried again ever more rarely."""
    time = FastTime(600)
    with served(1, time) as running, watched(installation(tmp_path, running), time) as hub:
        (account_id,) = fill(hub, running, at=time.now() - LONG_AGO)
        who = running.sandbox.organizations[0]
        hub.start_watching()
        until(lambda: len(scheduled(hub, account_id)) > 1)
        running.sandbox.rotate(who.client_id)
        running.sandbox.faults.set("us", Fault.STRIP_AUTHORIZATION)
        until(lambda: hub.account(account_id).standing.status is Status.FAILING)
        refused_at = time.now()
        until(lambda: time.now() - refused_at > timedelta(hours=1.2))
        checks = scheduled(hub, account_id)
        standing, due = hub.account(account_id).standing, hub.account(account_id).due
        (fallen,) = [t for t in hub.transitions(account_id) if t.after is Status.FAILING]
        assert not hub.watching.stale(hub.account(account_id))
    doubt = next(n for n, check in enumerate(checks) if check.reason is Reason.TOKEN_NOT_DELIVERED)
    assert (checks[doubt].status, checks[doubt].down) == (Status.UNKNOWN, False)
    assert checks[doubt + 1].at - checks[doubt].at < timedelta(minutes=2)
    assert (standing.reason, fallen.reason) == (Reason.KEY_NO_LONGER_ACCEPTED, Reason.KEY_NO_LONGER_ACCEPTED)
    after = [check for check in checks if check.at >= fallen.at]
    assert len(after) <= 3
    assert due.refusals == len(after)


def test_an_outage_is_unreachable_after_three_checks_and_over_after_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two failures change nothing; the third is dated from the first; one good check ends it; each is one log line."""
    time = FastTime(300)
    with served(1, time) as running, watched(installation(tmp_path, running), time) as hub:
        (account_id,) = fill(hub, running, at=time.now() - LONG_AGO)
        hub.start_watching()
        until(lambda: len(scheduled(hub, account_id)) > 1)
        running.sandbox.faults.set("us", Fault.BAD_GATEWAY)
        until(lambda: hub.account(account_id).standing.status is Status.UNREACHABLE)
        running.sandbox.faults.clear()
        until(lambda: hub.account(account_id).standing.status is Status.HEALTHY)
        checks = scheduled(hub, account_id)
        back, gone, *_ = hub.transitions(account_id)
    failed = [check for check in checks if check.reason is Reason.APPLICATION_DOWN]
    assert [(check.status, check.down) for check in failed[:3]] == [(Status.UNREACHABLE, True)] * 3
    assert (gone.at, gone.after, back.after) == (failed[0].at, Status.UNREACHABLE, Status.HEALTHY)
    told = [record.getMessage() for record in caplog.records if account_id in record.getMessage()]
    assert told == [
        f"Account {account_id} is unreachable: application_down",
        f"Account {account_id} works again; it was unreachable.",
    ]


def test_a_hub_that_is_offline_blames_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While no host answers nothing is recorded, one line is logged, and checks go on when the network is back."""
    time = FastTime(200)
    with served(2, time) as one, served(2, time) as other:
        settings = two_hosts(tmp_path, one, other)
        ports = [int(running.origin.rpartition(":")[2]) for running in (one, other)]
        with watched(settings, time) as hub:
            ids = fill(hub, one, at=time.now() - LONG_AGO, region=RegionId.SELF_HOSTED)
            ids += fill(hub, other, at=time.now() - LONG_AGO, region=RegionId.SELF_HOSTED, known=2)
            one.close()
            other.close()
            hub.start_watching()
            until(lambda: any("offline" in record.getMessage() for record in caplog.records))
            began = time.now()
            until(lambda: time.now() - began > timedelta(minutes=10))
            assert [scheduled(hub, i) for i in ids] == [[], [], [], []]
            with served(2, time, port=ports[0]), served(2, time, port=ports[1]):
                until(lambda: any("answer again" in record.getMessage() for record in caplog.records))
            standings = [hub.account(i).standing for i in ids]
    assert {standing.status for standing in standings} == {Status.HEALTHY}
    assert Counter("offline" in record.getMessage() for record in caplog.records)[True] == 1


def test_one_server_that_is_gone_is_not_the_network(tmp_path: Path) -> None:
    """Where another host answers, the one that does not is unreachable, and the other stays well."""
    time = FastTime(300)
    with served(1, time) as one, served(1, time) as other, watched(two_hosts(tmp_path, one, other), time) as hub:
        (gone,) = fill(hub, one, at=time.now() - LONG_AGO, region=RegionId.SELF_HOSTED)
        (well,) = fill(hub, other, at=time.now() - LONG_AGO, region=RegionId.SELF_HOSTED, known=2)
        one.close()
        hub.start_watching()
        until(lambda: hub.account(gone).standing.status is Status.UNREACHABLE)
        assert hub.account(gone).standing.reason is Reason.CONNECTION_REFUSED
        assert hub.account(well).standing.status is Status.HEALTHY


def test_an_account_that_cannot_be_evaluated_is_left_alone_for_an_hour(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged row stops nobody else, and is tried again an hour later, not at once."""
    time = FastTime(100)
    with served(3, time) as running, watched(installation(tmp_path, running), time) as hub:
        broken, *others = fill(hub, running, at=time.now() - LONG_AGO)
        with hub.store.database.write() as con:
            con.execute("UPDATE account SET facts = '{canary' WHERE id = ?", (broken,))
        hub.start_watching()
        until(lambda: all(len(scheduled(hub, i)) > 1 for i in others))
        (pushed,) = scheduled(hub, broken)
        assert pushed.reason is Reason.INTERNAL
        assert (pushed.status, pushed.down) == (Status.UNKNOWN, False)
        with hub.store.database.read() as con:
            next_at = con.execute("SELECT next_at FROM schedule WHERE account_id = ?", (broken,)).fetchone()[0]
        assert next_at == pytest.approx((pushed.at + timedelta(hours=1)).timestamp() * 1000, abs=1)
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 1


def test_trouble_with_our_own_database_is_nobodys_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While the database cannot be written nothing is asked and nothing booked; afterwards all goes on."""
    time = FastTime(100)
    with served(2, time) as running, watched(installation(tmp_path, running), time) as hub:
        ids = fill(hub, running, at=time.now() - LONG_AGO)
        hub.start_watching()
        until(lambda: all(scheduled(hub, i) for i in ids))
        hub.store.database._wait_s = 0.2
        with hub.settings.database.with_name("hub.db.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            until(lambda: any("Checks pause" in record.getMessage() for record in caplog.records))
        stopped = time.now()
        until(lambda: all(scheduled(hub, i)[-1].at > stopped for i in ids))
        found = [check for i in ids for check in scheduled(hub, i)]
        hours = [hour for i in ids for hour in hub.past.hours(i)]
    assert {(check.status, check.reason) for check in found} == {(Status.HEALTHY, None)}
    assert sum(hour.down for hour in hours) == 0 < sum(hour.up for hour in hours)


def test_whoever_watches_sums_up_the_past(tmp_path: Path) -> None:
    """Hours that are over become sums while checks go on, and the answers are the same as before."""
    time = FastTime(100)
    with served(1, time) as running, watched(installation(tmp_path, running), time) as hub:
        (account_id,) = fill(hub, running, at=time.now() - LONG_AGO)
        before = hub.past.hours(account_id)[:-2]
        hub.start_watching()
        until(lambda: len(scheduled(hub, account_id)) > 1)
        with hub.store.database.read() as con:
            summed = con.execute("SELECT count(*) FROM hourly").fetchone()[0]
        after = {hour.begins: hour for hour in hub.past.hours(account_id, 30)}
    assert summed > 0
    assert [after[hour.begins] for hour in before] == before
