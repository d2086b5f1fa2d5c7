"""Every transition of the state machine as a table: (standing, check) to (standing, transition), every cell by name.

A row is a standing, a column is what a check found. A cell says what becomes of it:

    H L D F U   the status changes, and that is a transition
    =           the status stays, the check having found it again
    -           nothing was judged: only the clocks of what was proven may move
    f1 f2 …     not believed yet: so many failures in a row
    s1 s2 …     not believed yet: so many good checks in a row of what comes and goes
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from hub_core.health.status import advance
from hub_core.model import (
    Capability,
    Check,
    Facts,
    Observation,
    Outcome,
    Reason,
    Stage,
    Standing,
    Status,
    Transition,
    Trigger,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(hours=5)
"""Since when the account has its status, and when it was last checked and proven."""

MISSED = NOW - timedelta(minutes=10)
"""When it first could not be reached, in the rows that say so."""

STATUSES = {
    "unknown": Status.UNKNOWN,
    "healthy": Status.HEALTHY,
    "limited": Status.LIMITED,
    "degraded": Status.DEGRADED,
    "failing": Status.FAILING,
    "unreachable": Status.UNREACHABLE,
}
LETTERS = {word[0].upper(): status for word, status in STATUSES.items() if word != "unknown"}

# ---- the columns


class Finding(NamedTuple):
    """What a check can find."""

    seen: tuple[Observation, ...]
    reason: Reason | None = None
    """What the standing says of it, where it is believed."""
    proves_link: bool = False
    proves_key: bool = False
    lists: dict[str, Capability] = {}  # noqa: RUF012 - never changed


def at(stage: Stage, outcome: Outcome, reason: Reason | None = None) -> Observation:
    return Observation(stage, outcome, reason)


KEPT, FRESH, READ = at(Stage.TOKEN, Outcome.SKIP), at(Stage.TOKEN, Outcome.PASS), at(Stage.READ, Outcome.PASS)
ONE, ALL = (
    {"/public/policies": Capability.READABLE},
    dict.fromkeys(("/public/policies", "/public/members"), Capability.READABLE),
)
FINDINGS = {
    "well": Finding((FRESH, READ), None, True, True, ALL),
    "light": Finding((KEPT, READ), None, True, False, ONE),
    "limited": Finding(
        (FRESH, at(Stage.READ, Outcome.WARN, Reason.READ_API_ABSENT)), Reason.READ_API_ABSENT, False, True
    ),
    "ends": Finding(
        (at(Stage.TLS, Outcome.WARN, Reason.CERTIFICATE_ENDS_SOON), FRESH, READ),
        Reason.CERTIFICATE_ENDS_SOON, True, True, ALL,
    ),
    "slow": Finding((KEPT, at(Stage.READ, Outcome.WARN, Reason.SLOW)), Reason.SLOW, True, False, ONE),
    "overdue": Finding((KEPT, at(Stage.READ, Outcome.WARN, Reason.KEY_OVERDUE)), Reason.KEY_OVERDUE, True, False, ONE),
    "refused": Finding(
        (at(Stage.TOKEN, Outcome.FAIL, Reason.KEY_NO_LONGER_ACCEPTED),), Reason.KEY_NO_LONGER_ACCEPTED
    ),
    "gone": Finding((at(Stage.REACH, Outcome.FAIL, Reason.CONNECTION_TIMEOUT),), Reason.CONNECTION_TIMEOUT),
    "told to wait": Finding((FRESH, at(Stage.READ, Outcome.FAIL, Reason.RATE_LIMITED)), None, False, True),
    "budget spent": Finding((at(Stage.TOKEN, Outcome.FAIL, Reason.BUDGET_SPENT),)),
    "kept refused": Finding((KEPT, at(Stage.READ, Outcome.FAIL, Reason.TOKEN_REFUSED))),
    "none": Finding((at(Stage.FORMAT, Outcome.PASS),)),
}  # fmt: skip

# ---- the tables

BY_SCHEDULE = """
                              well light limited ends slow overdue refused gone  | waits budget spent kept refused none
