"""Hubs that have lived: many accounts, and days of plausible history for each, written in bulk."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import cycle, islice
from operator import itemgetter
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

from hub_core.bitwarden.client import LISTS
from hub_core.health import latency, rollup
from hub_core.health.checks import CERTIFICATE_WARNING
from hub_core.history import DOWN, IN_TROUBLE, Beat, Stretch
from hub_core.model import Capability, Facts, Observation, Outcome, Reason, ServerKind, Stage, Status, Trigger
from hub_core.storage import codec, codes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence

    from hub_core.history import Period
    from hub_core.hub import Hub

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
INTERVAL, HOLDS = 5 * MINUTE, 10 * MINUTE
NOT_RUNNING = (3 * DAY + 6 * HOUR, 3 * DAY)
"""How long before the end the hub was not running: nobody has a check from then."""


class Told(defaultdict[tuple[str, str], list[tuple[Any, ...]]]):
    """Rows by table and by the account's key in it; each begins with how those accounts fared that it is for."""

    def __init__(self) -> None:
        super().__init__(list)


class Life(StrEnum):
    """How an account has fared."""

    WELL = "well"
    SLOW = "slow"
    LIMITED = "limited"
    FLAPPING = "flapping"
    """Unreachable for twenty minutes, some three times a day."""
    FAILING = "failing"
    """Its key is refused since yesterday, and tried again ever more rarely."""
    UNREACHABLE = "unreachable"
    """For three hours."""
    DEGRADED = "degraded"
    """For three days: the certificate ends soon."""
    MAINTAINED = "maintained"
    """For two hours every day, with a failure in them; the last ended six hours ago."""
    PAUSED = "paused"
    """For two days."""


LIVES = (
    *(Life.WELL, Life.FAILING, Life.SLOW, Life.FLAPPING, Life.DEGRADED, Life.PAUSED, Life.UNREACHABLE),
    *(Life.MAINTAINED, Life.LIMITED),
    *(Life.WELL, Life.SLOW) * 16,
)
"""Who fares how, in the order of the accounts, over and over."""


