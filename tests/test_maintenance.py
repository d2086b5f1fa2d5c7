"""Maintenance windows: when they are open over changes of the clock, what cannot be added, and what checks do then."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_core.cli.times import read_days, read_length, read_minute, read_moment
from hub_core.clock import Clock
from hub_core.errors import InputError, NotFound
from hub_core.health.maintenance import Once, Scope, Weekly, Window, covers, open_window
from hub_core.hub import Hub
from hub_core.model import Status
from hub_core.sandbox import Fault
from tests.linked import Hands, installation, link, opened, organization, sandbox_without_limits
from tests.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hub_core.sandbox import RunningSandbox
    from hub_core.settings import Settings

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [BERLIN, UTC, *map(ZoneInfo, ("America/St_Johns", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Gaza"))]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, MINUTE, INSTANT = timedelta(hours=1), timedelta(minutes=1), timedelta(microseconds=1)


def window(rule: Once | Weekly, scope: Scope = Scope.ALL, target: str = "") -> Window:
    return Window(1, scope, target, rule, "")


def at(text: str) -> datetime:
    """Return a local time of Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def weekly(*days: int, hour: int = 2, minute: int = 0, hours: float = 2) -> Window:
    return window(Weekly(frozenset(days), hour * 60 + minute, timedelta(hours=hours)))


# ---- when it is open


def test_once_is_open_from_its_beginning_until_its_end() -> None:
    """The first moment is inside, the last is not."""
    one = window(Once(NOON, NOON + HOUR))
    moments = (NOON - INSTANT, NOON, NOON + HOUR - INSTANT, NOON + HOUR)
    assert [covers(one, moment, BERLIN) for moment in moments] == [False, True, True, False]


def test_a_weekly_window_runs_over_midnight_and_over_the_end_of_the_week() -> None:
    """Begun on Sunday evening it is open on Monday morning, and not on Sunday morning."""
    one = weekly(6, hour=23, hours=4)
    assert covers(one, at("2026-11-22 23:00"), BERLIN)
    assert covers(one, at("2026-11-23 02:59"), BERLIN)
    assert not covers(one, at("2026-11-23 03:00"), BERLIN)
    assert not covers(one, at("2026-11-22 02:00"), BERLIN)


@pytest.mark.parametrize(
    ("begins", "open_until"),
    [("2026-03-29T01:00Z", "2026-03-29T03:00Z"), ("2026-10-25T00:00Z", "2026-10-25T02:00Z")],
)
def test_on_the_nights_the_clock_changes_it_lasts_as_long_as_ever(begins: str, open_until: str) -> None:
    """From 02:00, left out in March and coming twice in October, two hours that really pass."""
    first, end = datetime.fromisoformat(begins), datetime.fromisoformat(open_until)
    one = weekly(6)
    assert [covers(one, moment, BERLIN) for moment in (first - INSTANT, first, end - INSTANT, end)] == [
        *(False, True, True, False)
    ]


