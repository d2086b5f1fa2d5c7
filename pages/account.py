"""The Account page: one organization, what is wrong with it and the one button that mends it."""

from __future__ import annotations

import streamlit as st

from hub_core.errors import NotFound
from pages import (
    _account_edit,
    _account_history,
    _account_maintenance,
    _account_overview,
    _account_view,
    _actions,
    _incident,
    _live,
    _ui,
)

hub = _ui.hub()
state = st.session_state

_actions.show_dialog()
_incident.show_dialog()

account_id = st.query_params.get("account", "")
st.page_link("accounts.py", label="Accounts", icon=":material/arrow_back:")
try:
    account = hub.account(account_id)
except NotFound as error:
    st.title("No such account", anchor=False)
    st.markdown(_ui.plain(str(error)))
    st.stop()

if state.pop("account_check", False):
    _actions.check_now(account.id, account.label)
    account = hub.account(account_id)
if "do_next" in state:
    state.do = state.pop("do_next")

top = st.container()
view = st.segmented_control(
    "View",
    ["Overview", "History", "Maintenance", "Relink", "Edit"],
    default="Overview",
    key="do",
    required=True,
    bind="query-params",
    label_visibility="collapsed",
)
if view == "Overview":
    # Only what is read keeps itself fresh: nothing moves under somebody's hands while they fill in a form.
    with top:
        _live.keep_fresh(lambda: _account_view.top(account_id))
    _live.keep_fresh(lambda: _account_overview.show(account_id))
else:
    with top:
        _account_view.top(account_id, mending=view in {"Relink", "Edit"})
    {
        "History": _account_history.show,
        "Maintenance": _account_maintenance.show,
        "Relink": _account_edit.relink,
        "Edit": _account_edit.edit,
    }[view](account)
