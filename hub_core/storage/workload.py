"""The questions about load: what waits to be checked, what runs, and how much of the token budgets is used."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from hub_core.model import Lifecycle
from hub_core.storage import codec
from hub_core.storage.budget import LONGEST_HOLD_MS
from hub_core.storage.schedule import CLAIMED, FURTHEST_MS, HELD

if TYPE_CHECKING:
    from datetime import datetime

    from hub_core.storage.database import Database

_MINUTE_MS = 60_000
TOKEN_KEPT_MS = 55 * _MINUTE_MS


class Waiting(NamedTuple):
    """What is due on one identity origin and does not run yet."""

    origin: str
    light: int
    """Accounts with a kept token that are due for a light check only."""
    key: int
    """Accounts with a kept token that are due for a fresh one."""
    bare: int
    """Accounts that wait without any token."""
    oldest: datetime | None
    running: int
    held: timedelta
    """How long this origin asked to be left alone."""


class Load(NamedTuple):
    """How much of the token budget of an identity origin is used."""

    origin: str
    used: int
    """Token requests in the last minute."""
    limit: int
    """Token requests a minute."""
    held: timedelta
    """How long the origin asked to be left alone; no time at all when it did not."""


class Workload:
    """The readings about load; none of them changes anything."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self, now: datetime) -> list[Waiting]:
        """Return what is due or runs, for each identity origin where anything is.

        Whether a token is kept is only known to the process that watches; it is taken to be where the key was proven
        since that process began to watch, less than 55 minutes ago.
        """
        at = codec.to_ms(now)
        with self._database.read() as con:
            rows = con.execute(
                # Of thousands of accounts few are due: only theirs are looked up.
                "WITH turn AS MATERIALIZED (SELECT account_id, next_at, key_at, "  # noqa: S608 - own words
                f"next_at <= :at OR next_at > :at + :far AS due, {HELD} OR {CLAIMED} AS runs FROM schedule), "
                "work AS (SELECT identity_origin AS origin, next_at, due, runs, "
                "coalesce(key_at <= :at OR key_at > :at + :far, 1) AS key, "
                "coalesce(key_proven_at >= max(:at - :kept, "
                "(SELECT coalesce(max(since), 0) FROM lease WHERE name = 'watch')), 0) AS token "
                "FROM turn CROSS JOIN account ON id = account_id WHERE (due OR runs) AND lifecycle = :active) "
                "SELECT work.origin, count(*) FILTER (WHERE due AND NOT runs AND token AND NOT key) AS light, "
                "count(*) FILTER (WHERE due AND NOT runs AND token AND key) AS key, "
                "count(*) FILTER (WHERE due AND NOT runs AND NOT token) AS bare, "
                "min(next_at) FILTER (WHERE due AND NOT runs AND next_at BETWEEN 1 AND :at) AS oldest, "
                "count(*) FILTER (WHERE runs) AS running, max(hold.until) AS until "
                "FROM work LEFT JOIN origin_hold hold ON hold.origin = work.origin GROUP BY work.origin",
                {"at": at, "far": FURTHEST_MS, "kept": TOKEN_KEPT_MS, "active": Lifecycle.ACTIVE},
            ).fetchall()
        return [
            Waiting(
                *(row["origin"], row["light"], row["key"], row["bare"], codec.from_ms(row["oldest"]), row["running"]),
                _held(row["until"], at),
            )
            for row in rows
        ]

    def used(self, now: datetime, limit: int) -> list[Load]:
        """Return the load of each identity origin that has accounts, by name."""
        at = codec.to_ms(now)
        with self._database.read() as con:
            rows = con.execute(
                "SELECT o.origin, (SELECT count(*) FROM token_request t WHERE t.origin = o.origin "
                "AND t.at > :since AND t.at <= :at) AS used, hold.until "
                "FROM (SELECT DISTINCT identity_origin AS origin FROM account) o "
                "LEFT JOIN origin_hold hold ON hold.origin = o.origin ORDER BY o.origin",
                {"at": at, "since": at - _MINUTE_MS},
            ).fetchall()
        return [Load(row["origin"], row["used"], limit, _held(row["until"], at)) for row in rows]


def _held(until: int | None, at: int) -> timedelta:
    """Return how long an origin is still held; a hold that would last too long was written by a wrong clock."""
    if until is None or not at < until <= at + LONGEST_HOLD_MS:
        return timedelta()
    return timedelta(milliseconds=until - at)
