"""The commands that list incidents and acknowledge one."""

from __future__ import annotations

import click

from hub_core import exports, telling, texts
from hub_core.cli import output
from hub_core.cli.accounts import json_option
from hub_core.cli.entry import Wrong
from hub_core.cli.find import find
from hub_core.cli.opening import actor, open_hub
from hub_core.errors import NotFound


@click.command
@click.option("--open", "open_only", is_flag=True, help="Only those that are not over.")
@click.option("--account", help="Only those of one account.")
@json_option
def incidents(*, open_only: bool, account: str | None, as_json: bool) -> None:
    """List incidents: open ones first, then the newest."""
    with open_hub() as hub:
        account_id = find(hub.accounts(), account).id if account is not None else None
        found = hub.past.incidents(account_id=account_id, open_only=open_only)
        if as_json:
            output.show_json([exports.incident_values(incident) for incident in found])
            return
        if not found:
            output.say("No incident is recorded." if not open_only else "No incident is open.")
            return
        now = hub.clock.now()
        output.show_table(
            ("Status", "Account", "Opened", "Duration", "Acknowledged", "Id", "Cause"),
            [
                (
                    f"{telling.incident_status(incident).mark} {telling.incident_status(incident).word}",
                    incident.label,
                    texts.ago(incident.opened_at, now),
                    telling.lasted_words(incident, now),
                    telling.seen_by(incident) or "–",
                    str(incident.id),
                    telling.cause(incident.reason),
                )
                for incident in found
            ],
        )


@click.command
@click.argument("incident", type=click.IntRange(min=1, max=2**63 - 1))
@click.option("--note", default="", help="What your colleagues should know.")
def acknowledge(*, incident: int, note: str) -> None:
    """Say that you look after an incident. It sends no more reminders. Without --note its note stays."""
    with open_hub() as hub:
        try:
            known = hub.past.incident(incident)
            hub.past.acknowledge(incident, note or known.note, actor=actor())
        except NotFound:
            raise Wrong("There is no such incident. `linkhub incidents` lists them.") from None
        output.show(f"Acknowledged incident {known.id} of “{known.label}”: {telling.cause(known.reason)}.")
