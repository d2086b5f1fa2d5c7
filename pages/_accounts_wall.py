"""Wall mode: the Accounts page for a screen on the wall, read from across the room; nothing to press."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import streamlit as st

from hub_core import showing, telling, texts
from hub_core.bitwarden import regions
from hub_core.model import RegionId
from hub_core.needing import needs_attention
from pages import _accounts_lines, _tiles, _ui

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub_core.needing import Line, Need
    from pages._accounts_lines import Lines

MOST_TILES: Final = 12
MOST_GROUPS: Final = 12
_FEW: Final = 2
_SOME: Final = 6
_REST: Final = "Others"


def wanted() -> bool:
    """Tell whether the address asks for wall mode."""
    return st.query_params.get("view") == "wall"


def show() -> None:
    """Show what needs a person large, and what works as counts."""
    lines = _accounts_lines.lines()
    needs = lines.needs
    _banner(lines)
    for sentence in _ui.alarms(lines.glance):
        _draw(_tiles.banner(sentence.partition(". ")[0], "", "red"), sentence)
    shown = needs if len(needs) <= MOST_TILES else needs[: MOST_TILES - 1]
    if shown:
        with st.grid(_columns(len(shown)), min_column_width=240, key="wall_needs"):
            for need in shown:
                _trouble(need)
            if len(shown) < len(needs):
                more = sum(len(need.lines) for need in needs[len(shown) :])
                _draw(_tiles.trouble("", f"and {more} more", "", "", "gray"), f"and {more} more accounts")
    groups = _groups([line for line in lines.all if not _accounts_lines.paused(line.seen.row)])
    if groups:
        with st.grid(_SOME, min_column_width=150, key="wall_groups"):
            for name, (well, number) in groups.items():
                color = "green" if well == number else "gray"
                words = f"{well} of {number} {'works' if well == 1 else 'work'}"
                _draw(_tiles.count(f"✓ {words}" if well == number else words, name, color), f"{name}: {words}")


# ---- inside


def _banner(lines: Lines) -> None:
    trouble = sum(needs_attention(line) for line in lines.all)
    if not lines.all:
        head = "No organization is linked yet"
    elif trouble:
        head = f"{trouble} of {len(lines.all)} need somebody"
    else:
        head = f"Nothing needs you: {len(lines.all)} linked"
    calm = not trouble and not _ui.alarms(lines.glance)
    clock = f"{_ui.hub().clock.now():%H:%M:%S} UTC"
    _draw(_tiles.banner(head, clock, "green" if calm and lines.all else "slate"), f"{head}. Last refreshed {clock}")


def _trouble(need: Need) -> None:
    since = f"for {texts.duration((_ui.hub().clock.now() - need.since).total_seconds())}" if need.since else ""
    seen = f"seen {telling.by_whom(need.seen_by)}" if need.seen_by else ""
    below = " · ".join(part for part in (since, seen) if part)
    many = f"{len(need.lines)} accounts: " if need.host else ""
    status = f"{need.text.mark} {need.text.word}"
    picture = _tiles.trouble(status, need.host or need.title, many + need.cause, below, need.text.color)
    exact = f", since {showing.moment(need.since)}" if need.since else ""
    _draw(picture, f"{need.text.word}: {need.title}, {need.cause}{exact}")


def _groups(lines: Sequence[Line]) -> dict[str, tuple[int, int]]:
    """Return for each tag, or each region where nothing is tagged, how many work and how many there are."""
    well, number = Counter[str](), Counter[str]()
    tagged = any(line.seen.row.tags for line in lines)
    for line in lines:
        row = line.seen.row
        for name in (row.tags or (_REST,)) if tagged else (regions.region(RegionId(row.region)).name,):
            number[name] += 1
            well[name] += line.text.color in {"green", "blue"}
    return {name: (well[name], count) for name, count in number.most_common(MOST_GROUPS)}


def _columns(tiles: int) -> int:
    if tiles <= _FEW:
        return _FEW
    return 3 if tiles <= _SOME else 4


def _draw(svg: str, words: str) -> None:
    st.image(svg, width="stretch", alt=words)
