"""What a check leaves behind: beats, the log of noteworthy checks, incidents, changed facts, and what is erased."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hub_core.bitwarden.client import LISTS
from hub_core.clock import Clock
from hub_core.errors import NotFound, StorageError
from hub_core.health import status
from hub_core.hub import Hub
from hub_core.model import (
    Capability,
    Check,
    Endpoints,
    Facts,
    Lifecycle,
    Observation,
    Outcome,
    Reason,
    RegionId,
    Stage,
    Status,
    Trigger,
)
from hub_core.storage.database import Database
from hub_core.storage.migrations import MIGRATIONS
from hub_core.storage.store import Store
from hub_core.storage.sums import Keep
from tests.scaled import organizations, proven, store_linked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub_core.history import Beat, Incident
    from hub_core.settings import Settings

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
KEEP = Keep(14 * DAY, 90 * DAY, 730 * DAY)
PLACE = Endpoints(RegionId.US, "https://identity.bitwarden.com", "https://api.bitwarden.com")


@pytest.fixture
def hub(settings: Settings) -> Iterator[Hub]:
    with closing(Hub.open(settings, clock=Clock(now=lambda: NOON + DAY))) as opened:
        yield opened


@pytest.fixture
def account_id(hub: Hub) -> str:
    return store_linked(hub, organizations(1)[0], PLACE, ca_pem=None, check=proven(NOON))


def well(minute: float, *, light: bool = True, latency: int | None = 40, **facts: object) -> Check:
    """A scheduled check that finds everything well."""
    skipped = {Stage.TOKEN, Stage.IDENTITY} if light else set()
    seen = tuple(Observation(stage, Outcome.SKIP if stage in skipped else Outcome.PASS, None, 3) for stage in Stage)
    known = Facts(capabilities=dict.fromkeys(LISTS, Capability.READABLE), latency_ms=latency)
    return Check(NOON + minute * MINUTE, Trigger.SCHEDULE, seen, replace(known, **facts))  # type: ignore[arg-type]


def failed(minute: float, reason: Reason, stage: Stage = Stage.TOKEN, trigger: Trigger = Trigger.SCHEDULE) -> Check:
    seen = Observation(stage, Outcome.FAIL, reason, 7, {"status": "400"})
    return Check(NOON + minute * MINUTE, trigger, (seen,))


def ending(minute: float) -> Check:
    """A check with a fresh token that finds a certificate about to end."""
    seen = [Observation(stage, Outcome.PASS) for stage in Stage]
    seen[2] = Observation(Stage.TLS, Outcome.WARN, Reason.CERTIFICATE_ENDS_SOON, 3, {"days": "9"})
    known = Facts(capabilities=dict.fromkeys(LISTS, Capability.READABLE))
    return Check(NOON + minute * MINUTE, Trigger.SCHEDULE, tuple(seen), known)


def keep(hub: Hub, account_id: str, *checks: Check, maintenance: bool = False) -> None:
    for check in checks:
        step = lambda present, check=check: status.step(present, check, hub.watching.rhythm)  # noqa: E731 - as short as what it says
        assert hub.store.record(account_id, 0, step=step, maintenance=maintenance)


def timeouts(*minutes: float) -> list[Check]:
    return [failed(minute, Reason.CONNECTION_TIMEOUT, Stage.REACH) for minute in minutes]


def beats(hub: Hub, account_id: str) -> list[Beat]:
    return hub.past.beats(account_id, NOON)


# ---- beats


def test_every_check_is_one_beat(hub: Hub, account_id: str) -> None:
    """Time, finding, trigger, latency and kind of each check come back, oldest first or newest first."""
    keep(hub, account_id, well(5), failed(10, Reason.RATE_LIMITED, Stage.READ), ending(15))
    linked, light, waited, degraded = beats(hub, account_id)
    assert (linked.trigger, linked.light, linked.status) == (Trigger.LINK, False, Status.HEALTHY)
    assert (light.at, light.light, light.latency_ms, light.reason) == (NOON + 5 * MINUTE, True, 40, None)
    assert (waited.status, waited.reason, waited.down) == (Status.UNKNOWN, Reason.RATE_LIMITED, False)
    assert (degraded.status, degraded.reason, degraded.down) == (Status.DEGRADED, Reason.CERTIFICATE_ENDS_SOON, False)
    assert hub.past.recent(account_id, 2) == [degraded, waited]
    assert hub.past.beats(account_id, NOON + 10 * MINUTE) == [waited, degraded]


def test_a_beat_holds_until_the_next_check_could_have_come(hub: Hub, account_id: str) -> None:
    """Twice the interval, and for a refused key until it is tried again."""
    keep(hub, account_id, well(5), failed(10, Reason.KEY_NO_LONGER_ACCEPTED))
    _, light, refused = beats(hub, account_id)
    assert 10 * MINUTE <= light.holds <= 17 * MINUTE
    assert 24 * MINUTE < refused.holds < 28 * MINUTE


def test_a_light_check_that_doubts_the_key_judges_nothing(hub: Hub, account_id: str) -> None:
    """Only a fresh token can say whether it is refused."""
    doubt = replace(
        well(5),
        observations=(
            Observation(Stage.TOKEN, Outcome.SKIP),
            Observation(Stage.READ, Outcome.FAIL, Reason.TOKEN_REFUSED),
        ),
    )
    keep(hub, account_id, doubt)
    assert (beats(hub, account_id)[-1].status, beats(hub, account_id)[-1].reason) == (
        Status.UNKNOWN,
        Reason.TOKEN_REFUSED,
    )


def test_a_confirmed_failure_is_booked_from_the_first(hub: Hub, account_id: str) -> None:
    """Two failures are missed checks; the third makes all of them down, in one transaction with the transition."""
    keep(hub, account_id, well(5), *timeouts(10, 15))
    assert [beat.down for beat in beats(hub, account_id)] == [False] * 4
    keep(hub, account_id, *timeouts(20))
    assert [beat.down for beat in beats(hub, account_id)] == [False, False, True, True, True]
    keep(hub, account_id, well(25))
    assert not beats(hub, account_id)[-1].down
    hub.sum_up()
    (hour,) = [period for period in hub.past.hours(account_id, 25) if period.begins == NOON]
    assert hour.down == 15 * 60


def test_a_late_confirmation_corrects_sums_that_were_made(hub: Hub, account_id: str) -> None:
    """Hours that were summed up as up are summed up again once the failure is confirmed."""
    keep(hub, account_id, well(40), *timeouts(45, 50))
    first = lambda: next(p for p in hub.past.hours(account_id, 25) if p.begins == NOON)  # noqa: E731 - as short as what it says
    hub.store.sums.roll_up(NOON + 80 * MINUTE, KEEP)
    assert (first().down, first().failed) == (0, 2)
    keep(hub, account_id, *timeouts(55 + 30))
    assert first().down == 15 * 60
    hub.sum_up()
    assert first().down == 15 * 60


def test_a_failure_that_nobody_confirms_is_not_down(hub: Hub, account_id: str) -> None:
    """One missed check between good ones costs no uptime."""
    keep(hub, account_id, *timeouts(5), well(10))
    assert [beat.down for beat in beats(hub, account_id)] == [False] * 3
    assert hub.past.uptime(account_id).week == 1.0


def test_pausing_ends_what_is_known(hub: Hub, account_id: str) -> None:
    """A marker stands where a person stopped the checks; resuming needs none."""
    hub.store.set_lifecycle(account_id, Lifecycle.PAUSED, why="", at=NOON + 3 * MINUTE, actor="test")
    hub.store.set_lifecycle(account_id, Lifecycle.ACTIVE, why="", at=NOON + 33 * MINUTE, actor="test")
    keep(hub, account_id, well(35))
    assert [beat.paused for beat in beats(hub, account_id)] == [False, True, False]
    (hour,) = [period for period in hub.past.hours(account_id, 25) if period.begins == NOON]
    assert (hour.paused, hour.checks) == (32 * 60, 2)


def test_beats_of_a_clock_that_was_ahead_go_with_it(hub: Hub, account_id: str) -> None:
    """After the clock was set back, what it dated into the future does not stand before the present."""
    keep(hub, account_id, well(60 * 24 * 365), well(5))
    assert [beat.at for beat in hub.past.recent(account_id)] == [NOON + 5 * MINUTE, NOON]


def test_a_check_that_could_not_be_evaluated_is_a_beat_that_judged_nothing(hub: Hub, account_id: str) -> None:
    """The account keeps its status, and the log says why."""
    schedule = hub.store.schedule
    fence = schedule.take_lease("me", now=NOON, lasts=HOUR)
    assert fence
    schedule.claim([account_id], owner="me", fence=fence, now=NOON)
    schedule.push_ahead(account_id, failed(5, Reason.INTERNAL, Stage.FORMAT), until=NOON + HOUR, fence=fence)
    last = beats(hub, account_id)[-1]
    assert (last.status, last.reason, last.down) == (Status.UNKNOWN, Reason.INTERNAL, False)
    assert hub.past.noteworthy(account_id)[0].reason is Reason.INTERNAL


def test_a_stall_of_our_own_database_is_nobodys_failure(hub: Hub, account_id: str) -> None:
    """A check that cannot be stored leaves no beat at all: the time is a gap, not down."""
    hub.store.database._wait_s = 0.05
    with hub.store.database.write(), pytest.raises(StorageError):
        keep(hub, account_id, *timeouts(5))
    assert [beat.status for beat in beats(hub, account_id)] == [Status.HEALTHY]
    assert sum(period.down for period in hub.past.hours(account_id, 25)) == 0


# ---- the log of noteworthy checks


def test_only_noteworthy_checks_are_kept_with_every_stage(hub: Hub, account_id: str) -> None:
    """The first, a person's, a change of status, and a reason other than before; the last check is always there."""
    asked = replace(well(50), trigger=Trigger.MANUAL)
    keep(
        hub,
        account_id,
        *(well(5), well(10, light=False), *timeouts(15), well(20)),
        *(failed(25, Reason.RATE_LIMITED, Stage.READ), failed(30, Reason.RATE_LIMITED, Stage.READ), well(35)),
        *(*timeouts(40, 41, 42), *timeouts(45), asked, well(55)),
    )
    log = [(check.at - NOON) / MINUTE for check in reversed(hub.past.noteworthy(account_id))]
    assert log == [0, 15, 25, 40, 42, 50]
    last = hub.past.last_check(account_id)
    assert last
    assert (last.at, last.status, len(last.observations)) == (NOON + 55 * MINUTE, Status.HEALTHY, len(Stage))
    assert len(beats(hub, account_id)) == 14


