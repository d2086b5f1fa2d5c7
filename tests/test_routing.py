"""Who is told what, as a pure decision: tables, and sequences of anything that may happen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_core.alerts import timing, words
from hub_core.alerts.channel import Channel, Kind, Quiet, Rules, Sort
from hub_core.alerts.inbox import FOLLOW, SETTLE, Inbox, Kept, Listener, Subject, Untold
from hub_core.alerts.routing import decide, matches
from hub_core.model import Lifecycle, Reason, RegionId, Status
from hub_core.storage.notices import Notice, NoticeKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub_core.alerts.inbox import Decision, Event, Post

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
GREENWICH = ZoneInfo("UTC")
REFUSED, LOST, ENDS = Reason.KEY_NO_LONGER_ACCEPTED, Reason.CONNECTION_REFUSED, Reason.CERTIFICATE_ENDS_SOON
WHY = {Status.FAILING: REFUSED, Status.UNREACHABLE: LOST, Status.DEGRADED: ENDS}


def subject(number: int, **changes: object) -> Subject:
    """Return a healthy account of one server."""
    usual = Subject(
        *(f"a{number}", f"Account {number}", (), RegionId.US, "https://identity.example", Lifecycle.ACTIVE),
        *(Status.HEALTHY, None, NOON, NOON, None, None),
        acknowledged=False,
        evidence={},
    )
    return usual._replace(**changes)  # type: ignore[arg-type]  # fields of it


@dataclass
class World:
    """Accounts, channels and what was stored: the outbox in memory."""

    rules: dict[str, Rules]
    number: int = 4
    now: datetime = NOON
    zone: ZoneInfo = GREENWICH
    maintained: set[str] = field(default_factory=set)
    off: set[str] = field(default_factory=set)
    notices: list[Notice] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.subjects = {f"a{n}": subject(n) for n in range(self.number)}
        self.untold: list[Untold] = []
        self.told: dict[tuple[str, str], datetime] = {}
        self.kept: list[Kept] = []
        self.causes: dict[str, datetime] = {}
        self.summed = dict.fromkeys(self.rules, date(2026, 11, 23))
        self._ids = iter(range(10**9))

    def become(self, account_id: str, status: Status, reason: Reason | None = None) -> None:
        """Let an account's status change now."""
        before = self.subjects[account_id]
        if before.status is status:
            return
        reason = reason or WHY.get(status)
        marked = account_id in self.maintained
        self.untold.append(Untold(next(self._ids), account_id, self.now, before.status, status, reason, marked))
        changed = before._replace(status=status, reason=reason, since=self.now, acknowledged=False)
        self.subjects[account_id] = changed

    def after(self, **span: float) -> list[Post]:
        """Let time pass, decide once, store what was decided, and return the messages it made."""
        self.now += timedelta(**span)
        decision = decide(self.inbox(), zone=self.zone, url=None, maintained=lambda s: s.id in self.maintained)
        self.store(decision)
        return decision.posts

    def inbox(self) -> Inbox:
        """Return what the store would give."""
        listeners = tuple(
            Listener(Channel(name, name, Kind.WEBHOOK, "", name not in self.off, rules, NOON), self.summed[name])
            for name, rules in self.rules.items()
        )
        causes = {cause: at for cause, at in self.causes.items() if self.now - at < FOLLOW}
        return Inbox(
            self.now,
            listeners,
            tuple(self.untold),
            dict(self.subjects),
            dict(self.told),
            tuple(self.kept),
            causes,
            tuple(self.notices),
        )

    def store(self, decision: Decision) -> None:
        """Do what the outbox does with a decision."""
        self.untold = [one for one in self.untold if one.id not in decision.routed]
        for pair in decision.untell:
            del self.told[pair]
        self.told |= dict.fromkeys(decision.told, self.now)
        self.kept = [one for one in self.kept if one.id not in decision.unkeep]
        self.kept += [Kept(next(self._ids), name, event) for name, event in decision.keep]
        self.causes |= {post.cause: self.now for post in decision.posts if post.cause}
        self.summed |= decision.summed
        self.notices = [one for one in self.notices if one not in decision.notices]
        self.posts += decision.posts

    def heard(self, channel: str) -> Iterator[tuple[str, str]]:
        """Yield what a channel was told, as account and news, in order."""
        for post in self.posts:
            if post.channel_id == channel and post.sort is not Sort.SUMMARY:
                yield from ((about["id"], about["news"]) for about in post.message.data["accounts"])


