"""The Link page: pick a region, paste an organization API key, watch it being verified, get the facts."""

from __future__ import annotations

import streamlit as st

from hub_core.drafts import Draft
from hub_core.errors import AlreadyLinked, HubError, VerifyFailed
from pages import _link_form, _link_guide, _linked, _ui

hub = _ui.hub()
state = st.session_state

_link_form.empty_if_forgotten()
_linked.show_if_any()

st.title("Link an organization", anchor=False)
form_side, guide_side = st.columns([3, 2], gap="large")

with form_side:
    region = _link_form.pick_region()
    where = _link_form.pick_server(region)
    _link_form.paste_everything()
    _link_form.fields(region)

with guide_side:
    # First in its column: whoever pressed the button sees it without scrolling.
    outcome = st.container()
    _link_guide.show(where.region if where else region, where)

with outcome:
    ticket = state.pop("link_ticket", None)
    draft = hub.take(ticket) if ticket else None
    if isinstance(draft, Draft):
        live = _ui.LiveStages(f"Verifying “{_ui.plain(draft.label)}”")
        for note in draft.notes:
            st.caption(f":material/auto_fix_high: {_ui.plain(note)}")
        try:
            linked = hub.link(draft, actor=_ui.ACTOR, watch=live)
        except AlreadyLinked as error:
            live.finish("Already linked", good=False)
            state.link_twin = (error.account_id, error.label, hub.hold(draft))
            state.pop("link_failed", None)
        except VerifyFailed as error:
            live.finish("Not linked: nothing was stored", good=False)
            state.link_failed = (error.check, draft.endpoints, hub.hold(draft))
        except HubError as error:
            live.finish("Not linked: nothing was stored", good=False)
            st.error(_ui.plain(str(error)))
        else:
            live.finish("Linked", good=True)
            _link_form.forget()
            state.linked = linked.account.id
            st.rerun()
    _link_form.show_outcome(where)