def populate(hub: Hub, number: int, *, at: datetime) -> list[str]:
    """Add so many accounts that were linked at a time, with a secret that nobody can open; return their ids."""
    ids = [str(UUID(int=n + 1, version=4)) for n in range(number)]
    facts = Facts(
        ServerKind.OFFICIAL,
        "Bitwarden",
        "2026.8.0",
        capabilities=dict.fromkeys(LISTS, Capability.READABLE),
        certificate_ends=at + 200 * DAY,
        latency_ms=60,
    )
    when = codec.to_ms(at)
    with hub.store.database.write() as con:
        free = con.execute("SELECT coalesce(max(no), 0) FROM account").fetchone()[0] + 1
        for n, account_id in enumerate(ids):
            values = {
                "id": account_id,
                "no": free + n,
                "label": f"Client {n + 1:05}",
                "client_id": f"organization.{UUID(int=n + 1)}",
                "tags": json.dumps(("retail", "schools", "health", "law")[n % 4 : n % 4 + 1]),
                "note": "",
                "sealed": "not to be opened",
                "lifecycle": "active",
                "pause_reason": "",
                "linked_at": when,
                "key_entered_at": when,
                "generation": 0,
                **_place(n),
                "status": Status.HEALTHY,
                "since": when,
                **codec.facts_columns(facts),
            }
            _insert(con, "account", values)
        con.execute("INSERT INTO schedule(account_id) SELECT id FROM account WHERE no >= ?", (free,))
        con.execute("INSERT INTO rolled(no, hour) SELECT no, ? FROM account WHERE no >= ?", (when // 3_600_000, free))
    return ids


def live(
    hub: Hub, *, until: datetime, days: int = 30, beats_days: float = 2, lives: Sequence[Life] = LIVES
) -> dict[str, Life]:
    """Write the history of every account up to a moment, in place of what there was; return how each has fared.

    Single checks of the last `beats_days` only; sums by the hour and by the day of all days. Everybody who fares
    alike has the same history, so that ten thousand cost seconds.
    """
    until = until.replace(microsecond=0)
    with hub.store.database.write() as con:
        rows = con.execute("SELECT id, no FROM account ORDER BY no").fetchall()
        who = dict(zip((row["id"] for row in rows), islice(cycle(lives), len(rows)), strict=True))
        for table in ("beat", "hourly", "daily", "rolled", "checks", "last_check", "incident", "transition", "change"):
            con.execute(f"DELETE FROM {table}")  # noqa: S608 - names above
        con.execute("CREATE TEMP TABLE lived (no INTEGER PRIMARY KEY, id TEXT, life TEXT)")
        con.executemany("INSERT INTO lived VALUES (?, ?, ?)", [(row["no"], row["id"], who[row["id"]]) for row in rows])
        told = Told()
        for life in sorted(set(who.values())):
            beats = known(life, until - days * DAY, until)
            _tell(told, life, beats, until, until - beats_days * DAY)
            _write_standing(con, life, beats)
        for (where, key), rows in told.items():
            if rows:
                _spread(con, where, rows, key=key)
        con.execute("DROP TABLE lived")
    return who


@lru_cache(maxsize=64)
def known(life: Life, begins: datetime, until: datetime) -> tuple[Beat, ...]:
    """Return the beats of an account that fares so; tests ask for the same again."""
    return tuple(story(life, begins, until))


def story(life: Life, begins: datetime, until: datetime) -> Iterator[Beat]:
    """Yield the beats of an account that fares so."""
    dice, at, gap = Random(life), begins, tuple(until - before for before in NOT_RUNNING)  # noqa: S311 - no secret
    refused = 0
    while at < until:
        status, reason = _found(life, at, until, dice)
        if life is Life.PAUSED and at >= until - 2 * DAY:
            yield Beat(at, Status.UNKNOWN, None, Trigger.MANUAL, None, timedelta(), down=False, light=True, paused=True)
            return
        pause = INTERVAL
        if status is Status.FAILING:
            pause, refused = min(15 * MINUTE * 2**refused, DAY), refused + 1
        if not gap[0] <= at < gap[1]:
            missed = life in {Life.WELL, Life.SLOW} and status is Status.UNREACHABLE
            yield Beat(
                at,
                status,
                reason,
                Trigger.SCHEDULE,
                None if status in DOWN else _latency(life, at, dice),
                pause + HOLDS - INTERVAL,
                down=status in DOWN and not missed,
                light=at.minute % 15 != 0,
                maintenance=life is Life.MAINTAINED and 6 * HOUR <= (until - at) % DAY < 8 * HOUR,
            )
        at += pause


# ---- inside


def _found(life: Life, at: datetime, until: datetime, dice: Random) -> tuple[Status, Reason | None]:
    # Reckoned from the end: whoever is well at the end is so at every time of day.
    left = until - at
    if life is Life.FAILING and left <= 26 * HOUR:
        return Status.FAILING, Reason.KEY_NO_LONGER_ACCEPTED
    if life is Life.DEGRADED and left <= 3 * DAY:
        return Status.DEGRADED, Reason.CERTIFICATE_ENDS_SOON
    if (
        (life is Life.UNREACHABLE and left <= 3 * HOUR)
        or (life is Life.FLAPPING and left % (490 * MINUTE) >= 470 * MINUTE)
        or (life is Life.MAINTAINED and 7 * HOUR <= left % DAY < 7 * HOUR + 30 * MINUTE)
    ):
        return Status.UNREACHABLE, Reason.CONNECTION_TIMEOUT
    if life in {Life.WELL, Life.SLOW} and dice.random() < 0.0005:
        return Status.UNREACHABLE, Reason.ANSWER_TIMEOUT
    return (Status.LIMITED, Reason.READ_API_ABSENT) if life is Life.LIMITED else (Status.HEALTHY, None)


def _latency(life: Life, at: datetime, dice: Random) -> int:
    usual = 900 if life is Life.SLOW else 60
    busy = 1.5 + math.sin((at.hour - 8) / 24 * 2 * math.pi)
    return max(1, round(usual * busy * dice.lognormvariate(0, 0.35)))


def _place(n: int) -> dict[str, Any]:
    region, domain = (("us", "com"), ("eu", "eu"), ("self_hosted", ""))[n % 3]
    if domain:
        identity, api = f"https://identity.bitwarden.{domain}", f"https://api.bitwarden.{domain}"
        vault = f"https://vault.bitwarden.{domain}"
    else:
        vault = f"https://vault{n % 50}.example"
        identity, api = f"{vault}/identity", f"{vault}/api"
    origin = identity.removesuffix("/identity")
    return {"region": region, "identity": identity, "api": api, "vault": vault, "identity_origin": origin}


def _tell(told: Told, life: Life, beats: Sequence[Beat], until: datetime, beats_from: datetime) -> None:
    first, now = rollup.hour_of(beats[0].at), rollup.hour_of(until)
    hours = rollup.hours(beats, first, now, until=int(until.timestamp()))
    days: dict[int, list[Period]] = {}
    for hour in hours:
        days.setdefault(rollup.hour_of(hour.begins) // 24, []).append(hour)
    daily = [(day, rollup.joined(parts[0].begins, DAY, parts)) for day, parts in days.items()]
    # Of a pause the marker is needed, however old.
    kept = [beat for beat in beats if beat.at >= beats_from or beat.paused]
    told["beat(no, at, code, holds, latency)", "no"] += [
        (life, codec.to_ms(beat.at), codes.pack(beat), codec.minutes(beat.holds), beat.latency_ms) for beat in kept
    ]
    told[f"hourly(no, hour, {_SUMS})", "no"] += [
        (life, rollup.hour_of(p.begins), *_sums(p)) for p in hours if _known(p)
    ]
    told[f"daily(no, day, {_SUMS})", "no"] += [(life, day, *_sums(period)) for day, period in daily if _known(period)]
    told["rolled(no, hour)", "no"].append((life, now))
    _tell_last_check(told, life, beats)
    _tell_incidents(told, life, beats)
    if life is Life.WELL:
        change = (life, codec.to_ms(until - 5 * DAY), "server_version", "2026.7.1", "2026.8.0")
        told["change(account_id, at, what, before, after)", "id"].append(change)


def _spread(con: sqlite3.Connection, where: str, rows: Sequence[tuple[Any, ...]], *, key: str) -> None:
    """Insert, for every account, the rows of those who fare like it; account by account, as tables are sorted."""
    columns = [f"c{n}" for n in range(len(rows[0]))]
    con.execute(f"CREATE TEMP TABLE spread ({', '.join(columns)})")
    con.executemany(f"INSERT INTO spread VALUES ({', '.join('?' * len(columns))})", sorted(rows, key=itemgetter(0, 1)))  # noqa: S608 - names above
    con.execute("CREATE INDEX temp.spread_by_life ON spread(c0)")
    con.execute(
        f"INSERT INTO {where} SELECT lived.{key}, {', '.join(columns[1:])} "  # noqa: S608 - names above
        "FROM lived CROSS JOIN spread ON c0 = life"
    )
    con.execute("DROP TABLE spread")


_SUMS = "checks, failed, up, degraded, down, maintenance, paused, latency"


def _sums(p: Period) -> tuple[Any, ...]:
    packed = latency.dump(p.latency) if p.latency else None
    return p.checks, p.failed, p.up, p.degraded, p.down, p.maintenance, p.paused, packed


def _known(period: Period) -> bool:
    return bool(period.checks or period.judged or period.maintenance or period.paused)


def _write_standing(con: sqlite3.Connection, life: Life, beats: Sequence[Beat]) -> None:
    """Let the accounts stand as their last check found them."""
    last = next(beat for beat in reversed(beats) if not beat.paused)
    well = [beat for beat in beats if beat.status not in DOWN and not beat.paused]
    since = _first_of_last(beats, lambda beat: beat.status)
    values = {
        "status": last.status,
        "reason": last.reason,
        "since": codec.to_ms(since.at),
        "checked_at": codec.to_ms(last.at),
        "link_proven_at": codec.to_ms(well[-1].at),
        "key_proven_at": codec.to_ms(next((beat.at for beat in reversed(well) if not beat.light), well[0].at)),
        "latency_ms": well[-1].latency_ms,
        "lifecycle": "paused" if life is Life.PAUSED else "active",
        "pause_reason": "moving to another server" if life is Life.PAUSED else "",
    }
    columns = ", ".join(f"{name} = :{name}" for name in values)
    mine = "(SELECT id FROM lived WHERE life = :life)"
    con.execute(f"UPDATE account SET {columns} WHERE id IN {mine}", {**values, "life": life})  # noqa: S608 - names above
    if life is Life.DEGRADED:
        ends = codec.to_ms(since.at + CERTIFICATE_WARNING)
        con.execute(
            "UPDATE account SET certificate_ends = :ends, facts = json_set(facts, '$.certificate_ends', :ends) "  # noqa: S608 - names above
            f"WHERE id IN {mine}",
            {"ends": ends, "life": life},
        )
    following = codec.to_ms(last.at + last.holds + INTERVAL - HOLDS)
    con.execute(
        "UPDATE schedule SET next_at = :at, light_at = :at, key_at = :at, failures = :failures, refusals = :refusals "  # noqa: S608 - names above
        f"WHERE account_id IN {mine}",
        {
            "at": following,
            "failures": 3 if last.status is Status.UNREACHABLE else 0,
            "refusals": 6 if last.status is Status.FAILING else 0,
            "life": life,
        },
    )


def _tell_last_check(told: Told, life: Life, beats: Sequence[Beat]) -> None:
    last = next(beat for beat in reversed(beats) if not beat.paused)
    seen = [Observation(stage, Outcome.PASS, None, 8) for stage in Stage]
    if last.status in DOWN:
        stage, evidence = (Stage.TOKEN, {"status": "400"}) if last.status is Status.FAILING else (Stage.REACH, {})
        seen = [one for one in seen if list(Stage).index(one.stage) < list(Stage).index(stage)]
        seen.append(Observation(stage, Outcome.FAIL, last.reason, 90, evidence))
    check = (life, codec.to_ms(last.at), last.trigger, last.status, last.reason, 130, last.latency_ms)
    observations = codec.dump_observations(seen)
    names = "at, trigger, status, reason, ms, latency_ms, observations"
    for table in ("last_check", "checks"):
        told[f"{table}(account_id, {names})", "id"].append((*check, observations))


def _first_of_last(beats: Sequence[Beat], of: Callable[[Beat], object]) -> Beat:
    """Return the first beat of the last run of equal ones."""
    checks = [beat for beat in beats if not beat.paused]
    number = len(checks) - 1
    while number and of(checks[number - 1]) == of(checks[-1]):
        number -= 1
    return checks[number]


def _tell_incidents(told: Told, life: Life, beats: Sequence[Beat]) -> None:
    incidents: list[list[Any]] = []
    transitions: list[tuple[Any, ...]] = []
    before = Status.UNKNOWN
    for beat in (beat for beat in beats if not beat.paused):
        status = beat.status if beat.down or beat.status not in DOWN else before
        if status is not before:
            transitions.append((life, codec.to_ms(beat.at), before, status, beat.reason, beat.maintenance, 1))
            in_trouble, was = status in IN_TROUBLE, before in IN_TROUBLE
            if in_trouble and not was:
                incidents.append([beat.at, None, [Stretch(beat.at, status, beat.reason)], beat.maintenance])
            elif was and not in_trouble:
                incidents[-1][1] = beat.at
        before = status
    rows = [
        (
            life,
            codec.to_ms(opened),
            codec.to_ms(closed),
            json.dumps([[codec.to_ms(at), status, reason] for at, status, reason in stretches]),
            json.dumps({"host": "vault.example"}),
            maintenance,
        )
        for opened, closed, stretches, maintenance in incidents
    ]
    told["incident(account_id, opened_at, closed_at, story, evidence, maintenance)", "id"] += rows
    told["transition(account_id, at, before, after, reason, maintenance, told)", "id"] += transitions


def _insert(con: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
    marks = ", ".join("?" * len(values))
    con.execute(f"INSERT INTO {table}({', '.join(values)}) VALUES ({marks})", tuple(values.values()))  # noqa: S608 - names above