# ---- incidents


def incident(hub: Hub) -> Incident:
    (found,) = hub.past.incidents()
    return found


def told(found: Incident) -> list[tuple[float, Status, Reason | None]]:
    return [((at - NOON) / MINUTE, status, reason) for at, status, reason in found.story]


def test_an_incident_lasts_from_the_first_failure_until_all_is_well(hub: Hub, account_id: str) -> None:
    """It opens with the transition, dated from the first failure, and closes with the first good check."""
    keep(hub, account_id, *timeouts(5, 10))
    assert hub.past.incidents() == []
    keep(hub, account_id, *timeouts(15))
    found = incident(hub)
    assert (found.account_id, found.label, found.opened_at) == (account_id, "Number 0", NOON + 5 * MINUTE)
    assert told(found) == [(5, Status.UNREACHABLE, Reason.CONNECTION_TIMEOUT)]
    assert (found.closed_at, found.evidence, found.maintenance) == (None, {"status": "400"}, False)
    keep(hub, account_id, well(20))
    assert (incident(hub).closed_at, incident(hub).status) == (NOON + 20 * MINUTE, Status.UNREACHABLE)
    assert hub.past.incidents(open_only=True) == []


def test_every_change_of_status_or_reason_is_told(hub: Hub, account_id: str) -> None:
    """Also one that changes only the reason, which is no change of status; what stays the same is told once."""
    refused = failed(35, Reason.SERVER_FAULT)
    keep(hub, account_id, ending(5), ending(10), *timeouts(15, 20, 25), *timeouts(30), refused)
    keep(hub, account_id, failed(40, Reason.KEY_NO_LONGER_ACCEPTED), failed(45, Reason.RATE_LIMITED), ending(50))
    assert told(incident(hub)) == [
        (5, Status.DEGRADED, Reason.CERTIFICATE_ENDS_SOON),
        (15, Status.UNREACHABLE, Reason.CONNECTION_TIMEOUT),
        (35, Status.UNREACHABLE, Reason.SERVER_FAULT),
        (40, Status.FAILING, Reason.KEY_NO_LONGER_ACCEPTED),
        (50, Status.DEGRADED, Reason.CERTIFICATE_ENDS_SOON),
    ]
    assert (incident(hub).reason, incident(hub).closed_at) == (Reason.CERTIFICATE_ENDS_SOON, None)


