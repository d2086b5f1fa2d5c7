"""The form of the Link page: region picker, address, key fields, and what went wrong."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import streamlit as st

from hub_core import drafts, showing, texts
from hub_core.bitwarden import regions
from hub_core.bitwarden.address import describe
from hub_core.bitwarden.credentials import parse_block, parse_key, with_prefix
from hub_core.drafts import Draft, Form
from hub_core.errors import HubError, InputError, InvalidForm
from hub_core.model import Reason, RegionId, Remedy
from hub_core.sandbox import ServerName
from pages import _ui

if TYPE_CHECKING:
    from hub_core.model import Check, Endpoints
    from hub_core.sandbox import SandboxOrganization

state = st.session_state

_SERVER_NAMES = {
    ServerName.US: "US cloud",
    ServerName.EU: "EU cloud",
    ServerName.SELF_HOSTED: "Self-hosted",
    ServerName.VAULTWARDEN: "Vaultwarden",
}
_FIELDS = ("link_client_id", "link_secret", "link_label", "link_tags", "link_note", "link_ca")
ANY_SECRET = "0" * 30
"""Stands for the secret where only the client ID is read."""


def pick_region() -> RegionId:
    """Let the person say where the organization lives."""
    offered = [row.id for row in regions.REGIONS if row.id is not RegionId.SANDBOX or _ui.hub().sandbox.offered]
    if "link_region_next" in state:
        state.link_region = state.pop("link_region_next")
    if "link_region" not in state:
        wanted = st.query_params.get("region", "us")
        state.link_region = RegionId(wanted) if wanted in offered else RegionId.US
    chosen = st.segmented_control(
        "Region",
        offered,
        format_func=lambda region: regions.region(region).name,
        key="link_region",
        required=True,
        wrap=True,
        help="Where you sign in to Bitwarden: vault.bitwarden.com is US, vault.bitwarden.eu is EU.",
    )
    return chosen or RegionId.US


def pick_server(region: RegionId) -> Endpoints | None:
    """Let the person say which server, and show the exact addresses that will be called."""
    if region is RegionId.SANDBOX:
        _pick_sandbox()
    elif region is RegionId.SELF_HOSTED:
        _type_address()
    try:
        place = drafts.read_server(
            _typed(region), sandbox=_sandbox_endpoints(), plaintext_hosts=_ui.hub().settings.plaintext_hosts
        )
    except InputError as error:
        if any(state.get(name) for name in ("link_server", "link_api", "link_identity")):
            st.error(_ui.plain(error.message))
        return None
    api, identity = describe(place.endpoints)
    st.markdown(f"Requests go to `{api}` and `{identity}`, nowhere else.")
    for note in place.notes:
        st.caption(f":material/auto_fix_high: {_ui.plain(note)}")
    return place.endpoints


def paste_everything() -> None:
    """Offer to fill the fields from whatever was copied."""
    with st.expander("Paste everything at once", icon=":material/content_paste:"):
        st.text_area(
            "The block from the web vault, `.env` lines or JSON",
            key="link_block",
            height=120,
            placeholder="client_id: organization.…\nclient_secret: …",
        )
        st.button("Fill in the fields", on_click=_fill_from_block, key="link_fill")
    for note in state.pop("link_block_notes", ()):
        st.caption(f":material/content_paste: {_ui.plain(note)}")


def fields(region: RegionId) -> None:
    """Show the key fields and the button; the secret leaves the page's state in the button's callback."""
    errors: dict[str, InputError] = state.pop("link_errors", {})
    st.text_input(
        "Client ID",
        key="link_client_id",
        placeholder="organization.xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
        autocomplete="off",
        help="Starts with organization. and is shown beside the secret in the web vault.",
    )
    _client_id_problem(errors.get("client_id"))
    with st.form("link_form", border=False, enter_to_submit=True):
        st.text_input(
            "Client secret",
            key="link_secret",
            type="password",
            autocomplete="new-password",
            placeholder="Kept for a few minutes; leave empty to use it again" if state.get("link_kept") else None,
            help="30 letters and digits. It is sealed before it is stored, and never shown again.",
        )
        _problem(errors.get("secret"))
        st.text_input(
            "Label",
            key="link_label",
            max_chars=drafts.LABEL_LIMIT,
            help="How you want to see this organization. Bitwarden does not tell its name.",
        )
        _problem(errors.get("label"))
        with st.expander("Tags and note (optional)"):
            st.text_input("Tags, separated by commas", key="link_tags", placeholder="customer, production")
            st.text_area("Note", key="link_note", height=80, max_chars=drafts.NOTE_LIMIT)
        if region is RegionId.SELF_HOSTED:
            with st.expander("Certificate of a private CA (optional)"):
                st.text_area(
                    "CA certificate, PEM",
                    key="link_ca",
                    height=120,
                    placeholder="-----BEGIN CERTIFICATE-----",
                    help="Only for this organization's server. Certificates are never left unchecked.",
                )
        _problem(errors.get("ca"))
        for name in ("server", "api", "identity", "form"):
            _problem(errors.get(name))
        st.form_submit_button(
            "Verify and link", type="primary", icon=":material/add_link:", on_click=_submit, key="link_submit"
        )


def show_outcome(where: Endpoints | None) -> None:
    """Show why the last try linked nothing, with what mends it, as long as it is about these addresses."""
    if twin := state.get("link_twin"):
        _show_twin(*twin)
    if failed := state.get("link_failed"):
        if where == failed[1]:
            _show_failure(*failed)
        else:
            state.pop("link_failed")


def forget() -> None:
    """Have the form empty in the next run: a field that is on the page already cannot be changed in this one."""
    for name in ("link_failed", "link_twin", "link_kept"):
        state.pop(name, None)
    state.link_forget = True


def empty_if_forgotten() -> None:
    """Empty the fields after a success; what was only dropped would stay in the browser's fields."""
    if state.pop("link_forget", False):
        for name in _FIELDS:
            state[name] = ""


