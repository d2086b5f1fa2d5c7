"""One SQLite file: how it is opened, written under one lock, read, backed up and checked.

The SQLite library here may carry the WAL-reset bug (versions 3.7.0 to 3.51.2: two connections that write or
checkpoint at the same instant can lose data), so writes and checkpoints of every process go through one lock file.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from hub_core.errors import StorageError
from hub_core.storage.migrations import migrate, version_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: BEGIN IMMEDIATE alone keeps writers apart there
    fcntl = None  # type: ignore[assignment]

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
    "PRAGMA recursive_triggers=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    "PRAGMA mmap_size=0",
    "PRAGMA wal_autocheckpoint=0",
)
_WAL_LIMIT = 4 * 1024 * 1024


class Database:
    """The file, with one writing connection and short reading ones."""

    def __init__(self, path: Path) -> None:
        """Open or make the database at `path` and bring its schema up to date.

        Raises:
            StorageError: out of reach, damaged, or written by a newer program.
        """
        self.path = path
        self._threads = threading.Lock()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Made before SQLite opens it, so that the file and its WAL are private under any umask.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._lock_fd = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            self._writer = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"The database {path} cannot be opened: {_why(error)}.") from None
        try:
            with self._locked():
                for pragma in _PRAGMAS:
                    self._writer.execute(pragma)
                if self._writer.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                    raise sqlite3.DatabaseError("its pages contradict each other")
                self._writer.execute("PRAGMA foreign_keys=OFF")
                migrate(self._writer, before_first=lambda: self._copy_to(self._upgrade_backup()))
                self._writer.execute("PRAGMA foreign_keys=ON")
        except sqlite3.Error as error:
            self._writer.close()
            raise StorageError(
                f"The database {path} cannot be used: {_why(error)}. Nothing was changed. "
                "Run `linkhub doctor`, or restore a backup."
            ) from None
        except StorageError:
            self._writer.close()
            raise
        self._writer.row_factory = sqlite3.Row

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give the writing connection inside one `BEGIN IMMEDIATE` transaction.

        Raises:
            StorageError: locked for longer than the timeout, full, or read-only; nothing was written.
        """
        with self._locked():
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                except BaseException:
                    self._writer.execute("ROLLBACK")
                    raise
                self._writer.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise StorageError(f"The database cannot be written: {_why(error)}.") from None
            self._checkpoint_if_large()

    @contextmanager
    def read(self) -> Generator[sqlite3.Connection]:
        """Give a short read-only connection that sees one moment of the database."""
        try:
            with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=5.0)) as con:
                con.row_factory = sqlite3.Row
                con.execute("PRAGMA trusted_schema=OFF")
                con.execute("BEGIN")
                yield con
        except sqlite3.OperationalError as error:
            raise StorageError(f"The database cannot be read: {_why(error)}.") from None

    def empty_wal(self) -> None:
        """Move everything into the main file and empty the WAL, so that what was deleted is gone from it too."""
        with self._locked():
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def backup(self, target: Path) -> None:
        """Write a consistent copy of the database to `target`, mode 0600.

        Raises:
            StorageError: the target exists, or cannot be written.
        """
        try:
            with self._locked():
                self._copy_to(target)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"The backup {target} cannot be written: {_why(error)}.") from None

    def problems(self) -> list[str]:
        """Return what SQLite's full integrity check finds; empty when all is well."""
        with self.read() as con:
            found = [row[0] for row in con.execute("PRAGMA integrity_check") if row[0] != "ok"]
            broken = con.execute("PRAGMA foreign_key_check").fetchall()
        return found + ([f"{len(broken)} rows refer to rows that are gone"] if broken else [])

    @property
    def version(self) -> int:
        """The schema version."""
        with self.read() as con:
            return version_of(con)

    def close(self) -> None:
        """Empty the WAL and close."""
        with self._threads:
            try:
                self._writer.execute("PRAGMA optimize")
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.OperationalError:
                pass  # another process is reading or writing: it will do this when it closes
            self._writer.close()
            os.close(self._lock_fd)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._threads:
            if fcntl is None:  # pragma: no cover - Windows
                yield
                return
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._lock_fd, fcntl.LOCK_UN)

    def _checkpoint_if_large(self) -> None:
        wal = self.path.with_name(self.path.name + "-wal")
        if wal.exists() and wal.stat().st_size > _WAL_LIMIT:
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def _copy_to(self, target: Path) -> None:
        # VACUUM INTO wants a file that is missing or empty; making it first settles the mode.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        self._writer.execute("VACUUM INTO ?", (str(target),))

    def _upgrade_backup(self) -> Path:
        have = version_of(self._writer)
        number = 1
        while (target := self.path.with_name(f"{self.path.name}.before-upgrade-from-{have}.{number}")).exists():
            number += 1
        return target


def _why(error: Exception) -> str:
    """Say it in words; SQLite's and the system's texts name files and states, never values."""
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    return str(error)
