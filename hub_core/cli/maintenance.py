"""The commands about maintenance windows: times in which checks are recorded and nobody is alerted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hub_core.cli import output
from hub_core.cli.accounts import json_option
from hub_core.cli.find import find
from hub_core.cli.opening import actor, open_hub
from hub_core.cli.times import WEEKDAYS, read_days, read_length, read_minute, read_moment
from hub_core.exports import iso
from hub_core.health.maintenance import Once, Scope, Weekly, covers
from hub_core.texts.windows import rule_in_words

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from hub_core.health.maintenance import Window
    from hub_core.hub import Hub


@click.group
def maintenance() -> None:
    """Look after maintenance windows. Checks go on and are recorded, and nobody is alerted."""


@maintenance.command
@click.option("--account", help="For one account.")
@click.option("--tag", help="For every account with this tag.")
@click.option("--all", "every", is_flag=True, help="For every account.")
@click.option("--from", "begins", help="When it begins, as 2026-11-24 02:00 in the time zone LINKHUB_TIMEZONE.")
@click.option("--until", "ends", help="When it ends.")
@click.option("--weekly", "days", help="Days of the week on which it begins, such as mon,tue.")
@click.option("--at", "time", help="Time of day at which it begins, such as 02:00; with --weekly.")
@click.option("--for", "length", help="How long it lasts, such as 2h, 90m or 1h 30m; with --weekly.")
@click.option("--note", default="", help="What your colleagues should know.")
def add(*, account: str | None, tag: str | None, every: bool, note: str, **rule: str | None) -> None:
    """Add a window. Once: --from and --until. Every week: --weekly, --at and --for."""
    if (account is not None) + (tag is not None) + every != 1:
        raise click.UsageError("Give one of --account, --tag and --all.")
    with open_hub() as hub:
        read = _rule(hub.windows.zone, **rule)
        if account is not None:
            scope, target = Scope.ACCOUNT, find(hub.accounts(), account).id
        else:
            scope, target = (Scope.TAG, tag or "") if tag is not None else (Scope.ALL, "")
        made = hub.windows.add(scope, target, read, note, actor=actor())
        output.show(f"Added maintenance window {made.id}: {_whom(hub, made)}, {_when(hub, made)}.")
        if scope is Scope.TAG and not any(made.target.casefold() in map(str.casefold, r.tags) for r in hub.accounts()):
            output.say("No account has this tag yet.")


@maintenance.command("list")
@json_option
def list_windows(*, as_json: bool) -> None:
    """List the windows, those that were over in the last 30 days too."""
    with open_hub() as hub:
        now, windows = hub.clock.now(), hub.windows.list()
        if as_json:
            output.show_json([_values(one, now, hub.windows.zone) for one in windows])
        elif not windows:
            output.say("There is no maintenance window. `linkhub maintenance add --help` shows how to add one.")
        else:
            rows = [
                (str(one.id), _state(one, now, hub.windows.zone), _whom(hub, one), _when(hub, one), one.note)
                for one in windows
            ]
            output.show_table(("Id", "State", "For", "When", "Note"), rows)


@maintenance.command
@click.argument("window_id", metavar="ID", type=int)
def remove(*, window_id: int) -> None:
    """Remove a window, also while it is open. ID is as `linkhub maintenance list` shows it."""
    with open_hub() as hub:
        hub.windows.remove(window_id, actor=actor())
        output.show("Removed. From now on people are alerted again.")


def _rule(
    zone: tzinfo, *, begins: str | None, ends: str | None, days: str | None, time: str | None, length: str | None
) -> Once | Weekly:
    """Return the rule that the options mean; raises UsageError, InputError."""
    if begins is not None and ends is not None and days is time is length is None:
        return Once(read_moment(begins, zone, field="begins"), read_moment(ends, zone, field="ends"))
    if days is not None and time is not None and length is not None and begins is ends is None:
        return Weekly(read_days(days), read_minute(time), read_length(length))
    raise click.UsageError("Give --from and --until, or --weekly with --at and --for.")


def _whom(hub: Hub, window: Window) -> str:
    if window.scope is Scope.ACCOUNT:
        return next((f"“{row.label}”" for row in hub.accounts() if row.id == window.target), window.target)
    return f"tag “{window.target}”" if window.scope is Scope.TAG else "all accounts"


def _when(hub: Hub, window: Window) -> str:
    return f"{rule_in_words(window.rule, hub.windows.zone)} ({hub.settings.timezone})"


def _state(window: Window, now: datetime, zone: tzinfo) -> str:
    if covers(window, now, zone):
        return "open"
    if isinstance(window.rule, Weekly):
        return "weekly"
    return "over" if window.rule.ends <= now else "planned"


def _values(window: Window, now: datetime, zone: tzinfo) -> dict[str, Any]:
    """Return one window for machines; `docs/command-line.md` lists the keys."""
    rule = window.rule
    once, weekly = (rule, None) if isinstance(rule, Once) else (None, rule)
    return {
        "id": window.id,
        "scope": window.scope,
        "target": window.target or None,
        "state": _state(window, now, zone),
        "begins": iso(once.begins) if once else None,
        "ends": iso(once.ends) if once else None,
        "days": [WEEKDAYS[day] for day in sorted(weekly.days)] if weekly else None,
        "at": f"{weekly.minute // 60:02}:{weekly.minute % 60:02}" if weekly else None,
        "minutes": round(weekly.lasts.total_seconds() / 60) if weekly else None,
        "note": window.note,
    }
