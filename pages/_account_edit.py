"""The forms of the Account page: giving a new key, and changing what was entered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from hub_core import drafts, showing, texts
from hub_core.bitwarden import regions
from hub_core.drafts import Draft, Form
from hub_core.errors import HubError, InputError, VerifyFailed
from hub_core.model import ApiKey, RegionId
from pages import _ui

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub_core.model import Account, Check

state = st.session_state


def relink(account: Account) -> None:
    """Ask for the secret only, verify it, and keep everything else."""
    st.subheader("Give this account its new key", anchor=False)
    st.markdown(
        "Ask an Owner for the present **client_secret** of this organization. Its client ID stays "
        f"`{account.client_id}`; a key of another organization is refused. History stays."
    )
    page = regions.organization_page(account.endpoints, account.organization_id)
    if page:
        st.link_button("Open Organization info", page, icon=":material/open_in_new:")
    with st.form("relink_form", border=False):
        st.text_input(
            "Client secret",
            type="password",
            key="relink_secret",
            autocomplete="new-password",
            help="The secret alone, or the whole block as the web vault shows it.",
        )
        st.form_submit_button(
            "Verify and relink", type="primary", key="relink_go", on_click=_take_secret, args=(account.id,)
        )
    _show_error()
    held = _ui.hub().take(state.pop("relink_ticket", ""))
    key = held.key if isinstance(held, Draft) else held
    if isinstance(key, ApiKey):
        _verify(
            f"Verifying the new key of “{_ui.plain(account.label)}”",
            lambda live: _ui.hub().relink(account.id, key, actor=_ui.ACTOR, watch=live),
            account,
            "Relinked: the new key works",
        )


def edit(account: Account) -> None:
    """Change label, tags and note at once; address and certificate only through verification."""
    left, right = st.columns(2, gap="large")
    with left, st.form("describe_form", border=True):
        st.subheader("Label, tags, note", anchor=False)
        label = st.text_input("Label", account.label, max_chars=drafts.LABEL_LIMIT, key=f"edit_label_{account.id}")
        tags = st.text_input("Tags, separated by commas", ", ".join(account.tags), key=f"edit_tags_{account.id}")
        note = st.text_area("Note", account.note, max_chars=drafts.NOTE_LIMIT, key=f"edit_note_{account.id}")
        if st.form_submit_button("Save", type="primary", key="edit_save"):
            try:
                _ui.hub().describe(account.id, label=label, tags=tags, note=note, actor=_ui.ACTOR)
            except HubError as error:
                st.error(_ui.plain(str(error)))
            else:
                _ui.tell("Saved", "check")
                st.rerun()
    with right, st.container(border=True):
        st.subheader("Server", anchor=False)
        _edit_server(account)


# ---- inside


def _edit_server(account: Account) -> None:
    if account.endpoints.region is RegionId.SANDBOX:
        st.markdown("The sandbox keeps its addresses.")
        return
    clouds = [row.id for row in regions.REGIONS if row.id is not RegionId.SANDBOX]
    region = st.segmented_control(
        "Region",
        clouds,
        format_func=lambda r: regions.region(r).name,
        default=account.endpoints.region,
        key=f"server_region_{account.id}",
        required=True,
    )
    own = account.endpoints.region is RegionId.SELF_HOSTED
    with st.form("server_form", border=False):
        if region is RegionId.SELF_HOSTED:
            st.text_input("API address", account.endpoints.api if own else "", key="server_api")
            st.text_input("Identity address", account.endpoints.identity if own else "", key="server_identity")
            st.text_area("CA certificate, PEM (optional)", account.ca_pem or "", key="server_ca", height=120)
        st.text_input(
            "Client secret",
            type="password",
            key="server_secret",
            autocomplete="new-password",
            help="Needed only for another address: a stored secret is never sent to an address it was not given for.",
        )
        st.form_submit_button(
            "Verify and save", type="primary", key="server_go", on_click=_take_server, args=(account.id,)
        )
    _show_error()
    form = _ui.hub().take(state.pop("server_form_ticket", ""))
    if isinstance(form, Form):
        _verify(
            f"Verifying “{_ui.plain(account.label)}” at its new address",
            lambda live: _ui.hub().edit_server(account.id, form, actor=_ui.ACTOR, watch=live),
            account,
            "Saved: the key works there",
        )


def _take_secret(account_id: str) -> None:
    """Take the secret out of the page's state before anything else happens."""
    typed = state.relink_secret
    state.relink_secret = ""
    try:
        state.relink_ticket = _ui.hub().hold(_ui.hub().read_new_key(account_id, typed))
    except HubError as error:
        state.account_error = str(error)


def _take_server(account_id: str) -> None:
    secret = state.server_secret
    state.server_secret = ""
    region = state[f"server_region_{account_id}"]
    own = region is RegionId.SELF_HOSTED
    state.server_form_ticket = _ui.hub().hold(
        Form(
            region=region,
            secret=secret,
            api=state.server_api if own else "",
            identity=state.server_identity if own else "",
            ca=state.server_ca if own else "",
        )
    )


def _verify(title: str, work: Callable[[_ui.LiveStages], Check], account: Account, good: str) -> None:
    live = _ui.LiveStages(title)
    try:
        work(live)
    except VerifyFailed as error:
        live.finish("Nothing was changed", good=False)
        seen = error.check.failure
        if seen and seen.reason:
            _ui.explain(
                showing.explanation(
                    _ui.hub(), seen.reason, seen.evidence, account.endpoints, key_accepted=error.check.key_proven
                )
            )
        if error.check.retry_after:
            st.markdown(f"Try again in {texts.duration(error.check.retry_after)}.")
    except (InputError, HubError) as error:
        live.finish("Nothing was changed", good=False)
        st.error(_ui.plain(str(error)))
    else:
        live.finish(good, good=True)
        _ui.tell(good, "check_circle")
        state.do_next = "Overview"
        st.rerun()


def _show_error() -> None:
    message = state.pop("account_error", None)
    if message:
        st.error(_ui.plain(message))
