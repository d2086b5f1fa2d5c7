"""The command that copies the database, with a manifest and never with the key."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub_core import __version__
from hub_core.cli import output
from hub_core.cli.entry import Wrong
from hub_core.cli.files import write_private
from hub_core.cli.opening import open_store, read_settings
from hub_core.clock import Clock

if TYPE_CHECKING:
    from datetime import datetime

    from hub_core.settings import Settings
    from hub_core.storage.store import Store


@click.command
@click.argument("target", type=click.Path(path_type=Path))
def backup(*, target: Path) -> None:
    """Copy the database, with a manifest beside it. TARGET is a folder, or a file that does not exist.

    The master key is not in it: keep that elsewhere. Without it a backup restores history, and every organization has
    to be given its key again.
    """
    settings, now = read_settings(), Clock().now()
    folder = target.is_dir()
    copy = (target / f"hub-{now:%Y%m%d-%H%M%S}.db" if folder else target).absolute()
    manifest = copy.with_name(copy.name + ".json")
    if not copy.parent.is_dir():
        raise Wrong(f"{copy.parent} is not a folder.")
    if copy.exists() or manifest.exists():
        raise Wrong(f"{copy} or its manifest exists already; nothing was written.")
    _keep_apart(key_file(settings), copy.parent)
    with open_store(settings) as store:
        store.database.backup(copy)
        values = _manifest(copy, store, made_at=now)
    write_private(manifest, json.dumps(values, indent=2) + "\n")
    output.show(f"Wrote {copy} and {manifest.name}.")
    output.say("The master key is not in it; keep a copy of the key somewhere else.")


def key_file(settings: Settings) -> Path | None:
    """Return the file that holds the master key, if it is in a file."""
    if settings.key or settings.key_command or settings.key_keyring:
        return None
    return settings.key_file or settings.config / "master.key"


def _keep_apart(key: Path | None, folder: Path) -> None:
    """Refuse to put a backup beside the key that opens it, and warn where they share a folder further up."""
    if key is None or not key.exists():
        return
    places = {key.absolute().parent, key.resolve().parent}
    if folder.resolve() in places or folder in places:
        raise Wrong(
            f"{folder} also holds the master key, {key.name}: whoever gets that folder could open every secret. "
            "Choose another one."
        )
    if any(place.is_relative_to(folder.resolve()) for place in places):
        output.say(f"Warning: the master key {key} lies below {folder}. Do not copy that whole folder away.")


def _manifest(copy: Path, store: Store, *, made_at: datetime) -> dict[str, Any]:
    with copy.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    ring = store.ring()
    return {
        "database": copy.name,
        "sha256": digest,
        "bytes": copy.stat().st_size,
        "made_at": made_at.isoformat(timespec="seconds"),
        "program_version": __version__,
        "schema_version": store.database.version,
        "master_key_ids": sorted({row.kek_id for row in ring}),
        "data_key_ids": sorted(row.dek_id for row in ring),
    }