def test_a_long_story_keeps_its_beginning_and_its_end(hub: Hub, account_id: str) -> None:
    """An account that changes its reason with every check for weeks does not grow without bound."""
    both = (Reason.SERVER_FAULT, Reason.ANSWER_TIMEOUT)
    keep(hub, account_id, *(failed(n, both[n % 2], trigger=Trigger.MANUAL) for n in range(1, 260)))
    story = incident(hub).story
    assert len(story) == 200
    assert (story[0].at, story[-1].at) == (NOON + MINUTE, NOON + 259 * MINUTE)


def test_an_account_linked_in_trouble_has_an_incident(hub: Hub) -> None:
    """A certificate about to end is an incident from the beginning."""
    store_linked(hub, organizations(1)[0], PLACE, ca_pem=None, check=replace(ending(0), trigger=Trigger.LINK))
    assert told(incident(hub)) == [(0, Status.DEGRADED, Reason.CERTIFICATE_ENDS_SOON)]


def test_relinking_closes_the_incident(hub: Hub, account_id: str) -> None:
    """The new key's check is the first good one."""
    keep(hub, account_id, failed(5, Reason.KEY_NO_LONGER_ACCEPTED))
    check = replace(well(9, light=False), trigger=Trigger.RELINK)
    hub.store.replace_key(
        account_id,
        0,
        seal=lambda _: "sealed",
        endpoints=PLACE,
        ca_pem=None,
        check=check,
        step=lambda present: status.step(present, check),
        entered=True,
        actor="test",
        action="relink",
    )
    assert incident(hub).closed_at == NOON + 9 * MINUTE


