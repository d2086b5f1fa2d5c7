"""The sums of hours and days: made from beats a few at a time, read, and thrown away when they are old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from hub_core.health import changes, latency, rollup, usual
from hub_core.history import Period
from hub_core.storage import codec, codes
from hub_core.storage.history import beats_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from hub_core.history import Beat
    from hub_core.storage.database import Database

LAG = timedelta(minutes=10)
"""An hour is summed up once it is over for so long: a check that began in it has ended by then, mostly."""

AT_ONCE = 100
"""Hours of accounts that are summed up in one transaction: a few milliseconds each hundred."""

_AT_A_TIME = 48
"""Hours of one account."""

_COLUMNS = "checks, failed, up, degraded, down, maintenance, paused, latency"
_HOUR_MS = rollup.HOUR * 1000


class Keep(NamedTuple):
    """How long what is kept."""

    checks: timedelta = timedelta(days=14)
    hours: timedelta = timedelta(days=90)
    days: timedelta = timedelta(days=730)


class Sums:
    """What is known of accounts by hour and by day."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def hours(self, account_id: str, number: int, now: datetime) -> list[Period]:
        """Return the last hours of an account, oldest first, the present one last, empty ones too."""
        last = rollup.hour_of(now)
        first = last - number + 1
        with self._database.read() as con:
            con.row_factory = None
            no, rolled = _place(con, account_id)
            periods = _summed(con, no, first, min(rolled, last + 1)) + tail(con, no, max(rolled, first), now)
        known = {rollup.hour_of(period.begins): period for period in periods}
        return [known.get(hour) or _empty(rollup.HOUR, hour) for hour in range(first, last + 1)]

    def days(self, account_id: str, number: int, now: datetime) -> list[Period]:
        """Return the last days of an account, oldest first, today last, empty ones too."""
        last = rollup.hour_of(now) // 24
        first = last - number + 1
        with self._database.read() as con:
            con.row_factory = None
            no, rolled = _place(con, account_id)
            border = max(min(rolled // 24, last), first)  # the day up to which all is summed up
            rows = con.execute(
                f"SELECT day, {_COLUMNS} FROM daily WHERE no = ? AND day >= ? AND day < ?",  # noqa: S608 - own names
                (no, first, border),
            )
            parts: dict[int, list[Period]] = {row[0]: [_period(rollup.DAY, *row)] for row in rows}
            hours = _summed(con, no, border * 24, rolled) + tail(con, no, max(rolled, border * 24), now)
        for hour in hours:
            parts.setdefault(rollup.hour_of(hour.begins) // 24, []).append(hour)
        return [
            rollup.joined(rollup.hour_begins(day * 24), timedelta(days=1), parts.get(day, ()))
            for day in range(first, last + 1)
        ]

    def roll_up(self, now: datetime, keep: Keep, *, at_most: int = AT_ONCE) -> int:
        """Sum up hours that are over and erase what is too old; return how many hours of accounts were summed up.

        A part at a time, in one short transaction, so that nobody waits long for the database; call it again while
        it returns something. Whenever it is killed, nothing is lost or counted twice: sums are replaced, not added to.
        """
        target, done = rollup.hour_of(now - LAG), 0
        with self._database.read() as con:  # most often there is nothing to do, and nobody to keep waiting
            if not _behind(con, target, 1):
                return 0
        with self._database.write() as con:
            for no, account_id, rolled in _behind(con, target, at_most):
                first = min(rolled, target - 1)  # what lies ahead was summed up by a clock that has been set back since
                until = min(target, first + _AT_A_TIME)
                _sum_up(con, no, first, until, now)
                _learn_usual(con, no, account_id, until // 24)
                _forget(con, no, until, now, keep)
                if first // 24 != until // 24:
                    _forget_words(con, account_id, now, keep)
                done += until - first
                if done >= at_most:
                    break
        return done


def tail(con: sqlite3.Connection, no: int, first: int, now: datetime) -> list[Period]:
    """Return hours from their beats, those that are not summed up yet, the present one last."""
    last = rollup.hour_of(now) + 1
    if first >= last:
        return []
    return rollup.hours(_beats(con, no, first, last), first, last, until=int(now.timestamp()))


# ---- inside


def _place(con: sqlite3.Connection, account_id: str) -> tuple[int, int]:
    """Return an account's number and the hour up to which it is summed up; zeros if there is no such account."""
    row = con.execute(
        "SELECT r.no, r.hour FROM account a JOIN rolled r ON r.no = a.no WHERE a.id = ?", (account_id,)
    ).fetchone()
    return row or (0, 0)


def _summed(con: sqlite3.Connection, no: int, first: int, last: int) -> list[Period]:
    rows = con.execute(
        f"SELECT hour, {_COLUMNS} FROM hourly WHERE no = ? AND hour >= ? AND hour < ?",  # noqa: S608 - own names
        (no, first, last),
    )
    return [_period(rollup.HOUR, *row) for row in rows]


def _behind(con: sqlite3.Connection, target: int, limit: int) -> list[Any]:
    return con.execute(
        "SELECT r.no, a.id, r.hour FROM rolled r JOIN account a ON a.no = r.no "
        "WHERE r.hour < :target OR r.hour > :target + 2 LIMIT :limit",
        {"target": target, "limit": limit},
    ).fetchall()


def _beats(con: sqlite3.Connection, no: int, first: int, last: int) -> list[Beat]:
    """Return the beats of hours, from the last one before them on that says something about them."""
    rows = con.execute(
        "SELECT at, code, holds, latency FROM beat WHERE no = :no AND at < :last AND at >= coalesce("  # noqa: S608 - own names
        f"(SELECT at FROM beat WHERE no = :no AND at < :first AND ({codes.JUDGED}) ORDER BY at DESC LIMIT 1), :first) "
        "ORDER BY at",
        {"no": no, "first": first * _HOUR_MS, "last": last * _HOUR_MS},
    )
    return beats_of(tuple(row) for row in rows)


def _sum_up(con: sqlite3.Connection, no: int, first: int, last: int, now: datetime) -> None:
    """Make the sums of hours, and of the days they lie in, and remember up to where."""
    found = rollup.hours(_beats(con, no, first, last), first, last, until=int(now.timestamp()))
    con.execute("DELETE FROM hourly WHERE no = ? AND hour >= ? AND hour < ?", (no, first, last))
    _insert(con, "hourly(no, hour,", no, [(rollup.hour_of(period.begins), period) for period in found])
    for day in range(first // 24, (last - 1) // 24 + 1):
        _sum_up_day(con, no, day)
    con.execute("UPDATE rolled SET hour = ? WHERE no = ?", (last, no))


def _sum_up_day(con: sqlite3.Connection, no: int, day: int) -> None:
    con.execute("DELETE FROM daily WHERE no = ? AND day = ?", (no, day))
    parts = _summed(con, no, day * 24, day * 24 + 24)
    _insert(con, "daily(no, day,", no, [(day, rollup.joined(rollup.hour_begins(day * 24), timedelta(days=1), parts))])


def _learn_usual(con: sqlite3.Connection, no: int, account_id: str, today: int) -> None:
    """Keep what latency is usual on an account's last whole days, none of them at an address it no longer has."""
    days = con.execute(
        "SELECT latency FROM daily WHERE no = :no AND day BETWEEN :first AND :last AND day > coalesce("
        "(SELECT max(at) / 86400000 FROM change WHERE account_id = :id AND what = :moved), 0)",
        {"no": no, "id": account_id, "first": today - usual.DAYS, "last": today - 1, "moved": changes.API_ADDRESS},
    )
    ms = usual.usual_ms(latency.load(row[0]) if row[0] else None for row in days)
    con.execute("UPDATE rolled SET usual = ? WHERE no = ? AND usual IS NOT ?", (ms, no, ms))


def _insert(con: sqlite3.Connection, where: str, no: int, periods: Iterable[tuple[int, Period]]) -> None:
    """Insert sums; of a span in which nothing was known there is no row."""
    con.executemany(
        f"INSERT INTO {where} {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - own names
        [
            (no, number, p.checks, p.failed, p.up, p.degraded, p.down, p.maintenance, p.paused, _packed(p))
            for number, p in periods
            if p.checks or p.judged or p.maintenance or p.paused
        ],
    )


def _forget(con: sqlite3.Connection, no: int, rolled: int, now: datetime, keep: Keep) -> None:
    """Erase what is too old of an account, a part at a time, and nothing that is not summed up yet.

    The last beat that says something about the hours to come stays, however old: it may be a pause.
    """
    con.execute(
        "DELETE FROM beat WHERE no = :no AND at IN (SELECT at FROM beat WHERE no = :no AND at < :before "  # noqa: S608 - own names
        f"AND at IS NOT (SELECT at FROM beat WHERE no = :no AND at < :rolled AND ({codes.JUDGED}) "
        "ORDER BY at DESC LIMIT 1) ORDER BY at LIMIT 500)",
        {"no": no, "rolled": rolled * _HOUR_MS, "before": min(codec.to_ms(now - keep.checks), rolled * _HOUR_MS)},
    )
    hours, days = rollup.hour_of(now - keep.hours), rollup.hour_of(now - keep.days)
    con.execute("DELETE FROM hourly WHERE no = ? AND hour < ?", (no, min(hours, rolled // 24 * 24)))
    con.execute("DELETE FROM daily WHERE no = ? AND day < ?", (no, days // 24))


def _forget_words(con: sqlite3.Connection, account_id: str, now: datetime, keep: Keep) -> None:
    """Erase what is too old of an account: noteworthy checks, and what was told and is over."""
    con.execute("DELETE FROM checks WHERE account_id = ? AND at < ?", (account_id, codec.to_ms(now - keep.checks)))
    before = (account_id, codec.to_ms(now - keep.days))
    con.execute("DELETE FROM transition WHERE account_id = ? AND at < ? AND told", before)
    con.execute("DELETE FROM incident WHERE account_id = ? AND closed_at < ?", before)
    con.execute("DELETE FROM change WHERE account_id = ? AND at < ?", before)


def _period(seconds: int, number: int, *columns: Any) -> Period:
    checks, failed, up, degraded, down, maintenance, paused, packed = columns
    return Period(
        datetime.fromtimestamp(number * seconds, UTC),
        timedelta(seconds=seconds),
        *(checks, failed, up, degraded, down, maintenance, paused),
        latency.load(packed) if packed else None,
    )


def _empty(seconds: int, number: int) -> Period:
    return rollup.empty(datetime.fromtimestamp(number * seconds, UTC), timedelta(seconds=seconds))


def _packed(period: Period) -> bytes | None:
    return latency.dump(period.latency) if period.latency else None