def titles(posts: list[Post]) -> list[str]:
    return [post.message.title for post in posts]


# ---- settling and grouping


def test_a_change_settles_before_it_is_told() -> None:
    """For two minutes nothing is told; then it is, once."""
    world = World({"ops": Rules()})
    world.become("a0", Status.FAILING)
    assert world.after(seconds=119) == []
    (post,) = world.after(seconds=1)
    assert (post.sort, post.account_id) == (Sort.TROUBLE, "a0")
    assert post.message.title.startswith("Account 0 is failing: ")
    assert world.after(hours=5) == []


def test_what_is_undone_meanwhile_is_not_told() -> None:
    """Failing and healthy again within the two minutes tells nobody."""
    world = World({"ops": Rules()})
    world.become("a0", Status.FAILING)
    world.after(seconds=60)
    world.become("a0", Status.HEALTHY)
    assert world.after(minutes=5) == []
    assert world.untold == []


def test_a_failure_that_returns_meanwhile_is_no_second_alert() -> None:
    """Healthy and failing again within the two minutes, after an alert, tells nothing more."""
    world = World({"ops": Rules()})
    world.become("a0", Status.FAILING)
    world.after(minutes=3)
    world.become("a0", Status.HEALTHY)
    world.become("a0", Status.FAILING)
    assert world.after(minutes=5) == []


@pytest.mark.parametrize(("number", "messages"), [(1, 1), (2, 2), (3, 1), (30, 1)])
def test_three_of_one_cause_are_one_message(number: int, messages: int) -> None:
    """Fewer than three are told one by one, three and more at once, by number, cause and first names."""
    world = World({"ops": Rules()}, number=number)
    for account_id in list(world.subjects):
        world.become(account_id, Status.UNREACHABLE)
    posts = world.after(minutes=3)
    assert len(posts) == messages
    if number >= 3:
        assert posts[0].message.title == f"{number} accounts are unreachable: Nothing answers at this address"
        assert "Account 0" in posts[0].message.text
        assert ("and 10 more" in posts[0].message.text) is (number == 30)


def test_other_causes_and_other_servers_are_other_messages() -> None:
    """Only accounts of one server, status and reason are told together."""
    world = World({"ops": Rules()}, number=6)
    world.subjects["a5"] = world.subjects["a5"]._replace(origin="https://elsewhere.example")
    for n in range(3):
        world.become(f"a{n}", Status.UNREACHABLE)
    world.become("a3", Status.UNREACHABLE, Reason.SERVER_FAULT)
    world.become("a4", Status.FAILING)
    world.become("a5", Status.UNREACHABLE)
    assert sorted(title.split(":")[0] for title in titles(world.after(minutes=3))) == [
        "3 accounts are unreachable",
        "Account 3 is unreachable",
        "Account 4 is failing",
        "Account 5 is unreachable",
    ]


def test_stragglers_of_an_outage_come_ten_minutes_later_together() -> None:
    """After a message about many, further accounts of the cause wait and come as one."""
    world = World({"ops": Rules()}, number=8)
    for n in range(3):
        world.become(f"a{n}", Status.UNREACHABLE)
    world.after(minutes=2)
    for n in range(3, 8):
        world.become(f"a{n}", Status.UNREACHABLE)
        assert world.after(minutes=1) == []
    (post,) = world.after(minutes=6)
    assert post.message.title.startswith("5 accounts are unreachable")