def test_an_incident_in_a_maintenance_window_says_so(hub: Hub, account_id: str) -> None:
    """Beat, transition and incident carry the window: recorded, and nobody is told."""
    keep(hub, account_id, failed(5, Reason.KEY_NO_LONGER_ACCEPTED), maintenance=True)
    assert incident(hub).maintenance
    assert beats(hub, account_id)[-1].maintenance
    with hub.store.database.read() as con:
        rows = con.execute("SELECT after, maintenance, told FROM transition ORDER BY id").fetchall()
    assert [tuple(row) for row in rows] == [("healthy", 0, 0), ("failing", 1, 0)]


def test_incidents_are_listed_open_ones_first(hub: Hub) -> None:
    """Then the newest; by account, only the open ones, or those that did not end before a time."""
    one, other = (store_linked(hub, who, PLACE, ca_pem=None, check=proven(NOON)) for who in organizations(2))
    keep(hub, one, failed(5, Reason.KEY_NO_LONGER_ACCEPTED))
    keep(hub, other, ending(10), well(15, light=False), ending(20), well(25, light=False))
    found = hub.past.incidents()
    assert [((one.opened_at - NOON) / MINUTE, one.closed_at is None) for one in found] == [
        (5, True),
        (20, False),
        (10, False),
    ]
    assert hub.past.incidents(limit=1) == hub.past.incidents(open_only=True) == hub.past.incidents(account_id=one)
    assert hub.past.incidents(since=NOON + 18 * MINUTE) == found[:2]
    assert hub.past.incident(found[2].id) == found[2]