# ---- inside


def _typed(region: RegionId) -> Form:
    return Form(
        region=region,
        label=state.get("link_label", ""),
        client_id=state.get("link_client_id", ""),
        secret=state.get("link_secret", ""),
        server=state.get("link_server", ""),
        api=state.get("link_api", ""),
        identity=state.get("link_identity", ""),
        ca=state.get("link_ca", ""),
        tags=state.get("link_tags", ""),
        note=state.get("link_note", ""),
    )


def _submit() -> None:
    """Read the form and take the secret out of the page's state."""
    form = _typed(state.link_region)
    state.link_secret = state.link_block = ""
    kept = _ui.hub().take(state.pop("link_kept", ""))
    if not form.secret.strip() and isinstance(kept, Form):
        form = dataclasses.replace(form, secret=kept.secret)
    for name in ("link_failed", "link_twin", "link_tried"):
        state.pop(name, None)
    try:
        draft = _ui.hub().read_form(form, sandbox_server=state.get("link_sandbox_server"))
    except InvalidForm as error:
        state.link_errors = {e.field: e for e in error.errors}
        if parse_block(form.client_id).secret or any(e.reason is Reason.FIELDS_SWAPPED for e in error.errors):
            state.link_client_id = ""  # it holds the secret, in clear
        elif form.secret.strip() and "secret" not in state.link_errors:
            state.link_kept = _ui.hub().hold(form)
    except HubError as error:
        state.link_errors = {"form": InputError("form", Reason.INTERNAL, str(error))}
    else:
        state.link_ticket = _ui.hub().hold(draft)


def _problem(error: InputError | None) -> None:
    if error:
        st.error(_ui.plain(error.message))


def _client_id_problem(error: InputError | None) -> None:
    """Say what is wrong with the client id as soon as it is typed, and offer the missing prefix."""
    typed = state.get("link_client_id", "")
    if typed and not error:
        try:
            for note in parse_key(typed, ANY_SECRET).notes:
                st.caption(f":material/auto_fix_high: {_ui.plain(note)}")
        except InputError as found:
            error = found
    _problem(error)
    if error and error.reason is Reason.CLIENT_ID_BARE:
        st.button("Add “organization.” in front", on_click=_add_prefix, key="link_prefix")


def _add_prefix() -> None:
    state.link_client_id = with_prefix(state.link_client_id)


def _fill_from_block() -> None:
    found = parse_block(state.link_block)
    state.link_block = ""
    if found.client_id:
        state.link_client_id = found.client_id
    if found.secret:
        state.link_kept = _ui.hub().hold(Form(region=state.link_region, secret=found.secret))
    if found.server and state.link_region is RegionId.SELF_HOSTED:
        state.link_server = found.server
    state.link_block_notes = found.notes


def _type_address() -> None:
    separate = bool(state.get("link_api") or state.get("link_identity"))
    st.text_input(
        "Server address",
        key="link_server",
        placeholder="vault.example.com",
        disabled=separate,
        help="What you type to open the web vault. Pasting any address of it works.",
    )
    with st.expander("API and identity on different addresses", expanded=separate):
        st.text_input("API address", key="link_api", placeholder="https://api.example.com")
        st.text_input("Identity address", key="link_identity", placeholder="https://identity.example.com")