# ---- which channel


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        (Rules(), True),
        (Rules(statuses=frozenset({Status.UNREACHABLE})), False),
        (Rules(tags=frozenset({"acme"})), True),
        (Rules(tags=frozenset({"other"})), False),
        (Rules(tags=frozenset({"other", "acme"})), True),
        (Rules(regions=frozenset({RegionId.US})), True),
        (Rules(regions=frozenset({RegionId.EU})), False),
        (Rules(tags=frozenset({"acme"}), regions=frozenset({RegionId.EU})), False),
    ],
)
def test_filters(rules: Rules, wanted: bool) -> None:  # noqa: FBT001 - a column of the table
    """Statuses, tags (any of them) and regions decide, all of them together."""
    world = World({"ops": rules})
    world.subjects["a0"] = world.subjects["a0"]._replace(tags=("acme", "x"))
    world.become("a0", Status.FAILING)
    assert bool(world.after(minutes=3)) is wanted
    world.become("a0", Status.HEALTHY)
    assert bool(world.after(minutes=3)) is wanted


def test_what_becomes_one_of_the_statuses_only_now_is_told_now() -> None:
    """Degraded tells a channel for failing nothing, failing does; degraded is its recovery, and failing is news."""
    world = World({"ops": Rules(statuses=frozenset({Status.FAILING}))})
    heard = []
    for status in (Status.DEGRADED, Status.FAILING, Status.DEGRADED, Status.FAILING, Status.HEALTHY):
        world.become("a0", status)
        heard.append([title.split(":")[0] for title in titles(world.after(minutes=3))])
    assert heard == [
        [],
        ["Account 0 is failing"],
        ["Account 0 is degraded now"],
        ["Account 0 is failing"],
        ["Account 0 works again"],
    ]


def test_changes_among_the_statuses_of_a_channel_are_not_told() -> None:
    """Failing, unreachable, failing is one incident and one alert."""
    world = World({"ops": Rules()})
    for status in (Status.FAILING, Status.UNREACHABLE, Status.FAILING, Status.UNKNOWN):
        world.become("a0", status)
        world.after(minutes=3)
    assert len(world.posts) == 1


def test_recovery_may_be_left_out() -> None:
    """Without recovery nothing is said of it, and the next failure is told."""
    world = World({"ops": Rules(recovery=False)})
    for status in (Status.FAILING, Status.HEALTHY, Status.FAILING):
        world.become("a0", status)
        world.after(minutes=3)
    assert [post.sort for post in world.posts] == [Sort.TROUBLE, Sort.TROUBLE]


def test_a_channel_that_is_off_misses_what_happens() -> None:
    """Nothing is told to a channel that is off, nor made up for; an account that recovered meanwhile is told anew."""
    world = World({"ops": Rules()})
    world.become("a0", Status.FAILING)
    world.after(minutes=3)
    world.off.add("ops")
    world.become("a0", Status.HEALTHY)
    world.become("a1", Status.FAILING)
    assert world.after(minutes=3) == []
    world.off.clear()
    assert world.after(minutes=3) == []
    world.become("a0", Status.FAILING)
    assert titles(world.after(minutes=3))[0].startswith("Account 0 is failing")


def test_without_channels_nothing_piles_up() -> None:
    """Where there is no channel, changes are dealt with at once."""
    world = World({})
    world.become("a0", Status.FAILING)
    world.after()
    assert world.untold == []


def test_maintenance_defers() -> None:
    """What happened during a window is told after it if it still is wrong, and never if it is not."""
    world = World({"ops": Rules()}, maintained={"a0", "a1"})
    world.become("a0", Status.FAILING)
    world.become("a1", Status.FAILING)
    assert world.after(hours=1) == []
    world.become("a1", Status.HEALTHY)
    world.maintained.clear()
    assert titles(world.after(minutes=1))[0].startswith("Account 0 is failing")
    assert world.after(minutes=5) == []


# ---- reminders


