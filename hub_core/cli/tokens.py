"""The commands about who may read by machine: API tokens and badges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hub_core.access import DAYS_LIMIT, Scope, badge_path, written_out
from hub_core.cli import output
from hub_core.cli.accounts import account_argument, json_option
from hub_core.cli.find import find
from hub_core.cli.opening import actor, open_hub
from hub_core.exports import iso
from hub_core.showing import moment

if TYPE_CHECKING:
    from datetime import datetime

    from hub_core.access import ApiToken


@click.group
def token() -> None:
    """Look after API tokens. With one a program reads /metrics or the JSON API."""


@token.command
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    required=True,
    help="What it may read: the JSON API (read) or /metrics (metrics); may be repeated.",
)
@click.option("--days", type=click.IntRange(1, DAYS_LIMIT), help="Days until it expires; without it, it does not.")
def create(*, name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make an API token and print it, this once."""
    with open_hub() as hub:
        made, secret = hub.access.create(name, [Scope(word) for word in scopes], days, actor=actor())
        output.show(written_out(secret))
        output.say("This is the only time it is shown; the hub keeps no copy. `linkhub token list` shows its id.")
        if made.expires_at:
            output.say(f"It expires at {moment(made.expires_at)}.")


@token.command("list")
@json_option
def list_tokens(*, as_json: bool) -> None:
    """List the API tokens, those that ended too."""
    with open_hub() as hub:
        now, tokens = hub.clock.now(), hub.access.tokens()
        if as_json:
            output.show_json([_values(one, now) for one in tokens])
        elif not tokens:
            output.say("There is no API token yet. `linkhub token create --help` shows how to make one.")
        else:
            output.show_table(
                ("Id", "Name", "Scopes", "Made", "Expires", "Last used", "State"),
                [
                    (
                        one.id,
                        one.name,
                        " ".join(sorted(one.scopes)),
                        moment(one.made_at),
                        moment(one.expires_at) if one.expires_at else "never",
                        moment(one.last_used_at) if one.last_used_at else "never",
                        _state(one, now),
                    )
                    for one in tokens
                ],
            )


@token.command
@click.argument("token_id", metavar="ID")
def revoke(*, token_id: str) -> None:
    """End an API token at once and for good. ID is as `linkhub token list` shows it."""
    with open_hub() as hub:
        hub.access.revoke(token_id, actor=actor())
        output.show("Revoked. Whoever used this token is refused from now on.")


@click.group
def badge() -> None:
    """Show an account's status to anybody who has the address. The badge does not name the account."""


@badge.command
@account_argument
def on(*, account: str) -> None:
    """Show an account's badge and print its path. Put the dashboard's address in front."""
    with open_hub() as hub:
        row = find(hub.accounts(), account)
        hub.access.set_badge(row.id, True, actor=actor())
        output.show(badge_path(row.id))


@badge.command
@account_argument
def off(*, account: str) -> None:
    """Show an account's badge no more."""
    with open_hub() as hub:
        row = find(hub.accounts(), account)
        hub.access.set_badge(row.id, False, actor=actor())
        output.show(f"“{row.label}” has no badge.")


def _state(one: ApiToken, now: datetime) -> str:
    if one.works(now):
        return "works"
    return "revoked" if one.revoked_at else "expired"


def _values(one: ApiToken, now: datetime) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "scopes": sorted(one.scopes),
        "state": _state(one, now),
        "made_at": iso(one.made_at),
        "made_by": one.made_by,
        "expires_at": iso(one.expires_at),
        "last_used_at": iso(one.last_used_at),
        "revoked_at": iso(one.revoked_at),
    }