@given(
    zone=st.sampled_from(ZONES),
    day=st.dates(date(2009, 1, 1), date(2037, 12, 31)),
    minute=st.integers(0, 1439),
    lasts=st.integers(1, 5 * 1440),
)
def test_a_weekly_window_lasts_exactly_its_length(zone: ZoneInfo, day: date, minute: int, lasts: int) -> None:
    """In any zone, on any day, from when the clock on the wall first shows the time, for time that really passes."""
    length = timedelta(minutes=lasts)
    one = window(Weekly(frozenset({day.weekday()}), minute, length))
    begins = datetime.combine(day, time(minute // 60, minute % 60), tzinfo=zone).astimezone(UTC)
    moments = (begins - INSTANT, begins, begins + length / 2, begins + length - INSTANT, begins + length)
    assert [covers(one, moment, zone) for moment in moments] == [False, True, True, True, False]


@given(st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)), st.sampled_from(ZONES))  # noqa: DTZ001 - local times
def test_a_typed_time_is_the_time_a_clock_on_the_wall_shows(local: datetime, zone: ZoneInfo) -> None:
    """Unless no clock ever showed it; and an end is never before a beginning that reads the same."""
    text = f"{local:%Y-%m-%d %H:%M}"
    begins, ends = read_moment(text, zone, field="begins"), read_moment(text, zone, field="ends")
    shown = {f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" for moment in (begins, ends)}
    assert shown == {text} or (text not in shown and begins > ends)
    assert abs(ends - begins) <= HOUR


def test_a_window_is_for_one_account_a_tag_or_all() -> None:
    """A tag is the same in upper and lower case; the first open window is told."""
    rule, other = Once(NOON, NOON + HOUR), Once(NOON + HOUR, NOON + 2 * HOUR)
    one, tag = window(rule, Scope.ACCOUNT, "a"), window(rule, Scope.TAG, "Straße")
    assert open_window([one, tag], "a", (), NOON, UTC) is one
    assert open_window([one, tag], "b", ["x", "STRASSE"], NOON, UTC) is tag
    assert open_window([one, tag], "b", ["x"], NOON, UTC) is None
    assert open_window([window(other)], "b", ["x"], NOON, UTC) is None
    assert open_window([window(other), window(rule)], "b", [], NOON, UTC) == window(rule)


# ---- in words


def test_what_people_type_is_read() -> None:
    """Days by their beginning, in any order; times of day; lengths in days, hours and minutes."""
    assert read_days("tue, Sunday mon") == {0, 1, 6}
    assert (read_minute("02:05"), read_minute("23:59")) == (125, 1439)
    assert [read_length(text) for text in ("2h", "90m", "1h 30 min", "1d2h")] == [
        2 * HOUR,
        1.5 * HOUR,
        1.5 * HOUR,
        26 * HOUR,
    ]
    assert read_moment("2026-11-24 02:00", BERLIN, field="begins") == at("2026-11-24 02:00")
    assert read_moment("2026-11-24T02:00Z", BERLIN, field="begins") == datetime(2026, 11, 24, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "read",
    [
        *(lambda text=text: read_days(text) for text in ("", "m", "mo", "someday")),
        *(lambda text=text: read_minute(text) for text in ("", "24:00", "2", "12:60")),
        *(lambda text=text: read_length(text) for text in ("", "0h", "h", "2 weeks", "-1h")),
        *(lambda text=text: read_moment(text, UTC, field="ends") for text in ("", "tomorrow", "2026-02-30 10:00")),
    ],
)
def test_what_cannot_be_read_is_said(read: Callable[[], object]) -> None:
    """Every refusal is a sentence with an example."""
    with pytest.raises(InputError) as refused:
        read()
    assert refused.value.message.endswith(".")


# ---- adding and removing


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def hub(settings: Settings, hands: Hands) -> Iterator[Hub]:
    with closing(Hub.open(settings, clock=hands.clock)) as made:
        yield made


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (Once(NOON + HOUR, NOON), "ends"),
        (Once(NOON, NOON), "ends"),
        (Once(NOON - 2 * HOUR, NOON - HOUR), "ends"),
        (Once(NOON, NOON + timedelta(days=32)), "ends"),
        (Weekly(frozenset(), 0, HOUR), "days"),
        (Weekly(frozenset({7}), 0, HOUR), "days"),
        (Weekly(frozenset({0}), 1440, HOUR), "at"),
        (Weekly(frozenset({0}), 0, timedelta()), "lasts"),
        (Weekly(frozenset({0}), 0, timedelta(days=7)), "lasts"),
    ],
)
def test_a_window_that_makes_no_sense_is_not_added(settings: Settings, rule: Once | Weekly, field: str) -> None:
    """The field to correct and a sentence are told, and nothing is stored."""
    with closing(Hub.open(settings, clock=Clock(now=lambda: NOON))) as hub:
        with pytest.raises(InputError) as refused:
            hub.windows.add(Scope.ALL, "", rule, "", actor="test")
        assert (refused.value.field, refused.value.message[-1]) == (field, ".")
        assert hub.windows.list() == []


@pytest.mark.parametrize(("scope", "target"), [(Scope.ACCOUNT, "nobody"), (Scope.TAG, " \t"), (Scope.TAG, "x" * 41)])
def test_a_window_for_nothing_is_not_added(hub: Hub, scope: Scope, target: str) -> None:
    """An unknown account, no tag, and a tag that no account can have are refused."""
    with pytest.raises(InputError) as refused:
        hub.windows.add(scope, target, Weekly(frozenset({0}), 0, HOUR), "", actor="test")
    assert refused.value.field == "target"
    assert hub.windows.list() == []


