"""The commands about channels, through which people are told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub_core import texts
from hub_core.access import written_out
from hub_core.alerts.channel import TOLD_BY_DEFAULT, Kind, State
from hub_core.alerts.form import ChannelForm
from hub_core.cli import entry, output
from hub_core.cli.accounts import json_option
from hub_core.cli.opening import actor, open_hub
from hub_core.exports import iso
from hub_core.history import IN_TROUBLE
from hub_core.model import RegionId, Status
from hub_core.showing import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub_core.alerts.channel import Channel, Delivery, Rules

_FILE = click.Path(dir_okay=False, path_type=Path)
_channel_argument = click.argument("channel")


@click.group
def channel() -> None:
    """Look after channels, through which people are told. CHANNEL is a name or an id."""


@channel.command
@click.argument("name")
@click.option("--apprise", is_flag=True, help="The address is one of Apprise, such as mailtos://…; else a webhook's.")
@click.option("--address-file", type=_FILE, help="File that holds the address.")
@click.option("--secret-file", type=_FILE, help="File that holds the webhook's signing secret; else one is made.")
@click.option(
    "--status",
    "statuses",
    type=click.Choice(sorted(status.value for status in IN_TROUBLE)),
    multiple=True,
    default=sorted(status.value for status in TOLD_BY_DEFAULT),
    help="Which statuses are told; may be repeated. Without it failing and unreachable.",
)
@click.option("--tag", "tags", multiple=True, help="Only accounts with this tag; may be repeated.")
@click.option(
    "--region",
    "regions",
    type=click.Choice([row.value.replace("_", "-") for row in RegionId]),
    multiple=True,
    help="Only accounts in this region; may be repeated.",
)
@click.option("--no-recovery", is_flag=True, help="Do not tell when an account works again.")
@click.option("--remind", "reminder_hours", default="0", help="Hours between reminders of what nobody acknowledged.")
@click.option("--quiet-from", default="", help="Nothing is sent from this time of day, such as 22:00.")
@click.option(
    "--quiet-until", default="", help="Until this one, such as 07:00; then what was kept comes as one message."
)
@click.option("--every", "every_minutes", default="0", help="Gather messages for so many minutes.")
@click.option("--daily", "daily_at", default="", help="Gather messages and send them once a day, such as 08:00.")
@click.option("--summary", "summary_at", default="", help="Send a summary of everything once a day, such as 08:00.")
def add(*, name: str, apprise: bool, address_file: Path | None, secret_file: Path | None, **typed: Any) -> None:
    """Add a channel. Its address is piped in, read from --address-file, or asked for without being shown."""
    form = ChannelForm(
        name=name,
        kind=Kind.APPRISE if apprise else Kind.WEBHOOK,
        target=entry.read_secret(address_file, prompt="Address", option="--address-file"),
        secret=entry.read_file(secret_file, "--secret-file") if secret_file else "",
        statuses=[Status(word) for word in typed.pop("statuses")],
        regions=[RegionId(word.replace("-", "_")) for word in typed.pop("regions")],
        recovery=not typed.pop("no_recovery"),
        **typed,
    )
    with open_hub() as hub:
        added = hub.alerts.add(hub.alerts.read_form(form), actor=actor())
        output.show(f"Added “{added.channel.name}” ({added.channel.id}).")
        if added.secret:
            output.show(f"Signing secret: {written_out(added.secret)}")
            output.say("This is the only time it is shown. The receiver verifies messages with it.")
        output.say(f"Try it: linkhub channel test {added.channel.id}")


@channel.command("list")
@json_option
def list_channels(*, as_json: bool) -> None:
    """List the channels; of their addresses only scheme and host."""
    with open_hub() as hub:
        found = hub.alerts.channels()
        if as_json:
            output.show_json([_values(one) for one in found])
        elif not found:
            output.say("There is no channel yet, so nobody is told. `linkhub channel add --help` shows how to add one.")
        else:
            rows = [(one.id[:8], one.name, one.kind, one.hint, _state(one)) for one in found]
            output.show_table(("Id", "Name", "Kind", "Address", "State"), rows)


@channel.command
@_channel_argument
@json_option
def show(*, channel: str, as_json: bool) -> None:
    """Show what a channel is told and when, and how it fares."""
    with open_hub() as hub:
        one = _find(hub.alerts.channels(), channel)
        if as_json:
            output.show_json(_values(one))
            return
        facts = {"Name": one.name, "Id": one.id, "Kind": one.kind, "Address": one.hint, "State": _state(one)}
        output.show_facts({**facts, "Failing since": moment(one.failing_since), **_rules(one.rules)})


@channel.command("test")
@_channel_argument
def try_out(*, channel: str) -> int:
    """Send a test message at once."""
    with open_hub() as hub:
        result = hub.alerts.test(_find(hub.alerts.channels(), channel).id, actor=actor())
        output.show(result.sentence)
        return 0 if result.well else 1


@channel.command
@_channel_argument
def remove(*, channel: str) -> None:
    """Erase a channel, its address and its messages at once."""
    with open_hub() as hub:
        one = _find(hub.alerts.channels(), channel)
        hub.alerts.remove(one.id, actor=actor())
        output.show(f"Removed “{one.name}”.")


@channel.command
@_channel_argument
def enable(*, channel: str) -> None:
    """Switch a channel on again. What happened meanwhile is not made up for."""
    _switch(channel, enabled=True)


@channel.command
@_channel_argument
def disable(*, channel: str) -> None:
    """Switch a channel off, and keep it."""
    _switch(channel, enabled=False)


@channel.command
@_channel_argument
@click.option("--limit", type=click.IntRange(1, 1000), default=50, help="How many are listed at most.")
@json_option
def deliveries(*, channel: str, limit: int, as_json: bool) -> None:
    """List a channel's messages, newest first, and how far each is."""
    with open_hub() as hub:
        found = hub.alerts.deliveries(_find(hub.alerts.channels(), channel).id, limit)
        if as_json:
            output.show_json([_delivery_values(one) for one in found])
        elif not found:
            output.say("Nothing was sent to this channel yet.")
        else:
            rows = [
                (moment(one.made_at), one.title, one.state.replace("_", " "), str(one.attempts), one.error)
                for one in found
            ]
            output.show_table(("Made", "Message", "State", "Attempts", "Last error"), rows)


