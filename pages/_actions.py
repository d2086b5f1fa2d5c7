"""What can be done to an account from a list or from its page: dialogs, and checking with live stages."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from hub_core import showing, texts
from hub_core.errors import HubError, InputError, NotFound
from hub_core.model import Lifecycle
from pages import _ui

state = st.session_state


def check_now(account_id: str, label: str) -> None:
    """Check one account, its stages shown while they run."""
    live = _ui.LiveStages(f"Checking “{_ui.plain(label)}”")
    try:
        check = _ui.hub().check(account_id, watch=live)
    except HubError as error:
        live.finish(_ui.plain(str(error)), good=False)
        return
    failure = check.failure
    if failure and failure.reason:
        account = _ui.hub().account(account_id)
        told = showing.explanation(
            _ui.hub(), failure.reason, failure.evidence, account.endpoints, worked_until=account.standing.key_proven_at
        )
        wait = f": try again in {texts.duration(check.retry_after)}" if check.retry_after else ""
        live.finish(_ui.plain(f"{label}: {told.title}{wait}"), good=False)
    else:
        live.finish(f"Checked “{_ui.plain(label)}”: the key works", good=True)


def pause_or_resume(account_id: str, label: str, lifecycle: Lifecycle) -> None:
    """Resume at once, or ask why before pausing."""
    if lifecycle is not Lifecycle.PAUSED:
        state.asking = ("pause", account_id)
        return
    try:
        _ui.hub().resume(account_id, actor=_ui.ACTOR)
    except NotFound as gone:
        _ui.tell(str(gone), "link_off")
    else:
        _ui.tell(f"“{label}” is checked again.", "play_circle")


def show_dialog() -> None:
    """Open the dialog that was asked for."""
    asking = state.get("asking")
    if not asking:
        return
    what, account_id = asking
    try:
        label = _ui.hub().account(account_id).label
    except HubError:
        _close()
        return
    (_pause_dialog if what == "pause" else _unlink_dialog)(account_id, label)


def _close() -> None:
    state.pop("asking", None)


@st.dialog("Pause checks", icon=":material/pause_circle:", on_dismiss=_close)
def _pause_dialog(account_id: str, label: str) -> None:
    st.markdown(
        f"**{_ui.plain(label)}** keeps its key and its history. Nothing is asked of its server until you resume."
    )
    why = st.text_input("Why? Your colleagues will see this.", key="pause_why", max_chars=400)
    if st.button("Pause", type="primary", key="pause_go"):
        with suppress(NotFound):  # unlinked meanwhile: the page says so next
            _ui.hub().pause(account_id, why, actor=_ui.ACTOR)
        _close()
        st.rerun()


@st.dialog("Unlink", icon=":material/link_off:", on_dismiss=_close)
def _unlink_dialog(account_id: str, label: str) -> None:
    st.markdown(
        "The stored secret and the history are erased at once and cannot be brought back. At Bitwarden nothing "
        "changes: the key goes on working there **until an Owner rotates it** (Admin Console → Settings → "
        "Organization info → Rotate API key)."
    )
    typed = st.text_input(f"Type the label to confirm: {_ui.plain(label)}", key="unlink_label")
    if st.button("Unlink", type="primary", key="unlink_go"):
        try:
            gone = _ui.hub().unlink(account_id, typed, actor=_ui.ACTOR)
        except InputError as error:
            st.error(_ui.plain(error.message))
            return
        except HubError as error:
            st.error(_ui.plain(str(error)))
            return
        _close()
        state.unlinked = gone.label
        _ui.open_page("accounts.py")
