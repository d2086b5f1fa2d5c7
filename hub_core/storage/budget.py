"""The token requests of the last minute, and who is to wait: what every process of this installation shares."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hub_core.storage import codec, statements

if TYPE_CHECKING:
    from datetime import datetime

    from hub_core.storage.database import Database

LONGEST_HOLD_MS = 3_600_000
"""No server asks to wait longer; a hold that would last longer was written by a clock that was wrong."""

LONGEST_WISH_MS = 10_000
"""No wish is made for longer."""

_MINUTE_MS = 60_000


class BudgetTable:
    """The rows of the token budget of each identity origin."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, origin: str, *, at: datetime, limit: int, ahead: bool = True, spacing_ms: int = 250) -> int:
        """Take one of `limit` token requests a minute to `origin`; return 0, or the milliseconds to wait first.

        Counted in the database, so that pages, command line and scheduler of every process share one budget.
        The spacing keeps a burst below the five a second that the cloud also enforces (bitwarden-protocol 3).
        Who is not `ahead` of routine waits while somebody has made a wish.
        """
        now = codec.to_ms(at)
        with self._database.write() as con:
            held = con.execute("SELECT until FROM origin_hold WHERE origin = ?", (origin,)).fetchone()
            if held and now < held["until"] <= now + LONGEST_HOLD_MS:
                return int(held["until"] - now)
            con.execute("DELETE FROM origin_hold WHERE origin = ?", (origin,))
            wish = None if ahead else con.execute("SELECT until FROM token_wish WHERE origin = ?", (origin,)).fetchone()
            if wish and now < wish["until"] <= now + LONGEST_WISH_MS:
                return int(wish["until"] - now)
            # Rows of the future come from a clock that was set back; they would block for ever.
            con.execute(
                "DELETE FROM token_request WHERE origin = ? AND (at <= ? OR at > ?)", (origin, now - _MINUTE_MS, now)
            )
            taken, last = con.execute(
                "SELECT count(*), max(at) FROM token_request WHERE origin = ?", (origin,)
            ).fetchone()
            if taken >= limit:
                frees = "SELECT at FROM token_request WHERE origin = ? ORDER BY at DESC LIMIT 1 OFFSET ?"
                return int(con.execute(frees, (origin, limit - 1)).fetchone()["at"] + _MINUTE_MS - now)
            spacing = min(spacing_ms, _MINUTE_MS // limit)
            if taken and now - last < spacing:
                return int(spacing - (now - last))
            statements.insert(con, "token_request", {"origin": origin, "at": now})
        return 0

    def wish(self, origin: str, *, at: datetime, lasts: timedelta) -> None:
        """Have routine wait: a person wants the next token request to `origin`."""
        until = codec.to_ms(at + min(lasts, timedelta(milliseconds=LONGEST_WISH_MS)))
        with self._database.write() as con:
            con.execute(
                "INSERT INTO token_wish(origin, until) VALUES (?, ?) "
                "ON CONFLICT(origin) DO UPDATE SET until = excluded.until",
                (origin, until),
            )

    def hold(self, origin: str, until: datetime) -> None:
        """Ask nothing of this identity origin before `until`: it told us to wait."""
        with self._database.write() as con:
            con.execute(
                "INSERT INTO origin_hold(origin, until) VALUES (?, ?) "
                "ON CONFLICT(origin) DO UPDATE SET until = max(until, excluded.until)",
                (origin, codec.to_ms(until)),
            )
