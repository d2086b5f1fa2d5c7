"""The maintenance windows of an account: those that apply, and a form for one more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import streamlit as st

from hub_core.errors import HubError, InputError
from hub_core.health.maintenance import Once, Scope, concerns, covers, moment, open_window
from hub_core.texts.windows import rule_in_words
from pages import _ui

if TYPE_CHECKING:
    from hub_core.health.maintenance import Window
    from hub_core.model import Account

_LENGTHS: Final = {"30 min": 0.5, "1 h": 1, "2 h": 2, "4 h": 4, "8 h": 8, "1 day": 24, "2 days": 48, "7 days": 168}


def note(account: Account) -> None:
    """Say that a window is open, and until when."""
    windows, now = _ui.hub().windows, _ui.hub().clock.now()
    window = open_window(windows.list(), account.id, account.tags, now, windows.zone)
    if window:
        why = f": {_ui.plain(window.note)}" if window.note else ""
        once = window.rule if isinstance(window.rule, Once) else None
        until = f" until {once.ends.astimezone(windows.zone):%Y-%m-%d %H:%M %Z}" if once else ""
        st.info(
            f"In maintenance{until}{why}. Checks go on and are recorded; nobody is alerted, and it counts as neither "
            "up nor down.",
            icon=":material/construction:",
        )


def show(account: Account) -> None:
    """List the windows that apply to an account, and offer one more."""
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Windows for this account", anchor=False)
        _list(account)
    with right, st.form("maintenance_form", border=True):
        st.subheader("Add a window", anchor=False)
        _form(account)


# ---- inside


def _list(account: Account) -> None:
    hub = _ui.hub()
    now = hub.clock.now()
    mine = [window for window in hub.windows.list() if concerns(window, account.id, account.tags)]
    if not mine:
        st.markdown(
            "None. During a window checks go on and are recorded, but nobody is alerted and the time counts as "
            "neither up nor down."
        )
    for window in mine:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"window_{window.id}"):
            with st.container(gap="xxsmall"):
                state = "open now" if covers(window, now, hub.windows.zone) else "over" if _over(window, now) else ""
                color = "blue" if state == "open now" else "gray"
                mark = f" :{color}-badge[{state}]" if state else ""
                st.markdown(f"**{rule_in_words(window.rule, hub.windows.zone)} ({hub.windows.zone.key})**{mark}")
                st.markdown(_ui.plain(f"{_scope(window)}{': ' if window.note else ''}{window.note}"))
            # A window for many accounts is not taken from all of them by way of one.
            if window.scope is Scope.ACCOUNT and st.button("Remove", key=f"window_remove_{window.id}"):
                _remove(window)


def _scope(window: Window) -> str:
    return {
        Scope.ALL: "All accounts",
        Scope.TAG: f"Accounts tagged {window.target}",
        Scope.ACCOUNT: "This account",
    }[window.scope]


def _remove(window: Window) -> None:
    try:
        _ui.hub().windows.remove(window.id, actor=_ui.ACTOR)
    except HubError as error:
        _ui.tell(str(error), "info")
    else:
        _ui.tell("The window was removed.", "check")
    st.rerun()


def _form(account: Account) -> None:
    hub = _ui.hub()
    zone = hub.windows.zone
    now = hub.clock.now().astimezone(zone)
    begins = st.datetime_input(
        f"Begins ({zone.key})", now.replace(second=0, microsecond=0, tzinfo=None), key="window_begins", step=300
    )
    lasts = st.selectbox("Lasts", list(_LENGTHS), index=2, key="window_lasts")
    why = st.text_input("Why? Your colleagues will see this.", key="window_note", max_chars=400)
    if st.form_submit_button("Add window", type="primary", key="window_add"):
        if not isinstance(begins, datetime):
            st.error("Say when the window begins.")
            return
        # Of a time that comes twice nobody can say which is meant: the window is open from the first on.
        start, counted = moment(begins, zone), moment(begins, zone, last=True)
        rule = Once(start, max(start, counted) + timedelta(hours=_LENGTHS[lasts]))
        try:
            hub.windows.add(Scope.ACCOUNT, account.id, rule, why, actor=_ui.ACTOR)
        except InputError as error:
            st.error(_ui.plain(error.message))
        else:
            _ui.tell("The window was added.", "construction")
            st.rerun()


def _over(window: Window, now: datetime) -> bool:
    return isinstance(window.rule, Once) and window.rule.ends <= now
