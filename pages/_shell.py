"""The frame around every page: page settings and navigation."""

import streamlit as st

st.set_page_config(page_title="Link Hub for Bitwarden", page_icon=":material/link:", layout="wide")
st.navigation(
    [
        st.Page("accounts.py", title="Accounts", icon=":material/link:", url_path="accounts", default=False),
    ],
    position="top",
).run()
