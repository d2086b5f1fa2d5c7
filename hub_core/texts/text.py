"""The shape of what is written about a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hub_core.model import Remedy


class OnCloud(str):
    """A cause or step that concerns Bitwarden's own clouds only."""

    __slots__ = ()


class OnOwnServer(str):
    """A cause or step that concerns self-hosted servers only."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Text:
    """What is said about one reason; `explain()` fills the placeholders and chooses the lines that apply.

    A sentence whose placeholder is unknown is left out, so every sentence stands without the others.
    """

    title: str
    """What happened, in at most 60 characters."""
    meaning: str
    """What is certain, and what is not."""
    causes: tuple[str, ...]
    """Most likely first; empty where there is only one."""
    steps: tuple[str, ...]
    """What to do, in order."""
    remedy: Remedy


PLACEHOLDERS: Final = {
    "host": "host name",
    "server": "server name",
    "since": "time since",
    "worked_until": "time of the last success",
    "location": "redirect target",
    "issuer": "issuer",
    "names": "names",
    "ends": "end date",
    "days": "days left",
    "skew": "time difference",
    "wait": "waiting time",
    "status": "status code",
    "ray": "ray id",
    "expected": "expected value",
    "got": "value found",
    "message": "message",
}
"""The only placeholders a text may hold, and the words the manual shows in their place."""
