"""Answers who did what to which account, channel or token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hub_core.texts.deeds import DEEDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from hub_core.storage.store import Store


class Deed(NamedTuple):
    """One thing somebody did."""

    at: datetime
    actor: str
    action: str
    """As the audit trail calls it."""
    words: str
    """The same for people."""
    target: str
    """Id of what it was done to; empty if to the hub itself."""
    name: str
    """The present label or name of that; empty if it has none, or none any more."""
    detail: Mapping[str, Any]
    """What else is kept about it; never a secret, a label or a note."""


class Trail:
    """What can be asked about who did what."""

    def __init__(self, store: Store, names: Callable[[], Mapping[str, str]]) -> None:
        self._store = store
        self._names = names

    def deeds(self, limit: int = 1000) -> list[Deed]:
        """Return the latest deeds, newest first."""
        names = self._names()
        return [
            Deed(
                entry["at"],
                entry["actor"],
                entry["action"],
                DEEDS.get(entry["action"], entry["action"]),
                entry["target"],
                names.get(entry["target"], ""),
                entry["detail"],
            )
            for entry in self._store.audit_trail(limit)
        ]