def _pick_sandbox() -> None:
    """Offer the sandbox's organizations with their keys, and the server to ask."""
    if "link_sandbox_next" in state:
        state.link_sandbox_server = state.pop("link_sandbox_next")
    state.setdefault("link_sandbox_server", ServerName.US)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "Sandbox organization",
            _ui.hub().sandbox.organizations(),
            format_func=lambda o: f"{o.name} ({_SERVER_NAMES[o.server]})",
            key="link_sandbox_organization",
        )
        st.button("Use this key", on_click=_use_sandbox, args=(chosen,), key="link_use", icon=":material/key:")
    st.segmented_control(
        "Sandbox server",
        list(_SERVER_NAMES),
        format_func=_SERVER_NAMES.__getitem__,
        key="link_sandbox_server",
        required=True,
        wrap=True,
        help="Which stand-in is asked. Choosing the wrong one shows what a mixed-up region looks like.",
    )


def _use_sandbox(organization: SandboxOrganization) -> None:
    state.link_client_id = organization.client_id
    state.link_secret = organization.secret
    state.link_label = organization.name
    state.link_sandbox_server = organization.server


def _sandbox_endpoints() -> Endpoints:
    return _ui.hub().sandbox.endpoints(state.get("link_sandbox_server") or ServerName.US)


def _show_twin(account_id: str, label: str, ticket: str) -> None:
    st.warning(f"This organization is already linked as **{_ui.plain(label)}**.", icon=":material/link:")
    with st.container(horizontal=True):
        if st.button("Open account", key="link_twin_open"):
            _ui.open_account(account_id)
        if st.button("Give it this key", key="link_twin_relink"):
            draft = _ui.hub().take(ticket)
            forget()
            if isinstance(draft, Draft):
                state.relink_ticket = _ui.hub().hold(draft)
            _ui.open_account(account_id, do="Relink")


def _show_failure(check: Check, endpoints: Endpoints, ticket: str) -> None:
    seen = check.failure
    if not seen or not seen.reason:
        return
    told = showing.explanation(_ui.hub(), seen.reason, seen.evidence, endpoints, key_accepted=check.key_proven)
    with st.container(border=True, key="link_failure"):
        # To be told to wait is no fault of anybody's.
        _ui.explain(told, kind=st.warning if told.remedy is Remedy.WAIT else st.error)
        other = _ui.hub().other_cloud(endpoints) if seen.reason is Reason.KEY_NEVER_ACCEPTED else None
        if other and other[1].identity in state.get("link_tried", ()):
            other = None  # it was refused there as well
        with st.container(horizontal=True):
            if other:
                name = other[0].name
                if st.button(f"Try the same key in {name}", key="link_other", icon=":material/public:"):
                    _retry(ticket, other[1])
            if told.remedy in {Remedy.WAIT, Remedy.FIX_SERVER}:
                _try_again(ticket, check)


def _try_again(ticket: str, check: Check) -> None:
    until = check.at.timestamp() + (check.retry_after or 0)

    @st.fragment(run_every="1s" if check.retry_after else None)
    def countdown() -> None:
        left = round(until - _ui.hub().clock.now().timestamp())
        if left > 0:
            st.button(f"Try again in {texts.duration(left)}", disabled=True, key="link_wait")
        elif st.button("Try again", key="link_again", icon=":material/refresh:"):
            _retry(ticket, None)

    countdown()


def _retry(ticket: str, elsewhere: Endpoints | None) -> None:
    """Verify the held draft once more, elsewhere if asked to: only after this click is the key sent there."""
    draft = _ui.hub().take(ticket)
    state.pop("link_failed", None)
    if isinstance(draft, Draft):
        if elsewhere:
            state.link_tried = {*state.get("link_tried", ()), draft.endpoints.identity}
            draft = dataclasses.replace(draft, endpoints=elsewhere)
            # The picker is on the page already in this run; it follows in the next one.
            state.link_region_next = elsewhere.region
            if (server := _ui.hub().sandbox.server_at(elsewhere)) is not None:
                state.link_sandbox_next = server
        state.link_ticket = _ui.hub().hold(draft)
    else:
        state.link_errors = {
            "secret": InputError("secret", Reason.SECRET_MISSING, "Too much time has passed: paste the secret again.")
        }
    st.rerun(scope="app")
