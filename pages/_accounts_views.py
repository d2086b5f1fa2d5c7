"""The filters of the Accounts page and its ready-made views; all of them stand in the address."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

import streamlit as st

from hub_core import showing
from hub_core.bitwarden import regions
from hub_core.model import RegionId
from hub_core.needing import needs_attention
from pages import _accounts_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from hub_core.needing import Line
    from hub_core.storage.store import AccountRow
    from pages._accounts_lines import Lines

state = st.session_state

EVERY: Final = "All accounts"
ATTENTION: Final = "Needs attention"
SOON: Final = timedelta(days=30)
LATELY: Final = timedelta(days=1)

_VIEWS: Final[dict[str, Callable[[Line, datetime], bool]]] = {
    EVERY: lambda _line, _now: True,
    ATTENTION: lambda line, _now: needs_attention(line),
    "Self-hosted": lambda line, _now: line.seen.row.region == RegionId.SELF_HOSTED,
    "Certificate ends soon": lambda line, now: _ends_soon(line.seen.row, now),
    "Key not proven lately": lambda line, now: _key_is_old(line.seen.row, now),
}


class Filter(NamedTuple):
    """What somebody wants to see."""

    view: str = EVERY
    needle: str = ""
    words: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def passes(self, line: Line, now: datetime) -> bool:
        """Tell whether an account is wanted."""
        row = line.seen.row
        return (
            (not self.words or line.text.word in self.words)
            and (not self.regions or row.region in self.regions)
            and (not self.tags or bool(set(self.tags) & set(row.tags)))
            and (not self.needle or self.needle in _haystack(row))
            and _VIEWS[self.view](line, now)
        )

    def apply(self, lines: Lines, now: datetime) -> tuple[Line, ...]:
        """Return the accounts that are wanted, in their order."""
        return lines.all if self == Filter() else tuple(line for line in lines.all if self.passes(line, now))


def choose(lines: Lines) -> Filter:
    """Show views, search and filters, kept in the address, and return what was chosen."""
    with st.container(horizontal=True):
        view = st.selectbox("View", list(_VIEWS), key="view", bind="query-params", width=200)
        search = st.text_input(
            "Search", key="q", type="search", live="300ms", placeholder="Label, tag, host, version, organization id",
            bind="query-params", width=345,
        )  # fmt: skip
        wanted_regions = (
            st.multiselect(
                "Region",
                [r.id.value for r in regions.REGIONS if r.id in lines.regions],
                format_func=lambda region: regions.region(RegionId(region)).name,
                key="in",
                bind="query-params",
                width=200,
            )
            if len(lines.regions) > 1
            else []
        )
        wanted_tags = st.multiselect("Tag", lines.tags, key="tag", bind="query-params", width=200) if lines.tags else []
    words = st.pills(
        "Status",
        [word for word in showing.RANK if lines.found[word]],
        selection_mode="multi",
        key="status",
        bind="query-params",
        wrap=True,
        label_visibility="collapsed",
    )
    return Filter(
        view=view or EVERY,
        needle=(search or "").strip().casefold(),
        words=tuple(words or ()),
        regions=tuple(wanted_regions),
        tags=tuple(wanted_tags),
    )


def show_only(view: str = EVERY, *, search: str = "", words: tuple[str, ...] = ()) -> None:
    """Set the filters from a button's callback."""
    state.view, state.q, state.status = view, search, list(words)
    state["in"], state.tag = [], []


def share(chosen: Filter) -> None:
    """Offer the address of what is shown, and the page for a screen on the wall."""
    with st.popover("Share", icon=":material/share:"):
        st.markdown("Whoever opens this address sees the same view and filters. As a bookmark it keeps them.")
        st.code(address(chosen), language=None, wrap_lines=True)
        st.page_link(
            "accounts.py",
            label="Open wall mode, for a screen on the wall",
            icon=":material/tv:",
            query_params={"view": "wall"},
        )


def address(chosen: Filter) -> str:
    """Return the address of this page with these filters."""
    names = {"view": "" if chosen.view == EVERY else chosen.view, "q": state.get("q") or ""}
    query = [(name, text) for name, text in names.items() if text]
    query += [("status", word) for word in chosen.words]
    query += [("in", regions.region(RegionId(region)).name) for region in chosen.regions]
    query += [("tag", tag) for tag in chosen.tags]
    here = urlsplit(str(st.context.url or "http://localhost/"))
    return here._replace(query=urlencode(query), fragment="").geturl()


# ---- inside


def _haystack(row: AccountRow) -> str:
    region = regions.region(RegionId(row.region)).name
    words = (row.label, *row.tags, row.identity_origin, row.client_id, region, row.server_version or "")
    return " ".join(words).casefold()


def _ends_soon(row: AccountRow, now: datetime) -> bool:
    return row.certificate_ends is not None and row.certificate_ends - now < SOON


def _key_is_old(row: AccountRow, now: datetime) -> bool:
    """Tell whether no fresh token was given for long; of a paused account nobody expects one."""
    if _accounts_lines.paused(row):
        return False
    return row.key_proven_at is None or now - row.key_proven_at > LATELY
