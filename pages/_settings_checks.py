"""The parts of the Settings page that only tell: how often is checked, what is kept, and diagnostics."""

from __future__ import annotations

import json

import streamlit as st

from hub_core import diagnostics as gathering
from hub_core import texts
from pages import _linked, _ui


def show() -> None:
    """Show how often is checked and how long what is kept, and where that is decided."""
    hub = _ui.hub()
    settings, rhythm = hub.settings, hub.watching.rhythm
    st.markdown(
        "These are decided by environment variables when the hub starts, so that nobody who only sees this page can "
        "change them. Set them where the hub is started, and start it again."
    )
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Checks", anchor=False)
        _linked.facts_table(
            {
                "Light check": f"every {texts.duration(rhythm.interval.total_seconds())}",
                "Fresh token": f"every {texts.duration(rhythm.key_every(1).total_seconds())}, less often where many "
                "accounts share an identity server",
                "Every list": "once a day",
                "Token requests": f"at most {settings.token_limit} a minute to one identity server",
                "Checked by": "this dashboard" if settings.scheduler else "linkhub watch or cron, not by this page",
                "Time zone": settings.timezone,
            }
        )
        st.subheader("Kept", anchor=False)
        _linked.facts_table(
            {
                "Every check": f"{settings.keep_checks_days} days",
                "Sums of each hour": f"{settings.keep_hours_days} days",
                "Sums of each day, incidents": f"{settings.keep_days_days} days",
            }
        )
    with right:
        st.subheader("Token requests in the last minute", anchor=False)
        load = [one for one in hub.watching.load() if one.used or one.held]
        if load:
            _linked.facts_table(
                {
                    one.origin: f"{one.used} of {one.limit}"
                    + (f", told to wait {texts.duration(one.held.total_seconds())}" if one.held else "")
                    for one in load
                }
            )
        else:
            st.markdown("None was asked for, and no server asked to be left alone.")
    with st.expander("Every setting, as it is in use"):
        _linked.facts_table(gathering.settings_in_use(settings))


def diagnostics() -> None:
    """Show what may be published when asking for help, and offer it as a file."""
    st.markdown(
        "Versions, numbers, and which settings are set: what helps to find a fault. No label, address, organization, "
        "path or secret is in it, so it can be attached to a public report. `linkhub doctor` examines more, on the "
        "machine itself."
    )
    text = json.dumps(gathering.collect(_ui.hub()), indent=2, ensure_ascii=False)
    st.download_button(
        "Download diagnostics",
        text,
        "link-hub-diagnostics.json",
        "application/json",
        key="diagnostics_download",
        icon=":material/download:",
        on_click="ignore",
    )
    st.code(text, language=None)
