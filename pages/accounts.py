"""The Accounts page: every linked organization, worst first, with what can be done about each."""

from __future__ import annotations

import streamlit as st

from pages import _accounts_table, _actions, _ui

state = st.session_state

_actions.show_dialog()

lines = _accounts_table.lines()
if not lines:
    _accounts_table.empty_page()
    st.stop()

with st.container(horizontal=True, vertical_alignment="bottom"):
    st.title("Accounts", width="stretch", anchor=False)
    check_all_here = st.container(width="content")
    if st.button("Link an organization", type="primary", key="go_link", icon=":material/add_link:"):
        _ui.open_page("link.py")

_accounts_table.say_unlinked()
if pending := state.pop("row_action", None):
    _accounts_table.act(*pending)
    lines = _accounts_table.lines()  # what the check just found is counted and listed

_accounts_table.counts(lines)
filtered = _accounts_table.filters(lines)
every = len(filtered) == len(lines)
check_all = check_all_here.button(
    "Check all" if every else f"Check these {len(filtered)}", key="check_all", icon=":material/refresh:"
)
running = st.container()
_accounts_table.table(filtered, total=len(lines))

if check_all:
    # Last, so that everything else is on the page while this goes on for minutes.
    with running:
        _actions.check_many([line.row.id for line in filtered if not _accounts_table.paused(line.row)])
