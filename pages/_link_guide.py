"""The guide beside the Link form: where the key is found, and what it can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from hub_core.bitwarden import regions
from hub_core.bitwarden.credentials import parse_key
from hub_core.errors import InputError
from hub_core.model import RegionId
from pages import _ui
from pages._link_form import ANY_SECRET

if TYPE_CHECKING:
    from hub_core.model import Endpoints
    from hub_core.sandbox import SandboxOrganization

state = st.session_state


def show(region: RegionId, where: Endpoints | None) -> None:
    """Show where the key is found, for this region and this client id."""
    with st.container(border=True):
        if region is RegionId.SANDBOX:
            _sandbox_guide(state.link_sandbox_organization)
            return
        st.subheader("Where to find the key", anchor=False)
        vault = (where.vault if where else None) or None
        name = f"`{vault}`" if vault else "your own server's web vault"
        st.markdown(
            f"1. Sign in to {name} as an **Owner**. Nobody else can see the key; staff of a provider that manages the "
            "organization can, too.\n"
            "2. Open **Admin Console → Settings → Organization info**.\n"
            "3. **View API key**, and confirm with your master password.\n"
            "4. Copy **client_id** and **client_secret** into this form."
        )
        link = _deep_link(where)
        if link:
            st.link_button("Open Organization info", link, icon=":material/open_in_new:")
        elif vault:
            st.caption("Type the client ID, and a button here opens the right page.")
        if region is RegionId.SELF_HOSTED:
            st.markdown(
                "A self-hosted organization has **its own key**: the one of the cloud organization that pays for its "
                "license does not work here."
            )
        else:
            st.markdown("No **View API key** there? The plan has no API: it comes with **Teams** and **Enterprise**.")
    with st.container(border=True):
        st.subheader("What this key can do", anchor=False)
        st.markdown(
            "It has the powers of an **Owner** over members, groups, collections and policies. There is no weaker "
            "one. This dashboard only ever asks for lists, stores the secret sealed, and sends it to no address but "
            "the one above. It cannot see vault items.\n\n"
            "**To take it back**, an Owner rotates it at the place where it is shown (*Rotate API key*). From then on "
            "this dashboard gets no new token; one it already has ends within an hour."
        )


def _sandbox_guide(chosen: SandboxOrganization) -> None:
    st.subheader("The sandbox", anchor=False)
    st.markdown(
        "A stand-in for Bitwarden on this machine. It answers as the real servers do; its keys open nothing.\n"
        "1. Choose an organization.\n"
        "2. **Use this key** fills in its client ID and secret.\n"
        "3. **Verify and link**."
    )
    st.markdown(f"**{_ui.plain(chosen.name)}**  \n{_ui.plain(chosen.story)}")
    st.code(f"client_id: {chosen.client_id}\nclient_secret: {chosen.secret}", language=None, wrap_lines=True)


def _deep_link(where: Endpoints | None) -> str | None:
    try:
        key = parse_key(state.get("link_client_id", ""), ANY_SECRET).key
    except InputError:
        return None
    return regions.organization_page(where, key.organization_id) if where else None
