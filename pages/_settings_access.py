"""The part of the Settings page about what machines may read: API tokens, shown once, and badges."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import streamlit as st

from hub_core import access, showing
from hub_core.access import Scope
from hub_core.errors import HubError, InputError
from pages import _ui

if TYPE_CHECKING:
    from hub_core.access import ApiToken

state = st.session_state

_SCOPES = {Scope.READ: "Accounts and incidents, as JSON", Scope.METRICS: "Metrics, for Prometheus"}
_LASTS = {30: "30 days", 90: "90 days", 365: "A year", 0: "Until revoked"}


def show() -> None:
    """Show the tokens and badges there are, and how to make one."""
    _new_token()
    st.subheader("API tokens", anchor=False)
    st.markdown(
        "A token lets a program read `/api/v1` or `/metrics`: statuses, reasons, times, labels. It changes nothing and "
        "sees no key. It is shown until you have copied it; only its hash is kept."
    )
    for token in _ui.hub().access.tokens():
        _line(token)
    _form()
    st.subheader("Badges", anchor=False)
    _badges()


def _line(token: ApiToken) -> None:
    now = _ui.hub().clock.now()
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        reads = " · ".join(_SCOPES[scope] for scope in Scope if scope in token.scopes)
        used = f"last used {_ui.when(token.last_used_at)}" if token.last_used_at else "never used"
        ends = f"expires {showing.moment(token.expires_at)[:10]}" if token.expires_at else "does not expire"
        st.markdown(
            f"**{_ui.plain(token.name)}** · {reads}  \nMade {_ui.when(token.made_at)}, {used}, {ends}", width="stretch"
        )
        if token.works(now):
            if st.button("Revoke", key=f"token_revoke_{token.id}", icon=":material/block:", type="tertiary"):
                try:
                    _ui.hub().access.revoke(token.id, actor=_ui.ACTOR)
                except HubError as error:
                    _ui.tell(str(error), "error")
                else:
                    _ui.tell(f"“{token.name}” was revoked and works no more.", "block")
                st.rerun()
        else:
            st.badge("Revoked" if token.revoked_at else "Expired", color="gray")


def _form() -> None:
    if state.pop("token_made", False):
        state.token_name, state.token_scopes = "", []
    with st.form("token_form", border=True):
        with st.container(horizontal=True):
            name = st.text_input("Name", key="token_name", max_chars=access.NAME_LIMIT, placeholder="Grafana")
            scopes = st.pills(
                "May read", list(_SCOPES), format_func=_SCOPES.__getitem__, selection_mode="multi", key="token_scopes",
                wrap=True,
            )  # fmt: skip
            days = st.selectbox("Works for", list(_LASTS), format_func=_LASTS.__getitem__, index=2, key="token_days")
        if not st.form_submit_button("Make a token", type="primary", key="token_go"):
            return
    try:
        _, secret = _ui.hub().access.create(name, frozenset(scopes), days or None, actor=_ui.ACTOR)
    except InputError as error:
        st.error(_ui.plain(error.message))
        return
    state.new_token, state.token_made = secret, True
    st.rerun()


def _new_token() -> None:
    """Show a token that was just made until it was copied: the page may be drawn anew at any moment."""
    secret = state.get("new_token")
    if secret is None:
        return
    with st.container(border=True, key="new_token_box"):
        st.success("The token was made. Once you have copied it, it is not shown again.", icon=":material/key:")
        st.code(access.written_out(secret), language=None)
        st.button("I have copied it", key="token_copied", on_click=state.pop, args=("new_token", None))


def _badges() -> None:
    st.markdown(
        "A badge is a small picture with one account's status, for a wiki or a README. Anybody who knows its address "
        "can see it, without a token; it names no organization."
    )
    accounts = sorted(_ui.hub().accounts(), key=lambda row: row.label.casefold())
    if not accounts:
        st.info("No organization is linked yet.")
        return
    labels = {row.id: row.label for row in accounts}
    chosen = st.selectbox("Account", list(labels), format_func=labels.__getitem__, key="badge_account")
    if not chosen:
        return
    shown = _ui.hub().access.badge_shown(chosen)
    wanted = st.toggle("Show its badge to anybody who has the address", value=shown, key=f"badge_on_{chosen}")
    if wanted != shown:
        try:
            _ui.hub().access.set_badge(chosen, wanted, actor=_ui.ACTOR)
        except HubError as error:
            st.error(_ui.plain(str(error)))
            return
    if wanted:
        here = urlsplit(str(st.context.url or ""))
        base = _ui.hub().settings.url or f"{here.scheme}://{here.netloc}"
        st.code(f"![Link status]({base}{access.badge_path(chosen)})", language="markdown", wrap_lines=True)
