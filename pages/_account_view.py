"""The top of the Account page: label, status and buttons, and the banner that says what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import streamlit as st

from hub_core import showing, telling, texts
from hub_core.bitwarden import regions
from hub_core.errors import NotFound
from hub_core.model import Lifecycle, Reason, Remedy, Status
from pages import _account_maintenance, _actions, _incident, _ui

if TYPE_CHECKING:
    from hub_core.model import Account
    from hub_core.storage.rows import StoredCheck

state = st.session_state

_WITH_FORM: Final = frozenset({Remedy.RELINK, Remedy.EDIT_SERVER, Remedy.CHOOSE_REGION})
"""Remedies that a form of the Account page is for."""


def fresh(account_id: str) -> Account:
    """Return an account as it is now; when it was unlinked meanwhile, the whole page is drawn anew and says so."""
    try:
        return _ui.hub().account(account_id)
    except NotFound:
        st.rerun()


def top(account_id: str, *, mending: bool = False) -> None:
    """Show the head and the banner of an account; the banner is short while somebody is mending what it says."""
    account = fresh(account_id)
    head(account)
    banner(account, mending=mending)


def head(account: Account) -> None:
    """Show label, status and buttons."""
    paused = account.lifecycle is Lifecycle.PAUSED
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(_ui.plain(account.label), width="content", anchor=False)
        _ui.badge(showing.shown(_ui.hub(), account))
        for tag in account.tags:
            st.badge(_ui.plain(tag), color="gray")
        st.space("stretch")
        # One primary button on the page: the banner's, while something must be done.
        kind: Literal["primary", "secondary"] = "secondary" if _has_mending_button(account) else "primary"
        if not paused and st.button("Check now", type=kind, icon=":material/refresh:", key="check_now"):
            # Checked in the next run, before the head is drawn, so that nothing on the page shows what was.
            state.account_check = True
            st.rerun()
        resumed = paused and st.button("Resume", type="primary", icon=":material/play_circle:", key="resume")
        chosen = st.menu_button("More", ["Unlink"] if paused else ["Pause", "Unlink"], key="more")
    if resumed or chosen == "Pause":
        _actions.pause_or_resume(account.id, account.label, account.lifecycle)
        st.rerun()
    if chosen == "Unlink":
        state.asking = ("unlink", account.id)
        st.rerun()


def banner(account: Account, *, mending: bool) -> None:
    """Say what is wrong, since when, and offer the one button that mends it, unless its form is open below."""
    _account_maintenance.note(account)
    if account.locked:
        told = showing.explanation(_ui.hub(), Reason.SECRET_LOCKED, {}, account.endpoints)
        with st.container(border=True, key="banner"):
            _ui.explain(told, expanded=not mending)
            if not mending:
                _mending_button(account, told.remedy)
        return
    if account.lifecycle is Lifecycle.PAUSED:
        why = f": {_ui.plain(account.pause_reason)}" if account.pause_reason else ""
        st.info(f"Checks are paused{why}", icon=":material/pause_circle:")
        return
    standing = account.standing
    if _ui.hub().watching.stale(account) and standing.checked_at:
        st.warning(
            f"The last check was {_ui.when(standing.checked_at)}: too old to say anything about now. Check now.",
            icon=":material/history:",
        )
    last = _ui.hub().past.last_check(account.id)
    _waiting_note(last)
    if not standing.reason or standing.status is Status.HEALTHY:
        return
    seen = next((o for o in last.observations if o.reason is standing.reason), None) if last else None
    told = showing.explanation(
        _ui.hub(),
        standing.reason,
        seen.evidence if seen else {},
        account.endpoints,
        worked_until=standing.key_proven_at,
        key_accepted=standing.key_proven_at == standing.checked_at,
    )
    kind = {Status.FAILING: st.error, Status.UNREACHABLE: st.error, Status.LIMITED: st.info}.get(
        standing.status, st.warning
    )
    with st.container(border=True, key="banner"):
        urgent = standing.status in {Status.FAILING, Status.UNREACHABLE}
        _ui.explain(told, kind=kind, expanded=urgent and not mending)
        _further(last, standing.reason)
        with st.container(horizontal=True, vertical_alignment="center"):
            if not mending:
                _mending_button(account, told.remedy)
            st.markdown(f"Since {showing.moment(standing.since)}, {_ui.when(standing.since)}.", width="content")
            _incident_button(account)


# ---- inside


def _waiting_note(last: StoredCheck | None) -> None:
    """Say when the last check was told to wait: it changed no status, and nobody should take it for one."""
    failure = next((o for o in last.observations if o.outcome == "fail"), None) if last else None
    if last and failure and failure.reason and texts.REASONS[failure.reason].remedy is Remedy.WAIT:
        title = texts.REASONS[failure.reason].title
        st.info(f"{_ui.plain(title)} ({_ui.when(last.at)}).", icon=":material/schedule:")


def _further(last: StoredCheck | None, worst: Reason) -> None:
    """List what else the last check found: the worst decides the status, and all of it wants mending."""
    for seen in telling.concerns(last.observations if last else ()):
        if seen.reason and seen.reason is not worst:
            text = texts.REASONS[seen.reason]
            st.markdown(f":orange[:material/warning:] Also: **{_ui.plain(text.title)}**")


def _incident_button(account: Account) -> None:
    """Lead to the open incident, to be acknowledged, or say who has seen it."""
    incident = next(iter(_ui.hub().past.incidents(account_id=account.id, open_only=True, limit=1)), None)
    if incident:
        seen = f"Seen {telling.by_whom(incident.acknowledged_by)}" if incident.acknowledged_at else "Acknowledge"
        if st.button(_ui.plain(seen), key="acknowledge", icon=":material/visibility:"):
            _incident.ask(incident.id)


def _has_mending_button(account: Account) -> bool:
    """Tell whether the banner offers a form that mends it; else looking again is what can be done here."""
    reason = Reason.SECRET_LOCKED if account.locked else account.standing.reason
    well = account.standing.status is Status.HEALTHY and not account.locked
    return not well and reason is not None and texts.REASONS[reason].remedy in _WITH_FORM


def _mending_button(account: Account, remedy: Remedy) -> None:
    words = texts.REMEDIES[remedy]
    if remedy is Remedy.RELINK:
        if st.button(words.button, type="primary", key="mend", icon=":material/key:"):
            _go("Relink")
    elif remedy in {Remedy.EDIT_SERVER, Remedy.CHOOSE_REGION}:
        if st.button("Edit server", type="primary", key="mend", icon=":material/dns:"):
            _go("Edit")
    elif remedy is Remedy.ASK_OWNER:
        page = regions.organization_page(account.endpoints, account.organization_id)
        if page:
            st.link_button("Open Organization info", page, icon=":material/open_in_new:")
    elif remedy is not Remedy.NOTHING:
        st.markdown(_ui.plain(words.sentence))


def _go(view: str) -> None:
    """Open another view: with the whole page, as the forms do not belong to the part that refreshes itself."""
    state.do_next = view
    st.rerun()
