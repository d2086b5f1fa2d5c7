"""Looks at the machine for the doctor: versions, the SQLite library, disk, file modes, the clock."""

from __future__ import annotations

import re
import shutil
import stat
from datetime import UTC, datetime, timedelta
from importlib import metadata
from typing import TYPE_CHECKING, Final

from hub_core import __version__
from hub_core.cli.finding import note, ok, problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub_core.cli.finding import Finding
    from hub_core.settings import Settings

_LIBRARIES: Final = ("streamlit", "httpx", "cryptography", "sqlite-utils")
_NETWORK: Final = re.compile(r"nfs\d?|cifs|smb\w*|9p|afs|ceph|glusterfs|lustre|fuse.*")
_ROOM: Final = 100 * 1024 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_MADE: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""This version is not older; a clock that says otherwise is wrong."""
_CLOCK_SLACK: Final = timedelta(minutes=5)

_Version = tuple[int, int, int]


def versions(python: str) -> Finding:
    """Tell the versions of what runs here."""
    found = [f"Link Hub {__version__}", f"Python {python}"]
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            return problem("versions", f"{name} is not installed.", "Install Link Hub again.")
    return ok("versions", ", ".join(found))


def sqlite_library(version: _Version) -> Finding:
    """Tell whether the SQLite library carries the WAL-reset bug (versions 3.7.0 to 3.51.2, two branches mended)."""
    text = "SQLite " + ".".join(map(str, version))
    mended = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0)
    if version < (3, 7, 0) or mended:
        return ok("sqlite", text)
    return note(
        "sqlite",
        f"{text} is affected by the WAL-reset bug, mitigated: all processes of this installation write under one lock.",
        "Let no other program write to the database.",
    )


def disk(settings: Settings) -> Finding:
    """Tell whether there is room for the database, its log and a copy of it."""
    size = settings.database.stat().st_size if settings.database.exists() else 0
    free = shutil.disk_usage(_existing(settings.data)).free
    text = f"{free // 2**20} MiB free, the database has {max(size // 2**20, 1) if size else 0} MiB"
    if free < max(_ROOM, 2 * size):
        return problem("disk", text, "Make room: what cannot be written is not checked.")
    return ok("disk", text)


def file_system(folder: Path, mounts: str) -> Finding:
    """Tell whether the data folder is on a network file system, where SQLite's locks do not hold.

    Args:
        folder: the data folder.
        mounts: the text of `/proc/self/mounts`; empty where there is none.
    """
    best, kind = "", "not reported"
    path = str(folder.resolve())
    for line in mounts.splitlines():
        point, found = _mount(line)
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, found
    if _NETWORK.fullmatch(kind):
        return problem(
            "file system",
            f"{folder} is on {kind}: SQLite loses data on network and FUSE file systems.",
            "Move LINKHUB_DATA to a local disk.",
        )
    return ok("file system", f"{folder} is on {kind}")


def modes(settings: Settings) -> Iterator[Finding]:
    """Find files and folders that others on this machine may use."""
    database = settings.database
    files = [database, *(database.with_name(database.name + end) for end in ("-wal", "-shm", ".lock"))]
    files += sorted(settings.config.glob("master.key*")) if settings.config.is_dir() else []
    clean = True
    for path in files:
        if path.exists() and path.stat().st_mode & _OTHERS:
            clean = False
            yield problem("file modes", f"{path}: others may use it ({_mode(path)}).", f"chmod 600 {path}")
    for folder in dict.fromkeys((settings.data, settings.config)):
        if folder.exists() and folder.stat().st_mode & _OTHERS:
            clean = False
            yield note("file modes", f"{folder}: others may look into it ({_mode(folder)}).", f"chmod 700 {folder}")
    if clean:
        yield ok("file modes", "only their owner may use the files")


def clock(now: datetime, newest: datetime | None) -> Finding:
    """Tell whether the clock can be right: not before this version was made, nor before what is recorded."""
    text = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if now < _MADE:
        return problem("clock", f"{text} is before this version was made.", "Set the clock; let it follow NTP.")
    if newest and newest > now + _CLOCK_SLACK:
        return problem(
            "clock",
            f"{text}, but something was recorded at {newest:%Y-%m-%d %H:%M:%S} UTC: the clock was set back.",
            "Set the clock; let it follow NTP.",
        )
    return ok("clock", text)


def _mount(line: str) -> tuple[str, str]:
    fields = line.split(" ")
    if len(fields) < 3:  # noqa: PLR2004 - device, mount point, kind
        return "\0", ""
    return re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), fields[1]), fields[2]


def _existing(folder: Path) -> Path:
    return next(part for part in (folder, *folder.parents) if part.exists())


def _mode(path: Path) -> str:
    return f"mode {stat.S_IMODE(path.stat().st_mode):04o}"
