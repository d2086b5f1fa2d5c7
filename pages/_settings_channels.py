"""The part of the Settings page about channels: those there are, whether they work, and what each was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from hub_core import showing
from hub_core.access import written_out
from hub_core.errors import HubError
from hub_core.texts import channels as words
from pages import _settings_channel_form, _ui

if TYPE_CHECKING:
    from hub_core.alerts.channel import Channel

state = st.session_state


def show() -> None:
    """Show every channel with its buttons, and the form for another one."""
    st.markdown(
        "A channel is where people are told when a link breaks or works again: two minutes after, so that what mends "
        "itself disturbs nobody and what breaks together is one message. Its address is sealed like a key and is not "
        "shown again."
    )
    _new_secret()
    found = _ui.hub().alerts.channels()
    if not found:
        st.info(
            "Nobody is told yet. Add a channel below, then press *Test*: the message that arrives is the proof.",
            icon=":material/notifications_off:",
        )
    for channel in found:
        _channel(channel)
    removing = next((channel for channel in found if channel.id == state.get("channel_removing")), None)
    if removing:
        _removal(removing)
    editing = next((channel for channel in found if channel.id == state.get("channel_editing")), None)
    st.subheader(f"Edit “{_ui.plain(editing.name)}”" if editing else "Add a channel", anchor=False)
    _settings_channel_form.show(editing)


def _channel(channel: Channel) -> None:
    with st.container(border=True, key=f"channel_{channel.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**{_ui.plain(channel.name)}** · {_ui.plain(channel.hint)}  \n"
                f"{_ui.plain(words.rules_in_words(channel.rules))}",
                width="stretch",
            )
            _state(channel)
            _buttons(channel)
        tested = state.pop(f"channel_tested_{channel.id}", None)
        if channel.locked:
            st.warning("Its stored address was given up with the master key. Edit it and enter the address again.")
        elif channel.stopped or (channel.error and not (tested and not tested.well)):  # a failed test says the same
            since = f" Since {showing.moment(channel.failing_since)}." if channel.failing_since else ""
            then = "" if channel.stopped else " Mend the receiver, or its address with Edit; what waits is tried again."
            st.error(_ui.plain(f"{channel.stopped or channel.error}{since}{then}"))
        if tested:
            (st.success if tested.well else st.error)(_ui.plain(tested.sentence))
        _deliveries(channel)


def _state(channel: Channel) -> None:
    if channel.stopped:
        st.badge("Switched off by the hub", icon=":material/block:", color="red")
    elif not channel.enabled:
        st.badge("Off", icon=":material/notifications_off:", color="gray")
    elif channel.error or channel.locked:
        st.badge("Failing", icon=":material/error:", color="red")
    else:
        st.badge("On", icon=":material/notifications_active:", color="green")


def _buttons(channel: Channel) -> None:
    alerts = _ui.hub().alerts
    if st.button("Test", key=f"channel_test_{channel.id}", icon=":material/send:"):
        try:
            with st.spinner("Sending a test message…"):
                state[f"channel_tested_{channel.id}"] = alerts.test(channel.id, actor=_ui.ACTOR)
        except HubError as error:
            _ui.tell(str(error), "error")
        st.rerun()
    chosen = st.menu_button(
        "More", ["Edit", "Switch off" if channel.enabled else "Switch on", "Remove"], key=f"channel_more_{channel.id}"
    )
    if not chosen:
        return
    try:
        if chosen == "Edit":
            state.channel_editing = channel.id
        elif chosen == "Remove":
            state.channel_removing = channel.id
        else:
            alerts.set_enabled(channel.id, enabled=not channel.enabled, actor=_ui.ACTOR)
    except HubError as error:
        _ui.tell(str(error), "error")
    st.rerun()


def _stay() -> None:
    state.pop("channel_removing", None)


@st.dialog("Remove this channel?", icon=":material/delete:", on_dismiss=_stay)
def _removal(channel: Channel) -> None:
    st.markdown(
        f"The address of **{_ui.plain(channel.name)}** and its messages are erased at once. Nobody is told there any "
        "more; to pause it, switch it off instead."
    )
    if st.button("Remove", type="primary", key="channel_remove_go"):
        try:
            _ui.hub().alerts.remove(channel.id, actor=_ui.ACTOR)
        except HubError as error:
            _ui.tell(str(error), "error")
        else:
            _ui.tell(f"“{channel.name}” and its address were erased.", "delete")
        _stay()
        st.rerun()


def _deliveries(channel: Channel) -> None:
    sent = _ui.hub().alerts.deliveries(channel.id, 20)
    if not sent:
        return
    with st.expander(f"Messages, the last {len(sent)}" if len(sent) > 1 else "The last message"):
        st.dataframe(
            pd.DataFrame(
                {
                    "Made (UTC)": [one.made_at.strftime("%Y-%m-%d %H:%M:%S") for one in sent],
                    "About": [words.SORTS[one.sort] for one in sent],
                    "Message": [one.title for one in sent],
                    "State": [words.STATES[one.state] for one in sent],
                    "Attempts": [one.attempts for one in sent],
                    "Trouble": [one.error for one in sent],
                }
            ),
            key=f"deliveries_{channel.id}",
            hide_index=True,
            alt="Messages to this channel, newest first",
        )


def _new_secret() -> None:
    """Show a signing secret that was just made until it was copied: the page may be drawn anew at any moment."""
    secret = state.get("channel_secret")
    if secret is None:
        return
    with st.container(border=True):
        st.success(
            "The channel was added. Whoever receives its messages checks them with this signing secret; once you "
            "have copied it, it is not shown again.",
            icon=":material/key:",
        )
        st.code(written_out(secret), language=None)
        st.button("I have copied it", key="channel_secret_copied", on_click=state.pop, args=("channel_secret", None))
