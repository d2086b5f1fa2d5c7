"""The stretches in which nobody judged an account, and the words for what has been."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hub_core import exports, telling, texts
from hub_core.health.changes import KEYS
from hub_core.history import Beat, Change, Incident, Stretch
from hub_core.model import (
    Account,
    Endpoints,
    Facts,
    Lifecycle,
    Observation,
    Outcome,
    Reason,
    RegionId,
    ServerKind,
    Stage,
    Standing,
    Status,
    Trigger,
)
from hub_core.timeline import Why, gaps, stood

if TYPE_CHECKING:
    from hub_core.storage.rows import AccountRow

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LINKED = NOON - 30 * DAY


def beat(hours: float, **other: Any) -> Beat:
    """Return a good check so many hours after noon, believed for an hour."""
    known = {"status": Status.HEALTHY, "reason": None, "trigger": Trigger.SCHEDULE, "latency_ms": 90, "down": False}
    return Beat(at=NOON + hours * HOUR, holds=HOUR, **{**known, **other})


def found(*beats: Beat, linked: datetime = LINKED, paused: bool = False, hours: float = 4) -> list[tuple[Why, float]]:
    """Return why and for how many hours nothing was judged in the hours after noon."""
    missing = gaps(beats, begins=NOON, ends=NOON + hours * HOUR, linked_at=linked, paused=paused)
    return [(gap.why, (gap.ends - gap.begins) / HOUR) for gap in missing]


def test_what_is_covered_has_no_gap() -> None:
    """Checks that each hold until the next one leave nothing unjudged, whatever they found."""
    beats = [beat(n / 2, status=Status.UNREACHABLE if n % 3 else Status.HEALTHY) for n in range(-1, 8)]
    assert found(*beats) == []


def test_a_refused_key_stands_as_refused_between_rare_tries() -> None:
    """Between two checks an account stands as the earlier one found it; what nobody judged is left out."""
    refused = {"status": Status.FAILING, "down": True}
    beats = [beat(-2), beat(-1, **refused)._replace(holds=4 * HOUR), beat(3, **refused), beat(5)]
    judged = stood(beats, begins=NOON, ends=NOON + 7 * HOUR)
    assert [((s.begins - NOON) / HOUR, (s.ends - NOON) / HOUR, s.state) for s in judged] == [
        (0, 4, "down"),
        (5, 6, "up"),
    ]


def test_nobody_checked() -> None:
    """Where a check is not believed any more and none followed, the hub did not run."""
    assert found(beat(-0.5), beat(3)) == [(Why.NOBODY, 2.5)]
    assert found() == [(Why.NOBODY, 4)]


def test_a_pause_lasts_until_the_next_check() -> None:
    """A pause is a gap of its own kind, also one that began long before."""
    assert found(beat(-0.5), beat(0.5, paused=True), beat(3)) == [(Why.PAUSED, 2.5)]
    assert found(beat(2), paused=True) == [(Why.PAUSED, 2), (Why.NOBODY, 1)]


def test_maintenance_is_one_gap() -> None:
    """Checks of a maintenance window are one stretch without judgement."""
    beats = [beat(n / 2, maintenance=1 <= n <= 4) for n in range(-1, 8)]
    assert found(*beats) == [(Why.MAINTENANCE, 2)]


def test_nothing_is_missing_before_it_was_linked() -> None:
    """The time before an account was linked is told apart from a time without a hub."""
    assert found(beat(1), beat(2), beat(3), linked=NOON + HOUR) == [(Why.NOT_LINKED, 1)]


def test_seconds_are_no_gap() -> None:
    """What is shorter than a minute is not worth a mark."""
    assert found(beat(-0.995), beat(0.01), beat(1), beat(2), beat(3)) == []


# ---- words


@pytest.mark.parametrize(
    ("of_time", "words"),
    [(None, "not judged"), (1.0, "100%"), (0.999999, "99.99%"), (0.9995, "99.95%"), (0.0, "0.00%")],
)
def test_only_what_never_failed_is_called_a_hundred(of_time: float | None, words: str) -> None:
    """Shares are cut off, not rounded up, and what was not judged is no number."""
    assert telling.share(of_time) == words


def incident(*story: Stretch, **other: Any) -> Incident:
    """Return an incident that opened at noon."""
    known = story or (Stretch(NOON, Status.UNREACHABLE, Reason.APPLICATION_DOWN),)
    return replace(Incident(7, "a", "Acme", NOON, None, known, {"host": "vault.example"}), **other)


def test_the_story_of_an_incident_is_in_order() -> None:
    """Opening, changes, acknowledging and closing are told with their times, as they happened."""
    told = telling.story_lines(
        incident(
            Stretch(NOON, Status.UNREACHABLE, Reason.APPLICATION_DOWN),
            Stretch(NOON + 2 * HOUR, Status.DEGRADED, Reason.CERTIFICATE_ENDS_SOON),
            closed_at=NOON + 3 * HOUR,
            acknowledged_at=NOON + HOUR,
            acknowledged_by="kim",
        )
    )
    assert [(at - NOON) / HOUR for at, _ in told] == [0, 0, 1, 2, 3]
    assert [what.split(":")[0] for _, what in told] == [
        "Opened",
        "Unreachable",
        "Acknowledged by kim",
        "Degraded",
        "Closed after 3 h",
    ]
    assert "nobody was told" in telling.story_lines(incident(maintenance=True))[0][1]


def test_an_incident_is_shown_by_its_status_until_it_is_closed() -> None:
    """An open one has the status it has now; a closed one is called closed."""
    assert telling.incident_status(incident()) is texts.STATUSES[Status.UNREACHABLE]
    assert telling.incident_status(incident(closed_at=NOON + HOUR)) is texts.CLOSED
    assert telling.lasted_words(incident(), NOON + 90 * MINUTE) == "1 h 30 min"


@pytest.mark.parametrize("what", KEYS)
def test_every_change_has_a_name(what: str) -> None:
    """Whatever can change is called by a name for people, and so is the answer to a list."""
    assert telling.changed(Change(NOON, what, "a", "b")) != what
    assert telling.changed(Change(NOON, "/public/events", "refused", "readable")) == "Events"
    assert telling.changed_value("refused") == "Refused"
    assert telling.changed_value("2026.8.0") == "2026.8.0"


# ---- proofs


def seen(stage: Stage, outcome: Outcome, reason: Reason | None = None) -> Observation:
    """Return what one stage saw."""
    return Observation(stage, outcome, reason)


def test_the_furthest_proof_is_what_passed_before_the_failure() -> None:
    """A stage that was left out proves nothing; one that passed with a note does."""
    passed = [seen(stage, Outcome.PASS) for stage in (Stage.FORMAT, Stage.REACH)]
    assert telling.highest_proof([*passed, seen(Stage.TLS, Outcome.SKIP)]) is Stage.REACH
    assert telling.highest_proof([*passed, seen(Stage.TLS, Outcome.WARN)]) is Stage.TLS
    assert telling.highest_proof([*passed, seen(Stage.TLS, Outcome.FAIL)]) is Stage.REACH
    assert telling.highest_proof([seen(Stage.FORMAT, Outcome.FAIL)]) is None


def account(status: Status = Status.HEALTHY, *, facts: Facts | None = None, key_days: float = 3) -> Account:
    """Return an account that was linked a month before noon."""
    return Account(
        "a", "Acme", Endpoints(RegionId.SELF_HOSTED, "https://v/identity", "https://v/api"), "organization.x", None, (),
        "", Lifecycle.ACTIVE, "", LINKED, NOON - key_days * DAY, Standing(status, since=NOON - HOUR), facts or Facts(),
    )  # fmt: skip


def test_since_when_a_proof_holds() -> None:
    """What works has worked since it last did not; what fails has failed since its cause changed."""
    was_down = incident(
        Stretch(NOON - 9 * HOUR, Status.UNREACHABLE, None),
        Stretch(NOON - 8 * HOUR, Status.DEGRADED, None),
        closed_at=NOON - HOUR,
    )
    assert telling.proven_since(account(), []) == LINKED
    assert telling.proven_since(account(), [was_down]) == NOON - 8 * HOUR
    assert telling.proven_since(account(Status.UNKNOWN), [was_down]) is None
    open_one = incident(Stretch(NOON - 9 * HOUR, Status.DEGRADED, None), Stretch(NOON - 2 * HOUR, Status.FAILING, None))
    assert telling.proven_since(account(Status.FAILING), [open_one]) == NOON - 2 * HOUR
    assert telling.proven_since(account(Status.FAILING), []) == NOON - HOUR


def test_everything_that_wants_mending_is_listed_once() -> None:
    """Not only the worst: every note of a check, in the order of its stages, each reason once."""
    certificate = seen(Stage.TLS, Outcome.WARN, Reason.CERTIFICATE_ENDS_SOON)
    refused = seen(Stage.READ, Outcome.WARN, Reason.READ_FORBIDDEN)
    listed = telling.concerns([seen(Stage.REACH, Outcome.PASS), certificate, refused, refused])
    assert [one.reason for one in listed] == [Reason.CERTIFICATE_ENDS_SOON, Reason.READ_FORBIDDEN]


# ---- facts in the light of others


def neighbour(version: str | None, kind: str = "official") -> AccountRow:
    """Return another account's row."""
    other = account(facts=Facts(ServerKind(kind), server_version=version))
    return exports.row_of(other)._replace(id="b", label="Newest")