def test_acknowledging_says_who_and_what(hub: Hub, account_id: str) -> None:
    """With the time and a cleaned note; the audit trail has it too, without the note."""
    keep(hub, account_id, failed(5, Reason.KEY_NO_LONGER_ACCEPTED))
    hub.past.acknowledge(incident(hub).id, "  asked the Owner\u202e \n on Monday ", actor="ann")
    found = incident(hub)
    assert (found.acknowledged_by, found.note) == ("ann", "asked the Owner\non Monday")
    assert found.acknowledged_at == NOON + DAY
    entry = hub.store.audit_trail()[0]
    assert (entry["actor"], entry["action"], entry["target"]) == ("ann", "acknowledge", account_id)
    assert "Monday" not in json.dumps(entry["detail"])


def test_what_is_not_there_is_not_found(hub: Hub) -> None:
    """Neither reading nor acknowledging an incident that does not exist goes unnoticed."""
    with pytest.raises(NotFound):
        hub.past.incident(7)
    with pytest.raises(NotFound):
        hub.past.acknowledge(7, "", actor="ann")
    assert hub.past.last_check("nobody") is None
    assert hub.past.beats("nobody", NOON) == hub.past.recent("nobody") == hub.past.noteworthy("nobody") == []


# ---- changed facts


def test_what_changed_is_kept_newest_first(hub: Hub, account_id: str) -> None:
    """A new version is one entry, and one that comes and goes between two servers is told once a week."""
    keep(hub, account_id, *(well(n, server_version=f"2026.8.{n % 2}") for n in range(1, 9)))
    assert [(found.what, found.before, found.after) for found in hub.past.changes(account_id)] == [
        ("server_version", "2026.8.0", "2026.8.1"),
        ("server_version", "2026.8.1", "2026.8.0"),
    ]
    keep(hub, account_id, well(8 * 24 * 60, server_version="2026.8.1"))
    assert len(hub.past.changes(account_id)) == 3


