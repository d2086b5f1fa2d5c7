"""Puts another master key into the hub's own key file and wraps the data keys with it, so that one of both fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub_core.storage.keys import replace_key_file

if TYPE_CHECKING:
    from pathlib import Path

    from hub_core.hub import Hub
    from hub_core.storage.seal import MasterKey


def rekey_into(path: Path, hub: Hub, new: MasterKey, *, actor: str) -> Path:
    """Write the new key to `path`, wrap the data keys with it, and return where the old key is kept.

    File first: whatever ends this between the two, the refusal to start names the kept file that has to be put back.
    If the database refuses, that is done here.

    Raises:
        MasterKeyError: the key file cannot be replaced.
        StorageError: the database cannot be written; the old key is in place again.
    """
    kept = path.with_name(f"{path.name}.{hub.keychain.master.id}")
    replace_key_file(path, new)
    try:
        hub.keychain.rekey(new, actor=actor)
    except BaseException:
        # The database decides which key is right: it may have been written although something failed after that.
        if new.id not in {row.kek_id for row in hub.store.ring()}:
            kept.replace(path)
        raise
    return kept
