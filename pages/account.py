"""The Account page: one organization, what is wrong with it and the one button that mends it."""

from __future__ import annotations

import streamlit as st

from hub_core.errors import NotFound
from pages import _account_edit, _account_view, _actions, _ui

hub = _ui.hub()
state = st.session_state

_actions.show_dialog()

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
if _account_view.head(account):
    # Checked in the next run, before the head is drawn, so that nothing on the page shows what was.
    state.account_check = True
    st.rerun()
_account_view.banner(account)

if "do_next" in state:
    state.do = state.pop("do_next")
view = st.segmented_control(
    "View",
    ["Overview", "History", "Relink", "Edit"],
    default="Overview",
    key="do",
    required=True,
    bind="query-params",
    label_visibility="collapsed",
)
if view == "Relink":
    _account_edit.relink(account)
elif view == "Edit":
    _account_edit.edit(account)
elif view == "History":
    _account_view.history(account)
else:
    _account_view.overview(account)
