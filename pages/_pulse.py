"""Draws what has been as small SVG pictures for cells of a table: heartbeats and latencies."""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from typing import Final, NamedTuple
from urllib.parse import quote

from hub_core.history import Pulse

# These hold on a white and on a dark page: a picture cannot know which one it stands on.
GREEN: Final = "#0f9d6b"
AMBER: Final = "#cf7a0e"
RED: Final = "#d6323f"
GRAY: Final = "#8a93a0"
BLUE: Final = "#4a7fe0"

BEATS: Final = 30
_STEP: Final = 4
_HEIGHT: Final = 34
_FILLED: Final = 0.72
_PAD: Final = 8
_WIDTH_OF_SPARK: Final = 64
_SHARED: Final = 20_000
"""Pictures kept; most accounts look alike, and one is about 300 bytes."""


class Look(NamedTuple):
    """How one kind of beat is drawn: color, and from where to where, in parts of the height from the top."""

    color: str
    spans: tuple[tuple[float, float], ...]
    words: str


LOOKS: Final = {
    Pulse.UP: Look(GREEN, ((0.0, 1.0),), "up"),
    Pulse.DEGRADED: Look(AMBER, ((0.3, 1.0),), "degraded"),
    Pulse.MISSED: Look(AMBER, ((0.0, 0.3), (0.7, 1.0)), "missed once"),
    Pulse.FAILING: Look(RED, ((0.0, 0.4), (0.6, 1.0)), "failing"),
    Pulse.UNREACHABLE: Look(RED, ((0.65, 1.0),), "unreachable"),
    Pulse.WAITED: Look(GRAY, ((0.4, 0.6),), "told to wait"),
    Pulse.MAINTENANCE: Look(GRAY, ((0.8, 1.0),), "in maintenance"),
    Pulse.PAUSED: Look(GRAY, ((0.45, 0.55),), "paused"),
}
"""No two share both color and shape: whoever cannot tell the colors apart sees where a bar begins and ends."""


@lru_cache(_SHARED)
def bar(pulse: str) -> str:
    """Return the last beats as an image address for a cell of a table, the newest at the right."""
    shown = pulse[-BEATS:]
    return _address(_strip(shown, first=BEATS - len(shown)))


@lru_cache(_SHARED)
def spark(latencies: tuple[int | None, ...]) -> str | None:
    """Return latencies as an image address for a cell of a table, None when none was measured; gaps stay gaps."""
    measured = [ms for ms in latencies if ms is not None]
    if not measured:
        return None
    top, width = max(*measured, 1), max(len(latencies) - 1, 1)
    path, after = [], False
    for place, ms in enumerate(latencies):
        if ms is not None:
            x, y = 2 + round(place * (_WIDTH_OF_SPARK - 4) / width), 28 - round(20 * ms / top)
            path.append(f"{'L' if after else 'M'}{x} {y}{'' if after else 'h0'}")
        after = ms is not None
    drawn = (
        f"<path d='{''.join(path)}' fill='none' stroke='{BLUE}' stroke-width='1.6' stroke-linecap='round' "
        "stroke-linejoin='round'/>"
    )
    return _address(_svg(drawn, _WIDTH_OF_SPARK))


# ---- inside


def _strip(pulse: str, *, first: int) -> str:
    """Draw runs of equal beats as dashed lines: one path a kind, so that a row of a table stays small."""
    high, thick = _HEIGHT - 2 * _PAD, _STEP * _FILLED
    runs: dict[str, list[tuple[int, int]]] = {}
    place = first
    for kind, group in groupby(pulse):
        length = len(list(group))
        runs.setdefault(kind, []).append((place, length))
        place += length
    drawn = []
    for kind, found in runs.items():
        look = LOOKS[Pulse(kind)]
        for top, bottom in look.spans:
            y = _PAD + high * (top + bottom) / 2
            path = "".join(f"M{at * _STEP} {y:.4g}h{length * _STEP}" for at, length in found)
            drawn.append(
                f"<path d='{path}' stroke='{look.color}' stroke-width='{high * (bottom - top):.4g}' "
                f"stroke-dasharray='{thick:.4g} {_STEP - thick:.4g}'/>"
            )
    return _svg("".join(drawn), BEATS * _STEP)


def _svg(drawn: str, width: int) -> str:
    size = f"width='{width}' height='{_HEIGHT}' viewBox='0 0 {width} {_HEIGHT}'"
    return f"<svg xmlns='http://www.w3.org/2000/svg' {size}>{drawn}</svg>"


def _address(svg: str) -> str:
    return "data:image/svg+xml," + quote(svg, safe="='/: ")
