"""Opens what a command works with: settings, hub or bare store, and the log on standard error."""

from __future__ import annotations

import logging
import os
import pwd
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from hub_core.cli.fault import place_of
from hub_core.errors import HubError, MasterKeyError, SettingsError, StorageError
from hub_core.hub import Hub
from hub_core.settings import Settings
from hub_core.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator


class Refused(click.ClickException):
    """The configuration does not let the command start."""

    exit_code = os.EX_CONFIG

    def __init__(self, error: HubError) -> None:
        super().__init__(str(error))


@contextmanager
def open_hub() -> Iterator[Hub]:
    """Open the hub of this installation for one command.

    Raises:
        Refused: settings, database or master key do not let it start.
    """
    settings = read_settings()
    with log_to_stderr(settings.log_level):
        try:
            hub = Hub.open(settings)
        except (StorageError, MasterKeyError) as error:
            raise Refused(error) from None
        with closing(hub):
            yield hub


@contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """Open the database without the master key, and only where there is one already.

    Raises:
        Refused: there is no database, or it cannot be used.
    """
    if not settings.database.exists():
        raise Refused(StorageError(f"There is no database at {settings.database}; check LINKHUB_DATA."))
    try:
        store = Store.open(settings.database)
    except StorageError as error:
        raise Refused(error) from None
    with log_to_stderr(settings.log_level), closing(store):
        yield store


def read_settings() -> Settings:
    """Return the settings; raises Refused."""
    try:
        return Settings.from_env()
    except SettingsError as error:
        raise Refused(error) from None


def actor() -> str:
    """Return who is written into the audit trail: the login name behind this process."""
    try:
        return f"cli:{pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:
        return f"cli:{os.geteuid()}"


class _OneLine(logging.Formatter):
    """Shows an error that was logged by its type and place."""

    def formatException(self, ei: logging._SysExcInfoType) -> str:  # noqa: N802 - logging's name
        return f"  {place_of(ei[1])}" if ei[1] else ""


@contextmanager
def log_to_stderr(level: str) -> Iterator[None]:
    """Show what is logged from `level` on, a line each, while a command runs."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("%(levelname)s %(name)s: %(message)s"))
    root, ours = logging.getLogger(), logging.getLogger("hub_core")
    before = ours.level
    root.addHandler(handler)
    ours.setLevel(level)
    try:
        yield
    finally:
        root.removeHandler(handler)
        ours.setLevel(before)
