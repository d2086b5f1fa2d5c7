"""What is told about the schedule, being offline as one notice, and one check of one account at a time anywhere."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from hub_core.bitwarden.policy import OutboundPolicy
from hub_core.bitwarden.regions import REGIONS
from hub_core.bitwarden.transport import Session
from hub_core.clock import Clock
from hub_core.errors import Busy, HubError, NotFound
from hub_core.health.queue import time_for
from hub_core.health.rhythm import USUAL
from hub_core.health.scheduler import Scheduler
from hub_core.hub import Hub, _keep
from hub_core.model import Check, Endpoints, RegionId, Status, Trigger
from hub_core.sandbox import Fault, Sandbox, serve
from hub_core.storage.notices import Notice, NoticeKind, Notices, tell, untold
from hub_core.storage.workload import Load, Waiting
from hub_core.watching import QueueState
from tests.linked import Hands, installation, link
from tests.scaled import FastTime, fill, organizations, proven, store_linked, until, watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub_core.history import Beat
    from hub_core.sandbox import RunningSandbox
    from hub_core.settings import Settings

pytestmark = pytest.mark.paced

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
LEASE = 30 * SECOND
PLACE = Endpoints(RegionId.US, "https://identity.bitwarden.com", "https://api.bitwarden.com")
ELSEWHERE = Endpoints(RegionId.EU, "https://identity.bitwarden.eu", "https://api.bitwarden.eu")


class Wall:
    """A clock on the wall that a test sets."""

    def __init__(self) -> None:
        self.at = NOON

    @property
    def clock(self) -> Clock:
        """The clock that shows it."""
        return Clock(now=lambda: self.at)


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def hub(settings: Settings, wall: Wall) -> Iterator[Hub]:
    with closing(Hub.open(settings, clock=wall.clock)) as opened:
        yield opened


def linked(hub: Hub, number: int, place: Endpoints = PLACE) -> list[str]:
    """Store so many accounts, proved at noon."""
    found = organizations(number)
    return [store_linked(hub, one, place, ca_pem=None, check=proven(NOON), known=len(place.api)) for one in found]


# ---- the queue


def test_nothing_waits_while_nothing_is_due(hub: Hub) -> None:
    """Neither in an empty hub, nor right after everything was checked."""
    assert hub.watching.queue() == QueueState(0, 0, None, None)
    linked(hub, 3)
    assert hub.watching.queue() == QueueState(0, 0, None, None)


def test_the_queue_says_how_long_it_takes(hub: Hub, wall: Wall) -> None:
    """After a restart no token is kept, so all wait for a request each, eight a minute; without a watcher for ever."""
    ids = linked(hub, 16)
    wall.at += 10 * MINUTE
    assert hub.watching.queue() == QueueState(16, 0, NOON + 5 * MINUTE, None)
    fence = hub.store.schedule.take_lease("one", now=wall.at, lasts=LEASE)
    assert hub.watching.queue() == QueueState(16, 0, NOON + 5 * MINUTE, 2 * MINUTE)
    assert fence
    hub.store.schedule.claim(ids[:4], owner="one", fence=fence, now=wall.at)
    hub.store.schedule.hold(ids[4], "somebody", now=wall.at, lasts=LEASE)
    assert hub.watching.queue() == QueueState(11, 5, NOON + 5 * MINUTE, 11 * MINUTE / 8)
    hub.pause(ids[5], "", actor="test")
    assert hub.watching.queue().due == 10


def test_who_has_a_token_waits_for_a_light_check_only(hub: Hub, wall: Wall) -> None:
    """What was proved since the watcher began needs a place, and no token request until the key is due."""
    hub.store.schedule.take_lease("one", now=NOON - HOUR, lasts=2 * HOUR)
    linked(hub, 9)
    wall.at += 6 * MINUTE
    hub.store.schedule.take_lease("one", now=wall.at, lasts=2 * HOUR)
    light = hub.watching.queue()
    assert (light.due, light.done_in) == (9, 9 * MINUTE / 150)
    wall.at += 20 * MINUTE
    hub.store.schedule.take_lease("one", now=wall.at, lasts=LEASE)
    assert hub.watching.queue().done_in == 9 * MINUTE / 6


@pytest.mark.parametrize(
    ("waiting", "seconds"),
    [
        ([], None),
        ([Waiting("a", 0, 0, 0, None, 3, timedelta())], None),
        ([Waiting("a", 0, 0, 8, None, 0, timedelta()), Waiting("b", 0, 6, 0, None, 0, timedelta())], 60),
        ([Waiting("a", 0, 0, 8, None, 0, timedelta(seconds=90))], 150),
        ([Waiting(name, 5, 0, 0, None, 0, timedelta()) for name in "abcdefgh"], 4),
        ([Waiting("a", 300, 0, 0, None, 0, timedelta())], 120),
    ],
)
def test_the_time_is_that_of_the_slowest(waiting: list[Waiting], seconds: float | None) -> None:
    """Origins work side by side; each has its budget, its hold and its reads a minute, and all share the places."""
    found = time_for(waiting, USUAL)
    assert (found.total_seconds() if found is not None else None) == seconds


# ---- the budgets, and twins


def test_the_load_is_told_by_origin(hub: Hub, wall: Wall) -> None:
    """Requests of the last minute, and how long a server asked to be left alone; only of origins that have accounts."""
    linked(hub, 1)
    linked(hub, 1, ELSEWHERE)
    for seconds in (0, 30, 50):
        hub.store.budget.take(PLACE.identity_origin, at=NOON + seconds * SECOND, limit=8)
    hub.store.budget.take("https://other.example", at=NOON, limit=8)
    hub.store.budget.hold(ELSEWHERE.identity_origin, NOON + 2 * MINUTE)
    wall.at += 70 * SECOND
    assert hub.watching.load() == [
        Load("https://identity.bitwarden.com", 2, 8, timedelta()),
        Load("https://identity.bitwarden.eu", 0, 8, 50 * SECOND),
    ]


def test_an_organization_that_is_linked_twice_is_found(hub: Hub) -> None:
    """On another identity origin, and only then."""
    one, alone = linked(hub, 2)
    (twin,) = linked(hub, 1, ELSEWHERE)
    assert hub.watching.twins() == {one: (twin,), twin: (one,)}
    hub.unlink(twin, hub.account(twin).label, actor="test")
    assert hub.watching.twins() == {}
    assert alone != one


# ---- offline


@contextmanager
def served(number: int, time: FastTime, *, port: int = 0, rate_limits: bool = False) -> Iterator[RunningSandbox]:
    """Serve a sandbox with so many organizations, whose time passes as fast."""
    sandbox = Sandbox(clock=time.now, rate_limits=rate_limits, organizations=organizations(number))
    with serve(sandbox, port=port) as running:
        yield running


def reaching(folder: Path, *running: RunningSandbox, **options: object) -> Settings:
    """Return settings that let sandboxes pass for servers somewhere else."""
    targets = tuple(one.origin.removeprefix("https://") for one in running)
    return installation(folder, running[0], outbound_loopback=targets, **options)


def test_being_offline_is_one_notice(tmp_path: Path) -> None:
    """It lasts over a restart and ends when a server answers; no account is blamed."""
    time = FastTime(200)
    with served(1, time) as one, served(1, time) as other:
        settings = reaching(tmp_path, one, other)
        port = int(one.origin.rpartition(":")[2])
        with watched(settings, time) as hub:
            ids = fill(hub, one, at=time.now() - HOUR, region=RegionId.SELF_HOSTED)
            ids += fill(hub, other, at=time.now() - HOUR, region=RegionId.SELF_HOSTED, known=2)
            one.close()
            other.close()
            assert hub.watching.offline_since() is None
            hub.start_watching()
            until(lambda: hub.watching.offline_since() is not None)
            since = hub.watching.offline_since()
        with watched(settings, time) as hub:
            assert hub.watching.offline_since() == since
            with served(1, time, port=port):
                hub.start_watching()
                until(lambda: hub.watching.offline_since() is None)
            with hub.store.database.read() as con:
                ((began, ended),) = con.execute("SELECT at, ended_at FROM notice").fetchall()
            assert since
            assert (began, ended > began) == (round(since.timestamp() * 1000), True)
            assert hub.past.incidents() == []
            assert {hub.account(i).standing.status for i in ids} == {Status.HEALTHY}


def left_to_tell(hub: Hub) -> list[Notice]:
    with hub.store.database.read() as con:
        return untold(con)


def told(hub: Hub, notice: Notice) -> None:
    with hub.store.database.write() as con:
        tell(con, notice)


def test_a_notice_is_told_when_it_begins_and_when_it_ends(hub: Hub) -> None:
    """Whoever could be told in between hears of both; a second beginning while it lasts is none."""
    notices, kind = Notices(hub.store.database), NoticeKind.OFFLINE
    assert not notices.end(kind, NOON)
    notices.begin(kind, NOON)
    notices.begin(kind, NOON + MINUTE)
    (began,) = left_to_tell(hub)
    told(hub, began)
    assert left_to_tell(hub) == []
    assert notices.end(kind, NOON - HOUR)  # by a clock that was set back
    (ended,) = left_to_tell(hub)
    assert ended == began._replace(ended_at=NOON)
    told(hub, began)
    assert left_to_tell(hub) == [ended]
    told(hub, ended)
    assert left_to_tell(hub) == []


@pytest.mark.parametrize("answers", [True, False])
def test_where_all_is_on_one_cloud_the_other_clouds_are_witnesses(tmp_path: Path, answers: object) -> None:
    """While another cloud can be connected to, the own one is unreachable; when none can, the hub is offline."""
    time = FastTime(300)
    clouds = [row.endpoints.api for row in REGIONS if row.endpoints]
    with served(1, time) as own, served(1, time) as others:
        settings = reaching(tmp_path, own, others)

        def sessions(endpoints: Endpoints, ca_pem: str | None) -> Session:
            if endpoints.api in clouds:
                where = (others if answers else own).sandbox.endpoints(others.sandbox.organizations[0].server)
                endpoints = replace(endpoints, identity=where.identity, api=where.api)
            return Session(endpoints, OutboundPolicy.from_settings(settings), ca_pem=ca_pem, deadline_s=10.0)

        with closing(Hub.open(settings, clock=time.clock, chance=lambda: 0.5, sessions=sessions)) as hub:
            (account_id,) = fill(hub, own, at=time.now() - HOUR, region=RegionId.US)
            own.close()
            hub.start_watching()
            if answers:
                until(lambda: hub.account(account_id).standing.status is Status.UNREACHABLE)
                assert hub.watching.offline_since() is None
            else:
                until(lambda: hub.watching.offline_since() is not None)
                assert hub.account(account_id).standing.status is Status.HEALTHY


# ---- told after each pass


@pytest.mark.parametrize("kind", ["well", "fails", "hangs"])
def test_whoever_wants_to_know_is_told_once_a_minute(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """That it fails or hangs stops no check, and of its error only the kind is logged."""
    time, told = FastTime(300), list[datetime]()

    async def after_pass() -> None:
        told.append(time.now())
        if kind == "fails":
            raise HubError("https://ping.example/canary")
        if kind == "hangs":
            await time.sleep(1e6)

    with served(2, time) as running, watched(installation(tmp_path, running), time) as hub:
        ids = fill(hub, running, at=time.now() - HOUR)
        began = time.now()
        scheduler = Scheduler(
            hub.store, hub._examiner, clock=time.clock, keep=_keep(hub.settings), after_pass=after_pass
        )
        hub._engine.start(scheduler.run)
        until(lambda: time.now() - began > 15 * MINUTE)
        checks = [len(hub.past.beats(account_id, began)) for account_id in ids]
    assert min(checks) >= 2
    if kind == "hangs":
        assert len(told) == 1
    else:
        assert 5 < len(told) <= 17
    assert "canary" not in caplog.text
    assert ("HubError" in caplog.text) is (kind == "fails")


# ---- people


def test_people_go_first_while_all_wait_for_tokens(tmp_path: Path) -> None:
    """After a restart the queue uses every request, and yet whoever asks for a check has it; all keep to the bound."""
    time, number = FastTime(60), 32
    with served(number, time, rate_limits=True) as running:
        settings = installation(tmp_path, running, token_limit=8)
        with watched(settings, time) as hub:
            ids = fill(hub, running, at=time.now() - 3 * HOUR)
            began = time.now()
            hub.start_watching()
            asked: list[Check] = []
            for account_id in reversed(ids[-4:]):
                until(lambda: time.now() - began > 40 * SECOND * (len(asked) + 1))
                asked.append(hub.check(account_id))
            until(lambda: all(row.checked_at and row.checked_at >= began for row in hub.accounts()))
            took = max(row.checked_at for row in hub.accounts() if row.checked_at) - began
            found = [beat for i in ids for beat in hub.past.beats(i, began)]
    bound = 1.1 * (number + len(asked)) / 8
    print(f"{number} accounts and {len(asked)} people in {took / MINUTE:.1f} min of {bound:.1f}")
    assert [check.failure for check in asked] == [None] * 4
    assert {beat.reason for beat in found} == {None}
    assert took <= bound * MINUTE


@pytest.mark.parametrize("then", ["linked", "relinked"])
def test_the_token_of_a_person_is_kept(tmp_path: Path, then: str) -> None:
    """So the first scheduled check of a new account, or of one with a new key, is a light one."""
    time = FastTime(200)
    with served(1, time) as running, watched(installation(tmp_path, running), time) as hub:
        (who,) = running.sandbox.organizations
        account_id = link(hub, who).account.id
        if then == "relinked":
            secret = running.sandbox.rotate(who.client_id)
            key = hub.read_new_key(account_id, secret)
            hub.relink(account_id, key, actor="test")
        began = time.now()
        hub.start_watching()
        until(lambda: bool(scheduled(hub, account_id, began)))
        first = scheduled(hub, account_id, began)[0]
    assert first.light
    assert first.status is Status.HEALTHY


def scheduled(hub: Hub, account_id: str, since: datetime) -> list[Beat]:
    return [beat for beat in hub.past.beats(account_id, since) if beat.trigger is Trigger.SCHEDULE]


# ---- one check of one account at a time


def test_who_holds_an_account_keeps_others_out(hub: Hub) -> None:
    """Another process waits until it is released, or gives no more signs; a hold of the future binds nobody."""
    schedule, (account_id,) = hub.store.schedule, linked(hub, 1)
    assert schedule.hold(account_id, "one", now=NOON, lasts=LEASE)
    assert not schedule.hold(account_id, "two", now=NOON + LEASE / 2, lasts=LEASE)
    assert schedule.hold(account_id, "one", now=NOON + LEASE / 2, lasts=LEASE)
    assert not schedule.hold(account_id, "two", now=NOON + LEASE, lasts=LEASE)
    assert schedule.hold(account_id, "two", now=NOON + 2 * LEASE, lasts=LEASE)
    schedule.release(account_id, "one")
    assert not schedule.hold(account_id, "one", now=NOON + 2 * LEASE, lasts=LEASE)
    schedule.release(account_id, "two")
    assert schedule.hold(account_id, "one", now=NOON + 24 * HOUR, lasts=LEASE)
    assert schedule.hold(account_id, "two", now=NOON, lasts=LEASE)
    with pytest.raises(NotFound):
        schedule.hold("nobody", "one", now=NOON, lasts=LEASE)


def test_a_claim_and_a_hold_keep_each_other_out(hub: Hub) -> None:
    """A watcher leaves alone what a person has checked, and the reverse, until the watcher lets go or is dead."""
    schedule, (account_id,), later = hub.store.schedule, linked(hub, 1), NOON + 6 * MINUTE
    fence = schedule.take_lease("watcher", now=later, lasts=LEASE)
    assert fence

    def claimed(at: datetime) -> bool:
        return schedule.claim([account_id], owner="watcher", fence=fence, now=at) == {account_id}

    assert schedule.hold(account_id, "person", now=later, lasts=LEASE)
    assert schedule.due(later) == []
    assert not claimed(later)
    schedule.release(account_id, "person")
    assert [row.id for row in schedule.due(later)] == [account_id]
    assert claimed(later)
    assert not schedule.hold(account_id, "person", now=later, lasts=LEASE)
    schedule.unclaim(account_id, fence)
    assert schedule.hold(account_id, "person", now=later, lasts=LEASE)
    schedule.release(account_id, "person")
    assert claimed(later)
    assert schedule.hold(account_id, "person", now=later + 2 * LEASE, lasts=LEASE)  # the watcher's lease ran out
    check = proven(later, Trigger.SCHEDULE)
    step = hub._examiner.step
    assert hub.store.record(account_id, 0, step=lambda at: step(at, check), fence=fence) is None


CHILD = """
import sys
import time
from pathlib import Path
from hub_core.hub import Hub
from hub_core.settings import Settings
from tests.scaled import FastTime
data, config, port, began, factor, account_id, times = sys.argv[1:]
settings = Settings(data=Path(data), config=Path(config), sandbox_port=int(port), token_limit=60)
hub = Hub.open(settings, clock=FastTime(float(factor), began=float(began)).clock, deadline_s=10.0)
print("ready", flush=True)
for _ in range(int(times)):
    check = hub.check(account_id)
    time.sleep(0.1)
    print(round(check.at.timestamp() * 1000), check.ms, flush=True)
