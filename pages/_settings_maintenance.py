"""The part of the Settings page about maintenance windows: those there are, and a form for another one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import streamlit as st

from hub_core.errors import HubError, InputError
from hub_core.health.maintenance import Once, Scope, Weekly, covers, moment
from hub_core.texts import windows as words
from pages import _ui

if TYPE_CHECKING:
    from datetime import time

    from hub_core.health.maintenance import Window

state = st.session_state

_SCOPES = {Scope.ALL: "All accounts", Scope.TAG: "A tag", Scope.ACCOUNT: "One account"}
_MINUTES_A_DAY = 24 * 60


def show() -> None:
    """Show the windows, each with its button to remove it, and the form."""
    st.markdown(
        "During a maintenance window checks go on and are recorded, but nobody is alerted, and the time counts neither "
        "as up nor as down."
    )
    found = _ui.hub().windows.list()
    labels = {row.id: row.label for row in _ui.hub().accounts()}
    if not found:
        st.info("There is no maintenance window.", icon=":material/event_available:")
    for window in found:
        _line(window, labels)
    st.subheader("Add a window", anchor=False)
    _form(labels)


def _line(window: Window, labels: dict[str, str]) -> None:
    hub = _ui.hub()
    now, zone = hub.clock.now(), hub.windows.zone
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        whose = {Scope.ALL: "All accounts", Scope.TAG: f"Tag “{window.target}”"}.get(
            window.scope, labels.get(window.target, "An account that was unlinked")
        )
        note = f"  \n{_ui.plain(window.note)}" if window.note else ""
        when = f"{words.rule_in_words(window.rule, zone)} ({zone.key})"
        st.markdown(f"**{_ui.plain(whose)}** · {when}{note}", width="stretch")
        if covers(window, now, zone):
            st.badge("Open now", icon=":material/build_circle:", color="blue")
        elif isinstance(window.rule, Once) and window.rule.ends <= now:
            st.badge("Over", color="gray")
        if st.button("Remove", key=f"window_remove_{window.id}", icon=":material/delete:", type="tertiary"):
            try:
                hub.windows.remove(window.id, actor=_ui.ACTOR)
            except HubError as error:
                _ui.tell(str(error), "error")
            else:
                _ui.tell("The maintenance window was removed.", "delete")
            st.rerun()


def _form(labels: dict[str, str]) -> None:
    hub = _ui.hub()
    zone = hub.windows.zone
    if state.pop("window_added", False):
        state.window_note = ""
    with st.container(horizontal=True):
        scope = st.segmented_control(
            "For", list(_SCOPES), format_func=_SCOPES.__getitem__, default=Scope.ALL, key="window_scope", required=True
        )
        weekly = (
            st.segmented_control("When", ["Once", "Every week"], default="Once", key="window_kind", required=True)
            == "Every week"
        )
    now = hub.clock.now().astimezone(zone).replace(second=0, microsecond=0, tzinfo=None)
    with st.form("window_form", border=True):
        target = ""
        if scope is Scope.TAG:
            target = st.text_input("Tag", key="window_tag")
        elif scope is Scope.ACCOUNT:
            chosen = st.selectbox("Account", list(labels), format_func=labels.__getitem__, key="window_account")
            target = chosen or ""
        with st.container(horizontal=True):
            if weekly:
                days = st.pills("Days", range(7), format_func=words.DAYS.__getitem__, selection_mode="multi",
                                key="window_days", wrap=True)  # fmt: skip
                at = st.time_input("Begins at", value="02:00", key="window_at")
                minutes = st.number_input(
                    "Minutes", min_value=1, max_value=7 * _MINUTES_A_DAY - 1, value=120, key="window_minutes"
                )
            else:
                begins = st.datetime_input("Begins", value=now, key="window_begins")
                ends = st.datetime_input("Ends", value=now + timedelta(hours=2), key="window_ends")
        note = st.text_input("Note (optional)", key="window_note", placeholder="Colleagues see why nobody is told")
        st.caption(f"Times are in {zone.key}. LINKHUB_TIMEZONE sets the time zone.")
        if not st.form_submit_button("Add", type="primary", key="window_go"):
            return
    rule = _weekly(days, at, minutes) if weekly else Once(moment(begins, zone), moment(ends, zone, last=True))
    try:
        hub.windows.add(scope or Scope.ALL, target, rule, note, actor=_ui.ACTOR)
    except InputError as error:
        st.error(_ui.plain(error.message))
    except HubError as error:
        st.error(_ui.plain(str(error)))
    else:
        _ui.tell("The maintenance window was added.", "event_available")
        state.window_added = True
        st.rerun()


def _weekly(days: list[int], at: time, minutes: int) -> Weekly:
    return Weekly(frozenset(days), at.hour * 60 + at.minute, timedelta(minutes=minutes))
