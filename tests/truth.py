"""Holds what a simulated hub found against the truth: bounds, silence, incidents, uptime, budgets."""

from __future__ import annotations

import math
from datetime import timedelta
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from hub_core.alerts.channel import TOLD_BY_DEFAULT, Sort
from hub_core.alerts.inbox import FOLLOW, MANY, SETTLE
from hub_core.health.rhythm import TOKEN_KEPT
from hub_core.history import DOWN, IN_TROUBLE
from hub_core.model import Reason, Status
from tests.scenario import HOUR, LOOK, MINUTE, RHYTHM, ROUND, SLACK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from hub_core.history import Incident
    from tests.scenario import Case
    from tests.simulated import Move, Simulation, Telling
    from tests.world import Organization

TOKENS_A_MINUTE = 10
"""The cloud's own limit; the hub's budget of 8 counts by a clock that may jump, and forgets the last minute then."""

READS_A_MINUTE = 150
LETTERS_OF_ONE_OUTAGE = 6
"""Its beginning and its end; checks are spread over an interval, and so who is found later follows in a second one."""

CROWD = 20
"""Of fewer, each half may be found apart, and then be too few for one message."""

OF_ACCOUNTS = frozenset({Sort.TROUBLE, Sort.RECOVERY})
ZERO = timedelta()
OF_OUR_CLOCK = frozenset({Reason.CLOCK_WRONG_HERE, Reason.CLOCK_SKEW})


class Found(NamedTuple):
    """How a case went: minutes until it was found, and until its end was, of every organization concerned."""

    case: Case
    detected: list[float]
    recovered: list[float]


class Verdict(NamedTuple):
    """What the hub found, held against the truth."""

    found: list[Found]
    problems: list[str]
    incidents: int
    letters: int
    """Messages that people were sent about accounts."""
    uptime_mean: float
    """The difference between the hub's uptime and the true one, in percentage points, on average."""
    uptime_worst: float


