"""What beats say about hours and days, how latencies are counted, which facts count as changed, and stable codes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_core import texts
from hub_core.bitwarden.client import LISTS
from hub_core.health import changes, latency, rollup
from hub_core.health.rhythm import USUAL
from hub_core.history import Beat, Period, Pulse, pulse_of
from hub_core.model import Capability, Due, Endpoints, Facts, Reason, RegionId, ServerKind, Status, Trigger
from hub_core.storage import codes

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FIRST = rollup.hour_of(NOON)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
UP = Beat(NOON, Status.HEALTHY, None, Trigger.SCHEDULE, 40, 10 * MINUTE, down=False)
DOWN = UP._replace(status=Status.UNREACHABLE, reason=Reason.CONNECTION_TIMEOUT, latency_ms=None, down=True)
PAUSE = UP._replace(status=Status.UNKNOWN, trigger=Trigger.MANUAL, holds=timedelta(), latency_ms=None, paused=True)
WAITED = UP._replace(status=Status.UNKNOWN, reason=Reason.RATE_LIMITED, latency_ms=None)


def at(minute: float, beat: Beat = UP) -> Beat:
    return beat._replace(at=NOON + minute * MINUTE)


def hour(*beats: Beat, until: timedelta = DAY) -> Period:
    (found,) = rollup.hours(beats, FIRST, FIRST + 1, until=int((NOON + until).timestamp()))
    return found


# ---- time


def test_time_is_weighed_not_counted() -> None:
    """Five minutes down are five minutes, however many checks were made in them."""
    found = hour(
        *(at(m) for m in range(0, 30, 5)), *(at(30 + m, DOWN) for m in range(5)), *(at(m) for m in (35, 45, 50))
    )
    assert (found.up, found.down, found.checks, found.failed) == (55 * 60, 5 * 60, 14, 5)
    assert found.uptime == pytest.approx(55 / 60)


def test_a_beat_is_believed_only_as_long_as_it_holds() -> None:
    """What comes after that is a gap: nobody was watching."""
    found = hour(at(0), at(40))
    assert (found.up, found.down, found.judged) == (20 * 60, 0, 20 * 60)


def test_a_beat_of_the_hour_before_reaches_into_this_one() -> None:
    """Its checks are the other hour's, its time is this one's."""
    found = hour(at(-4))
    assert (found.up, found.checks) == (6 * 60, 0)


def test_the_present_ends_what_is_known() -> None:
    """Nothing is said about the time that has not passed yet."""
    assert hour(at(0), until=3 * MINUTE).up == 3 * 60


def test_what_judged_nothing_is_passed_over() -> None:
    """Being told to wait neither ends nor prolongs what was known."""
    found = hour(at(0), at(5, WAITED))
    assert (found.up, found.checks) == (10 * 60, 2)


def test_a_pause_lasts_until_the_next_check() -> None:
    """It ends what was known at once, and needs no beats to go on."""
    found = hour(at(0), at(5, PAUSE), at(50))
    assert (found.up, found.paused, found.checks) == (15 * 60, 45 * 60, 2)
    assert hour(at(-600, PAUSE)).paused == 3600
    assert hour(at(-600, PAUSE), at(10, WAITED)).paused == 600


def test_maintenance_is_neither_up_nor_down() -> None:
    """A failure in a maintenance window is no down time, and no up time either."""
    found = hour(at(0, DOWN._replace(maintenance=True)))
    assert (found.maintenance, found.judged, found.failed) == (600, 0, 1)


def test_degraded_is_up() -> None:
    """It works, and the time is counted beside."""
    found = hour(at(0, UP._replace(status=Status.DEGRADED, reason=Reason.CERTIFICATE_ENDS_SOON)))
    assert (found.up, found.degraded, found.down) == (600, 600, 0)


def test_a_single_missed_check_is_not_down() -> None:
    """Only what the standing calls down counts, and the missed check is counted as failed."""
    found = hour(at(0), at(5, DOWN._replace(down=False)), at(10))
    assert (found.down, found.up, found.failed) == (0, 20 * 60, 1)


STATUSES = [Status.HEALTHY, Status.LIMITED, Status.DEGRADED, Status.FAILING, Status.UNREACHABLE, Status.UNKNOWN]


@st.composite
def lives(draw: st.DrawFn) -> list[Beat]:
    """Some hours of beats, in any order of states, a few at the same second."""
    beats = []
    for minute in sorted(draw(st.lists(st.integers(-120 * 60, 300 * 60), max_size=25))):
        when = NOON + timedelta(seconds=minute)
        if draw(st.integers(0, 9)) == 0:
            beats.append(PAUSE._replace(at=when))
            continue
        status = draw(st.sampled_from(STATUSES))
        beats.append(
            Beat(
                when,
                status,
                None,
                Trigger.SCHEDULE,
                draw(st.none() | st.integers(0, 40_000)),
                draw(st.integers(0, 90)) * MINUTE,
                down=draw(st.booleans()),
                maintenance=draw(st.integers(0, 5)) == 0,
            )
        )
    return beats


def told_second_by_second(beats: list[Beat], second: int) -> str:
    """Return the state of one second, found the slow way: by looking at every beat."""
    past = [beat for beat in beats if int(beat.at.timestamp()) <= second]
    if past and past[-1].paused:
        return "paused"
    judged = [beat for beat in past if beat.status is not Status.UNKNOWN or beat.paused]
    if not judged or judged[-1].paused:
        return "gap"
    last = judged[-1]
    if second >= int(last.at.timestamp()) + last.holds.total_seconds():
        return "gap"
    if last.maintenance:
        return "maintenance"
    return "down" if last.down else "degraded" if last.status is Status.DEGRADED else "up"


@given(lives(), st.integers(0, 300 * 60))
def test_hours_are_what_counting_every_second_gives(beats: list[Beat], passed: int) -> None:
    """For any beats, each hour has the seconds of each state that looking at every tenth second finds."""
    # On a grid of ten seconds, so that the slow way is not too slow.
    grid = [
        beat._replace(at=datetime.fromtimestamp(int(beat.at.timestamp()) // 10 * 10, UTC), holds=beat.holds)
        for beat in beats
    ]
    until = int(NOON.timestamp()) + passed // 10 * 10
    for number, found in enumerate(rollup.hours(grid, FIRST, FIRST + 4, until=until)):
        begins = int(NOON.timestamp()) + number * 3600
        told = [told_second_by_second(grid, second) for second in range(begins, min(begins + 3600, until), 10)]
        counted = {state: told.count(state) * 10 for state in ("up", "degraded", "down", "maintenance", "paused")}
        assert found.up == counted["up"] + counted["degraded"]
        assert (found.degraded, found.down) == (counted["degraded"], counted["down"])
        assert (found.maintenance, found.paused) == (counted["maintenance"], counted["paused"])
        assert found.judged + found.maintenance + found.paused <= 3600


@given(lives(), st.integers(1, 3))
def test_hours_do_not_depend_on_where_the_reading_begins(beats: list[Beat], begin: int) -> None:
    """From the last beat before an hour that says something about it on, the beats before do not matter."""
    until = int((NOON + DAY).timestamp())
    whole = rollup.hours(beats, FIRST, FIRST + 4, until=until)[begin:]
    border = NOON + begin * HOUR
    says = [
        n for n, beat in enumerate(beats) if beat.at < border and (beat.paused or beat.status is not Status.UNKNOWN)
    ]
    rest = beats[says[-1] :] if says else [beat for beat in beats if beat.at >= border]
    assert rollup.hours(rest, FIRST + begin, FIRST + 4, until=until) == whole


def test_parts_joined_are_the_whole() -> None:
    """Seconds and checks add up, latencies are merged."""
    parts = rollup.hours([at(m) for m in range(0, 120, 5)], FIRST, FIRST + 2, until=int((NOON + DAY).timestamp()))
    found = rollup.joined(NOON, DAY, parts)
    assert (found.checks, found.up, found.latency) == (24, 7200, {latency.bucket_of(40): 24})
    assert rollup.joined(NOON, DAY, []) == rollup.empty(NOON, DAY)


# ---- latency


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_right_within_its_bucket(measured: list[int], share: float) -> None:
    """The true percentile lies in the bucket that the answer comes from."""
    true = sorted(measured)[max(0, ceil(share * len(measured)) - 1)]
    low, high = latency.bounds(latency.bucket_of(true))
    found = latency.percentile(latency.count(measured), share)
    assert found is not None
    assert int(low) <= found <= ceil(high)


@given(st.lists(st.integers(0, 60_000)), st.lists(st.integers(0, 60_000)))
def test_counts_add_up(one: list[int], other: list[int]) -> None:
    """Two hours merged are what both together would have counted; nothing is an average of averages."""
    assert latency.merge([latency.count(one), latency.count(other), None]) == latency.count(one + other)


@given(st.dictionaries(st.integers(0, latency.LAST), st.integers(1, 2**40)))
def test_packed_counts_come_back(counted: dict[int, int]) -> None:
    """No number is too large."""
    assert latency.load(latency.dump(counted)) == counted


def test_a_usual_hour_is_a_few_bytes() -> None:
    """Two bytes for each bucket that has something in it; nothing measured has no percentile."""
    assert len(latency.dump(latency.count([40, 41, 42, 43, 60, 61, 300]))) == 6
    assert latency.percentile({}, 0.5) is None


# ---- codes


def test_every_member_has_its_own_number() -> None:
    """Whoever adds a reason, a status or a trigger is asked to append it to the tuple."""
    for members, numbers in ((Status, codes.STATUSES), (Trigger, codes.TRIGGERS), (Reason, codes.REASONS[1:])):
        known = [member for member in numbers if member is not None]
        assert sorted(known) == sorted(members)


def test_numbers_never_change() -> None:
    """They are in databases: the first and the last member of each set so far stay where they are."""
    assert codes.STATUSES[:6] == (*STATUSES,)
    assert (codes.TRIGGERS[0], codes.TRIGGERS[4]) == (Trigger.SCHEDULE, Trigger.EDIT)
    assert (codes.REASONS[1], codes.REASONS[83]) == (Reason.PERSONAL_KEY, Reason.INTERNAL)
    assert codes.REASONS[19] is Reason.NAME_NOT_FOUND


@given(
    st.sampled_from(Status),
    st.none() | st.sampled_from(Reason),
    st.sampled_from(Trigger),
    st.tuples(*[st.booleans()] * 4),
)
def test_a_code_holds_everything_in_three_bytes(
    status: Status, reason: Reason | None, trigger: Trigger, flags: tuple[bool, ...]
) -> None:
    """Whatever a beat says comes back from its code."""
    down, light, maintenance, paused = flags
    code = codes.pack(Beat(NOON, status, reason, trigger, None, HOUR, down, light, maintenance, paused))
    assert codes.unpack(code) == (status, reason, trigger, down, light, maintenance, paused)
    assert 0 <= code < 2**23


def test_a_number_of_a_newer_program_reads_as_unknown() -> None:
    """Neither an unknown status nor an unknown reason breaks a page."""
    assert codes.unpack(0b111 | 0xFF << 10)[:2] == (Status.UNKNOWN, None)


def test_the_most_frequent_beat_is_zero() -> None:
    """SQLite keeps a zero in no byte at all."""
    assert codes.pack(UP._replace(light=True)) == 0


@pytest.mark.parametrize(
    ("beat", "pulse"),
    [
        (UP, Pulse.UP),
        (UP._replace(down=True), Pulse.UP),
        (UP._replace(status=Status.LIMITED), Pulse.UP),
        (UP._replace(status=Status.DEGRADED), Pulse.DEGRADED),
        (DOWN, Pulse.UNREACHABLE),
        (DOWN._replace(down=False), Pulse.MISSED),
        (UP._replace(status=Status.FAILING, down=True), Pulse.FAILING),
        (WAITED, Pulse.WAITED),
        (DOWN._replace(maintenance=True), Pulse.MAINTENANCE),
        (PAUSE, Pulse.PAUSED),
    ],
)
def test_the_letter_of_a_beat(beat: Beat, pulse: Pulse) -> None:
    """A pause before maintenance, maintenance before what was found."""
    assert pulse_of(beat) is pulse


# ---- how long a check is believed


def test_a_check_is_believed_until_the_next_one_could_have_come() -> None:
    """Twice the interval; for a refused key until it is tried again, and twice the interval more."""
    soon, late = Due(NOON + 5 * MINUTE, NOON + 15 * MINUTE), Due(NOON + 20 * HOUR, NOON + 20 * HOUR, None, 7)
    assert USUAL.believed(soon, NOON, 1) == 15 * MINUTE
    assert USUAL.believed(Due(), NOON, 1) == 10 * MINUTE
    assert USUAL.believed(late, NOON, 1) == 20 * HOUR + 10 * MINUTE


# ---- changed facts

FACTS = Facts(
    server_kind=ServerKind.OFFICIAL,
    server_version="2026.7.1",
    vault="https://vault.example",
    addresses=("192.0.2.1",),
    certificate_issuer="R11",
    certificate_sha256="ab" * 32,
    certificate_ends=NOON + 30 * DAY,
    capabilities={"/public/members": Capability.READABLE, "/public/events": Capability.REFUSED},
)


def changed(**facts: object) -> list[tuple[str, str, str]]:
    after = replace(FACTS, **facts)  # type: ignore[arg-type]  # facts are fields of it
    return [found[1:] for found in changes.of_facts(FACTS, after, NOON)]


def test_what_people_want_to_know_is_a_change() -> None:
    """Version, server, vault, a new certificate, and what a list answers."""
    assert changed(server_version="2026.8.0") == [("server_version", "2026.7.1", "2026.8.0")]
    assert changed(server_name="Vaultwarden") == [("server", "official", "Vaultwarden")]
    assert changed(vault="https://new.example") == [("vault", "https://vault.example", "https://new.example")]
    now = {"/public/members": Capability.READABLE, "/public/events": Capability.READABLE}
    assert changed(capabilities=now) == [("/public/events", "refused", "readable")]
    (found,) = changed(certificate_sha256="cd" * 32, certificate_ends=NOON + 90 * DAY)
    assert found == ("certificate", "R11, ends 2026-12-23 (abababababab)", "R11, ends 2027-02-21 (cdcdcdcdcdcd)")


def test_seats_are_followed_where_they_are_reported() -> None:
    """Bought and taken, each by itself; where none are bought, nobody needs to know how many are taken."""
    cloud = replace(FACTS, seats=20, members={"confirmed": 12, "invited": 1, "revoked": 4})
    after = replace(cloud, seats=25, members={"confirmed": 14, "invited": 1, "revoked": 9})
    assert [found[1:] for found in changes.of_facts(cloud, after, NOON)] == [
        ("seats", "20", "25"),
        ("seats_taken", "13", "15"),
    ]
    assert list(changes.of_facts(replace(cloud, seats=None), replace(after, seats=None), NOON)) == []


def test_noise_is_no_change() -> None:
    """Addresses rotate, lists break and mend, and what is learned for the first time was not otherwise before."""
    assert changed(addresses=("192.0.2.2",), latency_ms=7, members={"confirmed": 3}) == []
    assert changed(capabilities={**FACTS.capabilities, "/public/members": Capability.FAULTY}) == []
    assert changed(capabilities={**FACTS.capabilities, "/public/groups": Capability.READABLE}) == []
    assert list(changes.of_facts(Facts(), FACTS, NOON)) == []


def test_changed_addresses_are_told() -> None:
    """Identity and API, each by itself."""
    old = Endpoints(RegionId.SELF_HOSTED, "https://one.example/identity", "https://one.example/api")
    new = replace(old, api="https://two.example/api")
    assert [found[1:] for found in changes.of_addresses(old, new, NOON)] == [("api_address", old.api, new.api)]
    assert list(changes.of_addresses(old, old, NOON)) == []


def test_every_change_has_words() -> None:
    """A page finds what each key is called."""
    assert set(changes.KEYS) == set(texts.CHANGES)
    assert set(LISTS) <= set(texts.PATHS)
