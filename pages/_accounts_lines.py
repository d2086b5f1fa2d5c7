"""Holds every account as it is shown now, worst first: worked out once for all who watch."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from hub_core import showing
from hub_core.model import Lifecycle
from hub_core.needing import Line, needing
from pages import _ui

if TYPE_CHECKING:
    from datetime import datetime

    from hub_core.glance import Glance
    from hub_core.needing import Need
    from hub_core.storage.store import AccountRow

BELIEVED_FOR = timedelta(seconds=10)
"""How long nobody looks again whether a status has become too old to believe."""


class Lines(NamedTuple):
    """What everybody who watches is shown a part of."""

    generation: int
    """Another number whenever anything else here is different."""
    glance: Glance
    worked_out_at: datetime
    all: tuple[Line, ...]
    """Worst first, then by label."""
    found: Counter[str]
    """How many accounts are shown by each word."""
    needs: tuple[Need, ...]
    """What needs a person, worst first."""
    tags: tuple[str, ...]
    """Those that occur, in the order of the alphabet."""
    regions: frozenset[str]
    """Those that occur."""


def lines(*, fresh: bool = False) -> Lines:
    """Return every account; `fresh` after something was done, so that its doer sees it at once."""
    hub = _ui.hub()
    glance, now = hub.glances.latest(fresh=fresh), hub.clock.now()
    kept = _kept()
    last = kept[0] if kept else None
    if last and last.glance.version == glance.version and abs(now - last.worked_out_at) < BELIEVED_FOR:
        return last._replace(glance=glance)
    shown = [Line(seen, showing.shown(hub, seen.row)) for seen in glance.lines]
    shown.sort(key=lambda line: (showing.RANK[line.text.word], line.seen.row.label.casefold()))
    same = last is not None and last.glance.version == glance.version and last.all == tuple(shown)
    generation = last.generation + (not same) if last else 0
    kept[:] = [
        Lines(
            generation,
            glance,
            now,
            tuple(shown),
            Counter(line.text.word for line in shown),
            tuple(needing(shown)),
            tuple(sorted({tag for line in shown for tag in line.seen.row.tags}, key=str.casefold)),
            frozenset(line.seen.row.region for line in shown),
        )
    ]
    return kept[0]


def paused(row: AccountRow) -> bool:
    """Tell whether nobody wants this account checked."""
    return row.lifecycle is Lifecycle.PAUSED


@st.cache_resource(show_spinner=False)
def _kept() -> list[Lines]:
    """Return the place where the last ones are kept, for every session of this server."""
    return []
