"""The popup after linking: facts about what was linked, and where to go next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from hub_core import showing
from hub_core.errors import NotFound
from pages import _ui

if TYPE_CHECKING:
    from hub_core.model import Account

state = st.session_state


def show_if_any() -> None:
    """Open the popup when an organization was just linked."""
    account_id = state.get("linked")
    if not account_id:
        return
    try:
        _popup(_ui.hub().account(account_id))
    except NotFound:
        _forget()


def _forget() -> None:
    state.pop("linked", None)


@st.dialog("Organization linked", width="medium", icon=":material/link:", on_dismiss=_forget)
def _popup(account: Account) -> None:
    _ui.badge(showing.shown(_ui.hub(), account))
    facts_table(showing.link_facts(account))
    with st.container(horizontal=True):
        if st.button("Open account", type="primary", key="linked_open"):
            _forget()
            _ui.open_account(account.id)
        if st.button("Link another", key="linked_another"):
            _forget()
            st.rerun()
        if st.button("Go to accounts", key="linked_accounts"):
            _forget()
            _ui.open_page("accounts.py")


def facts_table(rows: dict[str, str]) -> None:
    """Show facts as two columns of text."""
    st.table({_ui.plain(name): _ui.fact(value) for name, value in rows.items()}, border="horizontal", hide_header=True)
