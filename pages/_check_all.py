"""Checks many accounts while the page stays usable: a progress bar that follows, Stop, and the sum at the end."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import streamlit as st

from hub_core import texts
from pages import _ui

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub_core.hub import Progress

state = st.session_state

_EVERY_S: Final = 2
_PATIENCE_S: Final = 0.5
"""So long at most the page listens for progress at once; then it is everybody's again."""


class _Run:
    """A check of many accounts that goes on while nobody looks; it ends with the session at the latest."""

    def __init__(self, account_ids: Sequence[str]) -> None:
        self._steps = _ui.hub().check_many(account_ids)
        self._turn = threading.Lock()
        self.found: Counter[str] = Counter()
        self.part = 0.0
        self.text = "Starting…"

    def follow(self) -> bool:
        """Take note of what was reported meanwhile; tell whether everything is checked."""
        until = time.monotonic() + _PATIENCE_S
        with self._turn:
            for step in self._steps:
                if step:
                    self._note(step)
                if step is None or time.monotonic() > until:
                    return False
        return True

    def stop(self) -> None:
        """End it; what was checked is kept."""
        with self._turn:
            self._steps.close()

    def _note(self, step: Progress) -> None:
        self.part = step.done / step.total if step.total else 1.0
        self.text = f"{step.done} of {step.total} checked"
        if step.label:
            self.text += f" · {_ui.plain(step.label)}"
            self.found[texts.STATUSES[step.status].word if step.status else "Unlinked meanwhile"] += 1
        if step.waiting:
            self.text += f" · waiting {step.waiting} s: this minute's token requests are used up"


def begin(account_ids: Sequence[str]) -> None:
    """Start to check accounts, in place of those that this visitor is checking already."""
    _stop()
    state.check_run = _Run(account_ids)


def running() -> bool:
    """Tell whether this visitor is checking many accounts."""
    return "check_run" in state


def show() -> None:
    """Show how far it is, and go on showing it until it ends."""
    if running():
        st.fragment(_follow, run_every=_EVERY_S)()


def _follow() -> None:
    run: _Run | None = state.get("check_run")
    if run is None:
        return
    if run.follow():
        del state.check_run
        found = ", ".join(f"{number} {word.lower()}" for word, number in run.found.items())
        _ui.tell(f"{run.found.total()} checked: {found}", "refresh")
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", key="check_all_running"):
        st.progress(run.part, text=run.text)
        st.button("Stop", key="check_all_stop", icon=":material/stop:", on_click=_stop)


def _stop() -> None:
    if running():
        state.pop("check_run").stop()