@pytest.mark.parametrize(
    ("mine", "theirs", "older"),
    [
        ("2025.8.0", "2025.10.1", True),
        ("2025.8.0", "2026.1.0", True),
        ("2025.10.0", "2025.10.9", False),
        ("2025.10.0", "2025.8.0", False),
        ("2025.8.0", None, False),
        (None, "2025.8.0", False),
        ("1.34.3-beta", "1.35.0", True),
    ],
)
def test_a_server_is_old_beside_a_newer_one(mine: str | None, theirs: str | None, *, older: bool) -> None:
    """A release behind the newest of the same kind is told; a patch, or another kind of server, is not."""
    me = account(facts=Facts(ServerKind.OFFICIAL, server_version=mine))
    assert telling.older_than(me, [neighbour(theirs)]) == ((theirs, "Newest") if older else None)
    assert telling.older_than(me, [neighbour(theirs, "vaultwarden")]) is None


@pytest.mark.parametrize(
    ("members", "seats", "words"),
    [
        ({"confirmed": 90, "invited": 4, "accepted": 1, "revoked": 50}, 100, "95 of 100 seats are taken: 5 are left."),
        ({"confirmed": 99}, 100, "99 of 100 seats are taken: 1 is left."),
        ({"confirmed": 100}, 100, "100 of 100 seats are taken: nobody more can be invited."),
        ({"confirmed": 94, "revoked": 9}, 100, ""),
        (None, 100, ""),
        ({"confirmed": 9}, None, ""),
    ],
)
def test_few_seats_are_told_before_none_is_left(members: dict[str, int] | None, seats: int | None, words: str) -> None:
    """Invited, accepted and confirmed members take seats; what is not reported is not guessed."""
    assert telling.few_seats(account(facts=Facts(members=members, seats=seats)), NOON, None) == words


