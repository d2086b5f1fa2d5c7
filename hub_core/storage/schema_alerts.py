"""The tables of channels and of the messages on their way to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

_TABLES = (
    """CREATE TABLE channel (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, hint TEXT NOT NULL, target TEXT, secret TEXT,
        enabled INTEGER NOT NULL, rules TEXT NOT NULL, made_at INTEGER NOT NULL, summed_on TEXT NOT NULL,
        failing_since INTEGER, error TEXT NOT NULL DEFAULT '', stopped TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    # Which accounts a channel was told of and has not seen recover: none is told twice.
    """CREATE TABLE told (
        channel_id TEXT NOT NULL REFERENCES channel(id) ON DELETE CASCADE,
        account_id TEXT NOT NULL REFERENCES account(id) ON DELETE CASCADE,
        at INTEGER NOT NULL, PRIMARY KEY (channel_id, account_id)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX told_by_account ON told(account_id)",
    # What waits for the end of quiet hours, or for a digest.
    """CREATE TABLE held (
        id INTEGER PRIMARY KEY, channel_id TEXT NOT NULL REFERENCES channel(id) ON DELETE CASCADE,
        account_id TEXT REFERENCES account(id) ON DELETE CASCADE, at INTEGER NOT NULL, event TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX held_by_account ON held(account_id)",
    # One message on its way. Its content is erased once it is there, or given up.
    """CREATE TABLE delivery (
        id TEXT PRIMARY KEY, channel_id TEXT NOT NULL REFERENCES channel(id) ON DELETE CASCADE,
        account_id TEXT REFERENCES account(id) ON DELETE CASCADE, sort TEXT NOT NULL, cause TEXT NOT NULL,
        title TEXT NOT NULL, message TEXT NOT NULL, made_at INTEGER NOT NULL, state TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL, claimed_until INTEGER NOT NULL DEFAULT 0,
        done_at INTEGER, error TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    "CREATE INDEX delivery_waiting ON delivery(next_at) WHERE state = 'waiting'",
    "CREATE INDEX delivery_by_channel ON delivery(channel_id, made_at)",
    "CREATE INDEX delivery_by_account ON delivery(account_id)",
)


def alerts(db: Database) -> None:
    """Channels, what each was told, and deliveries."""
    for statement in _TABLES:
        db.execute(statement)