def _switch(word: str, *, enabled: bool) -> None:
    with open_hub() as hub:
        one = _find(hub.alerts.channels(), word)
        hub.alerts.set_enabled(one.id, enabled=enabled, actor=actor())
        output.show(f"Switched “{one.name}” {'on' if enabled else 'off'}.")


def _find(channels: Sequence[Channel], word: str) -> Channel:
    """Return the channel with this name, or id, or beginning of an id; raises Wrong."""
    exact = [one for one in channels if word in {one.id, one.name}]
    found = exact or [one for one in channels if word and one.id.startswith(word.lower())]
    if not found:
        raise entry.Wrong("There is no such channel. `linkhub channel list` shows them all.")
    if len(found) > 1:
        raise entry.Wrong(f"Several channels are meant: {', '.join(one.id for one in found)}. Name one by its id.")
    return found[0]


def _state(one: Channel) -> str:
    if one.locked:
        return "needs its address"
    if one.stopped:
        return f"switched off by the hub: {one.stopped}"
    if not one.enabled:
        return "off"
    return f"failing: {one.error}" if one.error else "on"


def _rules(rules: Rules) -> dict[str, str]:
    quiet = f"{rules.quiet.begins:%H:%M} to {rules.quiet.ends:%H:%M}" if rules.quiet else "none"
    pace = f"gathered for {texts.duration(rules.every_minutes * 60)}" if rules.every_minutes else "at once"
    return {
        "Statuses": ", ".join(sorted(rules.statuses)),
        "Tags": ", ".join(sorted(rules.tags)) or "all",
        "Regions": ", ".join(sorted(rules.regions)) or "all",
        "Recovery": "yes" if rules.recovery else "no",
        "Reminders": f"every {rules.reminder_hours} h" if rules.reminder_hours else "none",
        "Quiet hours": quiet,
        "Sent": f"once a day at {rules.daily_at:%H:%M}" if rules.daily_at else pace,
        "Daily summary": f"at {rules.summary_at:%H:%M}" if rules.summary_at else "none",
    }


def _values(one: Channel) -> dict[str, Any]:
    rules = one.rules
    return {
        "id": one.id,
        "name": one.name,
        "kind": one.kind,
        "address": one.hint,
        "enabled": one.enabled,
        "failing_since": iso(one.failing_since),
        "error": one.error or None,
        "stopped": one.stopped or None,
        "needs_address": one.locked,
        "statuses": sorted(rules.statuses),
        "tags": sorted(rules.tags),
        "regions": sorted(rules.regions),
        "recovery": rules.recovery,
        "reminder_hours": rules.reminder_hours,
        "quiet": [f"{at:%H:%M}" for at in rules.quiet] if rules.quiet else None,
        "every_minutes": rules.every_minutes,
        "daily_at": f"{rules.daily_at:%H:%M}" if rules.daily_at else None,
        "summary_at": f"{rules.summary_at:%H:%M}" if rules.summary_at else None,
    }


def _delivery_values(one: Delivery) -> dict[str, Any]:
    return {
        "id": one.id,
        "about": one.sort,
        "title": one.title,
        "made_at": iso(one.made_at),
        "state": one.state,
        "attempts": one.attempts,
        "next_at": iso(one.next_at) if one.state is State.WAITING else None,
        "done_at": iso(one.done_at),
        "error": one.error or None,
    }