def test_reminders_until_somebody_acknowledges() -> None:
    """Every so many hours an open incident is recalled; acknowledging, pausing, maintenance and recovery end that."""
    world = World({"ops": Rules(reminder_hours=4)})
    world.become("a0", Status.FAILING)
    world.after(minutes=3)
    assert world.after(hours=3, minutes=59) == []
    (post,) = world.after(minutes=1)
    assert (post.sort, post.message.title.split(":")[0]) == (Sort.REMINDER, "Account 0 has been failing for 4 h 3 min")
    assert world.after(hours=1) == []
    for change in ({"acknowledged": True}, {"lifecycle": Lifecycle.PAUSED}):
        kept = world.subjects["a0"]
        world.subjects["a0"] = kept._replace(**change)
        assert world.after(hours=8) == []
        world.subjects["a0"] = kept
    world.maintained.add("a0")
    assert world.after(hours=8) == []
    world.maintained.clear()
    assert len(world.after(hours=8)) == 1
    world.become("a0", Status.HEALTHY)
    world.after(minutes=3)
    assert world.after(hours=8) == []


def test_reminders_of_many_are_one_message() -> None:
    """What is recalled at one time is one message."""
    world = World({"ops": Rules(reminder_hours=1)})
    world.become("a0", Status.FAILING)
    world.become("a1", Status.UNREACHABLE)
    world.after(minutes=3)
    (post,) = world.after(hours=1)
    assert post.message.title == "2 accounts still in trouble"


# ---- quiet hours, digests, summaries, notices


def test_quiet_hours_keep_news_for_one_message() -> None:
    """What happens in quiet hours comes after them as one message, in the order it happened."""
    world = World({"ops": Rules(quiet=Quiet(time(22), time(7)))}, now=datetime(2026, 11, 23, 23, 0, tzinfo=UTC))
    world.become("a0", Status.FAILING)
    assert world.after(minutes=3) == []
    world.become("a1", Status.UNREACHABLE)
    world.become("a0", Status.HEALTHY)
    assert world.after(hours=7) == []
    (post,) = world.after(hours=1)
    assert post.sort is Sort.DIGEST
    assert post.message.title == "3 messages since 2026-11-23 23:00 UTC"
    assert sorted(world.heard("ops")) == [("a0", "recovery"), ("a0", "trouble"), ("a1", "trouble")]


def test_one_piece_of_news_that_waited_is_told_as_itself() -> None:
    """A digest of one is the message that it would have been."""
    world = World({"ops": Rules(every_minutes=30)})
    world.become("a0", Status.FAILING)
    assert world.after(minutes=3) == []
    (post,) = world.after(minutes=30)
    assert (post.sort, post.account_id) == (Sort.TROUBLE, "a0")


def test_a_daily_digest_comes_at_its_time() -> None:
    """News of the day is sent at the hour given, and the next day's at the next."""
    world = World({"ops": Rules(daily_at=time(8))}, zone=BERLIN)
    world.become("a0", Status.FAILING)
    world.after(minutes=3)
    assert world.after(hours=18, minutes=55) == []  # 07:58 in Berlin
    assert len(world.after(minutes=2)) == 1
    world.become("a0", Status.HEALTHY)
    assert world.after(hours=23, minutes=50) == []
    assert len(world.after(minutes=10)) == 1


def test_the_daily_summary_says_what_failed_and_what_will() -> None:
    """Once a day, also in quiet hours: what is wrong, what was, certificates that end, open invitations."""
    world = World({"ops": Rules(summary_at=time(8), quiet=Quiet(time(6), time(9)), recovery=False)}, number=5)
    world.become("a0", Status.FAILING)
    world.subjects["a1"] = world.subjects["a1"]._replace(certificate_ends=NOON + timedelta(days=10))
    world.subjects["a2"] = world.subjects["a2"]._replace(certificate_ends=NOON + timedelta(days=90), invited=3)
    world.subjects["a3"] = world.subjects["a3"]._replace(failed_lately=True)
    world.subjects["a4"] = world.subjects["a4"]._replace(lifecycle=Lifecycle.PAUSED, status=Status.FAILING)
    world.after(minutes=5)
    (post,) = world.after(hours=20)
    assert (post.sort, post.message.title) == (Sort.SUMMARY, "1 of 4 accounts need you")
    text = post.message.text
    assert "In trouble now:\nAccount 0: failing" in text
    assert "Failed in the last day, and works again:\nAccount 3" in text
    assert "Certificates that end:\nAccount 1: 2026-12-03" in text
    assert "Account 2" not in text.split("Invitations")[0]
    assert "Invitations not accepted yet:\nAccount 2: 3" in text
    assert world.after(hours=1) == []
    assert len(world.after(hours=23)) == 1


