"""What every page shares: the opened hub, and text from people or servers made safe to show."""

from __future__ import annotations

import streamlit as st

from hub_core.hub import Hub
from hub_core.settings import Settings


@st.cache_resource(show_spinner=False)
def hub() -> Hub:
    """Open the hub once for the whole server; the server's lifespan calls this first."""
    return Hub.open(Settings.from_env())
