"""What a check does to an account: pure tables, and properties over checks nobody thought of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_core.health import status
from hub_core.health.status import advance, is_stale
from hub_core.health.verdict import DEGRADING, FAILING, LIMITING, NOTED, UNREACHABLE, WAITING, judge
from hub_core.model import (
    Account,
    Capability,
    Check,
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

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SETS = (FAILING, UNREACHABLE, DEGRADING, WAITING, LIMITING, NOTED)
READABLE, FAULTY = Capability.READABLE, Capability.FAULTY
POLICIES, MEMBERS, GROUPS = "/public/policies", "/public/members", "/public/groups"
SUBSCRIPTION = "/public/organization/subscription"


def check(
    *seen: Observation, at: datetime = NOON, capabilities: dict[str, Capability] | None = None, **facts: object
) -> Check:
    known = Facts(capabilities=capabilities or {}, **facts)  # type: ignore[arg-type]
    return Check(at, Trigger.MANUAL, seen, known)


def passed(stage: Stage) -> Observation:
    return Observation(stage, Outcome.PASS)


def warned(stage: Stage, reason: Reason) -> Observation:
    return Observation(stage, Outcome.WARN, reason)


def failed(stage: Stage, reason: Reason) -> Observation:
    return Observation(stage, Outcome.FAIL, reason)


def well(*remarks: Observation, at: datetime = NOON) -> Check:
    return check(passed(Stage.TOKEN), passed(Stage.READ), *remarks, at=at, capabilities={POLICIES: READABLE})


# Every reason has one place.


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_classified_exactly_once(reason: Reason) -> None:
    """A reason means one thing for the status, and none is forgotten."""
    assert sum(reason in members for members in SETS) == 1


@pytest.mark.parametrize("reason", sorted(FAILING))
def test_what_a_person_must_mend_is_failing(reason: Reason) -> None:
    """A reason against the key or its settings makes the account red."""
    assert judge(check(failed(Stage.TOKEN, reason))) == (Status.FAILING, reason)


@pytest.mark.parametrize("reason", sorted(UNREACHABLE))
def test_trouble_on_the_way_is_unreachable(reason: Reason) -> None:
    """A reason on the way never blames the key."""
    assert judge(check(failed(Stage.SERVER, reason))) == (Status.UNREACHABLE, reason)


@pytest.mark.parametrize("reason", sorted(WAITING))
def test_waiting_judges_nothing(reason: Reason) -> None:
    """Being told to wait says nothing about the account."""
    assert judge(check(failed(Stage.TOKEN, reason))) is None


@pytest.mark.parametrize("reason", sorted(DEGRADING))
def test_something_to_mend_soon_is_degraded(reason: Reason) -> None:
    """A link that works with a remark is amber."""
    assert judge(well(warned(Stage.SERVER, reason))) == (Status.DEGRADED, reason)


@pytest.mark.parametrize("reason", sorted(NOTED | WAITING))
def test_a_note_leaves_a_link_healthy(reason: Reason) -> None:
    """What is only worth saying, or a limit met in the middle, changes no color."""
    assert judge(well(warned(Stage.READ, reason))) == (Status.HEALTHY, None)


def test_a_server_without_reads_is_limited() -> None:
    """A key that is accepted where nothing can be read is not a fault."""
    seen = check(passed(Stage.TOKEN), warned(Stage.READ, Reason.READ_API_ABSENT))
    assert judge(seen) == (Status.LIMITED, Reason.READ_API_ABSENT)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("events", Status.LIMITED), ("members", Status.LIMITED), ("organization/subscription", Status.HEALTHY)],
)
def test_a_server_with_some_reads_is_limited(path: str, expected: Status) -> None:
    """A missing list limits the link, but for the one list that only the cloud has."""
    lists = {POLICIES: READABLE, f"/public/{path}": Capability.NOT_OFFERED}
    assert judge(check(passed(Stage.TOKEN), passed(Stage.READ), capabilities=lists)) == (expected, None)


def test_a_fault_of_every_read_is_no_working_link() -> None:
    """What merely degrades a link that reads stops one that reads nothing."""
    seen = check(passed(Stage.TOKEN), failed(Stage.READ, Reason.READ_FAULT))
    assert judge(seen) == (Status.UNREACHABLE, Reason.READ_FAULT)


def test_the_gravest_remark_decides() -> None:
    """Degraded outweighs limited, and a failure outweighs every remark."""
    remarks = warned(Stage.READ, Reason.READ_API_ABSENT), warned(Stage.SERVER, Reason.CLOCK_SKEW)
    assert judge(well(*remarks)) == (Status.DEGRADED, Reason.CLOCK_SKEW)
    stopped = check(*remarks, failed(Stage.TOKEN, Reason.KEY_NEVER_ACCEPTED))
    assert judge(stopped) == (Status.FAILING, Reason.KEY_NEVER_ACCEPTED)


def test_nothing_seen_is_never_green() -> None:
    """A check that asked nothing judges nothing."""
    assert judge(check()) is None
    assert judge(check(passed(Stage.FORMAT), passed(Stage.REACH))) is None


# What a check does to a standing.


def test_the_first_check_makes_a_transition() -> None:
    """An account leaves unknown, with the time and the clocks of the check."""
    standing, transition = advance(Standing(), well())
    assert standing == Standing(Status.HEALTHY, None, NOON, NOON, NOON, NOON)
    assert transition
    assert (transition.before, transition.after, transition.at) == (Status.UNKNOWN, Status.HEALTHY, NOON)


def test_the_same_status_again_keeps_its_beginning() -> None:
    """Since when an account is in trouble does not move with every check, though the reason may."""
    first, _ = advance(Standing(), check(failed(Stage.REACH, Reason.NAME_NOT_FOUND)))
    second, transition = advance(first, check(failed(Stage.TLS, Reason.TLS_FAILED), at=NOON + DAY))
    assert transition is None
    assert (second.since, second.checked_at, second.reason) == (NOON, NOON + DAY, Reason.TLS_FAILED)


def test_a_refused_key_leaves_the_clocks_alone() -> None:
    """When the key was last proven stays known after it stopped working."""
    before, _ = advance(Standing(), well())
    after, transition = advance(before, check(failed(Stage.TOKEN, Reason.KEY_NO_LONGER_ACCEPTED), at=NOON + DAY))
    assert (after.key_proven_at, after.link_proven_at, after.since) == (NOON, NOON, NOON + DAY)
    assert transition
    assert transition.after is Status.FAILING


def test_a_limit_after_the_token_proves_the_key_and_nothing_else() -> None:
    """Neither clock stands for the other."""
    seen = check(passed(Stage.TOKEN), failed(Stage.READ, Reason.RATE_LIMITED))
    assert advance(Standing(), seen) == (Standing(key_proven_at=NOON), None)


def test_another_organizations_token_proves_nothing() -> None:
    """A token of the wrong organization moves no clock."""
    seen = check(passed(Stage.TOKEN), failed(Stage.IDENTITY, Reason.WRONG_ORGANIZATION))
    standing, _ = advance(Standing(), seen)
    assert (standing.key_proven_at, standing.link_proven_at) == (None, None)


STAGES = st.sampled_from(list(Stage))
OBSERVATIONS = st.builds(
    lambda stage, outcome, reason: Observation(
        stage, outcome, reason if outcome in {Outcome.WARN, Outcome.FAIL} else None
    ),
    STAGES,
    st.sampled_from(list(Outcome)),
    st.sampled_from(list(Reason)),
)
CHECKS = st.builds(
    lambda trigger, seen, lists: Check(NOON, trigger, tuple(seen), Facts(capabilities=lists)),
    st.sampled_from([Trigger.SCHEDULE, Trigger.MANUAL]),
    st.lists(OBSERVATIONS, max_size=8),
    st.dictionaries(st.sampled_from([POLICIES, MEMBERS, GROUPS]), st.sampled_from(list(Capability))),
)


def standing_after(history: list[Check]) -> list[tuple[Check, Standing, Standing, object]]:
    standing = Standing()
    steps: list[tuple[Check, Standing, Standing, object]] = []
    for number, seen in enumerate(history):
        dated = Check(NOON + number * DAY, seen.trigger, seen.observations, seen.facts)
        after, transition = advance(standing, dated)
        steps.append((dated, standing, after, transition))
        standing = after
    return steps


@given(st.lists(CHECKS, max_size=6))
def test_a_transition_exists_exactly_when_the_status_changed(history: list[Check]) -> None:
    """Alerts hang on transitions, so there is never one too many or too few."""
    for dated, before, after, transition in standing_after(history):
        assert (transition is not None) == (before.status is not after.status)
        assert (after.since != before.since) <= (transition is not None)
        if transition:
            assert transition.at == after.since
            assert transition.at <= dated.at


@given(st.lists(CHECKS, max_size=6))
def test_a_check_that_judged_nothing_changes_no_status(history: list[Check]) -> None:
    """Waiting leaves status, reason and the time of the last judgement as they were."""
    for dated, before, after, _ in standing_after(history):
        if judge(dated) is None:
            assert (after.status, after.reason, after.since, after.checked_at) == (
                before.status,
                before.reason,
                before.since,
                before.checked_at,
            )


@given(st.lists(CHECKS, max_size=6))
def test_clocks_move_only_forward_and_only_by_proof(history: list[Check]) -> None:
    """A proven clock shows the check that proved it, and no other check touches it."""
    for dated, before, after, _ in standing_after(history):
        assert after.key_proven_at == (dated.at if dated.key_proven else before.key_proven_at)
        assert after.link_proven_at == (dated.at if dated.link_proven else before.link_proven_at)


@given(CHECKS)
def test_green_needs_a_token_that_was_accepted(seen: Check) -> None:
    """No combination of observations is shown as working but with a token: a fresh one, or one that was kept."""
    verdict = judge(seen)
    if verdict and verdict[0] in {Status.HEALTHY, Status.LIMITED, Status.DEGRADED}:
        assert seen.key_proven or seen.light
        assert seen.failure is None


# What is known after a check.

KNOWN = Facts(
    server_kind=ServerKind.VAULTWARDEN,
    server_name="Vaultwarden",
    server_version="1.34.3",
    skew_seconds=90,
    addresses=("10.0.0.1",),
    capabilities={MEMBERS: READABLE, GROUPS: READABLE, SUBSCRIPTION: READABLE},
    members={"confirmed": 3},
    counts={"groups": 2, "policies": 4},
    seats=5,
)


def test_what_a_check_did_not_see_stays() -> None:
    """A failed check takes nothing away."""
    assert status.merge_facts(KNOWN, Facts()) == KNOWN


def test_a_server_that_says_nothing_of_itself_is_believed() -> None:
    """A replaced server does not keep the name, version and clock of the one before it."""
    merged = status.merge_facts(KNOWN, Facts(server_kind=ServerKind.OFFICIAL, server_version="2026.8.0"))
    assert (merged.server_name, merged.server_version, merged.skew_seconds) == (None, "2026.8.0", None)


def test_a_list_that_is_no_longer_readable_has_no_number() -> None:
    """What can no longer be read is not reported, rather than shown with its old number."""
    refused = dict.fromkeys((MEMBERS, GROUPS, SUBSCRIPTION), Capability.REFUSED)
    merged = status.merge_facts(KNOWN, Facts(capabilities=refused))
    assert (merged.members, merged.seats, merged.counts) == (None, None, {"policies": 4})


def test_a_list_that_broke_keeps_its_last_good_number() -> None:
    """A passing fault does not empty the page."""
    merged = status.merge_facts(KNOWN, Facts(capabilities=dict.fromkeys((MEMBERS, GROUPS, SUBSCRIPTION), FAULTY)))
    assert (merged.members, merged.seats, merged.counts) == (KNOWN.members, KNOWN.seats, KNOWN.counts)
    assert merged.capabilities[MEMBERS] is FAULTY


def test_a_list_that_was_not_asked_keeps_its_place() -> None:
    """A check cut short by a limit changes only the lists it asked."""
    learned = Facts(capabilities={GROUPS: READABLE}, counts={"groups": 7})
    merged = status.merge_facts(KNOWN, learned)
    assert merged.capabilities == KNOWN.capabilities
    assert merged.counts == {"groups": 7, "policies": 4}


def test_step_gives_standing_transition_and_facts() -> None:
    """One call gives everything the store records."""
    place = Endpoints(RegionId.US, "https://identity.bitwarden.com", "https://api.bitwarden.com")
    account = Account(
        "id", "Label", place, "organization.x", None, (), "", Lifecycle.ACTIVE, "", NOON, NOON, Standing(), KNOWN
    )
    done = status.step(account, well())
    assert done.standing.status is Status.HEALTHY
    assert done.transition
    assert done.facts.capabilities[POLICIES] is READABLE


# Whether a status can be believed.


@pytest.mark.parametrize(
    ("checked_at", "lifecycle", "expected"),
    [
        (None, Lifecycle.ACTIVE, True),
        (NOON - 2 * DAY, Lifecycle.ACTIVE, False),
        (NOON - 2 * DAY - timedelta(seconds=1), Lifecycle.ACTIVE, True),
        (NOON + DAY, Lifecycle.ACTIVE, False),
        (NOON + 365 * DAY, Lifecycle.ACTIVE, True),
        (None, Lifecycle.PAUSED, False),
        (NOON - 9 * DAY, Lifecycle.PAUSED, False),
    ],
)
def test_a_status_is_stale_once_its_check_no_longer_holds(
    checked_at: datetime | None, lifecycle: Lifecycle, expected: object
) -> None:
    """An old check, none, or one dated far ahead by a wrong clock is not believed; a paused account is not late."""
    assert is_stale(checked_at, lifecycle, now=NOON, holds=2 * DAY) is expected


# On a schedule: three failures in a row, one good check, and what comes and goes.

MINUTE = timedelta(minutes=1)
UNREACHED = (failed(Stage.REACH, Reason.CONNECTION_TIMEOUT),)
WELL = (passed(Stage.TOKEN), passed(Stage.READ))
LIGHT = (Observation(Stage.TOKEN, Outcome.SKIP), passed(Stage.READ))
DOUBT = (Observation(Stage.TOKEN, Outcome.SKIP), failed(Stage.READ, Reason.TOKEN_REFUSED))
REFUSED = (failed(Stage.TOKEN, Reason.KEY_NO_LONGER_ACCEPTED),)
WAIT = (failed(Stage.TOKEN, Reason.BUDGET_SPENT),)


def by_schedule(*histories: tuple[Observation, ...], standing: Standing | None = None) -> list[Standing]:
    """Return the standing after each of these checks, five minutes apart."""
    now, steps = standing or Standing(Status.HEALTHY, None, NOON, NOON, NOON, NOON), []
    start = now.checked_at or NOON
    for number, seen in enumerate(histories, 1):
        at = start + number * 5 * MINUTE
        now, _ = advance(now, Check(at, Trigger.SCHEDULE, seen, Facts(capabilities={POLICIES: READABLE})))
        steps.append(now)
    return steps


@pytest.mark.parametrize(
    ("checks", "statuses"),
    [
        pytest.param([UNREACHED] * 4, "HHUU", id="the third failure in a row counts"),
        pytest.param([UNREACHED, UNREACHED, WELL, UNREACHED, UNREACHED], "HHHHH", id="a good one begins anew"),
        pytest.param([UNREACHED, WAIT, UNREACHED, WAIT, UNREACHED], "HHHHU", id="waiting neither counts nor clears"),
        pytest.param([UNREACHED] * 3 + [LIGHT], "HHUH", id="one good light check recovers"),
        pytest.param([UNREACHED] * 3 + [REFUSED], "HHUF", id="a refusal is certain at once"),
        pytest.param([REFUSED, WELL], "FH", id="a refusal needs no second one, and a fresh token ends it"),
        pytest.param([DOUBT, WELL], "HH", id="a kept token that is refused says nothing"),
        pytest.param([DOUBT, REFUSED], "HF", id="until a fresh one is refused"),
        pytest.param([REFUSED, *[UNREACHED] * 3], "FFFU", id="a refused key whose server went away"),
        pytest.param([WAIT] * 5, "HHHHH", id="waiting never changes a status"),
        pytest.param(
            [*[UNREACHED] * 3, LIGHT, *[UNREACHED] * 3, LIGHT, LIGHT, LIGHT, LIGHT],
            "HHUHHHUUUUH",
            id="what comes and goes needs four good ones",
        ),
        pytest.param(
            [*[UNREACHED] * 3, LIGHT, *[LIGHT] * 12, *[UNREACHED] * 3, LIGHT],
            "HHUH" + "H" * 12 + "HHUH",
            id="an hour later it has not come and gone",
        ),
    ],
)
def test_a_row_of_scheduled_checks(checks: list[tuple[Observation, ...]], statuses: str) -> None:
    """The table of histories and the status after each check, by its first letter."""
    assert "".join(standing.status.value[0].upper() for standing in by_schedule(*checks)) == statuses


def test_unreachable_is_dated_from_the_first_failure() -> None:
    """Since when it was out of reach is when it first did not answer, and the count is kept meanwhile."""
    one, two, three = by_schedule(*[UNREACHED] * 3)
    assert (one.failures, two.failures, three.failures) == (1, 2, 3)
    assert (one.since, two.since, three.since) == (NOON, NOON, NOON + 5 * MINUTE)
    assert two.reason is None
    assert three.reason is Reason.CONNECTION_TIMEOUT


def test_what_a_person_asks_for_is_judged_at_once() -> None:
    """Whoever presses Check now sees what this one check says."""
    standing, transition = advance(Standing(Status.HEALTHY), check(*UNREACHED))
    assert standing.status is Status.UNREACHABLE
    assert transition


def test_a_light_check_proves_the_link_and_not_the_key() -> None:
    """The clock of the key stays where the last fresh token put it."""
    (after,) = by_schedule(LIGHT)
    assert (after.link_proven_at, after.key_proven_at) == (NOON + 5 * MINUTE, NOON)


@pytest.mark.parametrize(
    ("path", "answer", "expected"),
    [
        (MEMBERS, Capability.REFUSED, (Status.DEGRADED, Reason.READS_PARTLY_REFUSED)),
        (MEMBERS, Capability.FAULTY, (Status.DEGRADED, Reason.READ_FAULT)),
        (MEMBERS, Capability.NOT_OFFERED, (Status.LIMITED, None)),
        (POLICIES, Capability.REFUSED, (Status.HEALTHY, None)),
    ],
)
def test_a_list_that_was_not_asked_keeps_its_say(path: str, answer: Capability, expected: object) -> None:
    """A light check asks one list; what the others answered last still counts, what it asked itself counts anew."""
    seen = Check(NOON, Trigger.SCHEDULE, LIGHT, Facts(capabilities={POLICIES: READABLE}))
    assert judge(seen, {path: answer}) == expected


def test_an_organization_without_members_stays_so_until_they_are_looked_at() -> None:
    """A light check does not ask for members and cannot tell that they are back."""
    before = Standing(Status.FAILING, Reason.MEMBERS_EMPTY, NOON, NOON, NOON, NOON)
    (light,) = by_schedule(LIGHT, standing=before)
    assert (light.status, light.reason) == (Status.FAILING, Reason.MEMBERS_EMPTY)


@given(st.lists(CHECKS, max_size=12), st.lists(st.integers(-10_000, 10_000), min_size=12, max_size=12))
def test_no_two_changes_lead_to_the_same_status_in_a_row(history: list[Check], jumps: list[int]) -> None:
    """Whatever happens and however the clock jumps, a change leads somewhere else, and is never dated ahead."""
    standing, last = Standing(), Status.UNKNOWN
    for seen, jump in zip(history, jumps, strict=False):
        at = NOON + jump * MINUTE
        standing, transition = advance(standing, Check(at, seen.trigger, seen.observations, seen.facts))
        if transition:
            assert transition.before is last
            assert transition.after is not last
            assert transition.at <= at
            last = transition.after
