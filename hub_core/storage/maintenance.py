"""The stored maintenance windows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hub_core.errors import NotFound
from hub_core.health.maintenance import Once, Scope, Weekly, Window
from hub_core.storage import codec, statements

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from hub_core.storage.database import Database


class MaintenanceTable:
    """The rows of maintenance windows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Window]:
        """Return every window, in the order they were made; not those of accounts that are gone."""
        with self._database.read() as con:
            rows = con.execute(
                "SELECT * FROM maintenance WHERE scope <> ? "
                "OR EXISTS (SELECT 1 FROM account WHERE account.id = target) ORDER BY id",
                (Scope.ACCOUNT,),
            ).fetchall()
        return [_window_of(row) for row in rows]

    def add(self, scope: Scope, target: str, rule: Once | Weekly, note: str, *, at: datetime, actor: str) -> Window:
        """Store a window; raises NotFound when the account it is for is not there."""
        with self._database.write() as con:
            if scope is Scope.ACCOUNT:
                statements.account_row(con, target)
            values = {"scope": scope, "target": target, "note": note, **_rule_columns(rule)}
            statements.insert(con, "maintenance", values)
            row = con.execute("SELECT * FROM maintenance WHERE id = last_insert_rowid()").fetchone()
            told = {"scope": scope, "of": target, **_told(rule)}
            statements.audit(con, actor, "maintenance add", at=at, target=str(row["id"]), **told)
        return _window_of(row)

    def remove(self, window_id: int, *, at: datetime, actor: str) -> None:
        """Erase a window; raises NotFound."""
        with self._database.write() as con:
            done = con.execute("DELETE FROM maintenance WHERE id = ?", (window_id,))
            if done.rowcount != 1:
                raise NotFound("There is no such maintenance window; it may have been removed.")
            statements.audit(con, actor, "maintenance remove", at=at, target=str(window_id))

    def prune(self, before: datetime) -> int:
        """Erase windows that ended before a moment, and those of accounts that are gone; return how many."""
        with self._database.write() as con:
            return con.execute(
                "DELETE FROM maintenance WHERE ends < ? "
                "OR (scope = ? AND NOT EXISTS (SELECT 1 FROM account WHERE account.id = target))",
                (codec.to_ms(before), Scope.ACCOUNT),
            ).rowcount


def _rule_columns(rule: Once | Weekly) -> dict[str, Any]:
    if isinstance(rule, Once):
        return {"begins": codec.to_ms(rule.begins), "ends": codec.to_ms(rule.ends)}
    bits = sum(1 << day for day in rule.days)
    return {"days": bits, "minute": rule.minute, "lasts": round(rule.lasts.total_seconds())}


def _told(rule: Once | Weekly) -> dict[str, Any]:
    """Return what the audit trail says of a rule."""
    if isinstance(rule, Once):
        return {"begins": rule.begins.isoformat(), "ends": rule.ends.isoformat()}
    return {"days": sorted(rule.days), "minute": rule.minute, "seconds": round(rule.lasts.total_seconds())}


def _window_of(row: sqlite3.Row) -> Window:
    rule: Once | Weekly
    if row["days"] is None:
        rule = Once(codec.moment(row["begins"]), codec.moment(row["ends"]))
    else:
        days = frozenset(day for day in range(7) if row["days"] >> day & 1)
        rule = Weekly(days, row["minute"], timedelta(seconds=row["lasts"]))
    return Window(row["id"], Scope(row["scope"]), row["target"], rule, row["note"])
