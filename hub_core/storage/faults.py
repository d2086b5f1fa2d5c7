"""What SQLite and the operating system say of a database file, in words that tell what can be done."""

from __future__ import annotations

import sqlite3
from typing import NoReturn

from hub_core.errors import StorageError

RESTORE = " Nothing was changed. Run `linkhub doctor`, or restore a backup."
"""What can be done about a damaged file."""

BUSY = "another program keeps it locked"

_STATES = {
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it may only be read",
    sqlite3.SQLITE_PERM: "it may not be opened",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_CANTOPEN: "it is not there, or its folder may not be used",
    sqlite3.SQLITE_CORRUPT: "it is damaged",
    sqlite3.SQLITE_NOTADB: "it is not a database",
    sqlite3.SQLITE_PROTOCOL: "its lock cannot be had",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
}
"""What the primary result codes of SQLite mean that speak of the file and the machine, not of our statements."""


def translate(error: sqlite3.Error, sentence: str) -> NoReturn:
    """Raise a StorageError for a state of the file; a fault in our own statements stays what it is."""
    state = _state(error)
    if state is None:
        raise error
    raise StorageError(f"{sentence}: {state}.") from None


def words(error: Exception) -> str:
    """Return what happened, to end a sentence with."""
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    return _state(error) or str(error)


def advice(error: Exception) -> str:
    """Return a sentence on what to do; empty where the words say it already."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return RESTORE if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} else ""


def _state(error: Exception) -> str | None:
    code = getattr(error, "sqlite_errorcode", 0)
    return _STATES.get(code & 0xFF) if isinstance(error, sqlite3.Error) else None
