"""One line for each account: the columns of the Accounts page, and what a glance adds of its past."""

from __future__ import annotations

from collections import Counter
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from hub_core.health.rollup import hour_of
from hub_core.history import Beat, Uptime, pulse_of
from hub_core.model import Lifecycle
from hub_core.storage import codec, codes
from hub_core.storage.history import INCIDENT, incident_of
from hub_core.storage.rows import AccountRow
from hub_core.storage.sums import tail

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from hub_core.history import Incident

BEATS = 30
AGED_AT_ONCE = 500
"""Lines that are read anew only because an hour has passed: so many at once, so that no reading takes long."""

_OVERVIEW = (
    "SELECT id, label, region, client_id, identity_origin, tags, lifecycle, account.status, account.reason, since, "
    "checked_at, key_proven_at, server_kind, server_version, account.latency_ms, certificate_ends, "
    "sealed IS NULL, "
    "CASE WHEN refusals OR (account.status = 'unreachable' AND light_at = key_at AND NOT waits) THEN key_at END, "
    "link_proven_at"
)
_WITH_PAST = ", account.no, last_check.at, last_check.ms, rolled.hour"
_FROM = " FROM account JOIN schedule ON schedule.account_id = id"
_PAST = " JOIN rolled ON rolled.no = account.no LEFT JOIN last_check ON last_check.account_id = id"
_WIDTH = 19


class Line(NamedTuple):
    """What was read of one account, and of which stored values."""

    stored: tuple[Any, ...]
    hour: int
    row: AccountRow
    pulse: str
    latencies: tuple[int | None, ...]
    uptime: Uptime
    incident: Incident | None


def rows(con: sqlite3.Connection) -> list[AccountRow]:
    """Return every account, in no particular order: one query."""
    con.row_factory = None
    found = con.execute(_OVERVIEW + _FROM).fetchall()
    shared = _neighbours(found)
    return [_row(values, shared[values[4]]) for values in found]


def lines(con: sqlite3.Connection, known: Mapping[str, Line], now: datetime) -> dict[str, Line]:
    """Return a line for each account; only what is stored otherwise than in the known line is read anew."""
    con.row_factory = None
    found = con.execute(_OVERVIEW + _WITH_PAST + _FROM + _PAST).fetchall()
    told = {row[1]: row for row in con.execute(INCIDENT + "WHERE i.closed_at IS NULL")}
    shared = _neighbours(found)
    aged = _aged(known, hour_of(now))
    made = {}
    for values in found:
        account_id = values[0]
        # Summing up changes nothing that is shown, so up to which hour it went is left out.
        stored, neighbours = (*values[:-1], told.get(account_id)), shared[values[4]]
        line = known.get(account_id)
        if line is None or account_id in aged or line.stored != stored:
            line = _line(con, stored, neighbours, values[-1], now)
        elif line.row.neighbours != neighbours:
            line = line._replace(row=line.row._replace(neighbours=neighbours))
        made[account_id] = line
    return made


# ---- inside


def _neighbours(found: Iterable[tuple[Any, ...]]) -> Counter[str]:
    return Counter(values[4] for values in found if values[6] == Lifecycle.ACTIVE)


def _row(values: tuple[Any, ...], neighbours: int) -> AccountRow:
    (
        account_id, label, region, client_id, origin, tags, lifecycle, status, reason, since, checked,
        proven, kind, version, latency, ends, locked, refused, link_proven,
    ) = values  # fmt: skip
    return AccountRow(
        *(account_id, label, region, client_id, origin),
        codec.load_words(tags) if tags != "[]" else (),
        Lifecycle(lifecycle),
        codec.status_of(status),
        codec.reason_of(reason),
        *(codec.from_ms(since), codec.from_ms(checked), codec.from_ms(proven)),
        *(kind, version, latency),
        codec.from_ms(ends),
        bool(locked),
        codec.from_ms(refused),
        neighbours,
        codec.from_ms(link_proven),
    )


def _aged(known: Mapping[str, Line], hour: int) -> set[str]:
    """Return the accounts whose line was read in another hour: time alone has changed their uptime."""
    found = sorted(((line.hour, key) for key, line in known.items() if line.hour != hour), key=itemgetter(0))
    return {account_id for _, account_id in found[:AGED_AT_ONCE]}


def _line(con: sqlite3.Connection, stored: tuple[Any, ...], neighbours: int, rolled: int, now: datetime) -> Line:
    no, told = stored[_WIDTH], stored[-1]
    beats = con.execute("SELECT code, latency FROM beat WHERE no = ? ORDER BY at DESC LIMIT ?", (no, BEATS)).fetchall()
    beats.reverse()
    return Line(
        stored,
        hour_of(now),
        _row(stored[:_WIDTH], neighbours),
        "".join(_letter(code) for code, _ in beats),
        tuple(latency for _, latency in beats),
        _uptime(con, no, rolled, now),
        incident_of(told) if told else None,
    )


@cache
def _letter(code: int) -> str:
    marks = codes.unpack(code)
    beat = Beat(
        codec.moment(0), marks.status, None, marks.trigger, None, codec.NO_TIME,
        marks.down, marks.light, marks.maintenance, marks.paused,
    )  # fmt: skip
    return pulse_of(beat).value


def _uptime(con: sqlite3.Connection, no: int, rolled: int, now: datetime) -> Uptime:
    """Return what `Past.uptime` does, by few queries: what is summed up, and the beats since."""
    hour = hour_of(now)
    day = min(rolled, hour) // 24
    values = {"no": no, "rolled": rolled, "day": hour - 24, "week": hour - 168, "today": day * 24}
    hours = con.execute(
        "SELECT total(up) FILTER (WHERE hour > :day), total(down) FILTER (WHERE hour > :day), "
        "total(up) FILTER (WHERE hour > :week), total(down) FILTER (WHERE hour > :week), "
        "total(up) FILTER (WHERE hour >= :today), total(down) FILTER (WHERE hour >= :today) "
        "FROM hourly WHERE no = :no AND hour > min(:week, :today - 1) AND hour < :rolled",
        values,
    ).fetchone()
    month = con.execute(
        "SELECT total(up), total(down) FROM daily WHERE no = ? AND day > ? AND day < ?", (no, hour // 24 - 30, day)
    ).fetchone()
    begun = (hour // 24 - 29) * 24
    recent = [
        (hour - hour_of(period.begins), period.up, period.down) for period in tail(con, no, max(rolled, begun), now)
    ]

    def share(up: float, down: float, hours: int) -> float | None:
        up += sum(seconds for age, seconds, _ in recent if age < hours)
        judged = up + down + sum(seconds for age, _, seconds in recent if age < hours)
        return up / judged if judged else None

    return Uptime(
        share(hours[0], hours[1], 24),
        share(hours[2], hours[3], 168),
        share(month[0] + hours[4], month[1] + hours[5], hour - begun + 1),
    )
