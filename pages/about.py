"""The About page: what this is, what it can and cannot see, and how its keys are kept."""

from __future__ import annotations

import streamlit as st

from hub_core import __version__
from pages import _linked, _ui

hub = _ui.hub()

st.title("About", anchor=False)
st.markdown(
    f"**Link Hub for Bitwarden** {__version__} shows whether the API key of every organization you run or look after "
    "still works: when not, why, since when and what to do."
)
left, right = st.columns(2, gap="large")
with left:
    st.subheader("What it sees", anchor=False)
    st.markdown(
        "- whether each server answers, its version, certificate and clock\n"
        "- whether the key is accepted, by asking for a fresh token now and then, and whenever somebody checks\n"
        "- which lists the key can read, and how many members, groups, collections and policies they hold"
    )
    st.subheader("What it cannot see", anchor=False)
    st.markdown(
        "Vault items, names of items and collections, the organization's name, its plan, its renewal date, the age of "
        "the key and who rotated it: Bitwarden does not tell. What is not known is shown as *not reported*."
    )
    st.subheader("What it never does", anchor=False)
    st.markdown(
        "It never changes anything at Bitwarden: it can send nothing but the token request and reads of a fixed list. "
        "It sends a secret to no address but the one it was linked with, and it reports to nobody."
    )
with right:
    st.subheader("How secrets are kept here", anchor=False)
    status = hub.keychain.status()
    _linked.facts_table(
        {
            "Master key": status.master_id,
            "Kept in": f"{status.source}: {status.place}",
            "Data key since": status.data_key_made[:10],
            "Sealed secrets": str(status.secrets),
            "Accounts that need their key": str(status.locked),
            "Database": str(hub.settings.database),
        }
    )
    for warning in status.warnings:
        st.warning(_ui.plain(warning), icon=":material/warning:")
st.divider()
st.markdown(
    "Link Hub is an independent product. It is not affiliated with, endorsed by or supported by Bitwarden, Inc. "
    "Bitwarden is a trademark of Bitwarden, Inc., named here only as what is linked to."
)
