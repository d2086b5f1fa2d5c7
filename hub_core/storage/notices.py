"""What befell the hub itself, such as being offline: when it began, when it ended, and who still has to be told."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from hub_core.storage import codec

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from hub_core.storage.database import Database


KEPT = timedelta(days=730)
"""How long a notice that has ended is kept."""


class NoticeKind(StrEnum):
    """What can befall the hub."""

    OFFLINE = "offline"
    """No server can be reached from here."""


class Notice(NamedTuple):
    """Something that befell the hub."""

    id: int
    kind: NoticeKind
    at: datetime
    ended_at: datetime | None


class Notices:
    """The rows of notices; of each kind at most one is open."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, kind: NoticeKind, at: datetime) -> None:
        """Open a notice, unless one of its kind is open; erase those that ended long ago."""
        with self._database.write() as con:
            con.execute("DELETE FROM notice WHERE ended_at < ?", (codec.to_ms(at - KEPT),))
            con.execute("INSERT OR IGNORE INTO notice(kind, at) VALUES (?, ?)", (kind, codec.to_ms(at)))

    def end(self, kind: NoticeKind, at: datetime) -> bool:
        """Close the open notice of a kind; return whether there was one."""
        with self._database.write() as con:
            # A clock that was set back lets nothing end before it began.
            done = con.execute(
                "UPDATE notice SET ended_at = max(at, ?) WHERE kind = ? AND ended_at IS NULL", (codec.to_ms(at), kind)
            )
        return done.rowcount == 1

    def since(self, kind: NoticeKind) -> datetime | None:
        """Return when the open notice of a kind began; None when none is open."""
        with self._database.read() as con:
            row = con.execute("SELECT at FROM notice WHERE kind = ? AND ended_at IS NULL", (kind,)).fetchone()
        return codec.moment(row["at"]) if row else None


def untold(con: sqlite3.Connection) -> list[Notice]:
    """Return notices of which people were not told the beginning, or not the end, oldest first.

    While the hub is offline telling fails, so most are told once, when they have ended.
    """
    rows = con.execute(
        "SELECT id, kind, at, ended_at FROM notice WHERE told < 2 AND (told = 0 OR ended_at IS NOT NULL) ORDER BY id"
    )
    return [
        Notice(row["id"], NoticeKind(row["kind"]), codec.moment(row["at"]), codec.from_ms(row["ended_at"]))
        for row in rows
    ]


def tell(con: sqlite3.Connection, notice: Notice) -> None:
    """Remember that people were told a notice as it is here: its beginning, or, if it has ended, all of it."""
    con.execute("UPDATE notice SET told = max(told, ?) WHERE id = ?", (2 if notice.ended_at else 1, notice.id))