unknown                       H    H     L       D    D    D       F       f1   |   -      -            -            -
unknown, missed once          H    H     L       D    D    D       F       f2   |   -      -            -            -
unknown, missed twice         H    H     L       D    D    D       F       U    |   -      -            -            -
healthy                       =    =     L       D    D    D       F       f1   |   -      -            -            -
healthy, missed once          =    =     L       D    D    D       F       f2   |   -      -            -            -
healthy, missed twice         =    =     L       D    D    D       F       U    |   -      -            -            -
limited                       H    H     =       D    D    D       F       f1   |   -      -            -            -
limited, missed once          H    H     =       D    D    D       F       f2   |   -      -            -            -
limited, missed twice         H    H     =       D    D    D       F       U    |   -      -            -            -
degraded                      H    H     L       =    =    =       F       f1   |   -      -            -            -
degraded, missed once         H    H     L       =    =    =       F       f2   |   -      -            -            -
degraded, missed twice        H    H     L       =    =    =       F       U    |   -      -            -            -
failing                       H    H     L       D    D    D       =       f1   |   -      -            -            -
failing, missed once          H    H     L       D    D    D       =       f2   |   -      -            -            -
failing, missed twice         H    H     L       D    D    D       =       U    |   -      -            -            -
failing, no members           H    -     -       D    -    -       =       f1   |   -      -            -            -
unreachable                   H    H     L       D    D    D       F       =    |   -      -            -            -
unreachable, an hour after    H    H     L       D    D    D       F       =    |   -      -            -            -
unreachable, flapping         s1   s1    s1      s1   s1   s1      F       =    |   -      -            -            -
unreachable, flapping, good 2 s3   s3    s3      s3   s3   s3      F       =    |   -      -            -            -
unreachable, flapping, good 3 H    H     L       D    D    D       F       =    |   -      -            -            -
"""

BY_A_PERSON = """
                              well light limited ends slow overdue refused gone  | waits budget spent kept refused none
