"""The parts of the Accounts page: counts, filters kept in the address, the table and its row actions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import streamlit as st

from hub_core import showing, texts
from hub_core.bitwarden import regions
from hub_core.exports import to_csv
from hub_core.model import Lifecycle, RegionId
from pages import _actions, _ui

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub_core.storage.store import AccountRow

state = st.session_state

_MARKED = {text.word: f"{text.mark} {text.word}" for text in showing.WORST_FIRST}
"""Cells of the table hold text only, and colour alone tells nothing to many: a sign stands beside the word."""

_REGION_NAMES = {row.id.value: row.name for row in regions.REGIONS}

_COLORS = {"green": "#13795b", "blue": "#175ddc", "orange": "#b45f06", "red": "#c3272f", "gray": "#6b7686"}
"""Dark enough for the white words upon them, in both themes."""
_CHECK, _OPEN, _RELINK, _PAUSE, _RESUME, _UNLINK = (
    ":material/refresh: Check now",
    ":material/open_in_full: Open",
    ":material/key: Relink",
    ":material/pause_circle: Pause",
    ":material/play_circle: Resume",
    ":material/link_off: Unlink",
)
_ROW_HEIGHT = 40
_TALLEST = 15
_HEADER_HEIGHT = 38


class Line(NamedTuple):
    """An account, and the word its standing is shown by."""

    row: AccountRow
    word: str


def lines() -> list[Line]:
    """Return every account with the word it is shown by, worked out once."""
    return [Line(row, showing.shown(_ui.hub(), row).word) for row in _ui.hub().accounts()]


def paused(row: AccountRow) -> bool:
    """Tell whether nobody wants this account checked."""
    return row.lifecycle is Lifecycle.PAUSED


def empty_page() -> None:
    """Teach what this page is for and offer the two doors."""
    st.title("Accounts", anchor=False)
    say_unlinked()
    st.markdown(
        "No organization is linked yet. Link one by its API key, and this page shows whether the key still works: "
        "when not, why, since when and what to do."
    )
    left, right = st.columns(2, gap="medium")
    with left.container(border=True, height="stretch"):
        st.subheader("Link an organization", anchor=False)
        st.markdown(
            "You need its **client ID** and **client secret**. An Owner finds them in the web vault under "
            "Admin Console → Settings → Organization info → View API key. Plans: Teams and Enterprise."
        )
        if st.button("Link an organization", type="primary", key="door_link", icon=":material/add_link:"):
            _ui.open_page("link.py")
    if _ui.hub().sandbox.offered:
        with right.container(border=True, height="stretch"):
            st.subheader("Try it without a key", anchor=False)
            st.markdown(
                "The **sandbox** is a stand-in for Bitwarden on this machine, with organizations in different states: "
                "healthy, disabled, without API, on Vaultwarden. Its keys open nothing."
            )
            if st.button("Open the sandbox", key="door_sandbox", icon=":material/science:"):
                _ui.open_page("link.py", region=RegionId.SANDBOX)


def say_unlinked() -> None:
    """Say what was just unlinked, and what is left to do at Bitwarden."""
    if label := state.pop("unlinked", None):
        st.success(
            f"“{_ui.plain(label)}” was unlinked and its secret erased. Ask an Owner to rotate the key at Bitwarden.",
            icon=":material/link_off:",
        )


def counts(lines: Sequence[Line]) -> None:
    """Show how many accounts are in each status, only those that occur, worst first."""
    found = Counter(line.word for line in lines)
    with st.container(horizontal=True):
        st.metric("Linked", len(lines), border=True)
        for text in showing.WORST_FIRST:
            if found[text.word]:
                st.metric(f":{text.color}[{text.mark}] {text.word}", found[text.word], border=True)


def filters(lines: Sequence[Line]) -> list[Line]:
    """Show search and filters, kept in the address, and return what passes, worst first."""
    present = {line.word for line in lines}
    tags = sorted({tag for line in lines for tag in line.row.tags}, key=str.casefold)
    here = {line.row.region for line in lines}
    with st.container(horizontal=True):
        search = st.text_input(
            "Search", key="q", type="search", live="300ms", placeholder="Label, tag, host or organization id",
            bind="query-params", width=300,
        )  # fmt: skip
        words = st.pills(
            "Status",
            [word for word in showing.RANK if word in present],
            selection_mode="multi",
            key="status",
            bind="query-params",
            wrap=True,
        )
        wanted_regions = (
            st.pills(
                "Region",
                [r.id.value for r in regions.REGIONS if r.id in here],
                format_func=lambda region: regions.region(RegionId(region)).name,
                selection_mode="multi",
                key="in",
                bind="query-params",
                wrap=True,
            )
            if len(here) > 1
            else []
        )
        wanted_tags = st.multiselect("Tag", tags, key="tag", bind="query-params", width=220) if tags else []
    needle = (search or "").strip().casefold()
    kept = [
        line
        for line in lines
        if (not words or line.word in words)
        and (not wanted_regions or line.row.region in wanted_regions)
        and (not wanted_tags or set(wanted_tags) & set(line.row.tags))
        and (not needle or needle in _haystack(line.row))
    ]
    return sorted(kept, key=lambda line: (showing.RANK[line.word], line.row.label.casefold()))


def table(lines: Sequence[Line], *, total: int) -> None:
    """Show the accounts and their row actions."""
    if not lines:
        st.info("No account passes these filters.", icon=":material/filter_alt_off:")
        return
    rows = [line.row for line in lines]
    state.table_ids = [(row.id, row.label, row.lifecycle) for row in rows]
    st.dataframe(
        _frame(lines),
        key="accounts_table",
        hide_index=True,
        row_height=_ROW_HEIGHT,
        height=_ROW_HEIGHT * min(len(rows), _TALLEST) + _HEADER_HEIGHT,
        column_config={
            "Status": st.column_config.MultiselectColumn(
                options=list(_MARKED.values()),
                color=[_COLORS[text.color] for text in showing.WORST_FIRST],
                width=130,
            ),
            "Account": st.column_config.TextColumn(width=150),
            "Cause": st.column_config.TextColumn(width=230, help="Why the status is not healthy"),
            "Last check": st.column_config.DatetimeColumn(
                format="distance", width=116, help="When the last check ended; point at a cell for the time"
            ),
            "Latency": st.column_config.NumberColumn(format="%d ms", width=70, help="First read answer"),
            "Certificate": st.column_config.NumberColumn(
                format="%d days", width=84, help="Days until the server's certificate ends"
            ),
            "Tags": st.column_config.TextColumn(width=80),
            "Actions": st.column_config.ButtonColumn(
                "Actions", type="tertiary", on_click=_row_clicked, key="row_click", width=62
            ),
        },
        placeholder="–",
        alt="Linked organizations, worst first",
    )
    left, right = st.columns([4, 1], vertical_alignment="center")
    left.caption(f"{len(rows)} of {total} accounts")
    right.download_button(
        "Export CSV", lambda: to_csv(rows, now=_ui.hub().clock.now()), "accounts.csv", "text/csv", key="export_csv",
        icon=":material/download:", on_click="ignore", width="stretch",
    )  # fmt: skip


def act(action: str, account_id: str, label: str, lifecycle: Lifecycle) -> None:
    """Do what a row's menu was asked for."""
    if action == _OPEN:
        _ui.open_account(account_id)
    elif action == _RELINK:
        _ui.open_account(account_id, do="Relink")
    elif action == _CHECK:
        _actions.check_now(account_id, label)
    elif action in {_PAUSE, _RESUME}:
        _actions.pause_or_resume(account_id, label, lifecycle)
        st.rerun()
    elif action == _UNLINK:
        state.asking = ("unlink", account_id)
        st.rerun()


