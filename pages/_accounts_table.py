"""The parts of the Accounts page around its table: counts, the table itself, its row actions, the empty page."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa  # type: ignore[import-untyped]
import streamlit as st

from hub_core import showing, telling, texts
from hub_core.exports import to_csv
from hub_core.model import RegionId, Status
from pages import _actions, _pulse, _ui
from pages._accounts_lines import paused
from pages._accounts_needs import CHECK, EDIT, OPEN, RELINK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hub_core.model import Lifecycle
    from hub_core.needing import Line
    from hub_core.storage.rows import AccountRow
    from pages._accounts_lines import Lines
    from pages._accounts_views import Filter

state = st.session_state

PAUSE, RESUME, UNLINK = (
    ":material/pause_circle: Pause",
    ":material/play_circle: Resume",
    ":material/link_off: Unlink",
)
MOST_ROWS: Final = 1000
"""So many rows are sent at once; more are shown in pages."""

_MARKED: Final = {text.word: f"{text.mark} {text.word}" for text in showing.WORST_FIRST}
"""Cells of the table hold text only, and colour alone tells nothing to many: a sign stands beside the word."""

_COLORS: Final = {"green": "#13795b", "blue": "#175ddc", "orange": "#b45f06", "red": "#c3272f", "gray": "#6b7686"}
"""Dark enough for the white words upon them, in both themes."""
_ROW_HEIGHT: Final = 40
_TALLEST: Final = 15
_HEADER_HEIGHT: Final = 38
_MOVED_S: Final = 8
"""A menu is not open for longer, mostly."""
_MOMENT: Final = "MM-DD HH:mm"


def empty_page() -> None:
    """Teach what this page is for and offer the two doors."""
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


def counts(lines: Lines) -> None:
    """Show how many accounts are in each status, only those that occur, worst first."""
    st.badge(f"{len(lines.all)} linked", color="gray", icon=":material/link:")
    for text in showing.WORST_FIRST:
        if number := lines.found[text.word]:
            st.badge(f"{number} {text.word}", icon=f":material/{text.icon}:", color=text.color, help=text.meaning)


def table(lines: Lines, filtered: Sequence[Line], chosen: Filter, *, asked: bool) -> None:
    """Show the accounts that pass the filters, a page of them if they are many, and their row actions.

    `asked` tells that somebody did something, so whatever moves in the table, moves before somebody's eyes.
    """
    if not filtered:
        st.info("No account passes these filters.", icon=":material/filter_alt_off:")
        return
    pages = math.ceil(len(filtered) / MOST_ROWS)
    page = st.pagination(pages, key="page", bind="query-params") if pages > 1 else 1
    part = filtered[(page - 1) * MOST_ROWS : page * MOST_ROWS]
    rows = [(line.seen.row.id, line.seen.row.label, line.seen.row.lifecycle) for line in part]
    moved = not asked and state.get("table_shows") == (chosen, page) and [r[0] for r in rows] != _ids()
    if moved:
        state.table_before = (_ids(), time.monotonic())
    elif asked or state.get("table_shows") != (chosen, page):
        state.pop("table_before", None)
    state.table_rows, state.table_shows = rows, (chosen, page)
    st.dataframe(
        _kept(lines.generation, chosen, page, _ui.hub().clock.now().date().isoformat(), part),
        key="accounts_table",
        hide_index=True,
        row_height=_ROW_HEIGHT,
        height=_ROW_HEIGHT * min(len(part), _TALLEST) + _HEADER_HEIGHT,
        column_config=_columns(),
        placeholder="–",
        alt="Linked organizations, worst first",
    )


def export(filtered: Sequence[Line]) -> None:
    """Offer what is shown as a file."""
    st.download_button(
        "Export CSV", lambda: to_csv([line.seen.row for line in filtered], now=_ui.hub().clock.now()), "accounts.csv",
        "text/csv", key="export_csv", icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def act(action: str, account_id: str, label: str, lifecycle: Lifecycle) -> None:
    """Do what the menu of a row, or the button of a need, was asked for."""
    if action == OPEN:
        _ui.open_account(account_id)
    elif action == RELINK:
        _ui.open_account(account_id, do="Relink")
    elif action == EDIT:
        _ui.open_account(account_id, do="Edit")
    elif action == CHECK:
        _actions.check_now(account_id, label)
    elif action in {PAUSE, RESUME}:
        _actions.pause_or_resume(account_id, label, lifecycle)
        st.rerun()
    elif action == UNLINK:
        state.asking = ("unlink", account_id)
        st.rerun()


# ---- inside


def _row_clicked() -> None:
    """Remember which account was meant: the row is a position in the frame that was sent."""
    click = state.row_click
    if row_moved(click["row"], time.monotonic()):
        st.toast("The rows have just moved. Choose again.", icon=":material/swap_vert:")
    else:
        state.row_action = (click["label"], *state.table_rows[click["row"]])


def row_moved(row: int, now: float) -> bool:
    """Tell whether another account stood in this row a moment ago, when its menu may have been opened."""
    before, at = state.get("table_before", ([], -math.inf))
    return bool(now - at < _MOVED_S and before[row : row + 1] != _ids()[row : row + 1])


def _ids() -> list[str]:
    return [row[0] for row in state.get("table_rows", [])]


def _columns() -> dict[str, Any]:
    """Return how each column is shown; at 1440 pixels all but the tags are in view, at 1280 what needs a person is."""
    column = st.column_config
    uptime = {
        name: column.NumberColumn(
            format="%.4g%%",
            width=62,
            help=f"Share of the last {span} in which it worked; only time of which that is known counts",
        )
        for name, span in (("Up 24 h", "24 hours"), ("Up 7 d", "7 days"), ("Up 30 d", "30 days"))
    }
    moments = {
        name: column.DatetimeColumn(format=_MOMENT, timezone="UTC", width=90, help=meaning)
        for name, meaning in (
            ("Last success", "When it last worked: month, day and time, UTC"),
            ("Key proven", "When its key was last exchanged for a fresh token, UTC"),
        )
    }
    return {
        "Status": column.MultiselectColumn(
            options=list(_MARKED.values()),
            color=[_COLORS[text.color] for text in showing.WORST_FIRST],
            width=140,
        ),
        # Streamlit greys what is pinned, so only where the other columns would push the name out of sight.
        "Account": column.TextColumn(width=140, pinned=_on_a_telephone()),
        "Actions": column.ButtonColumn("Actions", type="tertiary", on_click=_row_clicked, key="row_click", width=60),
        "Cause": column.TextColumn(width=248, help="Why the status is not healthy"),
        "Last 30 checks": column.ImageColumn(
            width=138,
            alignment="left",
            help="The newest at the right. Tall: works. Shorter: degraded. Split: refused. A stub at the foot: "
            "unreachable. Grey marks: told to wait, maintenance, paused.",
        ),
        **uptime,
        "Latency": column.ImageColumn(width=80, alignment="left", help="First read answer, last 30 checks"),
        "ms": column.NumberColumn(width=48, help="First read answer at the last check, in milliseconds"),
        **moments,
        "Cert.": column.NumberColumn(format="%d d", width=56, help="Days until the server's certificate ends"),
        "Tags": column.TextColumn(width=90),
    }


def _on_a_telephone() -> bool:
    return "Mobi" in str(st.context.headers.get("User-Agent") or "")


@st.cache_resource(show_spinner=False, max_entries=16)
def _kept(generation: int, chosen: Filter, page: int, day: str, _lines: Sequence[Line]) -> pa.Table:  # noqa: ARG001 - what it is kept by
    return columns(_lines, _ui.hub().clock.now())


def columns(lines: Sequence[Line], now: datetime) -> pa.Table:
    """Return the rows of the table; nothing in it is an age, so that it stays true while it is not redrawn.

    As it is sent: what Streamlit would have to convert, it would convert for everybody who watches, each time.
    """
    seen = [line.seen for line in lines]
    rows = [line.seen.row for line in lines]
    marked = {word: [text] for word, text in _MARKED.items()}
    menu = [CHECK, OPEN, RELINK, EDIT, PAUSE, UNLINK]
    paused_menu = [OPEN, RESUME, RELINK, EDIT, UNLINK]
    words, moment = pa.list_(pa.string()), pa.timestamp("ms", "UTC")
    return pa.table(
        {
            "Status": pa.array([marked[line.text.word] for line in lines], words),
            "Account": pa.array([row.label for row in rows], pa.string()),
            "Actions": pa.array([paused_menu if paused(row) else menu for row in rows], words),
            "Cause": pa.array([_cause(line) for line in lines], pa.string()),
            "Last 30 checks": pa.array([_pulse.bar(one.pulse) if one.pulse else None for one in seen], pa.string()),
            "Up 24 h": _percent([one.uptime.day for one in seen]),
            "Up 7 d": _percent([one.uptime.week for one in seen]),
            "Up 30 d": _percent([one.uptime.month for one in seen]),
            "Latency": pa.array([_pulse.spark(one.latencies) for one in seen], pa.string()),
            "ms": pa.array([row.latency_ms for row in rows], pa.int64()),
            "Last success": pa.array([_last_success(row) for row in rows], moment),
            "Key proven": pa.array([row.key_proven_at for row in rows], moment),
            "Cert.": pa.array(
                [(row.certificate_ends - now).days if row.certificate_ends else None for row in rows], pa.int64()
            ),
            "Tags": pa.array([", ".join(row.tags) for row in rows], pa.string()),
        }
    )


def _cause(line: Line) -> str:
    row, word = line.seen.row, line.text.word
    if word == texts.STALE.word and row.checked_at:
        cause = f"Last check {row.checked_at:%Y-%m-%d %H:%M} UTC"
    elif word == texts.LOCKED.word:
        cause = "The stored secret was given up"
    else:
        cause = texts.REASONS[row.reason].title if row.reason else ""
    return ": ".join(filter(None, ("In maintenance", cause))) if line.seen.maintenance else cause


def _last_success(row: AccountRow) -> datetime | None:
    """Return when it last worked; where a server offers nothing to read, that is when the key was last accepted."""
    return row.key_proven_at if row.status is Status.LIMITED else row.link_proven_at


def _percent(shares: Sequence[float | None]) -> pa.Array:
    return pa.array(map(telling.percent, shares), pa.float64())
