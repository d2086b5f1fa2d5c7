"""Gathers what helps to find a fault and may be published: versions, settings without values of their own, numbers."""

from __future__ import annotations

import platform
import re
from collections import Counter
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from hub_core import __version__, showing
from hub_core.model import Lifecycle, Secret
from hub_core.storage.database import LIBRARY

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from hub_core.hub import Hub
    from hub_core.settings import Settings

_PACKAGES: Final = ("streamlit", "httpx", "h11", "pandas", "sqlite-utils", "cryptography", "truststore", "apprise")
_TOLD: Final = frozenset({"log_level", "timezone"})
"""Settings that are words and yet tell nothing about an installation."""

_HIDDEN: Final = frozenset({"key_command"})
"""A command line may hold a password of the program it runs."""

_VERSION: Final = re.compile(r"[^\w.+-]|(?<=.{30}).*")
"""What is no part of a version: a server may call itself anything."""


def collect(hub: Hub) -> dict[str, Any]:
    """Return the diagnostics: no label, address, id, name, path or secret, by an allow-list of what goes in."""
    now, rows = hub.clock.now(), hub.accounts()
    queue = hub.watching.queue()
    return {
        "made_at": now.isoformat(timespec="seconds"),
        "versions": _versions(),
        "settings": settings_without_values(hub.settings),
        "database": {"schema": hub.store.database.version, "bytes": hub.settings.database.stat().st_size},
        "accounts": {
            "linked": len(rows),
            "by_status": _counted(showing.shown(hub, row).word for row in rows),
            "by_reason": _counted(row.reason.value for row in rows if row.reason),
            "by_region": _counted(row.region for row in rows),
            "by_server": _counted(
                showing.server_line(row.server_kind, _VERSION.sub("", row.server_version or "")) for row in rows
            ),
            "identity_servers": len({row.identity_origin for row in rows}),
            "paused": sum(row.lifecycle is Lifecycle.PAUSED for row in rows),
        },
        "scheduler": {
            "somebody_checks": hub.watching.somebody(),
            "due": queue.due,
            "running": queue.running,
            "oldest_due_seconds": _age(queue.oldest_due, now),
            "offline": hub.watching.offline_since() is not None,
        },
    }


def settings_in_use(settings: Settings) -> dict[str, str]:
    """Return every setting by its variable, for its operator; of secret ones only whether they are set."""
    shown = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value is None or value == () or (isinstance(value, Secret) and not value):
            text = "not set"
        elif isinstance(value, Secret) or field.name in _HIDDEN:
            text = "set, not shown"
        elif isinstance(value, bool):
            text = str(int(value))
        else:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        shown[str(field.metadata["env"])] = text
    return shown


def settings_without_values(settings: Settings) -> dict[str, Any]:
    """Return every setting by its variable: numbers and switches as they are, of all others only whether they are set.

    A host name, a path or a list of networks says whose installation it is.
    """
    shown: dict[str, Any] = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        plain = isinstance(value, bool | int) or field.name in _TOLD
        shown[field.metadata["env"]] = value if plain else "set" if value else "not set"
    return shown


def _versions() -> dict[str, str]:
    found = {"link-hub": __version__, "python": platform.python_version(), "sqlite": LIBRARY}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return {**found, "system": f"{platform.system()} {platform.machine()}"}


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())


def _age(at: datetime | None, now: datetime) -> int | None:
    return None if at is None else round((now - at).total_seconds())
