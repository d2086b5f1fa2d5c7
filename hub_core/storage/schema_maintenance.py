"""The tables of maintenance windows, of what befell the hub itself, and of who is at work right now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

_TABLES = (
    # Either a moment to begin and one to end, or days of the week (bits, Monday being 1), minute and length.
    """CREATE TABLE maintenance (
        id INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, target TEXT NOT NULL,
        begins INTEGER, ends INTEGER, days INTEGER, minute INTEGER, lasts INTEGER, note TEXT NOT NULL,
        CHECK ((ends > begins AND days IS NULL) OR (days > 0 AND lasts > 0 AND minute >= 0 AND begins IS NULL))
    ) STRICT""",
    # `told`: 0 nothing, 1 that it began, 2 that it ended.
    """CREATE TABLE notice (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, at INTEGER NOT NULL, ended_at INTEGER,
        told INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    "CREATE UNIQUE INDEX notice_open ON notice(kind) WHERE ended_at IS NULL",
    "CREATE INDEX notice_untold ON notice(id) WHERE told < 2",
    # Who checks an account at this moment, and until when that is believed without a further sign.
    "ALTER TABLE schedule ADD COLUMN holder TEXT",
    "ALTER TABLE schedule ADD COLUMN held_until INTEGER",
    # Since when the present owner watches: tokens given before are not in its memory.
    "ALTER TABLE lease ADD COLUMN since INTEGER NOT NULL DEFAULT 0",
    # A person waits for a token request there; routine lets them go first until then.
    "CREATE TABLE token_wish (origin TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT",
)


def maintenance(db: Database) -> None:
    """Maintenance windows, notices about the hub itself, holds on accounts, and wishes for token requests."""
    for statement in _TABLES:
        db.execute(statement)
