"""Keeps open pages fresh: a part of a page runs again by itself, the rarer the more people watch."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from collections.abc import Callable

state = st.session_state

_PACES = ((100, 10), (300, 30))
"""Up to so many viewers, every so many seconds: a server manages about ten such runs a second."""
_SLOWEST_S = 60
_FORGOTTEN_S = 2 * _SLOWEST_S
"""A page that has not asked for so long is closed."""


def pace(viewers: int) -> int:
    """Return after how many seconds an open page should look again."""
    return next((seconds for most, seconds in _PACES if viewers <= most), _SLOWEST_S)


def keep_fresh(draw: Callable[[], None], *, no_sooner: int = 0) -> None:
    """Draw a part of the page now and again every so many seconds, without disturbing the rest of it."""
    wanted = max(pace(viewers()), no_sooner)

    def part() -> None:
        # An open dialog stays as it is; it is closed sooner or later, and then the new pace is taken up.
        if max(pace(viewers()), no_sooner) != wanted and not state.get("asking"):
            st.rerun()
        draw()

    st.fragment(part, run_every=wanted)()


def viewers() -> int:
    """Count this page among the open ones and return how many there are."""
    seen, now = _last_seen(), time.monotonic()
    seen[state.setdefault("viewer", secrets.token_hex(8))] = now
    for viewer, at in list(seen.items()):
        if now - at > _FORGOTTEN_S:
            seen.pop(viewer, None)
    return len(seen)


@st.cache_resource(show_spinner=False)
def _last_seen() -> dict[str, float]:
    """Return when each open page last asked, by a random name."""
    return {}
