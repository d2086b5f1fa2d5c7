"""The tables of maintenance windows and of what befell the hub itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

_TABLES: tuple[str, ...] = ()


def maintenance(db: Database) -> None:
    """Maintenance windows and notices about the hub itself."""
    for statement in _TABLES:
        db.execute(statement)
