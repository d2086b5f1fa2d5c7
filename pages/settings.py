"""The Settings page: who is told, what machines may read, maintenance, rhythm of checks, who did what, diagnostics."""

from __future__ import annotations

import streamlit as st

from pages import _settings_access, _settings_audit, _settings_channels, _settings_checks, _settings_maintenance

_PARTS = {
    "Channels": _settings_channels.show,
    "Maintenance": _settings_maintenance.show,
    "API": _settings_access.show,
    "Checks": _settings_checks.show,
    "Audit": _settings_audit.show,
    "Diagnostics": _settings_checks.diagnostics,
}

st.title("Settings", anchor=False)
part = st.segmented_control(
    "Part",
    list(_PARTS),
    default="Channels",
    key="part",
    required=True,
    bind="query-params",
    label_visibility="collapsed",
)
_PARTS[part or "Channels"]()