def test_a_window_is_added_once(hub: Hub) -> None:
    """A second one for the same accounts at the same time is refused; for others it is added."""
    rule = Weekly(frozenset({0}), 60, HOUR)
    hub.windows.add(Scope.TAG, "prod", rule, "", actor="test")
    with pytest.raises(InputError, match="such a window already"):
        hub.windows.add(Scope.TAG, " prod ", rule, "another note", actor="test")
    hub.windows.add(Scope.TAG, "test", rule, "", actor="test")
    assert [window.target for window in hub.windows.list()] == ["prod", "test"]


def test_windows_come_back_and_leave_a_trail(hub: Hub) -> None:
    """What was added is listed as it is; removing works once; both are in the audit trail, without the note."""
    now = hub.clock.now().replace(microsecond=0)
    rules = (Once(now, now + HOUR), Weekly(frozenset({0, 6}), 1439, 1.5 * HOUR))
    made = [hub.windows.add(Scope.TAG, " acme ", rule, "their\nserver", actor="test") for rule in rules]
    assert hub.windows.list() == made
    assert [(one.target, one.rule, one.note) for one in made] == [("acme", rule, "their server") for rule in rules]
    hub.windows.remove(made[0].id, actor="test")
    with pytest.raises(NotFound):
        hub.windows.remove(made[0].id, actor="test")
    assert hub.windows.list() == made[1:]
    trail = [(entry["action"], entry["target"]) for entry in hub.store.audit_trail()]
    assert trail == [("maintenance remove", "1"), ("maintenance add", "2"), ("maintenance add", "1")]
    assert "server" not in str(hub.store.audit_trail())
    assert {entry["detail"].get("of") for entry in hub.store.audit_trail()} == {"acme", None}


def test_windows_that_were_over_long_ago_go(hub: Hub, hands: Hands) -> None:
    """After 30 days one is not listed, and the next one that is added erases it."""
    now = hub.clock.now()
    hub.windows.add(Scope.ALL, "", Once(now, now + HOUR), "", actor="test")
    hands.forward(days=29)
    assert len(hub.windows.list()) == 1
    hands.forward(days=2)
    assert hub.windows.list() == []
    kept = hub.windows.add(Scope.ALL, "", Weekly(frozenset({0}), 0, HOUR), "", actor="test")
    with hub.store.database.read() as con:
        assert [row["id"] for row in con.execute("SELECT id FROM maintenance")] == [kept.id]


def test_a_window_of_another_process_counts_soon(settings: Settings, hands: Hands) -> None:
    """What this process adds or removes counts at once; what another one does within seconds."""
    seconds = 0.0
    clock = Clock(now=hands.now, monotonic=lambda: seconds)
    with closing(Hub.open(settings, clock=clock)) as ours, closing(Hub.open(settings, clock=clock)) as theirs:
        assert ours.windows.open_now() == ()
        now = hands.now()
        made = theirs.windows.add(Scope.ALL, "", Once(now, now + HOUR), "", actor="test")
        assert theirs.windows.open_now() == (made,)
        seconds += 5
        assert ours.windows.open_now() == (made,)
        ours.windows.remove(made.id, actor="test")
        assert ours.windows.open_now() == ()


def test_a_window_over_a_change_of_the_clock_is_judged_by_time_that_passes(settings: Settings) -> None:
    """From 02:45 until 02:15 is half an hour where 02:00 comes twice; 01:59 to 03:00 is a minute in spring."""
    with closing(Hub.open(settings, clock=Clock(now=lambda: NOON))) as hub:
        rules = (
            Once(at("2027-10-31 02:45"), at("2027-10-31 02:15").replace(fold=1)),
            Once(at("2027-03-28 01:59"), at("2027-03-28 03:00")),
        )
        made = [hub.windows.add(Scope.ALL, "", rule, "", actor="test").rule for rule in rules]
    assert [rule.ends - rule.begins for rule in made if isinstance(rule, Once)] == [30 * MINUTE, MINUTE]


# ---- what checks do


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with sandbox_without_limits() as served:
        yield served