"""


def checking(settings: Settings, time: FastTime, account_id: str, times: int) -> subprocess.Popen[str]:
    """Start a process that checks an account so many times."""
    values = (settings.data, settings.config, settings.sandbox_port, time.began, time.factor, account_id, times)
    child = subprocess.Popen([sys.executable, "-c", CHILD, *map(str, values)], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "ready\n"
    return child


def test_two_processes_never_check_an_account_at_once(tmp_path: Path) -> None:
    """While one watches and checks, and another checks as fast as it can, no check begins before the last has ended."""
    time = FastTime(1)
    with served(1, time) as running, watched(installation(tmp_path, running), time) as hub:
        (account_id,) = fill(hub, running, at=time.now() - HOUR)
        child, began = checking(hub.settings, time, account_id, 30), time.now()
        hub.start_watching()
        ours = [hub.check(account_id) for _ in range(8)]

        def ended() -> bool:
            with hub.store.database.write() as con:
                con.execute("UPDATE schedule SET next_at = 0")
            return child.poll() is not None and bool(scheduled(hub, account_id, began))

        until(ended)
        theirs, _ = child.communicate(timeout=60)
        spans = [(round(check.at.timestamp() * 1000), check.ms) for check in ours]
        spans += [(int(at), int(ms)) for at, ms in map(str.split, theirs.splitlines())]
        spans += [
            (round(beat.at.timestamp() * 1000), beat.latency_ms or 0) for beat in scheduled(hub, account_id, began)
        ]
    assert child.returncode == 0
    assert len(spans) > 38
    spans.sort()
    assert [one for one, two in pairwise(spans) if two[0] < one[0] + one[1]] == []


def test_a_process_that_dies_blocks_nobody_for_long(tmp_path: Path) -> None:
    """Killed amid a check, its account is free a minute later at most, and whoever waits then has the check."""
    time = FastTime(60)
    with served(1, time) as running, watched(installation(tmp_path, running), time) as hub:
        (account_id,) = fill(hub, running, at=time.now() - HOUR)
        running.sandbox.faults.set("us", Fault.SLOW, seconds=30)
        child = checking(hub.settings, time, account_id, 1)
        until(lambda: held_until(hub, account_id) is not None)
        child.kill()
        child.wait()
        ends = held_until(hub, account_id)
        assert ends
        assert ends - time.now() <= MINUTE
        running.sandbox.faults.clear()
        assert hub.check(account_id).failure is None
        assert held_until(hub, account_id) is None


def held_until(hub: Hub, account_id: str) -> datetime | None:
    with hub.store.database.read() as con:
        row = con.execute("SELECT held_until FROM schedule WHERE account_id = ?", (account_id,)).fetchone()
    return datetime.fromtimestamp(row[0] / 1000, UTC) if row[0] else None


def test_who_waits_too_long_is_told(tmp_path: Path) -> None:
    """After three minutes a sentence says what goes on; checking many goes on without that account."""
    time = FastTime(1000)
    clock = Clock(now=Hands().now, monotonic=time.seconds, sleep=time.sleep)
    sandbox = Sandbox(rate_limits=False, organizations=organizations(2))
    with serve(sandbox) as running, closing(Hub.open(installation(tmp_path, running), clock=clock)) as hub:
        busy, free = fill(hub, running, at=clock.now() - HOUR)
        hub.store.schedule.hold(busy, "somebody", now=clock.now(), lasts=2 * MINUTE)
        with pytest.raises(Busy, match="Try again in a minute"):
            hub.check(busy)
        told = {step.label: step.status for step in hub.check_many([busy, free]) if step and step.label}
        assert told == {hub.account(busy).label: None, hub.account(free).label: Status.HEALTHY}
