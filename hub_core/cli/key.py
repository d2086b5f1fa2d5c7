"""The commands about the master key and the data keys."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hub_core.cli import entry, output
from hub_core.cli.accounts import json_option
from hub_core.cli.opening import actor, open_hub, open_store, read_settings
from hub_core.cli.rekeying import rekey_into
from hub_core.clock import Clock
from hub_core.errors import MasterKeyError
from hub_core.model import Secret
from hub_core.showing import moment
from hub_core.storage.keys import recovery_sheet
from hub_core.storage.seal import MasterKey

if TYPE_CHECKING:
    from hub_core.hub import Hub

_PLACES: Final = {"environment": "LINKHUB_KEY", "command": "LINKHUB_KEY_COMMAND", "keyring": "LINKHUB_KEY_KEYRING"}


@click.group
def key() -> None:
    """Look after the master key. It opens every stored secret, by the data keys it wraps."""


@key.command
@json_option
def status(*, as_json: bool) -> int:
    """Show the keys in use, where they are kept, and what they open. No key material is shown."""
    with open_hub() as hub:
        found = hub.keychain.status()
        if as_json:
            output.show_json({**asdict(found), "warnings": list(found.warnings)})
        else:
            output.show_facts(
                {
                    "Master key": found.master_id,
                    "Kept in": f"{found.source}: {found.place}",
                    "Data key": found.data_key_id,
                    "Made": moment(datetime.fromisoformat(found.data_key_made)),
                    "Secrets": str(found.secrets),
                    "Locked": str(found.locked),
                }
            )
            for warning in found.warnings:
                output.say(f"Warning: {warning}")
        return 1 if found.locked else 0


@key.command
def rotate() -> None:
    """Make a new data key and seal every secret with it, all or none. The master key stays."""
    with open_hub() as hub:
        count = hub.keychain.rotate(actor=actor())
        output.show(f"Sealed {_secrets(count)} with a new data key.")
        output.say("Backups made before still open with the same master key.")


@key.command
@click.option("--key-file", type=click.Path(dir_okay=False, path_type=Path), help="File that holds the new master key.")
@click.option("--generate", is_flag=True, help="Make the new master key; only where the hub keeps it in its own file.")
def rekey(*, key_file: Path | None, generate: bool) -> None:
    """Wrap the data keys with a new master key; secrets are not touched.

    The new key, 32 bytes as base64, is piped in, read from --key-file, made by --generate, or asked for without being
    shown.
    """
    if key_file and generate:
        raise click.UsageError("Give --key-file or --generate, not both.")
    with open_hub() as hub:
        found = hub.keychain.status()
        made = found.source == "own file"
        if generate and not made:
            raise entry.Wrong(
                f"The master key comes from {found.place}, which the hub cannot write. Make the new key where you keep "
                "keys (`openssl rand -base64 32`) and give it here."
            )
        new = MasterKey.generate() if generate else _read_key(key_file)
        if new.id == hub.keychain.master.id:
            raise entry.Wrong("This is the master key in use already; nothing was changed.")
        if made:
            kept = rekey_into(Path(found.place), hub, new, actor=actor())
            output.show(f"The master key is now {new.id}, in {found.place}.")
            output.say(f"The old key is kept as {kept}: older backups need it. Delete it with the last of them.")
        else:
            hub.keychain.rekey(new, actor=actor())
            output.show(f"The stored secrets now need master key {new.id}.")
            where = _PLACES.get(found.source, f"the file {found.place}")
            output.say(
                f"Now put the new key into {where}, before the next start: until then the hub refuses to start. "
                f"Keep the old key {found.master_id} as long as there are backups made before."
            )


@key.command
def verify() -> int:
    """Open every stored secret and name those that cannot be opened."""
    with open_hub() as hub:
        locked = set(hub.keychain.locked())
        rows = hub.accounts()
        for row in rows:
            if row.id in locked:
                output.show(f"✕ {row.label} ({row.id}): its secret cannot be opened; relink it.")
        channels = set(hub.keychain.locked_channels())
        for channel in hub.alerts.channels():
            if channel.id in channels:
                output.show(f"✕ Channel “{channel.name}” ({channel.id}): its address cannot be opened; enter it again.")
        if rows:
            output.show(f"{len(rows) - len(locked)} of {_secrets(len(rows))} can be opened.")
        else:
            output.show("No account is linked yet, so there is no secret of one.")
        return 1 if locked or channels else 0


@key.command
def export() -> int:
    """Print the recovery sheet, the master key for paper. Only to a terminal, and after asking."""
    if not sys.stdout.isatty() or not entry.at_terminal():
        raise entry.Wrong("The recovery sheet is shown at a terminal only, never written to a file or a pipe.")
    with open_hub() as hub:
        output.say("Whoever sees the next lines can open every secret of every copy of the database.")
        if not click.confirm("Show the master key?", err=True):
            return 1
        _show_sheet(hub)
    return 0


@key.command
@click.option("--i-lost-it", is_flag=True, help="Say that the master key is gone for good.")
def reset(*, i_lost_it: bool) -> None:
    """Erase every stored secret after the master key was lost. Accounts and history stay, and need their keys again."""
    if not i_lost_it:
        raise entry.Wrong("This erases every stored secret. Say --i-lost-it if the master key is gone for good.")
    settings = read_settings()
    with open_store(settings) as store:
        count = store.drop_secrets(at=Clock().now(), actor=actor())
    output.show(f"Erased {_secrets(count)}. Accounts and history stay.")
    output.say(
        "Relink every account: `linkhub relink ACCOUNT`. The master key configured by then is used from then on; "
        "where there is none, one is made."
    )


def _read_key(file: Path | None) -> MasterKey:
    text = entry.read_secret(file, prompt="New master key", option="--key-file")
    try:
        return MasterKey.from_text(Secret(text))
    except MasterKeyError as error:
        raise entry.Wrong(str(error)) from None


def _show_sheet(hub: Hub) -> None:
    for line in recovery_sheet(hub.keychain.master).splitlines():
        click.echo(line)
    output.say(f"This is master key {hub.keychain.master.id}; the last line is its checksum.")


def _secrets(count: int) -> str:
    return f"{count} {'secret' if count == 1 else 'secrets'}"