def test_the_summary_of_a_good_day_says_so() -> None:
    """Where nothing is wrong the summary comes, too: silence would not tell that the hub is alive."""
    world = World({"ops": Rules(summary_at=time(13))}, number=2)
    world.summed["ops"] = date(2026, 11, 22)
    assert titles(world.after(hours=1)) == ["2 accounts watched, none in trouble"]


def test_being_offline_is_told_once_it_is_over() -> None:
    """A short time offline is one message afterwards; a long one is also told while it lasts."""
    short = Notice(1, NoticeKind.OFFLINE, NOON, None)
    world = World({"ops": Rules(), "other": Rules(tags=frozenset({"x"}))}, notices=[short])
    assert world.after(minutes=5) == []
    world.notices = [short._replace(ended_at=NOON + timedelta(minutes=6))]
    assert titles(world.after(minutes=2)) == ["The hub was offline for 6 min and is back"] * 2
    world.notices = [Notice(2, NoticeKind.OFFLINE, world.now, None)]
    assert titles(world.after(minutes=11))[0] == "The hub has been offline for 11 min"


# ---- the clock on the wall


@pytest.mark.parametrize(
    ("begins", "ends", "at", "quiet"),
    [
        ((22, 0), (7, 0), (22, 0), True),
        ((22, 0), (7, 0), (3, 0), True),
        ((22, 0), (7, 0), (7, 0), False),
        ((22, 0), (7, 0), (12, 0), False),
        ((12, 0), (13, 30), (12, 0), True),
        ((12, 0), (13, 30), (13, 29), True),
        ((12, 0), (13, 30), (13, 30), False),
        ((12, 0), (13, 30), (11, 59), False),
    ],
)
def test_quiet_hours_by_the_clock_on_the_wall(
    begins: tuple[int, int],
    ends: tuple[int, int],
    at: tuple[int, int],
    quiet: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Hours over midnight and within a day: the first minute belongs to them, the last does not."""
    rules = Rules(quiet=Quiet(time(*begins), time(*ends)))
    local = datetime(2026, 7, 1, *at, tzinfo=BERLIN)
    assert timing.is_quiet(rules, local.astimezone(UTC), BERLIN) is quiet


def test_quiet_hours_on_the_days_the_clock_changes() -> None:
    """In spring an hour less is quiet, in autumn one more: what counts is what the clock on the wall shows."""
    rules = Rules(quiet=Quiet(time(1), time(4)))
    for day, minutes in ((datetime(2027, 3, 28, tzinfo=BERLIN), 120), (datetime(2026, 10, 25, tzinfo=BERLIN), 240)):
        begin = day.astimezone(UTC)
        quiet = [timing.is_quiet(rules, begin + timedelta(minutes=n), BERLIN) for n in range(12 * 60)]
        assert sum(quiet) == minutes


@pytest.mark.parametrize("day", [date(2027, 3, 28), date(2026, 10, 25)])
def test_a_daily_hour_that_is_missing_or_comes_twice_is_used_once(day: date) -> None:
    """At 02:30 on the days the clock changes a digest is released once, and a summary is due once."""
    rules = Rules(daily_at=time(2, 30), summary_at=time(2, 30))
    begin = datetime.combine(day, time(0), BERLIN).astimezone(UTC)
    released = [timing.is_released(rules, begin, begin + timedelta(minutes=n), BERLIN) for n in range(23 * 60)]
    assert released == sorted(released)
    assert any(released)
    due = [
        timing.is_summary_due(rules, day - timedelta(days=1), begin + timedelta(minutes=n), BERLIN) for n in range(1380)
    ]
    assert due.index(True) in range(2 * 60, 4 * 60)
    assert not timing.is_summary_due(rules, day, begin + timedelta(hours=20), BERLIN)


def test_a_clock_that_was_set_back_silences_nobody() -> None:
    """Summaries and reminders of a year that has not come yet hold none up; those of a moment ago are not repeated."""
    rules = Rules(summary_at=time(8), reminder_hours=4)
    today, ahead = NOON.date(), timedelta(days=365)
    noted = (today - timedelta(days=1), today, today + timedelta(days=1), today + ahead)
    assert [timing.is_summary_due(rules, day, NOON, GREENWICH) for day in noted] == [True, False, False, True]
    told = (NOON - timedelta(hours=4), NOON - timedelta(hours=3), NOON, NOON + ahead)
    assert [timing.is_reminder_due(rules, at, NOON, GREENWICH) for at in told] == [True, False, False, True]


def test_a_new_channel_waits_for_its_next_hour() -> None:
    """A channel made after today's hour is summed up tomorrow for the first time, one made before it today."""
    after, before = Rules(summary_at=time(8)), Rules(summary_at=time(20))
    assert timing.summed_until(after, NOON, BERLIN) == date(2026, 11, 23)
    assert timing.summed_until(before, NOON, BERLIN) == date(2026, 11, 22)


# ---- anything that may happen

STATUSES = st.sampled_from(list(Status))
RULES = st.builds(
    Rules,
    statuses=st.sets(st.sampled_from([Status.FAILING, Status.UNREACHABLE, Status.DEGRADED]), min_size=1).map(frozenset),
    reminder_hours=st.sampled_from([0, 1]),
    quiet=st.sampled_from([None, Quiet(time(22), time(7)), Quiet(time(13), time(14))]),
    every_minutes=st.sampled_from([0, 30]),
    daily_at=st.none(),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("become"), st.integers(0, 1), STATUSES),
        st.tuples(st.just("pass"), st.sampled_from([3, 20, 90, 600, 1, 0, -90]), st.none()),
        st.tuples(st.just("maintain"), st.integers(0, 1), st.none()),
        st.tuples(st.just("acknowledge"), st.integers(0, 1), st.none()),
    ),
    min_size=6,
    max_size=40,
)


