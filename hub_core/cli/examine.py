"""Looks at settings, database and keys for the doctor; whatever is broken becomes a finding."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hub_core.cli import machine
from hub_core.cli.backup import key_file
from hub_core.cli.finding import note, ok, problem
from hub_core.clock import Clock
from hub_core.errors import MasterKeyError, StorageError
from hub_core.keychain import Keychain
from hub_core.model import Reason, Secret
from hub_core.storage.keys import find_key
from hub_core.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from hub_core.cli.finding import Finding
    from hub_core.settings import Settings
    from hub_core.storage.store import AccountRow

_HIDDEN: Final = frozenset({"key", "key_command"})
"""A command line may hold a password of the program it runs."""
_RESTORE: Final = "Stop the hub, put the file aside, and restore a backup; never delete the damaged one."
_MOUNTS: Final = Path("/proc/self/mounts")


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything, one after the other; never raises for what it finds."""
    yield from without_settings()
    mounts = _MOUNTS.read_text("utf-8", "replace") if _MOUNTS.exists() else ""
    yield machine.disk(settings)
    yield machine.file_system(settings.data, mounts)
    yield from machine.modes(settings)
    if not settings.database.exists():
        yield note("database", f"There is none at {settings.database} yet; the first start makes it.")
        yield machine.clock(Clock().now(), None)
        yield from _key(settings, frozenset())
        return
    try:
        store = Store.open(settings.database)
    except (StorageError, sqlite3.Error) as error:
        yield problem("database", str(error), _RESTORE)
        yield machine.clock(Clock().now(), None)
        # Which key is needed is written in the database; without it the key can only be read.
        yield from _key(settings, frozenset())
        return
    with closing(store):
        yield from _database(store)
        yield from _clocks(store)
        yield from _keys_and_secrets(store, settings)


def without_settings() -> Iterator[Finding]:
    """Look at what can be seen even when the settings are wrong."""
    yield machine.versions(".".join(map(str, sys.version_info[:3])))
    yield machine.sqlite_library(sqlite3.sqlite_version_info[:3])


def settings_in_use(settings: Settings) -> dict[str, str]:
    """Return every setting by its variable; of secret ones only whether they are set."""
    shown = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value is None or value == () or (isinstance(value, Secret) and not value):
            text = "not set"
        elif field.name in _HIDDEN:
            text = "set, not shown"
        elif isinstance(value, bool):
            text = str(int(value))
        else:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        shown[str(field.metadata["env"])] = text
    return shown


def _database(store: Store) -> Iterator[Finding]:
    try:
        found = store.database.problems()
        version = store.database.version
    except (StorageError, sqlite3.Error) as error:
        yield problem("database", str(error), _RESTORE)
        return
    if found:
        yield problem("database", "The full integrity check found: " + "; ".join(found[:3]), _RESTORE)
    else:
        yield ok("database", f"{store.database.path}, schema version {version}, passes the full integrity check")


def _clocks(store: Store) -> Iterator[Finding]:
    rows = _readable(store)
    newest: datetime | None = max((row.checked_at for row in rows if row.checked_at), default=None)
    yield machine.clock(Clock().now(), newest)
    wrong = [row.label for row in rows if row.reason is Reason.CLOCK_WRONG_HERE]
    if wrong:
        yield problem(
            "clock", f"It differs from Bitwarden's by more than 5 minutes ({wrong[0]}).", "Let it follow NTP."
        )


def _keys_and_secrets(store: Store, settings: Settings) -> Iterator[Finding]:
    try:
        needed = frozenset(row.kek_id for row in store.ring())
        if not needed:
            yield from _key(settings, needed)
            yield from _unlocked(len(_readable(store)), [row.label for row in _readable(store)])
            return
        keychain = Keychain(store, settings, Clock())
        status, locked = keychain.status(), set(keychain.locked())
    except MasterKeyError as error:
        yield problem("master key", str(error), "If it is gone for good: `linkhub key reset --i-lost-it`.")
        return
    except (StorageError, sqlite3.Error) as error:
        yield problem("secrets", str(error), _RESTORE)
        return
    yield from _kept(status.master_id, status.source, status.place, status.warnings, settings)
    rows = _readable(store)
    yield from _unlocked(len(rows), [row.label for row in rows if row.id in locked])


def _unlocked(count: int, locked: list[str]) -> Iterator[Finding]:
    if locked:
        names = ", ".join(locked[:5]) + (" …" if len(locked) > 5 else "")  # noqa: PLR2004 - enough to begin with
        yield problem("secrets", f"{len(locked)} of {count} cannot be opened: {names}", "Relink these accounts.")
    else:
        yield ok("secrets", f"all {count} open")


def _key(settings: Settings, needed: frozenset[str]) -> Iterator[Finding]:
    """Look at the key alone, without making one."""
    file = key_file(settings)
    if file and settings.key_file is None and not file.exists():
        yield note("master key", f"There is none at {file} yet; the first start makes it.")
        return
    try:
        found = find_key(settings, needed=needed)
    except MasterKeyError as error:
        yield problem("master key", str(error))
        return
    yield from _kept(found.master.id, found.source, found.place, found.warnings, settings)


def _kept(key_id: str, source: str, place: str, warnings: tuple[str, ...], settings: Settings) -> Iterator[Finding]:
    yield ok("master key", f"{key_id}, from {source}: {place}")
    # Mounted secrets can be read by others by design; a key beside what it opens protects nothing.
    beside = place.startswith("/") and Path(place).resolve().is_relative_to(settings.data.resolve())
    for warning in warnings:
        yield problem("master key", warning) if beside else note("master key", warning)


def _readable(store: Store) -> list[AccountRow]:
    try:
        return store.overview()
    except (StorageError, sqlite3.Error):
        return []
