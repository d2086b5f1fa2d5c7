"""What the Account page shows: head, banner, stages of the last check, capabilities, facts, history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pandas as pd
import streamlit as st

from hub_core import showing, texts
from hub_core.bitwarden import regions
from hub_core.model import Lifecycle, Reason, Remedy, Status
from pages import _actions, _linked, _ui

if TYPE_CHECKING:
    from hub_core.model import Account
    from hub_core.storage.store import StoredCheck

state = st.session_state


def head(account: Account) -> bool:
    """Show label, status and buttons; tell whether a check was asked for."""
    paused = account.lifecycle is Lifecycle.PAUSED
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(_ui.plain(account.label), width="content", anchor=False)
        _ui.badge(showing.shown(_ui.hub(), account))
        for tag in account.tags:
            st.badge(_ui.plain(tag), color="gray")
        st.space("stretch")
        # One primary button on the page: the banner's, while something must be done.
        well = account.standing.status in {Status.HEALTHY, Status.LIMITED, Status.UNKNOWN} and not account.locked
        kind: Literal["primary", "secondary"] = "primary" if well else "secondary"
        asked = not paused and st.button("Check now", type=kind, icon=":material/refresh:", key="check_now")
        chosen = st.menu_button("More", ["Resume" if paused else "Pause", "Unlink"], key="more")
    if chosen in {"Pause", "Resume"}:
        _actions.pause_or_resume(account.id, account.label, account.lifecycle)
        st.rerun()
    if chosen == "Unlink":
        state.asking = ("unlink", account.id)
        st.rerun()
    return asked


def banner(account: Account) -> None:
    """Say what is wrong, since when, and offer the one button that mends it."""
    if account.locked:
        told = showing.explanation(_ui.hub(), Reason.SECRET_LOCKED, {}, account.endpoints)
        with st.container(border=True, key="banner"):
            _ui.explain(told)
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
    last = next(iter(_ui.hub().history(account.id, limit=1)), None)
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
        _ui.explain(told, kind=kind, expanded=standing.status in {Status.FAILING, Status.UNREACHABLE})
        with st.container(horizontal=True, vertical_alignment="center"):
            _mending_button(account, told.remedy)
            st.markdown(f"Since {showing.moment(standing.since)}, {_ui.when(standing.since)}.")


def overview(account: Account) -> None:
    """Show the two clocks, the stages of the last check, capabilities and facts."""
    standing, facts = account.standing, account.facts
    when, why = showing.next_check(_ui.hub(), account)
    with st.container(horizontal=True):
        st.metric(
            "Link proven", _ui.when(standing.link_proven_at), border=True, help=showing.moment(standing.link_proven_at)
        )
        st.metric(
            "Key proven", _ui.when(standing.key_proven_at), border=True, help=showing.moment(standing.key_proven_at)
        )
        st.metric("Next check", when, border=True, help=why)
        st.metric("Latency", f"{facts.latency_ms} ms" if facts.latency_ms is not None else "not reported", border=True)
        st.metric("Members", _members(account), border=True)
        st.metric("Certificate", _certificate_left(account), border=True)
    st.caption(f"{why} {showing.unseen(_ui.hub(), account)}" if when not in {"paused", "on request"} else why)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Last check", anchor=False)
        _last_check(account)
        st.subheader("What this key can read", anchor=False)
        _capabilities(account)
    with right:
        st.subheader("Facts", anchor=False)
        _linked.facts_table(_facts(account))
        if account.note:
            st.subheader("Note", anchor=False)
            st.text(account.note)
        page = regions.organization_page(account.endpoints, account.organization_id)
        if page:
            st.link_button("Open Organization info", page, icon=":material/open_in_new:")


def history(account: Account) -> None:
    """Show the checks as a table, newest first."""
    checks = _ui.hub().history(account.id)
    if not checks:
        st.info("No check is recorded yet.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "Time (UTC)": [c.at.strftime("%Y-%m-%d %H:%M:%S") for c in checks],
                "Status": [_marked(c.status) for c in checks],
                "Cause": [texts.REASONS[c.reason].title if c.reason else "" for c in checks],
                "Asked by": [texts.TRIGGERS[c.trigger] for c in checks],
                "Duration": [c.ms for c in checks],
                "Latency": pd.array([c.latency_ms for c in checks], dtype="Int64"),
            }
        ),
        key="history_table",
        hide_index=True,
        column_config={
            "Duration": st.column_config.NumberColumn(format="%d ms"),
            "Latency": st.column_config.NumberColumn(format="%d ms"),
        },
        placeholder="–",
        alt="Checks of this account, newest first",
    )
    changes = _ui.hub().transitions(account.id)
    if changes:
        st.subheader("Changes of status", anchor=False)
        st.dataframe(
            pd.DataFrame(
                {
                    "Time (UTC)": [c.at.strftime("%Y-%m-%d %H:%M:%S") for c in changes],
                    "From": [_marked(c.before) for c in changes],
                    "To": [_marked(c.after) for c in changes],
                    "Cause": [texts.REASONS[c.reason].title if c.reason else "" for c in changes],
                }
            ),
            key="changes_table",
            hide_index=True,
            alt="Changes of this account's status, newest first",
        )


# ---- inside


def _waiting_note(last: StoredCheck | None) -> None:
    """Say when the last check was told to wait: it changed no status, and nobody should take it for one."""
    failure = next((o for o in last.observations if o.outcome == "fail"), None) if last else None
    if last and failure and failure.reason and texts.REASONS[failure.reason].remedy is Remedy.WAIT:
        title = texts.REASONS[failure.reason].title
        st.info(f"{_ui.plain(title)} ({_ui.when(last.at)}).", icon=":material/schedule:")


def _mending_button(account: Account, remedy: Remedy) -> None:
    words = texts.REMEDIES[remedy]
    if remedy is Remedy.RELINK:
        st.button(words.button, type="primary", key="mend", on_click=_go, args=("Relink",), icon=":material/key:")
    elif remedy in {Remedy.EDIT_SERVER, Remedy.CHOOSE_REGION}:
        st.button("Edit server", type="primary", key="mend", on_click=_go, args=("Edit",), icon=":material/dns:")
    elif remedy is Remedy.ASK_OWNER:
        page = regions.organization_page(account.endpoints, account.organization_id)
        if page:
            st.link_button("Open Organization info", page, icon=":material/open_in_new:")
    elif remedy is not Remedy.NOTHING:
        st.markdown(_ui.plain(words.sentence))


def _marked(status: Status) -> str:
    return f"{texts.STATUSES[status].mark} {texts.STATUSES[status].word}"


def _go(view: str) -> None:
    state.do = view


def _members(account: Account) -> str:
    members = account.facts.members
    return "not reported" if members is None else str(sum(members.values()))


def _certificate_left(account: Account) -> str:
    ends = account.facts.certificate_ends
    return "not reported" if ends is None else f"{(ends - _ui.hub().clock.now()).days} days"


def _last_check(account: Account) -> None:
    last = next(iter(_ui.hub().history(account.id, limit=1)), None)
    if not last:
        st.markdown("None yet.")
        return
    st.markdown(f"{_ui.when(last.at)} · {showing.moment(last.at)} · {texts.TRIGGERS[last.trigger]}")
    st.markdown("  \n".join(_ui.observation_line(seen) for seen in last.observations))


def _capabilities(account: Account) -> None:
    found = account.facts.capabilities
    if not found:
        st.markdown("Not reported yet.")
        return
    rows = {}
    for path, capability in found.items():
        text = texts.CAPABILITIES[capability]
        count = account.facts.counts.get(path.rpartition("/")[2])
        number = f" ({count})" if count is not None else ""
        rows[_ui.plain(texts.PATHS.get(path, path))] = f":{text.color}[:material/{text.icon}:] {text.word}{number}"
    st.table(rows, border="horizontal", hide_header=True)


def _facts(account: Account) -> dict[str, str]:
    facts = account.facts
    skew = facts.skew_seconds
    return {
        "Region": regions.region(account.endpoints.region).name,
        "API": account.endpoints.api,
        "Identity": account.endpoints.identity,
        "Addresses": ", ".join(facts.addresses) or "not reported",
        "Organization": account.organization_id,
        "Server": showing.server_line(facts.server_kind, facts.server_version),
        "Members": showing.members_line(facts.members),
        "Seats bought": "not reported" if facts.seats is None else str(facts.seats),
        "TLS": facts.tls_version or "not reported",
        "Certificate of": facts.certificate_subject or "not reported",
        "Issued by": facts.certificate_issuer or "not reported",
        "Certificate ends": showing.moment(facts.certificate_ends),
        "Clock difference": "not reported" if skew is None else "none" if abs(skew) <= 1 else f"{skew} s",
        "Linked": showing.moment(account.linked_at),
        "Key in use here since": showing.moment(account.key_entered_at),
    }