@settings(max_examples=250, deadline=None)
@given(rules=RULES, steps=STEPS)
def test_no_sequence_alerts_twice_without_a_recovery(rules: Rules, steps: list[tuple[str, int, Status | None]]) -> None:
    """Whatever happens, clocks set back too: trouble and recovery take turns; in the end a channel knows what is."""
    world = World({"ops": rules}, number=2)
    for what, number, status in steps:
        if what == "become" and status:
            world.become(f"a{number}", status)
        elif what == "pass":
            world.after(minutes=number)
        elif what == "maintain":
            world.maintained ^= {f"a{number}"}
        elif what == "acknowledge":
            world.subjects[f"a{number}"] = world.subjects[f"a{number}"]._replace(acknowledged=True)
    world.maintained.clear()
    for _ in range(60):
        world.after(minutes=30)
    assert world.untold == []
    assert [one for one in world.kept if one.event.sort is not Sort.REMINDER] == []
    for account_id, known in world.subjects.items():
        news = [word for who, word in world.heard("ops") if who == account_id and word != Sort.REMINDER]
        assert news == ([Sort.TROUBLE, Sort.RECOVERY] * len(news))[: len(news)]
        if known.status is not Status.UNKNOWN:
            assert (len(news) % 2 == 1) is (known.status in rules.statuses)


@given(st.lists(st.text(max_size=200), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_any_label_gets_into_a_message(labels: list[str]) -> None:
    """Whatever people call their accounts, each kind of message can be made of it."""
    events: list[Event] = [
        words.trouble(subject(n, label=label), Status.FAILING, REFUSED, NOON) for n, label in enumerate(labels)
    ]
    for message in (words.one(events[0], "https://x.example"), words.many(events, None), words.digest(events, None)):
        assert message.title
        assert len(message.data["accounts"]) <= words.FIRST


def test_matching_is_of_the_rules_alone() -> None:
    """An account without tags matches a channel without tags only."""
    assert matches(Rules(), subject(0))
    assert not matches(replace(Rules(), tags=frozenset({"x"})), subject(0))
    assert timedelta() < SETTLE < FOLLOW
