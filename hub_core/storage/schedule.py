"""What is due, who watches, and what a watcher has claimed: the statements of the scheduler."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from hub_core.model import Lifecycle, Reason, RegionId, Status, origin_of
from hub_core.storage import codec, recording

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta

    from hub_core.model import Check
    from hub_core.storage.database import Database

FURTHEST_MS = 26 * 3_600_000
"""Nothing is planned further ahead; what is, was planned by a clock that was wrong."""


class DueRow(NamedTuple):
    """An account that is due, with what decides about its turn."""

    id: str
    generation: int
    region: RegionId
    api_origin: str
    identity_origin: str
    status: Status
    checked_at: datetime | None
    key_due: bool
    """Whether a fresh token is wanted, not only a light check."""
    next_at: datetime | None


class Watcher(NamedTuple):
    """The last sign of a scheduler, and what else tells whether somebody checks."""

    beat_at: datetime | None
    last_check_at: datetime | None
    accounts: int
    """Accounts that are to be checked."""


class Schedule:
    """The schedule's rows and the lease of whoever works them off."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take_lease(self, owner: str, *, now: datetime, lasts: timedelta) -> int | None:
        """Become or stay the one watcher; return the fencing token, or None while somebody else is it.

        A new owner gets a higher token, and what was claimed under a lower one is void.
        """
        at, ends = codec.to_ms(now), codec.to_ms(now + lasts)
        with self._database.write() as con:
            row = con.execute(
                "INSERT INTO lease(name, owner, fence, beat_at, expires_at) VALUES ('watch', :owner, 1, :at, :ends) "
                "ON CONFLICT(name) DO UPDATE SET owner = :owner, fence = fence + (owner <> :owner), "
                "beat_at = :at, expires_at = :ends "
                # A sign from the future was given under a clock that has been set back since.
                "WHERE owner = :owner OR expires_at <= :at OR beat_at > :ends RETURNING fence",
                {"owner": owner, "at": at, "ends": ends},
            ).fetchone()
        return int(row["fence"]) if row else None

    def release_lease(self, owner: str) -> None:
        """Let the next watcher begin at once."""
        with self._database.write() as con:
            con.execute("UPDATE lease SET expires_at = 0 WHERE name = 'watch' AND owner = ?", (owner,))

    def watcher(self) -> Watcher:
        """Return the last signs that somebody checks."""
        with self._database.read() as con:
            beat, check, count = con.execute(
                "SELECT (SELECT beat_at FROM lease WHERE name = 'watch'), max(checked_at), "
                "count(*) FILTER (WHERE lifecycle = 'active') FROM account"
            ).fetchone()
        return Watcher(codec.from_ms(beat), codec.from_ms(check), count)

    def due(self, now: datetime) -> list[DueRow]:
        """Return every active account whose time has come."""
        at = codec.to_ms(now)
        with self._database.read() as con:
            rows = con.execute(
                "SELECT id, generation, region, api, identity_origin, status, checked_at, next_at, "
                "coalesce(key_at <= :at OR key_at > :far, 1) AS key_due FROM schedule JOIN account ON id = account_id "
                "WHERE (next_at <= :at OR next_at > :far) AND lifecycle = :active",
                {"at": at, "far": at + FURTHEST_MS, "active": Lifecycle.ACTIVE},
            ).fetchall()
        return [
            DueRow(
                row["id"],
                row["generation"],
                RegionId(row["region"]),
                origin_of(row["api"]),
                row["identity_origin"],
                codec.status_of(row["status"]),
                codec.from_ms(row["checked_at"]),
                bool(row["key_due"]),
                codec.from_ms(row["next_at"]) if row["next_at"] else None,
            )
            for row in rows
        ]

    def soonest(self) -> datetime | None:
        """Return when the next active account is due; None when there is none."""
        with self._database.read() as con:
            row = con.execute(
                "SELECT next_at FROM schedule JOIN account ON id = account_id WHERE lifecycle = ? "
                "ORDER BY next_at LIMIT 1",
                (Lifecycle.ACTIVE,),
            ).fetchone()
        return codec.moment(row["next_at"]) if row else None

    def claim(self, ids: Collection[str], *, owner: str, fence: int, now: datetime) -> set[str]:
        """Claim accounts under a fencing token; return those that are ours, none if the lease is not ours any more."""
        with self._database.write() as con:
            rows = con.execute(
                "UPDATE schedule SET claim = :fence WHERE account_id IN (SELECT value FROM json_each(:ids)) "
                "AND EXISTS (SELECT 1 FROM lease WHERE name = 'watch' AND owner = :owner AND fence = :fence "
                "AND expires_at > :at) RETURNING account_id",
                {"ids": json.dumps(list(ids)), "fence": fence, "owner": owner, "at": codec.to_ms(now)},
            ).fetchall()
        return {row["account_id"] for row in rows}

    def push_ahead(self, account_id: str, check: Check, *, until: datetime, fence: int) -> None:
        """Plan an account whose check could not be evaluated for later, and record that; nothing of it is decoded."""
        at = codec.to_ms(until)
        with self._database.write() as con:
            done = con.execute(
                "UPDATE schedule SET next_at = ?, light_at = ?, key_at = ?, claim = 0 "
                "WHERE account_id = ? AND claim = ?",
                (at, at, at, account_id, fence),
            )
            if done.rowcount == 1:
                row = con.execute("SELECT status FROM account WHERE id = ?", (account_id,)).fetchone()
                recording.unjudged(con, account_id, check, status=row["status"], reason=Reason.INTERNAL)

    def others(self, api_origin: str, limit: int) -> Sequence[str]:
        """Return active accounts on other hosts than this one, one for each, the sandbox's left out."""
        with self._database.read() as con:
            rows = con.execute(
                "SELECT id, api FROM account WHERE lifecycle = ? AND region <> ?", (Lifecycle.ACTIVE, RegionId.SANDBOX)
            ).fetchall()
        found = {origin_of(row["api"]): row["id"] for row in rows}
        found.pop(api_origin, None)
        return list(found.values())[:limit]