def _row_clicked() -> None:
    """Remember which account was meant: the row is a position in the frame that was sent."""
    click = state.row_click
    state.row_action = (click["label"], *state.table_ids[click["row"]])


def _haystack(row: AccountRow) -> str:
    return " ".join((row.label, *row.tags, row.identity_origin, row.client_id)).casefold()


def _frame(lines: Sequence[Line]) -> pd.DataFrame:
    now = _ui.hub().clock.now()
    rows = [line.row for line in lines]
    marked = {word: [text] for word, text in _MARKED.items()}
    menu = [_CHECK, _OPEN, _RELINK, _PAUSE, _UNLINK]
    paused_menu = [_OPEN, _RESUME, _RELINK, _UNLINK]
    return pd.DataFrame(
        {
            "Status": [marked[line.word] for line in lines],
            "Account": [row.label for row in rows],
            "Cause": [texts.REASONS[row.reason].title if row.reason else "" for row in rows],
            "Region": [_REGION_NAMES[row.region] for row in rows],
            "Server": [showing.server_line(row.server_kind, row.server_version) for row in rows],
            "Last check": pd.Series([row.checked_at for row in rows], dtype="datetime64[ms, UTC]"),
            "Latency": pd.array([row.latency_ms for row in rows], dtype="Int64"),
            "Certificate": pd.array(
                [(row.certificate_ends - now).days if row.certificate_ends else None for row in rows], dtype="Int64"
            ),
            "Tags": [", ".join(row.tags) for row in rows],
            "Actions": [paused_menu if paused(row) else menu for row in rows],
        }
    )