class Judge:
    """Looks at one finished run."""

    def __init__(self, run: Simulation) -> None:
        self._run = run
        self._ends = run.time.true()
        self._cases: dict[int, list[Case]] = {who.number: [] for who in run.scenario.organizations}
        for case in run.scenario.cases:
            for who in case.who:
                self._cases[who.number].append(case)

    def verdict(self) -> Verdict:
        """Return everything that is not as it has to be, and how well the rest went."""
        found = [self._found(case) for case in self._run.scenario.cases if case.begins < self._ends]
        problems: list[str] = []
        incidents, errors = 0, []
        for one in found:
            for who in one.case.who:
                problems += self._bounds(one.case, who)
                problems += self._told(one.case, who)
            problems += self._together(one.case)
        for who in self._run.scenario.organizations:
            problems += self._false_alarms(who)
            problems += self._false_letters(who)
            kept = self._run.hub.past.incidents(account_id=self._run.id_of(who))
            incidents += len(kept)
            problems += self._incidents(who, kept)
            off, said = self._uptime(who)
            errors.append(off)
            problems += said
        problems += self._budgets()
        problems += self._starved()
        problems += self._unproven()
        problems += [f"logged: {line}" for line in self._run.logged.lines if "this machine is offline" not in line]
        letters = sum(letter.sort in OF_ACCOUNTS for letter in self._run.letters)
        return Verdict(found, problems, incidents, letters, fmean(errors), max(errors))

    # ---- found in time, and its end too

    def _mine(self, case: Case, who: Organization) -> list[Move]:
        return [move for move in self._run.moves[who.number] if _is_of(case, move)]

    def _end_of(self, case: Case, who: Organization) -> Move | None:
        mine = self._mine(case, who)
        since = max(case.ends, mine[-1].seen) if mine else case.ends
        return next((move for move in self._run.moves[who.number] if move.seen >= since and _well(move)), None)

    def _found(self, case: Case) -> Found:
        detected, recovered = [], []
        for who in case.who:
            if mine := self._mine(case, who):
                detected.append((mine[0].seen - case.begins) / MINUTE)
                if end := self._end_of(case, who):
                    recovered.append((end.seen - case.ends) / MINUTE)
        return Found(case, detected, recovered)

    def _bounds(self, case: Case, who: Organization) -> Iterator[str]:
        mine, what = self._mine(case, who), f"{case.name}, organization {who.number}"
        if case.status and case.required and self._ends > case.begins + case.detect + LOOK:
            if not mine:
                yield f"{what}: never found"
            elif mine[0].seen > case.begins + case.detect + LOOK:
                yield f"{what}: found after {mine[0].seen - case.begins}, not within {case.detect}"
        if len(mine) > case.most:
            yield f"{what}: found {len(mine)} times"
        if mine and self._ends > case.ends + case.recover + LOOK:
            end = self._end_of(case, who)
            if end is None or end.seen > case.ends + case.recover + LOOK:
                yield f"{what}: its end was found after {end.seen - case.ends if end else 'ever so long'}"

    def _false_alarms(self, who: Organization) -> Iterator[str]:
        for move in self._run.moves[who.number]:
            if move.after in IN_TROUBLE and not any(_is_of(case, move) for case in self._cases[who.number]):
                yield f"{_when(move.seen)} organization {who.number}: {move.after}, {move.reason}, without a cause"

    # ---- what people are told

    def _tellings(self, case: Case, who: Organization) -> list[Telling]:
        """Return when people were told of a case, and of its end, as far as it is one that they are told of."""
        if not (case.told and case.status in TOLD_BY_DEFAULT):
            return []
        late = case.ends + case.recover + _later(case)
        if case.most == 1 and (end := self._end_of(case, who)):
            late = min(late, end.seen + _later(case))  # what comes then is of another case
        return [one for one in self._run.tellings[who.number] if case.begins <= one.seen <= late]

    def _told(self, case: Case, who: Organization) -> Iterator[str]:
        if not (case.required and case.told and case.status in TOLD_BY_DEFAULT):
            return
        told, what = self._tellings(case, who), f"{case.name}, organization {who.number}"
        began = [one.seen for one in told if one.began]
        ceased = [one.seen for one in told if not one.began and one.seen >= case.ends]
        due = max(case.begins + case.detect, case.outlasts or case.begins) + _later(case)
        if self._ends > due:
            if not began:
                yield f"{what}: nobody was told"
            elif not (case.outlasts or case.begins) <= began[0] <= due:
                yield f"{what}: told after {began[0] - case.begins}"
        if len(began) > case.most:
            yield f"{what}: told {len(began)} times"
        if began and self._ends > case.ends + case.recover + _later(case) and not ceased:
            yield f"{what}: nobody was told that it is over"

    def _false_letters(self, who: Organization) -> Iterator[str]:
        explained = {one for case in self._cases[who.number] for one in self._tellings(case, who)}
        for one in self._run.tellings[who.number]:
            if one not in explained:
                yield f"{_when(one.seen)} organization {who.number}: people were told {one.began}, without a cause"

    def _together(self, case: Case) -> Iterator[str]:
        """Tell of an outage of many that came as many messages."""
        told = case.told and case.status in TOLD_BY_DEFAULT
        if len(case.who) < CROWD or not told or not case.required:
            return
        origin, late = case.who[0].server.identity, case.ends + case.recover + _later(case)
        number = sum(
            case.begins <= letter.seen <= late and letter.cause.startswith(origin) for letter in self._run.letters
        )
        if not 2 <= number <= LETTERS_OF_ONE_OUTAGE and late < self._ends:
            yield f"{case.name}: {number} messages about {len(case.who)} organizations"

    # ---- what is remembered

    def _incidents(self, who: Organization, kept: list[Incident]) -> Iterator[str]:
        for incident in kept:
            if incident.story[0].reason in OF_OUR_CLOCK:
                continue
            what = f"incident of {_when(incident.opened_at)}, organization {who.number}"
            case = next((case for case in self._cases[who.number] if _opened_by(case, incident)), None)
            if case is None:
                yield f"{what}: without a cause"
                continue
            if incident.maintenance is (case.told and case.outlasts is None):
                yield f"{what}: in a maintenance window or not, contrary to the truth"
            late = case.ends + case.recover
            if incident.closed_at is None and self._ends > late + LOOK:
                yield f"{what}: still open, though over since {_when(case.ends)}"
            if incident.closed_at and (
                incident.closed_at > late or (case.most == 1 and incident.closed_at < case.ends)
            ):
                yield f"{what}: closed {_when(incident.closed_at)}, though over {_when(case.ends)}"
        for case in self._cases[who.number]:
            number = sum(_opened_by(case, incident) for incident in kept)
            if case.required and bool(number) != bool(self._mine(case, who)):
                yield f"{case.name}, organization {who.number}: {number} incidents"

    def _uptime(self, who: Organization) -> tuple[float, list[str]]:
        """Return by how many percentage points the hub is off, and what is off by more than can be known."""
        length = self._ends - self._run.scenario.start
        hours = self._run.hub.past.hours(self._run.id_of(who), math.ceil(length / HOUR) + 1)
        measured = timedelta(seconds=sum(hour.down for hour in hours))
        judged = timedelta(seconds=sum(hour.judged for hour in hours))
        true = least = most = ZERO
        for case in self._cases[who.number]:
            if case.down and case.told and case.status in DOWN and case.begins < self._ends:
                lasted = max(min(case.ends, self._ends) - (case.outlasts or case.begins), ZERO)
                true += lasted if case.most == 1 else lasted * 2 / 3
                lag = ROUND + SLACK if case.status is Status.UNREACHABLE else case.detect
                least += max(lasted - lag - self._unknown(case, who), ZERO) if case.most == 1 else lasted / 2
                most += lasted + case.recover + LOOK
        off = 100 * abs(measured - true) / judged if judged else 0.0
        if least <= measured <= most:
            return off, []
        return off, [f"organization {who.number}: {measured} of down time, truly {true} ({least} to {most})"]

    def _unknown(self, case: Case, who: Organization) -> timedelta:
        """Return how long the hub could not know, of the time a case lasted."""
        region = who.server.endpoints.region
        spans = [
            min(quiet.ends, case.ends) - max(quiet.begins, case.begins)
            for quiet in self._run.scenario.quiet
            if quiet.region in {None, region}
        ]
        return sum((span for span in spans if span > ZERO), ZERO)

    # ---- what it costs, and whom it leaves out

    def _budgets(self) -> Iterator[str]:
        traffic = self._run.world.traffic
        for counted, limit, what in (
            (traffic.most_tokens, TOKENS_A_MINUTE, "token requests"),
            (traffic.most_reads, READS_A_MINUTE, "reads of one path"),
        ):
            for origin, most in counted.items():
                if most > limit:
                    yield f"{origin}: {most} {what} within a minute, not {limit}"

    def _starved(self) -> Iterator[str]:
        for at, who in self._run.stale:
            region = who.server.endpoints.region
            quiet = any(q.begins <= at <= q.ends and q.region in {None, region} for q in self._run.scenario.quiet)
            if not quiet and not self._waits_for_token(who, at):
                yield f"{_when(at)} organization {who.number}: its last check is too old to be believed"

    def _waits_for_token(self, who: Organization, at: datetime) -> bool:
        """Tell whether an outage was long enough for a token to end, and not all have a fresh one yet."""
        lives = TOKEN_KEPT - RHYTHM.unseen(self._run.scenario.neighbours(who))
        return any(
            case.status in DOWN and case.ends - case.begins > lives and case.ends <= at <= case.ends + case.recover
            for case in self._cases[who.number]
        )

    def _unproven(self) -> Iterator[str]:
        """Tell of keys that were not proven within the time that the pages promise, though nothing was in the way."""
        for who, begins, ends in self._run.world.traffic.waits:
            promised = RHYTHM.unseen(self._run.scenario.neighbours(who)) + SLACK
            if ends - begins <= promised or self._excused(who, begins, ends):
                continue
            yield f"{_when(ends)} organization {who.number}: no fresh token for {ends - begins}, promised {promised}"

    def _excused(self, who: Organization, begins: datetime, ends: datetime) -> bool:
        region = who.server.endpoints.region
        quiet = any(q.begins < ends and begins < q.ends for q in self._run.scenario.quiet if q.region in {None, region})
        return quiet or any(
            case.begins < ends and begins < case.ends + case.recover for case in self._cases[who.number]
        )


def _later(case: Case) -> timedelta:
    """Return how much later than it is found a case may be told: others may be waited for."""
    return SETTLE + (FOLLOW if len(case.who) >= MANY else ZERO) + 2 * LOOK


def _when(at: datetime) -> str:
    return f"{at:%a %H:%M}"


def _well(move: Move) -> bool:
    return move.after in {Status.HEALTHY, Status.LIMITED}


def _is_of(case: Case, move: Move) -> bool:
    """Tell whether a change of status is what a case leads to, and in its time."""
    late = case.ends + case.recover + LOOK
    return move.after is case.status and move.reason in case.reasons and case.begins <= move.seen <= late


def _opened_by(case: Case, incident: Incident) -> bool:
    """Tell whether a case opened an incident."""
    first = incident.story[0]
    in_time = case.begins <= incident.opened_at <= (case.begins + case.detect if case.most == 1 else case.ends)
    return first.status is case.status and first.reason in case.reasons and in_time