unknown                       H    H     L       D    D    D       F       U    |   -      -            -            -
unknown, missed once          H    H     L       D    D    D       F       U    |   -      -            -            -
unknown, missed twice         H    H     L       D    D    D       F       U    |   -      -            -            -
healthy                       =    =     L       D    D    D       F       U    |   -      -            -            -
healthy, missed once          =    =     L       D    D    D       F       U    |   -      -            -            -
healthy, missed twice         =    =     L       D    D    D       F       U    |   -      -            -            -
limited                       H    H     =       D    D    D       F       U    |   -      -            -            -
limited, missed once          H    H     =       D    D    D       F       U    |   -      -            -            -
limited, missed twice         H    H     =       D    D    D       F       U    |   -      -            -            -
degraded                      H    H     L       =    =    =       F       U    |   -      -            -            -
degraded, missed once         H    H     L       =    =    =       F       U    |   -      -            -            -
degraded, missed twice        H    H     L       =    =    =       F       U    |   -      -            -            -
failing                       H    H     L       D    D    D       =       U    |   -      -            -            -
failing, missed once          H    H     L       D    D    D       =       U    |   -      -            -            -
failing, missed twice         H    H     L       D    D    D       =       U    |   -      -            -            -
failing, no members           H    -     -       D    -    -       =       U    |   -      -            -            -
unreachable                   H    H     L       D    D    D       F       =    |   -      -            -            -
unreachable, an hour after    H    H     L       D    D    D       F       =    |   -      -            -            -
unreachable, flapping         H    H     L       D    D    D       F       =    |   -      -            -            -
unreachable, flapping, good 2 H    H     L       D    D    D       F       =    |   -      -            -            -
unreachable, flapping, good 3 H    H     L       D    D    D       F       =    |   -      -            -            -
"""

# ---- the rows


def standing_of(row: str) -> Standing:
    """Return the standing that the first column of a table names."""
    word, *more = row.split(", ")
    found = Standing(STATUSES[word], None, BEFORE, BEFORE, BEFORE, BEFORE)
    if word == "unknown":
        found = Standing()
    for what in more:
        if what.startswith("missed"):
            found = replace(found, failures=1 + (what == "missed twice"), first_failure_at=MISSED)
        elif what == "no members":
            found = replace(found, reason=Reason.MEMBERS_EMPTY)
        elif what == "an hour after":
            found = replace(found, recovered_at=BEFORE - timedelta(hours=1))
        elif what == "flapping":
            found = replace(found, recovered_at=BEFORE - timedelta(minutes=59))
        else:
            found = replace(found, successes=int(what[-1]))
    return replace(found, failures=3, first_failure_at=BEFORE) if word == "unreachable" else found


class Cell(NamedTuple):
    """One combination, and what becomes of it."""

    trigger: Trigger
    row: str
    column: str
    becomes: str


def cells(table: str, *triggers: Trigger) -> list[Cell]:
    """Read a table."""
    _, *lines = table.strip("\n").splitlines()
    made = []
    for line in lines:
        words = line.replace("|", " ").split()
        codes = words[-len(FINDINGS) :]
        row = " ".join(words[: -len(FINDINGS)])
        made += [Cell(trigger, row, *cell) for trigger in triggers for cell in zip(FINDINGS, codes, strict=True)]
    return made


CELLS = cells(BY_SCHEDULE, Trigger.SCHEDULE)
CELLS += cells(BY_A_PERSON, Trigger.MANUAL, Trigger.LINK, Trigger.RELINK, Trigger.EDIT)


def expected(cell: Cell) -> tuple[Standing, Transition | None]:
    """Return what a cell says, as values."""
    before, finding, becomes = standing_of(cell.row), FINDINGS[cell.column], cell.becomes
    after = replace(
        before,
        checked_at=before.checked_at if judged_nothing(cell) else NOW,
        link_proven_at=NOW if finding.proves_link else before.link_proven_at,
        key_proven_at=NOW if finding.proves_key else before.key_proven_at,
    )
    if becomes == "-":
        return after, None
    gone = cell.column == "gone"
    counted = replace(
        after,
        failures=before.failures + 1 if gone else 0,
        first_failure_at=(before.first_failure_at or NOW) if gone else None,
        successes=0,
    )
    if becomes.startswith("f"):
        assert counted.failures == int(becomes[1:])
        return counted, None
    if becomes.startswith("s"):
        return replace(after, successes=int(becomes[1:])), None
    if becomes == "=":
        return replace(counted, reason=finding.reason), None
    works_again = before.status is Status.UNREACHABLE and becomes in "HLD"
    since = (counted.first_failure_at or NOW) if gone else NOW
    status, recovered = LETTERS[becomes], NOW if works_again else before.recovered_at
    moved = replace(counted, status=status, reason=finding.reason, since=since, recovered_at=recovered)
    return moved, Transition(since, before.status, status, finding.reason)


def judged_nothing(cell: Cell) -> bool:
    """Tell whether a check said nothing about the account; one that could not see its members did judge it."""
    return (cell.becomes == "-" and "no members" not in cell.row) or cell.column in JUDGE_NOTHING


JUDGE_NOTHING = {"told to wait", "budget spent", "kept refused", "none"}


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.trigger}: {cell.row} + {cell.column} = {cell.becomes}")
def test_every_cell_of_the_table(cell: Cell) -> None:
    """A standing and a check give exactly the standing and the change of status that the table says."""
    finding = FINDINGS[cell.column]
    check = Check(NOW, cell.trigger, finding.seen, Facts(capabilities=finding.lists))
    assert advance(standing_of(cell.row), check) == expected(cell)


def test_the_table_is_whole() -> None:
    """Every status is in it, with every number of failures before it, met by every kind of check and every trigger."""
    rows = {cell.row for cell in CELLS}
    for word in STATUSES:
        if word != "unreachable":
            assert {word, f"{word}, missed once", f"{word}, missed twice"} <= rows
    assert {cell.trigger for cell in CELLS} == set(Trigger)
    assert len({cell[:3] for cell in CELLS}) == len(CELLS) == len(rows) * len(FINDINGS) * len(Trigger)