def test_how_many_seats_were_taken_is_known_later(hub: Hub, account_id: str) -> None:
    """Every number is kept, however it comes and goes; who looks for causes is only told of seats bought."""
    for day, taken in enumerate((12, 12, 13, 12, 13, 18), 1):
        keep(hub, account_id, well(day * 24 * 60, light=False, seats=20 + day // 6, members={"confirmed": taken}))
    at = [hub.past.seats_taken(account_id, NOON + (day + 0.5) * DAY) for day in range(7)]
    assert at == [12, 12, 12, 13, 12, 13, None]
    assert [(found.what, found.before, found.after) for found in hub.past.changes(account_id)] == [
        ("seats", "20", "21")
    ]


# ---- erasing, and taking over what was


def test_unlinking_erases_the_history(hub: Hub, account_id: str) -> None:
    """Nothing is left of the account in any table, and another account's is untouched."""
    other = store_linked(hub, organizations(2)[1], PLACE, ca_pem=None, check=proven(NOON))
    for one in (account_id, other):
        keep(hub, one, well(5, server_version="1"), well(6, server_version="2"), *timeouts(10, 15, 20))
    hub.sum_up()
    hub.unlink(account_id, hub.account(account_id).label, actor="test")
    with hub.store.database.read() as con:
        for table in ("beat", "hourly", "daily", "rolled"):
            assert {row[0] for row in con.execute(f"SELECT no FROM {table}")} == {2}, table  # noqa: S608 - names above
        for table in ("checks", "last_check", "transition", "incident", "change"):
            assert {row[0] for row in con.execute(f"SELECT account_id FROM {table}")} == {other}, table  # noqa: S608 - names above
    assert hub.store.database.problems() == []
    again = store_linked(hub, organizations(1)[0], PLACE, ca_pem=None, check=proven(NOON))
    assert len(hub.past.beats(again, NOON)) == 1


def written_before_history(path: Path) -> None:
    """Make a database of the version before, with two accounts: one well, one failing since its fourth check."""
    database = Database(path, steps=MIGRATIONS[:2])
    with database.write() as con:
        for n, (standing, reason) in enumerate([("healthy", None), ("failing", "key_no_longer_accepted")]):
            con.execute(
                "INSERT INTO account(id, label, region, identity, api, identity_origin, client_id, tags, note, "
                "lifecycle, pause_reason, linked_at, key_entered_at, generation, status, reason, since, facts) "
                "VALUES (?, 'Harbor', 'us', 'https://i', 'https://a', 'https://i', ?, '[]', '', 'active', '', "
                "0, 0, 0, ?, ?, 1200000, '{}')",
                (f"id{n}", f"organization.{n}", standing, reason),
            )
        con.execute("INSERT INTO schedule(account_id) SELECT id FROM account")
        short = '[["token","skip",null,0,{}],["read","pass",null,9,{}]]'
        rows = [("id0", m, "schedule" if m else "link", "healthy", None, short) for m in range(6)]
        rows += [("id1", m, "schedule", "healthy" if m < 4 else "failing", None, "[]") for m in range(8)]
        con.executemany(
            "INSERT INTO checks(account_id, at, trigger, status, reason, ms, latency_ms, observations) "
            "VALUES (?, ? * 300000, ?, ?, ?, 9, 7, ?)",
            rows,
        )
    database.close()


def test_a_database_without_history_is_taken_over(tmp_path: Path) -> None:
    """Checks become beats, the last one is kept whole, the log keeps what is noteworthy, trouble is an incident."""
    written_before_history(tmp_path / "hub.db")
    with closing(Store.open(tmp_path / "hub.db")) as store:
        epoch = datetime.fromtimestamp(0, UTC)
        first, second = store.past.beats("id0", epoch), store.past.beats("id1", epoch)
        assert (len(first), len(second)) == (6, 8)
        assert (first[0].trigger, first[5].light, first[5].latency_ms) == (Trigger.LINK, True, 7)
        assert [beat.down for beat in second] == [False] * 4 + [True] * 4
        assert [check.at.minute for check in store.past.noteworthy("id0")] == [0]
        assert [check.at.minute for check in store.past.noteworthy("id1")] == [20, 0]
        last = store.past.last_check("id1")
        assert last
        assert last.at.minute == 35
        (found,) = store.past.incidents(account_id=None, open_only=True, since=None, limit=9)
        assert (found.account_id, found.opened_at.minute, found.reason) == ("id1", 20, Reason.KEY_NO_LONGER_ACCEPTED)
        hours = store.sums.hours("id1", 1, epoch + 50 * MINUTE)
        assert (hours[0].checks, hours[0].up, hours[0].down) == (8, 20 * 60, 25 * 60)
        assert store.database.problems() == []


def test_an_interrupted_migration_changes_nothing(tmp_path: Path) -> None:
    """A row nobody can read stops the upgrade as a whole; the database is as it was."""
    written_before_history(tmp_path / "hub.db")
    with closing(sqlite3.connect(tmp_path / "hub.db")) as con, con:
        con.execute("UPDATE checks SET trigger = 'canary' WHERE id = 3")
    with pytest.raises(ValueError, match="canary"):
        Store.open(tmp_path / "hub.db")
    with closing(sqlite3.connect(tmp_path / "hub.db")) as con:
        assert con.execute("PRAGMA user_version").fetchone() == (2,)
        assert con.execute("SELECT count(*) FROM checks").fetchone() == (14,)
