"""Puts the parts together: the use cases, as plain blocking calls for pages, command line and scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from hub_core.settings import Settings


class Hub:
    """This installation."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open the hub."""
        return cls(settings)

    def ready(self) -> bool:
        """Whether the database answers."""
        return True

    def close(self) -> None:
        """Stop what was started."""
