"""The “Needs you” list: what a person has to see to, why, since when, and the button that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import streamlit as st

from hub_core import showing, telling, texts
from hub_core.model import Remedy, Status
from pages import _accounts_lines, _accounts_views, _ui

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub_core.needing import Need
    from pages._accounts_lines import Lines

state = st.session_state

MOST: Final = 6
_WELL: Final = (Status.HEALTHY, Status.LIMITED)
OPEN, RELINK, EDIT, CHECK, SHOW = (
    ":material/open_in_full: Open",
    ":material/key: Relink",
    ":material/dns: Edit server",
    ":material/refresh: Check now",
    ":material/filter_alt: Show them",
)
_BUTTON: Final = 142
"""Wide enough for each of these: ages and buttons stand below each other."""
_CHECKS: Final = frozenset({Remedy.FIX_SERVER, Remedy.WAIT})
_MENDS: Final = {
    Remedy.RELINK: RELINK,
    Remedy.EDIT_SERVER: EDIT,
    Remedy.CHOOSE_REGION: EDIT,
    Remedy.FIX_SERVER: CHECK,
    Remedy.WAIT: CHECK,
}
"""The button of one account; where another person must act, its page says how."""


def show(lines: Lines) -> None:
    """List what needs a person, worst first, or say in one calm line that nothing does."""
    needs = lines.needs
    if not needs:
        _calm(lines)
        return
    with st.container(border=True, key="needs_you", gap="xsmall"):
        st.subheader("Needs you", anchor=False)
        for number, need in enumerate(needs[:MOST]):
            _one(need, number)
        if len(needs) > MOST:
            more = sum(len(need.lines) for need in needs[MOST:])
            st.button(
                f"And {more} more account{'' if more == 1 else 's'}",
                type="tertiary",
                key="needs_more",
                on_click=_accounts_views.show_only,
                args=(_accounts_views.ATTENTION,),
            )


# ---- inside


def _calm(lines: Lines) -> None:
    """Say that nothing needs anybody, unless nobody would know."""
    if lines.glance.nobody_since or lines.glance.offline_since:
        return
    well = sum(lines.found[texts.STATUSES[status].word] for status in _WELL)
    work = "works" if well == 1 else "work"
    st.markdown(f":green[:material/check_circle:] Nothing needs you: {well} of {len(lines.all)} {work}.")


def _one(need: Need, number: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"need_{number}"):
        badge = f":{need.text.color}-badge[:material/{need.text.icon}: {need.text.word}]"
        seen = f" :gray[· seen {_ui.plain(telling.by_whom(need.seen_by))}]" if need.seen_by else ""
        st.markdown(f"{badge} **{_ui.plain(need.title)}**: {_ui.plain(need.cause)}{seen}", width="stretch")
        if need.since:
            st.badge(_ui.when(need.since), color="gray", help=f"Since {showing.moment(need.since)}")
        _button(need, number)


def _button(need: Need, number: int) -> None:
    """Show the one button that mends it: for many accounts that is another one than for each."""
    key = f"mend_{number}"
    if len(need.lines) == 1:
        row = need.lines[0].seen.row
        label = _MENDS.get(need.remedy, OPEN)
        _wide(label, key, _ask, label, row.id, row.label, row.lifecycle)
    elif need.remedy in _CHECKS:
        wanted = [line.seen.row.id for line in need.lines if not _accounts_lines.paused(line.seen.row)]
        _wide(CHECK, key, _check, wanted)
    else:
        _wide(SHOW, key, _show, need.host, need.text.word)


def _wide(label: str, key: str, do: Callable[..., None], *args: object) -> None:
    """Show a button as wide as its neighbours, its icon beside its name and not within."""
    icon, _, word = label.partition(" ")
    st.button(word, key=key, icon=icon, width=_BUTTON, on_click=do, args=args)


def _show(host: str, word: str) -> None:
    _accounts_views.show_only(search=host, words=(word,))


def _ask(action: str, *row: object) -> None:
    state.row_action = (action, *row)


def _check(account_ids: list[str]) -> None:
    state.checking = account_ids
