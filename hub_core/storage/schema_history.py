"""The tables of what has been: beats in compact columns, hours, days, incidents, changed facts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hub_core.history import DOWN, Beat
from hub_core.model import Trigger
from hub_core.storage import codec, codes

if TYPE_CHECKING:
    from sqlite_utils import Database

_COMPACT = (
    """CREATE TABLE beat (
        no INTEGER NOT NULL, at INTEGER NOT NULL, code INTEGER NOT NULL, holds INTEGER NOT NULL, latency INTEGER,
        PRIMARY KEY (no, at)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE hourly (
        no INTEGER NOT NULL, hour INTEGER NOT NULL, checks INTEGER NOT NULL, failed INTEGER NOT NULL,
        up INTEGER NOT NULL, degraded INTEGER NOT NULL, down INTEGER NOT NULL, maintenance INTEGER NOT NULL,
        paused INTEGER NOT NULL, latency BLOB, PRIMARY KEY (no, hour)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE daily (
        no INTEGER NOT NULL, day INTEGER NOT NULL, checks INTEGER NOT NULL, failed INTEGER NOT NULL,
        up INTEGER NOT NULL, degraded INTEGER NOT NULL, down INTEGER NOT NULL, maintenance INTEGER NOT NULL,
        paused INTEGER NOT NULL, latency BLOB, PRIMARY KEY (no, day)
    ) STRICT, WITHOUT ROWID""",
    # Until which hour (of 1970) the beats of an account are summed up.
    "CREATE TABLE rolled (no INTEGER PRIMARY KEY, hour INTEGER NOT NULL) STRICT",
    "CREATE INDEX rolled_by_hour ON rolled(hour)",
    """CREATE TABLE last_check (
        account_id TEXT PRIMARY KEY REFERENCES account(id), at INTEGER NOT NULL, trigger TEXT NOT NULL,
        status TEXT NOT NULL, reason TEXT, ms INTEGER NOT NULL, latency_ms INTEGER, observations TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE incident (
        id INTEGER PRIMARY KEY, account_id TEXT NOT NULL REFERENCES account(id), opened_at INTEGER NOT NULL,
        closed_at INTEGER, story TEXT NOT NULL, evidence TEXT NOT NULL, maintenance INTEGER NOT NULL DEFAULT 0,
        acknowledged_at INTEGER, acknowledged_by TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    "CREATE INDEX incident_by_account ON incident(account_id, opened_at)",
    "CREATE UNIQUE INDEX incident_open ON incident(account_id) WHERE closed_at IS NULL",
    """CREATE TABLE change (
        id INTEGER PRIMARY KEY, account_id TEXT NOT NULL REFERENCES account(id), at INTEGER NOT NULL,
        what TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX change_by_account ON change(account_id, at)",
    # Changes of status are what people are told of: written with the check, told later, by whoever watches.
    "ALTER TABLE transition ADD COLUMN maintenance INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE transition ADD COLUMN told INTEGER NOT NULL DEFAULT 0",
    "UPDATE transition SET told = 1",
    "CREATE INDEX transition_untold ON transition(id) WHERE told = 0",
    # A short number for the compact tables; the row's own may change when a backup is made.
    "ALTER TABLE account ADD COLUMN no INTEGER",
    "UPDATE account SET no = rowid",
    "CREATE UNIQUE INDEX account_no ON account(no)",
)

_HELD = timedelta(minutes=10)
"""Twice the usual interval."""

_TAKEN_OVER = (
    """INSERT INTO rolled SELECT no,
        coalesce((SELECT min(at) FROM beat WHERE beat.no = account.no), linked_at) / 3600000 FROM account""",
    """INSERT INTO last_check SELECT account_id, at, trigger, status, reason, ms, latency_ms, observations FROM checks
        WHERE id IN (SELECT max(id) FROM checks GROUP BY account_id)""",
    """INSERT INTO incident(account_id, opened_at, story, evidence)
        SELECT id, coalesce(since, checked_at, linked_at),
            json_array(json_array(coalesce(since, checked_at, linked_at), status, reason)), '{}'
        FROM account WHERE status IN ('degraded', 'failing', 'unreachable')""",
    # From here on the log has noteworthy checks only.
    """DELETE FROM checks WHERE id IN (SELECT id FROM (
        SELECT id, trigger, status, reason, lag(status) OVER past AS last_status, lag(reason) OVER past AS last_reason
        FROM checks WINDOW past AS (PARTITION BY account_id ORDER BY id)
    ) WHERE trigger = 'schedule' AND status = last_status AND reason IS last_reason)""",
)


def history(db: Database) -> None:
    """Beats, sums, incidents and changed facts; what was recorded so far is taken over."""
    for statement in _COMPACT:
        db.execute(statement)
    rows = db.execute(
        "SELECT no, c.at, c.status, c.reason, c.trigger, c.latency_ms, observations FROM checks c "
        "JOIN account a ON a.id = c.account_id"
    )
    db.conn.executemany("INSERT OR REPLACE INTO beat VALUES (?, ?, ?, ?, ?)", map(_beat, rows))
    for statement in _TAKEN_OVER:
        db.execute(statement)


def _beat(row: tuple[Any, ...]) -> tuple[int, int, int, int, int | None]:
    """Return the columns of the beat of a check; of then it is known how the account stood, not what was found."""
    no, at, status, reason, trigger, latency, observations = row
    standing = codec.status_of(status)
    beat = Beat(
        codec.moment(at),
        standing,
        codec.reason_of(reason),
        Trigger(trigger),
        latency,
        _HELD,
        down=standing in DOWN,
        light='["token","skip"' in observations,
    )
    return no, at, codes.pack(beat), codec.minutes(beat.holds), beat.latency_ms
