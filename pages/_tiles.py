"""Draws the tiles of wall mode as SVG: text as large as the tile allows, white on a color of its own."""

from __future__ import annotations

import re
import textwrap
from html import escape
from typing import Final
from unicodedata import east_asian_width

_COLORS: Final = {
    "green": "#13795b",
    "orange": "#b45f06",
    "red": "#c3272f",
    "gray": "#5b6675",
    "slate": "#1f2c3d",
    "blue": "#175ddc",
}
"""Dark enough for white words, and seen on a light and on a dark page alike."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_PER_LETTER: Final = 0.56
"""Width of an average letter, as a part of the size of its font."""
_ROUNDING: Final = 0.01
"""A text whose size was chosen so that it just fits is not cut for a rounded digit."""


def banner(left: str, right: str, color: str) -> str:
    """Return a line across the whole screen."""
    room = 1800 - 80 - (420 if right else 0)
    size = _fitting(left, room, largest=76)
    return _tile(
        1800,
        130,
        color,
        _text(_cut(left, room, size), 40, 88, size, bold=True),
        _text(right, 1760, 86, 58, anchor="end") if right else "",
    )


def trouble(status: str, title: str, cause: str, below: str, color: str) -> str:
    """Return the tile of something that needs a person."""
    size = _fitting(title, 560, largest=60)
    causes = textwrap.wrap(cause, 33, max_lines=2, placeholder=" …") or [""]
    return _tile(
        600,
        290,
        color,
        _text(status, 24, 54, 36),
        _text(_cut(title, 560, size), 24, 124, size, bold=True),
        *(_text(line, 24, 178 + 40 * number, 33) for number, line in enumerate(causes)),
        _text(below, 24, 270, 32, bold=True),
    )


def count(number: str, name: str, color: str) -> str:
    """Return the tile of accounts that belong together."""
    return _tile(
        300,
        120,
        color,
        _text(number, 18, 56, _fitting(number, 264, largest=48), bold=True),
        _text(_cut(name, 264, 30), 18, 100, 30),
    )


# ---- inside


def _tile(width: int, height: int, color: str, *parts: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="Source Sans Pro, Source Sans, sans-serif" fill="#ffffff">'
        f'<rect width="{width}" height="{height}" rx="14" fill="{_COLORS[color]}"/>{"".join(parts)}</svg>'
    )


def _text(text: str, x: int, y: int, size: float, *, bold: bool = False, anchor: str = "start") -> str:
    plain = escape(_CONTROL.sub(" ", text))
    weight = ' font-weight="700"' if bold else ""
    return f'<text x="{x}" y="{y}" font-size="{size:.4g}" text-anchor="{anchor}"{weight}>{plain}</text>'


def _width(text: str) -> float:
    """Return the width of a text in average letters."""
    return sum(1.8 if east_asian_width(letter) in "WF" else 1.0 for letter in text)


def _fitting(text: str, room: float, *, largest: float) -> float:
    """Return the size of font at which a text fits, but not below about half of the largest."""
    return max(min(largest, room / (_PER_LETTER * max(_width(text), 1.0))), 0.55 * largest)


def _cut(text: str, room: float, size: float) -> str:
    """Return as much of a text as fits."""
    most = room / (_PER_LETTER * size) + _ROUNDING
    if _width(text) <= most:
        return text
    kept = ""
    for letter in text:
        if _width(kept + letter) > most - 1:
            break
        kept += letter
    return kept.rstrip() + "…"
