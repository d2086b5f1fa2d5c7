"""The tables of what machines may read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

_TABLES = (
    """CREATE TABLE api_token (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL, hash BLOB NOT NULL, made_at INTEGER NOT NULL,
        made_by TEXT NOT NULL, expires_at INTEGER, last_used_at INTEGER, revoked_at INTEGER
    ) STRICT""",
    "CREATE TABLE badge (account_id TEXT PRIMARY KEY REFERENCES account(id) ON DELETE CASCADE) STRICT",
)


def access(db: Database) -> None:
    """API tokens, and which accounts have a badge."""
    for statement in _TABLES:
        db.execute(statement)
