"""The commands that take a key: link, relink, and edit when the address changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hub_core import drafts
from hub_core.bitwarden.credentials import parse_block
from hub_core.cli import entry, output
from hub_core.cli.accounts import account_argument
from hub_core.cli.find import find
from hub_core.cli.opening import actor, open_hub
from hub_core.drafts import Form
from hub_core.errors import VerifyFailed
from hub_core.model import Reason, RegionId
from hub_core.sandbox import ServerName
from hub_core.showing import link_facts, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub_core.bitwarden.credentials import Pasted
    from hub_core.drafts import Draft
    from hub_core.hub import Hub
    from hub_core.model import Account, Check, Endpoints

_SECRET_PROMPT = "Client secret"  # noqa: S105 - the words of a prompt

_FILE = click.Path(dir_okay=False, path_type=Path)
Command = TypeVar("Command", bound=Callable[..., Any])

_region_option = click.option(
    "--region",
    type=click.Choice([row.replace("_", "-") for row in RegionId]),
    help="Where the organization lives. Not needed with --server.",
)
_secret_file_option = click.option("--secret-file", type=_FILE, help="File that holds the client secret.")
_ca_file_option = click.option("--ca-file", type=_FILE, help="CA certificate of a private CA, as PEM.")


_place_options = (
    _region_option,
    click.option("--server", default="", help="Address of a self-hosted server, as typed into a browser."),
    click.option("--api", default="", help="API address, where it differs; with --identity."),
    click.option("--identity", default="", help="Identity address, where it differs; with --api."),
    _ca_file_option,
)


def _with_place(command: Command) -> Command:
    for option in reversed(_place_options):
        command = option(command)
    return command


@click.command
@_with_place
@click.option(
    "--sandbox-server",
    type=click.Choice([server.replace("_", "-") for server in ServerName]),
    default="us",
    help="Which server of the sandbox is asked; us if not given.",
)
@click.option("--client-id", help="“organization.” and 36 characters; asked for if not given.")
@_secret_file_option
@click.option("--paste", is_flag=True, help="Read the web vault's block, .env lines or JSON from standard input.")
@click.option("--label", help="How you want to see this organization; asked for if not given.")
@click.option("--tag", "tags", multiple=True, help="A tag; may be repeated.")
@click.option("--note", default="", help="A note.")
def link(*, sandbox_server: str, secret_file: Path | None, paste: bool, **typed: Any) -> int:
    """Verify an organization's API key and link it. Nothing is stored unless it works.

    The secret is piped in, read from --secret-file, or asked for without being shown.
    """
    if paste and secret_file:
        raise click.UsageError("Give --paste or --secret-file, not both.")
    with open_hub() as hub:
        pasted = parse_block(entry.read_stdin()) if paste else None
        for note in pasted.notes if pasted else ():
            output.say(note)
        form = _link_form(typed, pasted, secret_file)
        draft = hub.read_form(form, sandbox_server=sandbox_server.replace("-", "_"))
        for note in draft.notes:
            output.say(note)
        try:
            linked = hub.link(draft, actor=actor(), watch=output.show_stage)
        except VerifyFailed as error:
            output.explain_failure(hub, error.check, draft.endpoints)
            _offer_other_cloud(hub, error, draft)
            output.say("Nothing was linked.")
            return 1
        output.show_facts(
            {"Linked": shown(hub, linked.account).word, "Account": linked.account.id, **link_facts(linked.account)}
        )
        return 0


@click.command
@account_argument
@_secret_file_option
def relink(*, account: str, secret_file: Path | None) -> int:
    """Give an account its organization's new key. Everything else stays.

    The secret is piped in, read from --secret-file, or asked for without being shown.
    """
    with open_hub() as hub:
        known = hub.account(find(hub.accounts(), account).id)
        key = hub.read_new_key(known.id, entry.read_secret(secret_file, prompt=_SECRET_PROMPT))
        return _verified(
            hub,
            lambda: hub.relink(known.id, key, actor=actor(), watch=output.show_stage),
            known.endpoints,
            f"Relinked “{known.label}”: the new key works.",
        )


@click.command
@account_argument
@_with_place
@_secret_file_option
@click.option("--label", help="A new label.")
@click.option("--tag", "tags", multiple=True, help="The new tags, all of them; may be repeated; empty for none.")
@click.option("--note", help="A new note.")
def edit(*, account: str, secret_file: Path | None, **typed: Any) -> int:
    """Change an account's label, tags, note, address or own CA.

    Another address is verified first, and asks for the secret again: a stored secret is never sent to an address it
    was not given for.
    """
    if not any(typed.values()) and typed["note"] is None and typed["label"] is None:
        raise click.UsageError("Say what to change.")
    with open_hub() as hub:
        known = hub.account(find(hub.accounts(), account).id)
        label = known.label if typed["label"] is None else drafts.read_label(typed["label"])
        if any(typed[name] for name in ("region", "server", "api", "identity", "ca_file")):
            form = _server_form(typed, known, secret_file)
            code = _verified(
                hub,
                lambda: hub.edit_server(known.id, form, actor=actor(), watch=output.show_stage),
                known.endpoints,
                f"Saved: the key of “{known.label}” works there.",
            )
            if code:
                return code
        if typed["tags"] or typed["label"] is not None or typed["note"] is not None:
            tags = typed["tags"] or known.tags
            note = known.note if typed["note"] is None else typed["note"]
            hub.describe(known.id, label=label, tags=tags, note=note, actor=actor())
            output.show(f"Saved “{label}”.")
        return 0


def _link_form(typed: Mapping[str, Any], pasted: Pasted | None, secret_file: Path | None) -> Form:
    """Put together what was given, asking for what is missing."""
    places = {name: typed[name] for name in ("server", "api", "identity")}
    if pasted and pasted.server and not any(places.values()) and typed["region"] in {None, "self-hosted"}:
        places["server"] = pasted.server
    region = _region(typed["region"], typed_place=any(places.values()))
    client_id = typed["client_id"]
    if pasted:
        if not pasted.secret:
            raise entry.Wrong("No client secret was found in what was pasted.")
        client_id = client_id or pasted.client_id
        secret = pasted.secret
    else:
        client_id = entry.ask(client_id, prompt="Client ID", option="--client-id")
        secret = entry.read_secret(secret_file, prompt=_SECRET_PROMPT)
    return Form(
        region=region,
        label=entry.ask(typed["label"], prompt="Label", option="--label"),
        client_id=client_id or "",
        secret=secret,
        ca=_ca_text(typed["ca_file"]),
        tags=typed["tags"],
        note=typed["note"],
        **places,
    )


def _server_form(typed: Mapping[str, Any], known: Account, secret_file: Path | None) -> Form:
    """Return the server part of a form: what was given, and what the account has where nothing was."""
    places = {name: typed[name] for name in ("server", "api", "identity")}
    moved = bool(typed["region"] or any(places.values()))
    region = _region(typed["region"], typed_place=any(places.values())) if moved else known.endpoints.region
    if RegionId.SANDBOX in {region, known.endpoints.region}:
        raise entry.Wrong("The sandbox keeps its addresses; link the organization anew instead.")
    if not moved:
        places |= {"api": known.endpoints.api, "identity": known.endpoints.identity}
    own = region is RegionId.SELF_HOSTED
    secret = entry.read_secret(secret_file, prompt=_SECRET_PROMPT) if moved or secret_file else ""
    ca = _ca_text(typed["ca_file"]) or (known.ca_pem or "" if own else "")
    return Form(region=region, secret=secret, ca=ca, **places)


def _region(word: str | None, *, typed_place: bool) -> RegionId:
    if word is not None:
        region = RegionId(word.replace("-", "_"))
        if typed_place and region is not RegionId.SELF_HOSTED:
            raise click.UsageError(f"--region {word} has fixed addresses; leave out --server, --api and --identity.")
        return region
    if not typed_place:
        raise click.UsageError("Say where the organization lives: --region, or --server for a server of your own.")
    return RegionId.SELF_HOSTED


def _ca_text(path: Path | None) -> str:
    return entry.read_file(path, "--ca-file") if path else ""


def _verified(hub: Hub, work: Callable[[], Check], endpoints: Endpoints, done: str) -> int:
    try:
        work()
    except VerifyFailed as error:
        output.explain_failure(hub, error.check, endpoints)
        output.say("Nothing was changed.")
        return 1
    output.show(done)
    return 0


def _offer_other_cloud(hub: Hub, error: VerifyFailed, draft: Draft) -> None:
    seen = error.check.failure
    other = hub.other_cloud(draft.endpoints)
    if seen is None or seen.reason is not Reason.KEY_NEVER_ACCEPTED or other is None:
        return
    name = other[0].id.value
    option = "--sandbox-server" if draft.endpoints.region is RegionId.SANDBOX else "--region"
    output.say(f"The same key may live in the other cloud: try again with {option} {name}.")
