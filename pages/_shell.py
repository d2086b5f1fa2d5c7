"""The frame around every page: page settings, the logo and the navigation."""

import streamlit as st

from pages import _accounts_wall, _live, _ui
from pages._look import ICON, LOGO

st.set_page_config(
    page_title="Link Hub for Bitwarden",
    page_icon=ICON,
    layout="wide",
    # Without an entry of its own the whole menu is hidden, the choice between light and dark with it.
    menu_items={"About": "Link Hub for Bitwarden. Not affiliated with Bitwarden, Inc."},
)
_ui.show_told()
wall = _accounts_wall.wanted()
if not wall:
    st.logo(LOGO, size="large")
page = st.navigation(
    [
        st.Page("accounts.py", title="Accounts", icon=":material/lists:", url_path="accounts", default=True),
        st.Page("incidents.py", title="Incidents", icon=":material/emergency_home:", url_path="incidents"),
        st.Page("link.py", title="Link an organization", icon=":material/add_link:", url_path="link"),
        st.Page("settings.py", title="Settings", icon=":material/settings:", url_path="settings"),
        st.Page("about.py", title="About", icon=":material/info:", url_path="about"),
        st.Page("account.py", title="Account", icon=":material/link:", url_path="account", visibility="hidden"),
    ],
    position="hidden" if wall else "top",
)
if not wall:
    _live.keep_fresh(_ui.warn, no_sooner=60)
page.run()
