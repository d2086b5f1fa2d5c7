"""The Accounts page: every linked organization, worst first, with what can be done about each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from hub_core import showing
from pages import (
    _accounts_lines,
    _accounts_needs,
    _accounts_table,
    _accounts_views,
    _accounts_wall,
    _actions,
    _check_all,
    _live,
    _ui,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub_core.needing import Line

state = st.session_state


def live() -> None:
    """Show everything that changes by itself."""
    if state.get("row_action") or state.get("checking"):
        st.rerun()  # what a row or a need was asked for is done, and shown, outside of this part
    asked = state.pop("asked", False)
    lines = _accounts_lines.lines()
    if not lines.all:
        _accounts_table.empty_page()
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        _accounts_table.counts(lines)
        _ui.queue_note(lines.glance)
        st.space("stretch")
        check_all_here = st.container(width="content")
    _accounts_needs.show(lines)
    chosen = _accounts_views.choose(lines)
    filtered = chosen.apply(lines, lines.worked_out_at)
    check_all_here.button(
        "Check all" if len(filtered) == len(lines.all) else f"Check these {len(filtered)}",
        key="check_all",
        icon=":material/refresh:",
        on_click=_wish,
        disabled=_check_all.running(),
        args=(filtered,),
    )
    _accounts_table.table(lines, filtered, chosen, asked=asked)
    with st.container(horizontal=True, vertical_alignment="center"):
        now, pace = showing.moment(_ui.hub().clock.now()), _live.pace(_live.viewers())
        st.markdown(
            f":small[{len(filtered)} of {len(lines.all)} accounts · Last refreshed {now}, again every {pace} s]",
            width="stretch",
        )
        _accounts_views.share(chosen)
        if filtered:
            _accounts_table.export(filtered)


def _wish(lines: Sequence[Line]) -> None:
    state.checking = [line.seen.row.id for line in lines if not _accounts_lines.paused(line.seen.row)]


if _accounts_wall.wanted():
    _live.keep_fresh(_accounts_wall.show)
    st.stop()

_actions.show_dialog()
with st.container(horizontal=True, vertical_alignment="bottom"):
    with st.container(width="stretch"):  # directly in a row, a title loses the space that it has on other pages
        st.title("Accounts", anchor=False)
    some = bool(_accounts_lines.lines(fresh=True).all)  # the empty page has a door of its own
    if some and st.button("Link an organization", type="primary", key="go_link", icon=":material/add_link:"):
        _ui.open_page("link.py")
_accounts_table.say_unlinked()
running = st.container()
if pending := state.pop("row_action", None):
    with running:
        _accounts_table.act(*pending)
    _accounts_lines.lines(fresh=True)  # whoever has just done something sees what came of it
if checking := state.pop("checking", None):
    _check_all.begin(checking)
with running:
    _check_all.show()
state.asked = True
_live.keep_fresh(live)
