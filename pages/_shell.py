"""The frame around every page: page settings, the logo and the navigation."""

import streamlit as st

from pages._look import ICON, LOGO

st.set_page_config(page_title="Link Hub for Bitwarden", page_icon=ICON, layout="wide")
st.logo(LOGO, size="large", icon_image=ICON)
st.navigation(
    [
        st.Page("accounts.py", title="Accounts", icon=":material/lists:", url_path="accounts", default=True),
        st.Page("link.py", title="Link an organization", icon=":material/add_link:", url_path="link"),
        st.Page("about.py", title="About", icon=":material/info:", url_path="about"),
        st.Page("account.py", title="Account", icon=":material/link:", url_path="account", visibility="hidden"),
    ],
    position="top",
).run()
