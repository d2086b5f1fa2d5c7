"""The tables of what machines may read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

_TABLES: tuple[str, ...] = ()


def access(db: Database) -> None:
    """API tokens, and which accounts have a badge."""
    for statement in _TABLES:
        db.execute(statement)
