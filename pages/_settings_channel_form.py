"""The form of a channel on the Settings page; its address and secret leave the page's state at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from hub_core.alerts.channel import Kind, Rules
from hub_core.alerts.form import LONGEST_DIGEST, LONGEST_REMINDER, NAME_LIMIT, ChannelForm
from hub_core.bitwarden import regions
from hub_core.errors import HubError, InvalidForm
from hub_core.history import IN_TROUBLE
from hub_core.model import RegionId, Status
from hub_core.texts import STATUSES
from hub_core.texts import channels as words
from pages import _ui

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import time

    from streamlit.delta_generator import DeltaGenerator

    from hub_core.alerts.channel import Channel

state = st.session_state

_NEW = "new-"
_TOLD = [status for status in Status if status in IN_TROUBLE]
_EXAMPLES = {
    Kind.WEBHOOK: ("https://hooks.corp.example/linkhub", "Messages are JSON, signed by the Standard Webhooks rules."),
    Kind.APPRISE: (
        "mailtos://user:password@mail.example, slack://…, ntfys://ntfy.example/topic",
        "An address as Apprise writes it, see its documentation. The extra `link-hub[apprise]` has to be installed.",
    ),
}


def show(channel: Channel | None) -> None:
    """Show the form for a new channel, or filled in for one that is there."""
    one = channel.id if channel else _NEW + str(state.get("channel_round", 0))
    kind = channel.kind if channel else _kind()
    rules = channel.rules if channel else Rules()
    errors = dict(state.pop("channel_errors", {}))
    with st.form(f"channel_form_{one}", border=True):
        _field("name", errors, lambda box: box.text_input(
            "Name", channel.name if channel else "", max_chars=NAME_LIMIT, key=f"channel_name_{one}",
            placeholder="On-call",
        ))  # fmt: skip
        example, meaning = _EXAMPLES[kind]
        _field("target", errors, lambda box: box.text_input(
            "Address" if not channel else "Address, to replace the stored one", type="password", placeholder=example,
            key=f"channel_target_{one}", help=meaning, autocomplete="off",
        ))  # fmt: skip
        if kind is Kind.WEBHOOK:
            _field("secret", errors, lambda box: box.text_input(
                "Signing secret (optional)", type="password", key=f"channel_secret_{one}", autocomplete="off",
                placeholder="whsec_…", help="Leave it empty to have one made, or to keep the stored one.",
            ))  # fmt: skip
        _what(rules, one, errors)
        with st.expander("When: quiet hours, gathering, reminders, daily summary", expanded=bool(errors)):
            _when(rules, one, errors)
        for message in errors.values():  # of fields that stand nowhere above
            st.error(_ui.plain(message))
        with st.container(horizontal=True):
            st.form_submit_button(
                "Save" if channel else "Add", type="primary", key="channel_go", on_click=_take, args=(one, kind)
            )
            if channel:
                st.form_submit_button("Cancel", key="channel_cancel", on_click=_forget)


def _kind() -> Kind:
    chosen = st.segmented_control(
        "Kind", list(Kind), format_func=words.KINDS.__getitem__, default=Kind.WEBHOOK, key="channel_kind", required=True
    )
    return chosen or Kind.WEBHOOK


def _what(rules: Rules, one: str, errors: dict[str, str]) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        _field("statuses", errors, lambda box: box.pills(
            "Tell about accounts that become", _TOLD, format_func=lambda status: STATUSES[status].word,
            selection_mode="multi", wrap=True,
            default=[s for s in _TOLD if s in rules.statuses], key=f"channel_statuses_{one}",
        ))  # fmt: skip
        st.checkbox("And when they work again", rules.recovery, key=f"channel_recovery_{one}")
    with right:
        st.text_input(
            "Only accounts with a tag, separated by commas", ", ".join(sorted(rules.tags)), key=f"channel_tags_{one}"
        )
        st.pills(
            "Only accounts in", [row.id for row in regions.REGIONS], selection_mode="multi", wrap=True,
            default=sorted(rules.regions), format_func=lambda row: regions.region(RegionId(row)).name,
            key=f"channel_regions_{one}",
        )  # fmt: skip


def _when(rules: Rules, one: str, errors: dict[str, str]) -> None:
    quiet = rules.quiet
    with st.container(horizontal=True):
        _clock("Quiet from", "quiet_from", quiet.begins if quiet else None, one, errors)
        _clock("Quiet until", "quiet_until", quiet.ends if quiet else None, one, errors)
        _clock("Daily summary at", "summary_at", rules.summary_at, one, errors)
    with st.container(horizontal=True):
        _number("Minutes to gather (0: none)", "every_minutes", rules.every_minutes, one, errors, most=LONGEST_DIGEST)
        _clock("Or gather, and send once a day at", "daily_at", rules.daily_at, one, errors)
        _number(
            "Remind every … hours (0: never)",
            "reminder_hours",
            rules.reminder_hours,
            one,
            errors,
            most=LONGEST_REMINDER,
        )
    st.markdown(
        f"Times are in {_ui.plain(_ui.hub().settings.timezone)}. What falls into the quiet hours is sent "
        "after them, in one message. Reminders stop once somebody acknowledges the incident."
    )


def _clock(label: str, name: str, value: time | None, one: str, errors: dict[str, str]) -> None:
    _field(name, errors, lambda box: box.time_input(label, value, key=f"channel_{name}_{one}", step=900))


def _number(label: str, name: str, value: int, one: str, errors: dict[str, str], *, most: int) -> None:
    _field(name, errors, lambda box: box.number_input(label, 0, most, value, key=f"channel_{name}_{one}"))


def _field(name: str, errors: dict[str, str], draw: Callable[[DeltaGenerator], object]) -> None:
    """Draw a field, and below it what is to be corrected."""
    box = st.container()
    draw(box)
    if message := errors.pop(name, None):
        box.error(_ui.plain(message))


def _take(one: str, kind: Kind) -> None:
    """Read the form and store the channel."""
    alerts, entered = _ui.hub().alerts, _entered(one, kind)
    try:
        if one.startswith(_NEW):
            added = alerts.add(alerts.read_form(entered), actor=_ui.ACTOR)
        else:
            added = alerts.change(one, alerts.read_form(entered, channel_id=one), actor=_ui.ACTOR)
    except InvalidForm as error:
        state.channel_errors = {wrong.field: wrong.message for wrong in error.errors}
        return
    except HubError as error:
        state.channel_errors = {"": str(error)}
        return
    if added.secret:
        state.channel_secret = added.secret
    # Another form, of other keys: a browser keeps what was typed into fields that stay the same.
    state.channel_round = state.get("channel_round", 0) + 1
    _forget()
    _ui.tell(f"“{added.channel.name}” was saved. Press Test to see whether its messages arrive.", "check")


def _entered(one: str, kind: Kind) -> ChannelForm:
    """Return what was entered; what is secret of it is taken out of the page's state."""
    kept = {name: state.get(f"channel_{name}_{one}") for name in ("target", "secret")}
    for name in kept:
        if f"channel_{name}_{one}" in state:
            state[f"channel_{name}_{one}"] = ""

    def field(name: str) -> Any:
        return state[f"channel_{name}_{one}"]

    def clock(name: str) -> str:
        return f"{field(name):%H:%M}" if field(name) else ""

    return ChannelForm(
        name=field("name"),
        kind=kind,
        target=kept["target"] or "",
        secret=kept["secret"] or "",
        statuses=field("statuses"),
        tags=field("tags"),
        regions=[RegionId(row) for row in field("regions")],
        recovery=field("recovery"),
        reminder_hours=field("reminder_hours"),
        quiet_from=clock("quiet_from"),
        quiet_until=clock("quiet_until"),
        every_minutes=field("every_minutes"),
        daily_at=clock("daily_at"),
        summary_at=clock("summary_at"),
    )


def _forget() -> None:
    state.pop("channel_editing", None)
