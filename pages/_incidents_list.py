"""The parts of the Incidents page: filters kept in the address, the table and its exports, and what an incident is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import pandas as pd
import streamlit as st

from hub_core import exports, telling, texts
from hub_core.bitwarden import regions
from hub_core.model import RegionId
from pages import _incident, _ui

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub_core.history import Incident
    from hub_core.storage.rows import AccountRow

state = st.session_state

_SPANS: Final = {"24 h": 1, "7 days": 7, "30 days": 30, "90 days": 90}
_OPEN, _CLOSED, _ALL = "Open", "Closed", "All"
_ROW_HEIGHT: Final = 36
_TALLEST: Final = 15
_MOST: Final = 5000
_LOOK, _ACCOUNT = ":material/visibility: Details and note", ":material/open_in_full: Open account"
_MARKED: Final = {text.word: f"{text.mark} {text.word}" for text in (*texts.STATUSES.values(), texts.CLOSED)}
_COLORS: Final = {"green": "#13795b", "blue": "#175ddc", "orange": "#b45f06", "red": "#c3272f", "gray": "#6b7686"}


# The keys of the filters stand in the address. They are other ones than on the Accounts page: a search there would
# come along to this page otherwise.


class Line(NamedTuple):
    """An incident, and the account it is of."""

    incident: Incident
    row: AccountRow


def show() -> None:
    """Show filters, table and exports; whatever a row's menu was asked for is done first."""
    if pending := state.pop("incident_action", None):
        _act(*pending)
    if not _ui.hub().past.incidents(limit=1):
        _teach()
        return
    lines = _filtered(_lines(_span()))
    _table(lines)


# ---- inside


def _act(action: str, incident_id: int, account_id: str) -> None:
    if action == _ACCOUNT:
        _ui.open_account(account_id)
    _incident.ask(incident_id)


def _teach() -> None:
    """Say what an incident is, where there has been none."""
    with st.container(border=True):
        st.subheader("No incident so far", anchor=False)
        st.markdown(
            "An **incident** opens when an account stops being healthy or limited, and closes when it works again. It "
            "keeps what was seen, every change of the cause, who looked after it, and a note for the next time. "
            "A server that misses one check is no incident: three in a row are, or one key that was refused."
        )


def _span() -> timedelta:
    with st.container(horizontal=True):
        st.segmented_control(
            "Show", [_ALL, _OPEN, _CLOSED], default=_ALL, key="show", required=True, bind="query-params"
        )
        chosen = st.segmented_control(
            "Within the last", list(_SPANS), default="30 days", key="span", required=True, bind="query-params"
        )
        st.text_input(
            "Search", key="who", type="search", live="300ms", placeholder="Account, tag or note", bind="query-params",
            width=260,
        )  # fmt: skip
    return timedelta(days=_SPANS[chosen or "30 days"])


def _lines(span: timedelta) -> list[Line]:
    hub = _ui.hub()
    rows = {row.id: row for row in hub.accounts()}
    found = hub.past.incidents(since=hub.clock.now() - span, limit=_MOST)
    return [Line(incident, rows[incident.account_id]) for incident in found if incident.account_id in rows]


def _filtered(lines: Sequence[Line]) -> list[Line]:
    wanted_regions, tags, causes = _pickers(lines)
    needle = (state.get("who") or "").strip().casefold()
    which = state.get("show")
    return [
        line
        for line in lines
        if (which != _OPEN or line.incident.closed_at is None)
        and (which != _CLOSED or line.incident.closed_at is not None)
        and (not wanted_regions or line.row.region in wanted_regions)
        and (not tags or set(tags) & set(line.row.tags))
        and (not causes or telling.cause(line.incident.reason) in causes)
        and (not needle or needle in _haystack(line))
    ]


