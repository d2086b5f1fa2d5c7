"""The history of an account: its checks as a table, those kept with every stage, changes of status, and an export."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pandas as pd
import streamlit as st

from hub_core import exports, showing, texts
from hub_core.history import pulse_of
from pages import _account_overview, _pulse, _ui

if TYPE_CHECKING:
    from hub_core.model import Account, Reason, Status

state = st.session_state

_PAGE: Final = 200
_ROW: Final = 35
_TALLEST: Final = 420
"""Pixels."""
_ALL: Final = timedelta(days=366 * 3)


def show(account: Account) -> None:
    """Show every check that is kept in short, those with stages, and the changes of status."""
    shown = state.get(f"history_{account.id}", _PAGE)
    beats = _ui.hub().past.recent(account.id, shown + 1)
    if not beats:
        st.info("No check is recorded yet.")
        return
    more, beats = len(beats) > shown, beats[:shown]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader("Checks", anchor=False, width="stretch")
        st.download_button(
            "Export CSV", lambda: _csv(account), f"checks-{account.id[:8]}.csv", "text/csv", key="export_history",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
    st.dataframe(
        pd.DataFrame(
            {
                "Time (UTC)": [beat.at.strftime("%Y-%m-%d %H:%M:%S") for beat in beats],
                "Status": ["‖ Paused" if beat.paused else _marked(beat.status) for beat in beats],
                "Counted as": [_pulse.LOOKS[pulse_of(beat)].words for beat in beats],
                "Cause": [_title(beat.reason) for beat in beats],
                "Asked by": [texts.TRIGGERS[beat.trigger] for beat in beats],
                "Kind": ["" if beat.paused else "kept token" if beat.light else "fresh token" for beat in beats],
                "Latency": pd.array([beat.latency_ms for beat in beats], dtype="Int64"),
            }
        ),
        key="history_table",
        hide_index=True,
        height=min(_ROW * (len(beats) + 1) + 2, _TALLEST),
        column_config={"Latency": st.column_config.NumberColumn(format="%d ms")},
        placeholder="–",
        alt="Checks of this account, newest first",
    )
    if more and st.button(f"Show {_PAGE} older ones", key="history_older", icon=":material/expand_more:"):
        state[f"history_{account.id}"] = shown + _PAGE
        st.rerun()
    _noteworthy(account)
    _transitions(account)


# ---- inside


def _csv(account: Account) -> str:
    return exports.beats_to_csv(_ui.hub().past.beats(account.id, _ui.hub().clock.now() - _ALL))


def _noteworthy(account: Account) -> None:
    checks = _ui.hub().past.noteworthy(account.id)
    if not checks:
        return
    st.subheader("Checks kept with every stage", anchor=False)
    st.caption(
        "The first one, those a person asked for, and those that found something new. Choose one for its stages."
    )
    chosen = st.dataframe(
        pd.DataFrame(
            {
                "Time (UTC)": [check.at.strftime("%Y-%m-%d %H:%M:%S") for check in checks],
                "Status": [_marked(check.status) for check in checks],
                "Cause": [_title(check.reason) for check in checks],
                "Asked by": [texts.TRIGGERS[check.trigger] for check in checks],
                "Duration": [check.ms for check in checks],
            }
        ),
        key="noteworthy_table",
        hide_index=True,
        column_config={"Duration": st.column_config.NumberColumn(format="%d ms")},
        on_select="rerun",
        selection_mode="single-row",
        placeholder="–",
        alt="Checks with stages, newest first",
    )
    for place in chosen["selection"]["rows"]:
        if place < len(checks):
            check = checks[place]
            with st.container(border=True, key="noteworthy_stages"):
                st.markdown(f"**{showing.moment(check.at)}** · {_marked(check.status)}")
                _account_overview.stages(check.observations)


def _transitions(account: Account) -> None:
    changes = _ui.hub().past.transitions(account.id)
    if not changes:
        return
    st.subheader("Changes of status", anchor=False)
    st.dataframe(
        pd.DataFrame(
            {
                "Time (UTC)": [change.at.strftime("%Y-%m-%d %H:%M:%S") for change in changes],
                "From": [_marked(change.before) for change in changes],
                "To": [_marked(change.after) for change in changes],
                "Cause": [_title(change.reason) for change in changes],
            }
        ),
        key="changes_table",
        hide_index=True,
        alt="Changes of this account's status, newest first",
    )


def _marked(status: Status) -> str:
    return f"{texts.STATUSES[status].mark} {texts.STATUSES[status].word}"


def _title(reason: Reason | None) -> str:
    return texts.REASONS[reason].title if reason else ""
