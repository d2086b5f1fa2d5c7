"""Looks at settings, database and keys for the doctor; whatever is broken becomes a finding."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hub_core.cli import machine
from hub_core.cli.backup import key_file
from hub_core.cli.fault import place_of
from hub_core.cli.finding import note, ok, problem
from hub_core.clock import Clock
from hub_core.errors import MasterKeyError, StorageError
from hub_core.keychain import Keychain
from hub_core.model import Reason
from hub_core.storage.channels import Channels
from hub_core.storage.keys import find_key
from hub_core.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from hub_core.cli.finding import Finding
    from hub_core.settings import Settings

_RESTORE: Final = (
    "If it is damaged: stop the hub, put the file aside and restore a backup; never delete the damaged one."
)
_ENTER: Final = "Enter it again on the Settings page, or remove the channel and add it anew."
_MOUNTS: Final = Path("/proc/self/mounts")


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything, one after the other; never raises for what it finds."""
    yield from without_settings()
    yield from _guarded("disk", lambda: [machine.disk(settings)])
    yield from _guarded("file system", lambda: [machine.file_system(settings.data, _mounts())])
    yield from _guarded("file modes", lambda: machine.modes(settings))
    if _missing(settings.database):
        yield note("database", f"There is none at {settings.database} yet; the first start makes it.")
        yield from _guarded("master key", lambda: _key(settings))
        return
    try:
        store = Store.open(settings.database)
    except (StorageError, sqlite3.Error) as error:
        yield problem("database", str(error), _RESTORE)
        # Which key is needed is written in the database; without it the key can only be read.
        yield from _guarded("master key", lambda: _key(settings))
        return
    with closing(store):
        yield from _guarded("database", lambda: _database(store))
        yield from _guarded("clock", lambda: _clocks(store))
        yield from _guarded("secrets", lambda: _keys_and_secrets(store, settings))
        yield from _guarded("alerts", lambda: _channels(store))


def _guarded(about: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Turn whatever ends one look into a finding, so that the others still happen."""
    try:
        yield from look()
    except (StorageError, sqlite3.Error) as error:
        yield problem(about, str(error), _RESTORE)
    except Exception as error:  # noqa: BLE001 - damaged contents break wherever they are read
        yield problem(about, f"It cannot be read ({place_of(error)}).", _RESTORE)


def _missing(path: Path) -> bool:
    try:
        return not path.exists()
    except OSError:
        return False  # it cannot be looked at; opening it says why


def _mounts() -> str:
    return _MOUNTS.read_text("utf-8", "replace") if _MOUNTS.exists() else ""


def without_settings() -> Iterator[Finding]:
    """Look at what can be seen even when the settings are wrong."""
    yield machine.versions(".".join(map(str, sys.version_info[:3])))
    yield machine.sqlite_library(sqlite3.sqlite_version_info[:3])


def _database(store: Store) -> Iterator[Finding]:
    found, version = store.database.problems(), store.database.version
    if found:
        yield problem("database", "The full integrity check found: " + "; ".join(found[:3]), _RESTORE)
    else:
        yield ok("database", f"{store.database.path}, schema version {version}, passes the full integrity check")


def _clocks(store: Store) -> Iterator[Finding]:
    rows = store.overview()
    newest: datetime | None = max((row.checked_at for row in rows if row.checked_at), default=None)
    yield machine.clock(Clock().now(), newest)
    wrong = [row.label for row in rows if row.reason is Reason.CLOCK_WRONG_HERE]
    if wrong:
        yield problem(
            "clock", f"It differs from Bitwarden's by more than 5 minutes ({wrong[0]}).", "Let it follow NTP."
        )


def _channels(store: Store) -> Iterator[Finding]:
    found = Channels(store.database).all()
    if not found:
        yield note(
            "alerts", "There is no channel, so nobody is told when a link fails.", "Add one: linkhub channel add."
        )
    for one in found:
        if one.locked:
            yield problem("alerts", f"The address of “{one.name}” was given up.", _ENTER)
        elif one.error:
            yield problem("alerts", f"“{one.name}” cannot be reached: {one.error}", f"linkhub channel test {one.id}")
        else:
            yield ok("alerts", f"“{one.name}” ({one.hint}) is {'on' if one.enabled else 'switched off'}")


def _keys_and_secrets(store: Store, settings: Settings) -> Iterator[Finding]:
    rows = {row.id: row.label for row in store.overview()}
    if not store.ring():
        yield from _key(settings)
        yield from _unlocked(rows, set(rows))
        return
    try:
        keychain = Keychain(store, settings, Clock())
    except MasterKeyError as error:
        yield problem("master key", str(error), "If it is gone for good: `linkhub key reset --i-lost-it`.")
        return
    status = keychain.status()
    yield from _kept(status.master_id, status.source, status.place, status.warnings, settings)
    yield from _unlocked(rows, set(keychain.locked()))
    names = {channel.id: channel.name for channel in Channels(store.database).all() if not channel.locked}
    for channel_id in keychain.locked_channels():
        if channel_id in names:
            yield problem("secrets", f"The address of the channel “{names[channel_id]}” cannot be opened.", _ENTER)


def _unlocked(labels: dict[str, str], locked: set[str]) -> Iterator[Finding]:
    if locked:
        names = ", ".join(label for account_id, label in labels.items() if account_id in locked)
        yield problem("secrets", f"{len(locked)} of {len(labels)} cannot be opened: {names}", "Relink these accounts.")
    else:
        yield ok("secrets", f"all {len(labels)} open" if labels else "none is stored yet")


def _key(settings: Settings) -> Iterator[Finding]:
    """Look at the key alone, without making one."""
    file = key_file(settings)
    if file and settings.key_file is None and not file.exists():
        yield note("master key", f"There is none at {file} yet; the first start makes it.")
        return
    try:
        found = find_key(settings, needed=frozenset())
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
