"""What has been, as it was stored: beats, noteworthy checks, transitions, incidents, changed facts."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hub_core.errors import NotFound
from hub_core.health import changes
from hub_core.history import Beat, Change, Incident, Stretch
from hub_core.model import Transition, Trigger
from hub_core.storage import codec, codes, statements
from hub_core.storage.rows import StoredCheck

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from hub_core.storage.database import Database

_CHECK = "at, trigger, status, reason, ms, latency_ms, observations"
INCIDENT = (
    "SELECT i.id, i.account_id, a.label, i.opened_at, i.closed_at, i.story, i.evidence, i.maintenance, "
    "i.acknowledged_at, i.acknowledged_by, i.note FROM incident i JOIN account a ON a.id = i.account_id "
)


class History:
    """What is read of the past; checks write it, in the transaction that stores them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beats(self, account_id: str, since: datetime) -> list[Beat]:
        """Return an account's beats from a time on, oldest first."""
        return beats_of(
            self._rows(
                "SELECT at, code, holds, latency FROM beat WHERE no = (SELECT no FROM account WHERE id = ?) "
                "AND at >= ? ORDER BY at",
                (account_id, codec.to_ms(since)),
            )
        )

    def recent(self, account_id: str, limit: int) -> list[Beat]:
        """Return an account's last beats, newest first."""
        return beats_of(
            self._rows(
                "SELECT at, code, holds, latency FROM beat WHERE no = (SELECT no FROM account WHERE id = ?) "
                "ORDER BY at DESC LIMIT ?",
                (account_id, limit),
            )
        )

    def noteworthy(self, account_id: str, limit: int = 200) -> list[StoredCheck]:
        """Return an account's checks that are kept with every stage, newest first."""
        sql = f"SELECT {_CHECK} FROM checks WHERE account_id = ? ORDER BY at DESC, id DESC LIMIT ?"  # noqa: S608 - own names
        return [_check(row) for row in self._rows(sql, (account_id, limit))]

    def last_check(self, account_id: str) -> StoredCheck | None:
        """Return the last check of an account, noteworthy or not."""
        rows = self._rows(f"SELECT {_CHECK} FROM last_check WHERE account_id = ?", (account_id,))  # noqa: S608 - own names
        return _check(rows[0]) if rows else None

    def transitions(self, account_id: str, limit: int = 200) -> list[Transition]:
        """Return an account's changes of status, newest first."""
        rows = self._rows(
            "SELECT at, before, after, reason FROM transition WHERE account_id = ? ORDER BY at DESC, id DESC LIMIT ?",
            (account_id, limit),
        )
        return [
            Transition(codec.moment(at), codec.status_of(before), codec.status_of(after), codec.reason_of(reason))
            for at, before, after, reason in rows
        ]

    def changes(self, account_id: str, limit: int) -> list[Change]:
        """Return an account's changed facts, newest first, but for how many seats are taken."""
        rows = self._rows(
            "SELECT at, what, before, after FROM change WHERE account_id = ? AND what <> ? "
            "ORDER BY at DESC, id DESC LIMIT ?",
            (account_id, changes.SEATS_TAKEN, limit),
        )
        return [Change(codec.moment(at), what, before, after) for at, what, before, after in rows]

    def seats_taken(self, account_id: str, at: datetime) -> int | None:
        """Return how many seats of an account were taken at a time, if that has changed since."""
        rows = self._rows(
            "SELECT before FROM change WHERE account_id = ? AND what = ? AND at > ? ORDER BY at, id LIMIT 1",
            (account_id, changes.SEATS_TAKEN, codec.to_ms(at)),
        )
        return int(rows[0][0]) if rows else None

    def incidents(
        self, *, account_id: str | None, open_only: bool, since: datetime | None, limit: int
    ) -> list[Incident]:
        """Return incidents, the open ones first, then the newest; `since` leaves out those that ended before."""
        rows = self._rows(
            INCIDENT + "WHERE (:account IS NULL OR i.account_id = :account) AND (NOT :open OR i.closed_at IS NULL) "
            "AND (:since IS NULL OR i.closed_at IS NULL OR i.closed_at >= :since) "
            "ORDER BY i.closed_at IS NOT NULL, i.opened_at DESC, i.id DESC LIMIT :limit",
            {"account": account_id, "open": open_only, "since": codec.to_ms(since), "limit": limit},
        )
        return [incident_of(row) for row in rows]

    def incident(self, incident_id: int) -> Incident:
        """Return one incident; raises NotFound."""
        rows = self._rows(INCIDENT + "WHERE i.id = ?", (incident_id,))
        if not rows:
            raise NotFound("There is no such incident; its account may have been unlinked.")
        return incident_of(rows[0])

    def acknowledge(self, incident_id: int, note: str, *, at: datetime, actor: str) -> None:
        """Store who looks after an incident, the first who said so, and the latest note; raises NotFound."""
        with self._database.write() as con:
            row = con.execute(
                "UPDATE incident SET acknowledged_at = coalesce(acknowledged_at, ?), "
                "acknowledged_by = iif(acknowledged_at IS NULL, ?, acknowledged_by), note = ? WHERE id = ? "
                "RETURNING account_id",
                (codec.to_ms(at), actor, note, incident_id),
            ).fetchone()
            if row is None:
                raise NotFound("There is no such incident; its account may have been unlinked.")
            statements.audit(con, actor, "acknowledge", at=at, target=row["account_id"], incident=incident_id)

    def _rows(self, sql: str, values: Any) -> list[Any]:
        with self._database.read() as con:
            con.row_factory = None
            return con.execute(sql, values).fetchall()


def beats_of(rows: Iterable[tuple[int, int, int, int | None]]) -> list[Beat]:
    """Return beats from their columns: time, code, minutes it holds, latency."""
    return [_beat(*row) for row in rows]


def incident_of(row: Any) -> Incident:
    """Return an incident from its columns, in the order of the vocabulary."""
    (incident_id, account_id, label, opened, closed, story, evidence, maintenance, seen_at, seen_by, note) = row
    return Incident(
        incident_id,
        account_id,
        label,
        codec.moment(opened),
        codec.from_ms(closed),
        tuple(
            Stretch(codec.moment(at), codec.status_of(status), codec.reason_of(reason))
            for at, status, reason in json.loads(story)
        ),
        json.loads(evidence),
        bool(maintenance),
        codec.from_ms(seen_at),
        seen_by,
        note,
    )


def _beat(at: int, code: int, holds: int, latency: int | None) -> Beat:
    status, reason, trigger, down, light, maintenance, paused = codes.unpack(code)
    minutes = timedelta(minutes=holds)
    return Beat(codec.moment(at), status, reason, trigger, latency, minutes, down, light, maintenance, paused)


def _check(row: Any) -> StoredCheck:
    at, trigger, status, reason, ms, latency_ms, observations = row
    return StoredCheck(
        codec.moment(at),
        Trigger(trigger),
        codec.status_of(status),
        codec.reason_of(reason),
        ms,
        latency_ms,
        codec.load_observations(observations),
    )
