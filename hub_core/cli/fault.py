"""Names a fault of ours by its type and place: its text may hold what somebody typed, its frames are for developers."""

from __future__ import annotations

import traceback
from pathlib import Path


def place_of(error: BaseException) -> str:
    """Return the type of an error and where it happened, as `TypeError at store.py:12`."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