@pytest.mark.parametrize(
    ("taken", "earlier", "words"),
    [
        (18, 12, "18 of 20 seats are taken, 6 more than 30 days ago: 2 are left."),
        (18, 16, "18 of 20 seats are taken, 2 more than 30 days ago: 2 are left."),
        (18, 17, ""),
        (18, 19, ""),
        (10, 1, ""),
        (19, 20, "19 of 20 seats are taken: 1 is left."),
        (20, 18, "20 of 20 seats are taken, 2 more than 30 days ago: nobody more can be invited."),
    ],
)
def test_seats_that_go_fast_are_told_sooner(taken: int, earlier: int, words: str) -> None:
    """Where as many again as in the last month are not left, it is said before nearly all are taken."""
    who = account(facts=Facts(members={"confirmed": taken}, seats=20))
    assert telling.few_seats(who, NOON, earlier) == words


def test_seats_are_told_with_what_they_were() -> None:
    """Beside the present number that of a month ago, or of when the account was linked, if it was another."""
    who = account(facts=Facts(members={"confirmed": 18, "revoked": 3}, seats=20))
    assert telling.seats_words(who, NOON, None) == telling.seats_words(who, NOON, 18) == "18 of 20 taken, as counted"
    assert telling.seats_words(who, NOON, 12) == "18 of 20 taken, as counted; 30 days ago 12"
    assert telling.seats_words(replace(who, linked_at=NOON - 3 * DAY), NOON, 12).endswith("; 3 days ago 12")
    assert telling.seats_words(replace(who, linked_at=NOON), NOON, 12) == "18 of 20 taken, as counted"
    assert telling.seats_words(account(), NOON, 12) == "not reported"


def test_an_old_key_is_recalled_after_a_year() -> None:
    """How long it has been in use here is always told; rotating it is suggested after a year."""
    assert telling.key_age(account(key_days=40), NOON) == "in use here for 40 days"
    assert telling.key_age(account(key_days=0.2), NOON) == "in use here since today"
    assert telling.old_key(account(key_days=364), NOON) == ""
    assert "in use here for 365 days" in telling.old_key(account(key_days=365), NOON)


def test_names_are_spoken() -> None:
    """Names stand as a sentence has them."""
    assert [telling.spoken(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
