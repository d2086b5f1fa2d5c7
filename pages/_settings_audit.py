"""The part of the Settings page about who did what: the audit trail as a table, and its export."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import streamlit as st

from hub_core import exports
from hub_core.health.maintenance import Once, Scope, Weekly
from hub_core.texts.windows import rule_in_words
from pages import _ui

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub_core.trail import Deed

_MOST: Final = 1000
_ROW: Final = 35
_TALLEST: Final = 16


def show() -> None:
    """Show the latest deeds, newest first, and offer them as a file."""
    st.markdown(
        "Who did what here, on these pages or by the command line. Checks are not in it: the history of each account "
        "tells them. No secret is in it, and whoever can write the database could change it."
    )
    deeds = _ui.hub().trail.deeds(_MOST)
    if not deeds:
        st.info("Nobody has done anything yet. What is linked, changed or removed appears here.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "Time (UTC)": [deed.at.strftime("%Y-%m-%d %H:%M:%S") for deed in deeds],
                "Who": [deed.actor for deed in deeds],
                "Did": [deed.words for deed in deeds],
                "What": [_whose(deed) for deed in deeds],
                "Detail": [_detail(deed) for deed in deeds],
            }
        ),
        key="audit_table",
        hide_index=True,
        height=_ROW * min(len(deeds) + 1, _TALLEST) + 2,
        column_config={"Detail": st.column_config.TextColumn(width="large")},
        alt="Who did what, newest first",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        number = "1 entry" if len(deeds) == 1 else f"{len(deeds)} entries"
        st.caption(f"The latest {number}" if len(deeds) == _MOST else number, width="stretch")
        st.download_button(
            "Export CSV", lambda: exports.deeds_to_csv(deeds), "audit.csv", "text/csv", key="export_audit",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip


# ---- inside


def _whose(deed: Deed) -> str:
    """Return what it was done to; of what is gone only its id is known."""
    if deed.action.startswith("maintenance"):
        return f"Window {deed.target}"
    return deed.name or deed.target


def _detail(deed: Deed) -> str:
    if deed.action == "maintenance add":
        return _window(deed.detail)
    return ", ".join(f"{name.replace('_', ' ')}: {_words(value)}" for name, value in deed.detail.items())


def _window(told: Mapping[str, Any]) -> str:
    """Return for whom and when a window was added, as the maintenance pages say it."""
    zone = _ui.hub().windows.zone
    rule = (
        Once(datetime.fromisoformat(told["begins"]), datetime.fromisoformat(told["ends"]))
        if "begins" in told
        else Weekly(frozenset(told["days"]), told["minute"], timedelta(seconds=told["seconds"]))
    )
    whose = "all accounts" if told["scope"] == Scope.ALL else f"{told['scope']} {told['of']}"
    return f"for {whose}: {rule_in_words(rule, zone)} ({zone.key})"


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
