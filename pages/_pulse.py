"""Draws what has been as small SVG pictures: heartbeats, latencies, and strips of hours or days."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from hub_core.history import Pulse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hub_core.history import Period

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
_WIDTH_OF_SPARK: Final = 64
_WIDTH_OF_STRIP: Final = 900
_MARGIN: Final = 2.0
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
    return _address(_strip(shown, step=_STEP, thick=_STEP * _FILLED, first=BEATS - len(shown), slots=BEATS, pad=8))


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


def strip(pulse: str, *, slots: int | None = None) -> str:
    """Return beats as an SVG as wide as the page, the newest at the right, for `st.image(..., width="stretch")`.

    Args:
        pulse: letters of `Pulse`, oldest first.
        slots: how many there is room for; as many as there are, if not given.
    """
    room = max(slots or len(pulse), 1)
    shown, step = pulse[-room:], _WIDTH_OF_STRIP / room
    return _strip(shown, step=step, thick=step * _FILLED, first=room - len(shown), slots=room, pad=2)


def periods(spans: Sequence[Period]) -> str:
    """Return hours or days as an SVG as wide as the page, one bar each, oldest first.

    A bar is filled from the bottom by the share that was down (red) and degraded (amber), the rest green. What was not
    judged is a low grey mark: a gap, neither good nor bad.
    """
    parts: dict[str, list[str]] = {GREEN: [], AMBER: [], RED: [], GRAY: []}
    step = _WIDTH_OF_STRIP / max(len(spans), 1)
    thick = f"{step * _FILLED:.4g}"
    for place, span in enumerate(spans):
        for color, top, bottom in _stack(span):
            parts[color].append(f"M{place * step:.5g} {top:.4g}h{thick}V{bottom:.4g}h-{thick}z")
    drawn = "".join(f"<path fill='{color}' d='{''.join(d)}'/>" for color, d in parts.items() if d)
    return _svg(drawn, _WIDTH_OF_STRIP)


def words(pulse: Iterable[str]) -> str:
    """Return beats in words, for whoever cannot see the picture: `28 up, 2 unreachable`."""
    found = Counter(pulse)
    return ", ".join(f"{found[kind]} {look.words}" for kind, look in LOOKS.items() if found[kind]) or "no check yet"


def periods_words(spans: Sequence[Period], unit: str) -> str:
    """Return hours or days in words: `90 days: 80 without trouble, 2 with time down, 8 not judged`."""
    found = Counter(_kind(span) for span in spans)
    kinds = ("without trouble", "degraded", "with time down", "not judged")
    return f"{len(spans)} {unit}: " + ", ".join(f"{found[kind]} {kind}" for kind in kinds if found[kind])


# ---- inside


def _kind(span: Period) -> str:
    if not span.judged:
        return "not judged"
    if span.down:
        return "with time down"
    return "degraded" if span.degraded else "without trouble"


def _stack(span: Period) -> list[tuple[str, float, float]]:
    """Return the parts of one bar from the bottom up: color, top, bottom."""
    bottom, room = _HEIGHT - _MARGIN, _HEIGHT - 2 * _MARGIN
    if not span.judged:
        return [(GRAY, bottom - 4, bottom)]
    found = []
    for color, seconds in ((RED, span.down), (AMBER, span.degraded)):
        if seconds:
            high = min(max(room * seconds / span.judged, 5.0), bottom - _MARGIN)  # a minute in a day is seen as well
            found.append((color, bottom - high, bottom))
            bottom -= high
    if span.up > span.degraded and bottom > _MARGIN:
        found.append((GREEN, _MARGIN, bottom))
    return found


def _strip(pulse: str, *, step: float, thick: float, first: int, slots: int, pad: int) -> str:
    """Draw runs of equal beats as dashed lines: one path a kind, so that a row of a table stays small."""
    high = _HEIGHT - 2 * pad
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
            y = pad + high * (top + bottom) / 2
            path = "".join(f"M{at * step:.5g} {y:.4g}h{length * step:.5g}" for at, length in found)
            drawn.append(
                f"<path d='{path}' stroke='{look.color}' stroke-width='{high * (bottom - top):.4g}' "
                f"stroke-dasharray='{thick:.4g} {step - thick:.4g}'/>"
            )
    return _svg("".join(drawn), round(slots * step))


def _svg(drawn: str, width: int) -> str:
    size = f"width='{width}' height='{_HEIGHT}' viewBox='0 0 {width} {_HEIGHT}'"
    return f"<svg xmlns='http://www.w3.org/2000/svg' {size}>{drawn}</svg>"


def _address(svg: str) -> str:
    return "data:image/svg+xml," + quote(svg, safe="='/: ")
