"""Time as an argument: what the hub reads instead of the system's clocks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of day, aware and in UTC, and a counter of seconds that never jumps."""

    now: Callable[[], datetime] = _now
    monotonic: Callable[[], float] = time.monotonic
