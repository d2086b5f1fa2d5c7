"""One SQLite file: how it is opened, written under one lock, read, backed up and checked.

The SQLite library here may carry the WAL-reset bug (versions 3.7.0 to 3.51.2: two connections that write or
checkpoint at the same instant can lose data), so writes and checkpoints of every process go through one lock file.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from hub_core.errors import StorageError
from hub_core.storage.faults import BUSY, RESTORE, advice, translate, words
from hub_core.storage.migrations import MIGRATIONS, migrate, refuse_unknown, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from pathlib import Path

    from hub_core.storage.migrations import Steps

LIBRARY = sqlite3.sqlite_version
"""The version of the SQLite library in use."""

WAIT_S = 10.0
"""How long another process may keep the lock before we say that the database is busy."""

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA recursive_triggers=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    "PRAGMA mmap_size=0",
    "PRAGMA wal_autocheckpoint=0",
    "PRAGMA journal_size_limit=0",
)
_WAL_LIMIT = 4 * 1024 * 1024
"""From this size on it is moved into the main file; the next write cuts it to nothing (journal_size_limit)."""

_READERS_KEPT = 4
"""Reading connections that wait for the next reader: a new one reads the schema first, which takes 0.3 ms."""

_LOCK_POLL_S = 0.005
_BUSY_S = 2.0
"""How long SQLite itself waits: our own writers meet at the lock file, so only for other programs and readers."""


class Database:
    """The file, with one writing connection and short reading ones."""

    def __init__(self, path: Path, *, steps: Steps = MIGRATIONS, wait_s: float = WAIT_S) -> None:
        """Open or make the database at `path` and bring its schema up to date.

        Args:
            path: absolute; its folder is made, with mode 0700.
            steps: the migrations of this program.
            wait_s: how long another process may keep the lock.

        Raises:
            StorageError: out of reach, damaged, somebody else's, or written by a newer program; it is then untouched.
        """
        self.path = path
        self._wait_s = wait_s
        self._turn = threading.Lock()
        self._shared = _Shared()
        self._open = True
        self._erased = False
        self._marking = threading.Lock()
        self._marker: sqlite3.Connection | None = None
        self._idle: list[sqlite3.Connection] = []
        try:
            make_private_folder(path.parent)
            self._lock = _open_private(path.with_name(path.name + ".lock"))
        except OSError as error:
            raise StorageError(f"The database {path} cannot be opened: {words(error)}.") from None
        try:
            with self._locked():
                self._writer = self._opened(steps)
            self._file = _identity(path)
        except BaseException:
            os.close(self._lock)
            raise

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give the writing connection inside one `BEGIN IMMEDIATE` transaction.

        Inside `together` it is a part of that transaction, undone by itself when it fails.

        Raises:
            StorageError: locked for longer than the timeout, full, or read-only; nothing was written.
        """
        if self._shared.con:
            with _part_of(self._shared.con) as con:
                yield con
            return
        with self._locked():
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException as error:
                if self._writer.in_transaction:  # SQLite itself undoes it when the disk is full
                    self._writer.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    translate(error, "The database cannot be written")
                raise
            self._tidy_wal()

    @contextmanager
    def read(self) -> Generator[sqlite3.Connection]:
        """Give a short read-only connection that sees one moment of the database; raises StorageError."""
        if self._shared.con:
            try:
                yield self._shared.con
            finally:
                self._shared.con.row_factory = sqlite3.Row  # whoever reads next expects rows with names
            return
        try:
            con = self._lent()
            try:
                con.execute("BEGIN")
                yield con
                con.execute("COMMIT")
            except BaseException:
                con.close()
                raise
            self._take_back(con)
        except sqlite3.Error as error:
            translate(error, "The database cannot be read")

    def together(self, works: Sequence[Callable[[], Any]], *, reading: bool = False) -> list[Any]:
        """Do works of this thread in one transaction; return what each returned, or the exception it raised.

        Each is whole or undone; all that were not are kept by one commit. `reading` works only read.

        Raises:
            StorageError: as for `write` and `read`; then none of them was kept.
        """
        done: list[Any] = []
        with self.read() if reading else self.write() as con:
            self._shared.con = con
            try:
                for work in works:
                    try:
                        done.append(work())
                    except Exception as error:
                        if not con.in_transaction:
                            raise  # SQLite has undone everything, such as when the disk is full
                        done.append(error)
            finally:
                self._shared.con = None
        return done

    def mark(self) -> int:
        """Return a number that is another one after anything was written, by whichever process; raises StorageError."""
        with self._marking:
            if not self._open:
                raise StorageError("The database is closed.")
            try:
                if self._marker is None:
                    self._marker = self._reader()
                return int(self._marker.execute("PRAGMA data_version").fetchone()[0])
            except sqlite3.Error as error:
                translate(error, "The database cannot be read")

    def empty_wal(self) -> None:
        """Move everything into the main file and empty the WAL, so that what was deleted is gone from it too.

        While somebody reads it cannot be emptied; then the next write, or the next start, does it.
        """
        with self._locked():
            self._erased = True
            self._tidy_wal()

    def backup(self, target: Path) -> None:
        """Write a consistent copy of the database to `target`, mode 0600.

        Raises:
            StorageError: the target exists, or cannot be written.
        """
        made = False
        try:
            # VACUUM INTO wants a file that is missing or empty; making it first settles the mode.
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            made = True
            try:
                os.fchmod(descriptor, 0o600)
                with closing(self._reader()) as con:
                    con.execute("VACUUM INTO ?", (str(target.absolute()),))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except (OSError, sqlite3.Error) as error:
            if made:
                target.unlink(missing_ok=True)
            raise StorageError(f"The backup {target} cannot be written: {words(error)}.") from None

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
        """Empty the WAL and close; a second time does nothing."""
        if not self._open:
            return
        with self._locked():
            with self._marking:
                self._open = False
                for con in [*self._idle, *([self._marker] if self._marker else [])]:
                    con.close()
                self._idle.clear()
            with suppress(sqlite3.Error):  # nothing is lost: whoever opens next does it
                self._writer.execute("PRAGMA optimize")
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            # The last of ours to close: only one that may write takes the WAL away.
            self._writer.close()
        os.close(self._lock)

    # ---- inside

    def _opened(self, steps: Steps) -> sqlite3.Connection:
        """Return the writing connection to a database that was looked at before anything in it was changed."""
        try:
            os.close(_open_private(self.path))
            if self.path.stat().st_size:
                self._look(len(steps))
            writer = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"The database {self.path} cannot be opened: {words(error)}.{advice(error)}") from None
        try:
            for pragma in _PRAGMAS:
                writer.execute(pragma)
            migrate(writer, steps, before_first=lambda: self.backup(self._upgrade_backup()))
            writer.execute("PRAGMA foreign_keys=ON")
            # What a run that ended without warning has erased is still in its WAL.
            writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            writer.close()
            raise StorageError(f"The database {self.path} cannot be used: {words(error)}.{advice(error)}") from None
        except BaseException:
            writer.close()
            raise
        writer.row_factory = sqlite3.Row
        return writer

    def _look(self, known: int) -> None:
        """Refuse what is not ours, newer than us or damaged, by a connection that can write nothing."""
        with closing(self._reader()) as con:
            refuse_unknown(con, known)
            found = con.execute("PRAGMA quick_check").fetchone()[0]
        if found != "ok":
            raise StorageError(f"The database {self.path} cannot be opened: it is damaged.{RESTORE}")

    def _lent(self) -> sqlite3.Connection:
        """Return a reading connection that nobody uses, to the file that is there now: it may be gone."""
        with self._marking:
            con = self._idle.pop() if self._idle else None
        if con is None:
            return self._reader()
        try:
            if _identity(self.path) == self._file:
                return con
        except OSError:
            pass
        con.close()
        return self._reader()

    def _take_back(self, con: sqlite3.Connection) -> None:
        """Keep a reading connection for the next reader, unless there are enough."""
        con.row_factory = sqlite3.Row  # whoever reads next expects rows with names
        with self._marking:
            if self._open and len(self._idle) < _READERS_KEPT:
                self._idle.append(con)
                return
        con.close()

    def _reader(self) -> sqlite3.Connection:
        con = sqlite3.connect(
            f"{self.path.as_uri()}?mode=ro", uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        con.row_factory = sqlite3.Row
        con.execute("PRAGMA trusted_schema=OFF")
        return con

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep every other writer out: threads of this process by a lock, other processes by the lock file."""
        until = time.monotonic() + self._wait_s
        if not self._turn.acquire(timeout=self._wait_s):
            raise StorageError("The database cannot be written: this program itself keeps it busy.")
        try:
            if not self._open:
                raise StorageError("The database is closed.")
            while not _flocked(self._lock):
                if time.monotonic() > until:
                    raise StorageError(f"The database cannot be written: {BUSY}.")
                time.sleep(_LOCK_POLL_S)
            try:
                yield
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)
        finally:
            self._turn.release()

    def _tidy_wal(self) -> None:
        """Empty the WAL after something was erased, and move it into the main file when it grew large."""
        try:
            if self._erased:
                busy, *_ = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                self._erased = bool(busy)
            elif self.path.with_name(self.path.name + "-wal").stat().st_size > _WAL_LIMIT:
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except (OSError, sqlite3.Error):
            return  # what was written is safe in the WAL; the next write tries again

    def _upgrade_backup(self) -> Path:
        have, number = self.version, 1
        while (target := self.path.with_name(f"{self.path.name}.before-upgrade-from-{have}.{number}")).exists():
            number += 1
        return target


class _Shared(threading.local):
    """The connection of the transaction that works of this thread share, while there is one."""

    con: sqlite3.Connection | None = None


@contextmanager
def _part_of(con: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    con.execute("SAVEPOINT part")
    try:
        yield con
        con.execute("RELEASE part")
    except BaseException as error:
        if con.in_transaction:
            con.execute("ROLLBACK TO part")
            con.execute("RELEASE part")
        if isinstance(error, sqlite3.Error):
            translate(error, "The database cannot be written")
        raise


def make_private_folder(folder: Path) -> None:
    """Make a folder and what is missing above it, for its owner only, whatever the umask is."""
    for part in reversed([folder, *folder.parents]):
        if not part.exists():
            with suppress(FileExistsError):
                part.mkdir(mode=0o700)
                part.chmod(0o700)


def _open_private(path: Path) -> int:
    """Open a file to read and write; make it, for its owner only, if it is missing. SQLite copies its mode."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, os.O_RDWR)
    os.fchmod(descriptor, 0o600)  # whatever the umask took away
    return descriptor


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _flocked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
