"""One incident: as a line, as a fold, and as a dialog in which it is acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from hub_core import drafts, showing, telling
from hub_core.errors import HubError, NotFound
from hub_core.history import DOWN
from pages import _linked, _ui

if TYPE_CHECKING:
    from hub_core.history import Incident

state = st.session_state


def line(incident: Incident) -> None:
    """Show an incident in one line."""
    st.markdown(f"{_head(incident)}")


def fold(incident: Incident) -> None:
    """Show an incident as a line that opens to its story."""
    with st.expander(_head(incident), key=f"incident_{incident.id}"):
        story(incident)
        if incident.note:
            st.markdown(f"**Note:** {_ui.plain(incident.note)}")
        word = "Open" if incident.acknowledged_at else "Acknowledge"
        if st.button(word, key=f"incident_open_{incident.id}", icon=":material/open_in_full:"):
            ask(incident.id)


def ask(incident_id: int) -> None:
    """Have the dialog of an incident opened over the page."""
    st.query_params["incident"] = str(incident_id)
    st.rerun()


def story(incident: Incident) -> None:
    """Show what happened, in the order it happened."""
    lines = telling.story_lines(incident)
    st.table(
        {
            "When (UTC)": [at.strftime("%Y-%m-%d %H:%M:%S") for at, _ in lines],
            "What": [_ui.plain(what) for _, what in lines],
        },
        border="horizontal",
        hide_index=True,
        hide_header=True,
        alt="What happened in this incident",
    )


def show_dialog() -> None:
    """Open the dialog of the incident that the address names."""
    wanted = st.query_params.get("incident")
    if wanted is None:
        return
    try:
        incident = _ui.hub().past.incident(int(wanted))
    except (NotFound, ValueError, OverflowError):
        _close()
        st.info("There is no such incident any more; its account may have been unlinked.", icon=":material/link_off:")
        return
    _dialog(incident)


# ---- inside


def _head(incident: Incident) -> str:
    text, now = telling.incident_status(incident), _ui.hub().clock.now()
    word = f":{text.color}[{text.mark} {text.word}]"
    lasted = telling.lasted_words(incident, now)
    opened = incident.opened_at.strftime("%Y-%m-%d %H:%M UTC")
    seen = f" · seen {_ui.plain(telling.by_whom(incident.acknowledged_by))}" if incident.acknowledged_at else ""
    return f"{word} {_ui.plain(telling.cause(incident.reason))} · {opened} · {lasted}{seen}"


def _close() -> None:
    st.query_params.pop("incident", None)


@st.dialog("Incident", width="large", icon=":material/emergency_home:", on_dismiss=_close)
def _dialog(incident: Incident) -> None:
    now = _ui.hub().clock.now()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{_ui.plain(incident.label)}**", width="content")
        _ui.badge(telling.incident_status(incident))
        if incident.acknowledged_at:
            seen = f"Seen {_ui.plain(telling.by_whom(incident.acknowledged_by))}"
            st.badge(seen, icon=":material/visibility:", color="gray")
    opened, lasted = showing.moment(incident.opened_at), telling.lasted_words(incident, now)
    st.markdown(f"Opened {opened}; it lasted {lasted}." if incident.closed_at else f"Open since {opened}: {lasted}.")
    _explanation(incident)
    st.markdown("**What happened**")
    story(incident)
    if incident.evidence:
        with st.expander("What the first check saw"):
            _linked.facts_table(telling.evidence(incident))
    _acknowledge(incident)


def _explanation(incident: Incident) -> None:
    if incident.reason is None:
        return
    try:
        account = _ui.hub().account(incident.account_id)
    except NotFound:
        return
    first = incident.story[0].reason is incident.reason
    told = showing.explanation(
        _ui.hub(),
        incident.reason,
        incident.evidence if first else {},
        account.endpoints,
        worked_until=account.standing.key_proven_at,
    )
    open_kind = st.error if incident.status in DOWN else st.warning
    _ui.explain(told, kind=open_kind if incident.closed_at is None else st.info, expanded=False)


def _acknowledge(incident: Incident) -> None:
    seen = incident.acknowledged_at is not None
    note = st.text_area(
        "Note for your colleagues",
        incident.note,
        max_chars=drafts.NOTE_LIMIT,
        key=f"incident_note_{incident.id}",
        height=90,
    )
    if not seen and not incident.closed_at:
        st.caption("An acknowledged incident sends no more reminders, and the lists say who has seen it.")
    with st.container(horizontal=True):
        label = "Save note" if seen else "Acknowledge"
        if st.button(label, type="primary", key="incident_acknowledge", icon=":material/visibility:"):
            try:
                _ui.hub().past.acknowledge(incident.id, note, actor=_ui.ACTOR)
            except HubError as error:
                st.error(_ui.plain(str(error)))
                return
            _ui.tell("Note saved" if seen else "Acknowledged", "visibility")
            _close()
            st.rerun()
        if st.button("Open account", key="incident_account", icon=":material/open_in_full:"):
            _ui.open_account(incident.account_id)