def test_a_check_in_a_window_is_recorded_and_flagged(tmp_path: Path, running: RunningSandbox) -> None:
    """Its beat, its change of status and its incident bear the mark; those before and after do not."""
    who, hands = organization(running, "Meadow"), Hands()
    with opened(installation(tmp_path, running), hands.clock) as hub:
        account_id = link(hub, who, tags="acme").account.id
        now = hub.clock.now()
        hub.windows.add(Scope.TAG, "ACME", Once(now + HOUR, now + 2 * HOUR), "", actor="test")
        hub.check(account_id)
        hands.forward(hours=1.5)
        running.sandbox.faults.set(who.client_id, Fault.DISABLE, on=True)
        hub.check(account_id)
        assert hub.account(account_id).standing.status is Status.FAILING
        running.sandbox.faults.clear()
        hands.forward(hours=1)
        hub.check(account_id)
        beats = hub.past.beats(account_id, now - HOUR)
        (incident,) = hub.past.incidents(account_id=account_id)
        with hub.store.database.read() as con:
            marks = [row[0] for row in con.execute("SELECT maintenance FROM transition ORDER BY id")]
    assert [beat.maintenance for beat in beats] == [False, False, True, False]
    assert incident.maintenance
    assert marks == [0, 1, 0]


# ---- the commands


@pytest.fixture
def cli(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    """Commands of an installation of their own, in Berlin."""
    made = Terminal(tmp_path, free_port, monkeypatch, capsys)
    monkeypatch.setenv("LINKHUB_TIMEZONE", "Europe/Berlin")
    return made


def test_windows_on_the_command_line(cli: Terminal) -> None:
    """Add, list and remove; times are those of the time zone that is set."""
    day = f"{datetime.now(BERLIN) + timedelta(days=2):%Y-%m-%d}"
    added = cli("maintenance", "add", "--all", "--from", f"{day} 01:00", "--until", f"{day} 03:00", "--note", "Move")
    assert (added.code, added.out) == (
        0,
        f"Added maintenance window 1: all accounts, {day} 01:00 to 03:00 (Europe/Berlin).\n",
    )
    weekly = cli("maintenance", "add", "--tag", "acme", "--weekly", "sun,mon", "--at", "23:30", "--for", "90m")
    assert "Mon, Sun at 23:30 for 1 h 30 min" in weekly.out
    assert "No account has this tag yet." in weekly.err
    once, every = cli("maintenance", "list", "--json").json
    assert (once["scope"], once["target"], once["state"], once["note"]) == ("all", None, "planned", "Move")
    assert once["days"] is once["at"] is once["minutes"] is every["begins"] is every["ends"] is None
    assert datetime.fromisoformat(once["begins"]) == at(f"{day} 01:00")
    assert (every["days"], every["at"], every["minutes"]) == (["monday", "sunday"], "23:30", 90)
    assert "acme" in cli("maintenance", "list").out
    assert cli("maintenance", "remove", "1").code == 0
    assert cli("maintenance", "remove", "1").code == 2
    assert [one["id"] for one in cli("maintenance", "list", "--json").json] == [2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--all",),
        ("--all", "--from", "2027-01-01 10:00"),
        ("--all", "--tag", "x", "--weekly", "mon", "--at", "02:00", "--for", "2h"),
        ("--weekly", "mon", "--at", "02:00", "--for", "2h"),
        ("--all", "--weekly", "mon", "--at", "02:00"),
        ("--all", "--from", "2020-01-01 10:00", "--until", "2020-01-01 11:00"),
        ("--all", "--from", "2027-01-01 10:00", "--until", "2027-01-01 09:00"),
        ("--account", "nobody", "--weekly", "mon", "--at", "02:00", "--for", "2h"),
        ("--tag", "", "--weekly", "mon", "--at", "02:00", "--for", "2h"),
        ("--all", "--weekly", "xyz", "--at", "02:00", "--for", "2h"),
    ],
)
def test_what_cannot_be_added_is_said(cli: Terminal, arguments: tuple[str, ...]) -> None:
    """Exit code 2, a sentence on standard error, and no window."""
    ran = cli("maintenance", "add", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.strip().endswith(".")
    assert cli("maintenance", "list", "--json").json == []