def _pickers(lines: Sequence[Line]) -> tuple[list[str], list[str], list[str]]:
    """Show the filters that have something to choose, and return what was chosen."""
    here = {line.row.region for line in lines} | set(state.get("where") or ())
    tags = sorted({tag for line in lines for tag in line.row.tags} | set(state.get("tagged") or ()), key=str.casefold)
    causes = sorted({telling.cause(line.incident.reason) for line in lines} | set(state.get("cause") or ()))
    with st.container(horizontal=True):
        chosen_regions = (
            st.pills(
                "Region",
                [row.id.value for row in regions.REGIONS if row.id in here],
                format_func=lambda region: regions.region(RegionId(region)).name,
                selection_mode="multi",
                key="where",
                bind="query-params",
                wrap=True,
            )
            if len(here) > 1
            else []
        )
        chosen_tags = st.multiselect("Tag", tags, key="tagged", bind="query-params", width=220) if tags else []
        chosen_causes = (
            st.multiselect("Cause", causes, key="cause", bind="query-params", width=360) if len(causes) > 1 else []
        )
    return chosen_regions, chosen_tags, chosen_causes


def _haystack(line: Line) -> str:
    return " ".join((line.row.label, *line.row.tags, line.incident.note)).casefold()


def _table(lines: Sequence[Line]) -> None:
    incidents = [line.incident for line in lines]
    if not incidents:
        st.info("No incident passes these filters.", icon=":material/filter_alt_off:")
        return
    state.incident_ids = [(incident.id, incident.account_id) for incident in incidents]
    now = _ui.hub().clock.now()
    texts_of = [telling.incident_status(incident) for incident in incidents]
    st.dataframe(
        pd.DataFrame(
            {
                "Status": [[_MARKED[text.word]] for text in texts_of],
                "Account": [incident.label for incident in incidents],
                "Actions": [[_LOOK, _ACCOUNT]] * len(incidents),
                "Cause": [telling.cause(incident.reason) for incident in incidents],
                "Opened (UTC)": [incident.opened_at.strftime("%Y-%m-%d %H:%M") for incident in incidents],
                "Duration": [telling.lasted_words(incident, now) for incident in incidents],
                "Changes": [len(incident.story) - 1 for incident in incidents],
                "Acknowledged": [telling.seen_by(incident) for incident in incidents],
            }
        ),
        key="incidents_table",
        hide_index=True,
        row_height=_ROW_HEIGHT,
        height=_ROW_HEIGHT * min(len(incidents), _TALLEST) + 38,
        column_config={
            "Status": st.column_config.MultiselectColumn(
                options=list(_MARKED.values()),
                color=[_COLORS[text.color] for text in (*texts.STATUSES.values(), texts.CLOSED)],
                width=130,
            ),
            "Account": st.column_config.TextColumn(width=160),
            "Cause": st.column_config.TextColumn(width=310),
            "Duration": st.column_config.TextColumn(width=100),
            "Changes": st.column_config.NumberColumn(width=75, help="How often status or cause changed meanwhile"),
            "Acknowledged": st.column_config.TextColumn(width=120),
            "Actions": st.column_config.ButtonColumn(
                "Actions", type="tertiary", on_click=_clicked, key="incident_click", width=62
            ),
        },
        placeholder="–",
        alt="Incidents, the open ones first",
    )
    still = sum(incident.closed_at is None for incident in incidents)
    with st.container(horizontal=True, vertical_alignment="center"):
        number = "1 incident" if len(incidents) == 1 else f"{len(incidents)} incidents"
        st.caption(f"{number}, {still or 'none'} open", width="stretch")
        st.download_button(
            "Export CSV", lambda: exports.incidents_to_csv(incidents, now=now), "incidents.csv", "text/csv",
            key="export_csv", icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            "Export JSON", lambda: exports.incidents_to_json(incidents), "incidents.json", "application/json",
            key="export_json", icon=":material/download:", on_click="ignore",
        )  # fmt: skip


def _clicked() -> None:
    """Remember which incident was meant: the row is a position in the frame that was sent."""
    click = state.incident_click
    state.incident_action = (click["label"], *state.incident_ids[click["row"]])
