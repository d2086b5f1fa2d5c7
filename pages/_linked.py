"""The popup after linking: facts about what was linked, and where to go next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from hub_core import texts
from hub_core.bitwarden import regions
from hub_core.errors import NotFound
from hub_core.model import Capability
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
    _ui.badge(_ui.shown(account))
    facts = account.facts
    readable = [texts.PATHS[p] for p, c in facts.capabilities.items() if c is Capability.READABLE]
    rows = {
        "Label": account.label,
        "Region": regions.region(account.endpoints.region).name,
        "API": account.endpoints.api,
        "Identity": account.endpoints.identity,
        "Organization": account.organization_id,
        "Client ID ends in": account.client_id[-4:],
        "Server": server_line(account),
        "Can be read": ", ".join(readable) or "nothing on this server",
        "Members": members_line(account),
    }
    facts_table(rows)
    with st.container(horizontal=True):
        if st.button("Open account", type="primary", key="linked_open"):
            _forget()
            _ui.open_account(account.id)
        if st.button("Link another", key="linked_another"):
            _forget()
            st.rerun()
        if st.button("Go to accounts", key="linked_accounts"):
            _forget()
            st.switch_page("accounts.py")


def server_line(account: Account) -> str:
    """Return who the server is and its version."""
    facts = account.facts
    kind = texts.SERVER_KINDS[facts.server_kind] if facts.server_kind else "not reported"
    return f"{kind} {facts.server_version or ''}".strip()


def members_line(account: Account) -> str:
    """Return the members by state; what was not reported is said so."""
    members = account.facts.members
    if members is None:
        return "not reported"
    total = sum(members.values())
    return f"{total}: " + ", ".join(f"{count} {state}" for state, count in sorted(members.items(), key=lambda m: -m[1]))


def facts_table(rows: dict[str, str]) -> None:
    """Show facts as two columns of text."""
    st.table({_ui.plain(name): _ui.plain(value) for name, value in rows.items()}, border="horizontal", hide_header=True)
