"""What is due, who watches, and what a watcher has claimed: the statements of the scheduler."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from hub_core.model import Lifecycle, Reason, RegionId, Status, origin_of
from hub_core.storage import codec, recording, statements

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence
    from datetime import datetime, timedelta

    from hub_core.model import Check
    from hub_core.storage.database import Database

FURTHEST_MS = 26 * 3_600_000
"""Nothing is planned further ahead; what is, was planned by a clock that was wrong."""

# A sign that would hold for more than two minutes was given by a clock that was wrong.
HELD = "(holder IS NOT NULL AND held_until > :at AND held_until <= :at + 120000)"
"""Whether somebody checks an account at the request of a person."""

CLAIMED = (
    "(claim <> 0 AND EXISTS (SELECT 1 FROM lease WHERE name = 'watch' AND fence = claim "
    "AND expires_at > :at AND expires_at <= :at + 120000))"
)
"""Whether whoever watches checks it; a claim ends with the lease, so that none of a dead watcher has to expire."""


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
    light_due: bool = True
    """Whether it is time for a look at least, whatever the token budget says."""
    key_proven_at: datetime | None = None


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

        A new owner gets a higher token, and what was claimed under a lower one is void. Where the clock was set back
        since the last sign, everything that is planned moves with it.
        """
        at, ends = codec.to_ms(now), codec.to_ms(now + lasts)
        with self._database.write() as con:
            last = con.execute("SELECT beat_at FROM lease WHERE name = 'watch'").fetchone()
            row = con.execute(
                "INSERT INTO lease(name, owner, fence, beat_at, expires_at, since) "
                "VALUES ('watch', :owner, 1, :at, :ends, :at) "
                "ON CONFLICT(name) DO UPDATE SET owner = :owner, fence = fence + (owner <> :owner), "
                "since = CASE WHEN owner = :owner THEN since ELSE :at END, beat_at = :at, expires_at = :ends "
                # A sign from the future was given under a clock that has been set back since.
                "WHERE owner = :owner OR expires_at <= :at OR beat_at > :ends RETURNING fence",
                {"owner": owner, "at": at, "ends": ends},
            ).fetchone()
            if row and last and last["beat_at"] > at:
                _set_back(con, by=last["beat_at"] - at, at=at)
        return int(row["fence"]) if row else None

    def release_lease(self, owner: str) -> None:
        """Let the next watcher begin at once."""
        with self._database.write() as con:
            con.execute("UPDATE lease SET expires_at = 0 WHERE name = 'watch' AND owner = ?", (owner,))

    def is_held(self, now: datetime) -> bool:
        """Tell whether a watcher holds the lease now."""
        with self._database.read() as con:
            row = con.execute(
                # A lease of more than two minutes was taken by a clock that was wrong.
                "SELECT 1 FROM lease WHERE name = 'watch' AND expires_at > :at AND expires_at <= :at + 120000",
                {"at": codec.to_ms(now)},
            ).fetchone()
        return row is not None

    def watcher(self) -> Watcher:
        """Return the last signs that somebody checks."""
        with self._database.read() as con:
            beat, check, count = con.execute(
                "SELECT (SELECT beat_at FROM lease WHERE name = 'watch'), max(checked_at), "
                "count(*) FILTER (WHERE lifecycle = 'active') FROM account"
            ).fetchone()
        return Watcher(codec.from_ms(beat), codec.from_ms(check), count)

    def due(self, now: datetime) -> list[DueRow]:
        """Return every active account whose time has come and that nobody checks for a person."""
        at = codec.to_ms(now)
        with self._database.read() as con:
            rows = con.execute(
                "SELECT id, generation, region, api, identity_origin, status, checked_at, next_at, "  # noqa: S608 - own words
                "coalesce(key_at <= :at OR key_at > :far, 1) AS key_due, "
                "coalesce(light_at <= :at OR light_at > :far, 1) AS light_due, key_proven_at "
                "FROM schedule JOIN account ON id = account_id "
                "WHERE (next_at <= :at OR next_at > :far) AND lifecycle = :active "
                f"AND NOT {HELD}",
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
                bool(row["light_due"]),
                codec.from_ms(row["key_proven_at"]),
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
                "UPDATE schedule SET claim = :fence "  # noqa: S608 - own words
                "WHERE account_id IN (SELECT value FROM json_each(:ids)) "
                "AND EXISTS (SELECT 1 FROM lease WHERE name = 'watch' AND owner = :owner AND fence = :fence "
                f"AND expires_at > :at) AND NOT {HELD} RETURNING account_id",
                {"ids": json.dumps(list(ids)), "fence": fence, "owner": owner, "at": codec.to_ms(now)},
            ).fetchall()
        return {row["account_id"] for row in rows}

    def unclaim(self, account_id: str, fence: int) -> None:
        """Let go of an account that was claimed and not recorded."""
        with self._database.write() as con:
            con.execute("UPDATE schedule SET claim = 0 WHERE account_id = ? AND claim = ?", (account_id, fence))

    def hold(self, account_id: str, holder: str, *, now: datetime, lasts: timedelta) -> bool:
        """Keep every other process from checking an account for so long, or for longer when asked again.

        Returns whether it may be checked now: False while another process does. Voids what a watcher that lost its
        lease may still find.

        Raises:
            NotFound: it was unlinked.
        """
        values = {"id": account_id, "holder": holder, "at": codec.to_ms(now), "until": codec.to_ms(now + lasts)}
        with self._database.write() as con:
            done = con.execute(
                "UPDATE schedule SET holder = :holder, held_until = :until, claim = 0 "  # noqa: S608 - own words
                "WHERE account_id = :id "
                f"AND NOT {CLAIMED} AND (holder = :holder OR NOT {HELD})",
                values,
            )
            if done.rowcount == 0:
                statements.account_row(con, account_id)
        return done.rowcount == 1

    def release(self, account_id: str, holder: str) -> None:
        """Let others check an account again."""
        with self._database.write() as con:
            con.execute(
                "UPDATE schedule SET holder = NULL, held_until = NULL WHERE account_id = ? AND holder = ?",
                (account_id, holder),
            )

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


def _set_back(con: sqlite3.Connection, *, by: int, at: int) -> None:
    """Plan everything as much earlier as the clock was set back; else nobody is checked until it has caught up."""
    con.execute(
        "UPDATE schedule SET next_at = max(next_at - :by, 0), light_at = light_at - :by, key_at = key_at - :by, "
        "deep_at = deep_at - :by WHERE next_at > :at",
        {"by": by, "at": at},
    )
