"""The tables of channels and of the messages on their way to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

_TABLES: tuple[str, ...] = ()


def alerts(db: Database) -> None:
    """Channels, what each was told, and deliveries."""
    for statement in _TABLES:
        db.execute(statement)
