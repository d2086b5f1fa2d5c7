"""The Incidents page: what has been wrong with whom, for how long, and who looked after it."""

from __future__ import annotations

import streamlit as st

from pages import _incident, _incidents_list, _live

_incident.show_dialog()
st.title("Incidents", anchor=False)
_live.keep_fresh(_incidents_list.show)
