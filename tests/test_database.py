"""The database file: modes, locks, refusals, transactions, the WAL and backups."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub_core.errors import NotFound, StorageError
from hub_core.storage.database import Database
from hub_core.storage.migrations import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
AUDIT = "INSERT INTO audit(at, actor, action, target, detail) VALUES (0, 'test', ?, '', '{}')"
ERASED = "Erased-Label-3f9a1c"


@contextmanager
def opened(path: Path, **options: float) -> Iterator[Database]:
    database = Database(path, **options)  # type: ignore[arg-type]  # options are times
    try:
        yield database
    finally:
        database.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "hub.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with opened(path) as made:
        yield made


def actions(database: Database) -> list[str]:
    with database.read() as con:
        return [row["action"] for row in con.execute("SELECT action FROM audit ORDER BY seq")]


def bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277, 0o777])
def test_files_are_private_under_any_umask(tmp_path: Path, umask: int) -> None:
    """Folders are 0700 and every file beside the database is 0600, whatever the umask is."""
    before = os.umask(umask)
    try:
        with opened(tmp_path / "new" / "data" / "hub.db") as database:
            with database.write() as con:
                con.execute(AUDIT, ("one",))
            database.backup(tmp_path / "new" / "data" / "copy.db")
            modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in (tmp_path / "new" / "data").iterdir()}
            folders = {stat.S_IMODE(f.stat().st_mode) for f in (tmp_path / "new", tmp_path / "new" / "data")}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("hub.db", "hub.db-wal", "hub.db-shm", "hub.db.lock", "copy.db"), 0o600)
    assert folders == {0o700}


def test_settings_of_the_connection(database: Database) -> None:
    """The writer runs with the settings of the design: WAL, full sync, foreign keys, erasing deletes."""
    with database.write() as con:
        values = {
            name: con.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "trusted_schema")
        }
    assert values == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "trusted_schema": 0,
    }


def test_every_table_is_strict(database: Database) -> None:
    """Every table refuses values of another type than its column's."""
    with database.read() as con:
        tables = con.execute("PRAGMA table_list").fetchall()
    found = {row["name"]: row["strict"] for row in tables if not row["name"].startswith("sqlite_")}
    assert {"account", "audit", "beat", "checks", "keyring", "schedule"} <= found.keys()
    assert set(found.values()) == {1}


def test_writes_are_kept(path: Path) -> None:
    """What was written is there for readers at once, and after closing and opening again."""
    with opened(path) as database:
        with database.write() as con:
            con.execute(AUDIT, ("one",))
        assert actions(database) == ["one"]
    with opened(path) as database:
        assert actions(database) == ["one"]


@pytest.mark.parametrize("error", [NotFound("gone"), ValueError("ours"), KeyboardInterrupt()])
def test_an_error_of_the_caller_undoes_everything_and_stays_itself(database: Database, error: BaseException) -> None:
    """Whatever the caller raises inside `write` comes out as it is, and nothing was written."""

    def work() -> None:
        with database.write() as con:
            con.execute(AUDIT, ("undone",))
            raise error

    with pytest.raises(type(error)) as caught:
        work()
    assert caught.value is error
    with database.write() as con:
        con.execute(AUDIT, ("after",))
    assert actions(database) == ["after"]


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT * FROM no_such_table", sqlite3.OperationalError),
        ("INSERT INTO audit(seq) VALUES (1)", sqlite3.IntegrityError),
    ],
)
def test_a_fault_in_a_statement_is_not_called_a_storage_error(
    database: Database, statement: str, kind: type[sqlite3.Error]
) -> None:
    """A mistake in our own SQL is a bug to be seen, not a sentence about the disk."""
    with pytest.raises(kind), database.write() as con:
        con.execute(statement)
    with database.write() as con:
        con.execute(AUDIT, ("after",))
    assert actions(database) == ["after"]


def test_a_full_disk_is_a_sentence_and_loses_nothing(database: Database) -> None:
    """Running out of space says so; the rows of before stay, and writing works once there is space again."""
    with database.write() as con:
        con.execute(AUDIT, ("before",))
        pages = con.execute("PRAGMA page_count").fetchone()[0]
        con.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="cannot be written: the disk is full"), database.write() as con:
        con.executemany(AUDIT, [("x" * 1000,)] * 1000)
    assert actions(database) == ["before"]
    assert database.problems() == []
    with database.write() as con:
        con.execute("PRAGMA max_page_count = 1000000")
        con.execute(AUDIT, ("after",))
    assert actions(database) == ["before", "after"]


def test_a_database_that_may_only_be_read_is_a_sentence(database: Database) -> None:
    """A connection that may not write says so."""
    with database.write() as con:
        con.execute("PRAGMA query_only = ON")
    with pytest.raises(StorageError, match="it may only be read"), database.write() as con:
        con.execute(AUDIT, ("no",))
    assert actions(database) == []


def test_readers_cannot_write(database: Database) -> None:
    """The reading connection is physically unable to change anything."""
    with pytest.raises(StorageError, match="cannot be read: it may only be read"), database.read() as con:
        con.execute(AUDIT, ("no",))


def test_a_reader_sees_one_moment(database: Database) -> None:
    """What is written while somebody reads is not seen by that reading."""
    with database.read() as con:
        before = con.execute("SELECT count(*) FROM audit").fetchone()[0]
        with database.write() as writer:
            writer.execute(AUDIT, ("meanwhile",))
        assert con.execute("SELECT count(*) FROM audit").fetchone()[0] == before == 0
    assert actions(database) == ["meanwhile"]


def test_a_lock_kept_by_another_process_is_a_sentence(path: Path) -> None:
    """When another process keeps the lock file for too long, writing and opening give up with a sentence."""
    with opened(path, wait_s=0.05) as database, path.with_name("hub.db.lock").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StorageError, match="another program keeps it locked"), database.write():
            pass
        with pytest.raises(StorageError, match="another program keeps it locked"):
            Database(path, wait_s=0.05)
        fcntl.flock(other, fcntl.LOCK_UN)
        with database.write() as con:
            con.execute(AUDIT, ("after",))


def test_a_lock_kept_by_a_foreign_program_is_a_sentence(database: Database) -> None:
    """A program that locks the database by SQLite's own means is waited for, then named."""
    with closing(sqlite3.connect(database.path, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="another program keeps it locked"), database.write():
            pass
    with database.write() as con:
        con.execute(AUDIT, ("after",))
    assert actions(database) == ["after"]


def test_read_modify_write_of_many_threads_and_processes_loses_nothing(path: Path) -> None:
    """Every transaction begins as a writer, so that counting in two processes of four threads counts all."""
    program = (
        "import sys, threading, pathlib\n"
        "from hub_core.storage.database import Database\n"
        "db = Database(pathlib.Path(sys.argv[1]))\n"
        "def work():\n"
        "    for _ in range(25):\n"
        "        with db.write() as con:\n"
        "            n = con.execute('SELECT until FROM origin_hold').fetchone()[0]\n"
        "            con.execute('UPDATE origin_hold SET until = ?', (n + 1,))\n"
        "threads = [threading.Thread(target=work) for _ in range(4)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "db.close()\n"
    )
    with opened(path) as database:
        with database.write() as con:
            con.execute("INSERT INTO origin_hold VALUES ('x', 0)")
        children = [subprocess.Popen([sys.executable, "-c", program, str(path)], cwd=ROOT) for _ in range(2)]
        assert [child.wait(60) for child in children] == [0, 0]
        with database.read() as con:
            assert con.execute("SELECT until FROM origin_hold").fetchone()[0] == 200


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda _: b"This is not a database at all. " * 400, id="another file"),
        pytest.param(lambda data: data[:4096] + bytes(8192) + data[12288:], id="zeroed pages"),
        pytest.param(lambda data: data[: len(data) // 2], id="cut off"),
        pytest.param(lambda data: b"\xff" * 100 + data[100:], id="header overwritten"),
    ],
)
def test_a_damaged_file_is_refused_and_untouched(path: Path, damage: object) -> None:
    """A damaged database is refused with what to do, and not one byte of it changes."""
    with opened(path):
        pass
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]  # one of the functions above
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"cannot be opened: .*restore a backup"):
        Database(path)
    assert path.read_bytes() == before


def test_a_newer_database_is_refused_and_untouched(path: Path) -> None:
    """A database of a newer program is refused with both version numbers, and not one byte of it changes."""
    Database(path, steps=(*MIGRATIONS, lambda db: db.execute("ALTER TABLE account ADD COLUMN plan TEXT"))).close()
    before = path.read_bytes()
    have, known = len(MIGRATIONS) + 1, len(MIGRATIONS)
    with pytest.raises(StorageError, match=f"schema version {have}; this program knows up to {known}.*newer"):
        Database(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", [0, 1])
def test_a_database_of_another_program_is_refused_and_untouched(path: Path, version: int) -> None:
    """Somebody else's SQLite file is not filled with our tables."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as con:
        con.execute("CREATE TABLE recipes(name)")
        con.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(StorageError, match="not written by Link Hub"):
        Database(path)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    """A path below a file is refused with the system's word for it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot be opened: (not a directory|file exists)"):
        Database(tmp_path / "file" / "data" / "hub.db")


def test_a_folder_instead_of_the_file_is_a_sentence(tmp_path: Path) -> None:
    """A folder where the database should be is refused."""
    (tmp_path / "hub.db").mkdir()
    with pytest.raises(StorageError, match="cannot be opened: is a directory"):
        Database(tmp_path / "hub.db")


def test_a_refused_opening_leaves_no_lock_behind(path: Path) -> None:
    """After a refusal the lock is free and no file stays open."""
    with opened(path):
        pass
    good = path.read_bytes()
    path.write_bytes(b"no database" * 1000)
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(StorageError):
            Database(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before
    path.write_bytes(good)
    with opened(path) as database:
        assert database.problems() == []


def test_reading_a_database_that_vanished_is_a_sentence(database: Database) -> None:
    """Readers of a removed file are told that it is not there."""
    database.path.unlink()
    with pytest.raises(StorageError, match="cannot be read: it is not there"), database.read():
        pass


def test_what_was_erased_is_in_no_file(database: Database) -> None:
    """After emptying the WAL, deleted text is neither in the database nor in its WAL."""
    with database.write() as con:
        con.execute(AUDIT, (ERASED,))
    assert ERASED.encode() in bytes_of(database.path.parent)
    with database.write() as con:
        con.execute("DELETE FROM audit")
    assert ERASED.encode() in bytes_of(database.path.parent)
    database.empty_wal()
    assert ERASED.encode() not in bytes_of(database.path.parent)


def test_erasing_waits_for_a_reader_until_the_next_write(database: Database) -> None:
    """While somebody reads the old state the WAL cannot be emptied; the next write after that does it."""
    with database.write() as con:
        con.execute(AUDIT, (ERASED,))
    with database.read() as reader:
        reader.execute("SELECT * FROM audit").fetchall()
        with database.write() as con:
            con.execute("DELETE FROM audit")
        database.empty_wal()
        assert ERASED.encode() in bytes_of(database.path.parent)
    with database.write() as con:
        con.execute(AUDIT, ("next",))
    assert ERASED.encode() not in bytes_of(database.path.parent)


def test_what_a_killed_run_erased_is_gone_after_the_next_start(path: Path) -> None:
    """A process that is killed between deleting and emptying the WAL leaves nothing that outlives the next start."""
    program = (
        "import sys, os, pathlib\n"
        "from hub_core.storage.database import Database\n"
        "db = Database(pathlib.Path(sys.argv[1]))\n"
        "for sql in (sys.argv[2], 'DELETE FROM audit'):\n"
        "    with db.write() as con: con.execute(sql)\n"
        "os._exit(9)\n"
    )
    statement = AUDIT.replace("?", f"'{ERASED}'")
    subprocess.run([sys.executable, "-c", program, str(path), statement], cwd=ROOT, check=False)
    assert ERASED.encode() in bytes_of(path.parent)
    with opened(path):
        assert ERASED.encode() not in bytes_of(path.parent)


def test_a_large_wal_is_moved_into_the_file(database: Database) -> None:
    """The WAL does not grow without end, although SQLite itself no longer empties it."""
    for _ in range(8):
        with database.write() as con:
            for _ in range(20):
                con.execute(AUDIT, ("x" * 60_000,))
    assert database.path.with_name("hub.db-wal").stat().st_size < 12_000_000
    assert database.path.stat().st_size > 4_000_000


def test_a_backup_is_whole_while_others_write(database: Database, tmp_path: Path) -> None:
    """A backup holds what is in the WAL too, is a sound database, and does not wait for a writer."""
    with database.write() as con:
        con.execute(AUDIT, ("one",))
    with database.write() as con:
        con.execute(AUDIT, ("two",))
        database.backup(tmp_path / "copy.db")
    with opened(tmp_path / "copy.db") as copy:
        assert actions(copy) == ["one"]
        assert copy.problems() == []


def test_a_backup_overwrites_nothing(database: Database, tmp_path: Path) -> None:
    """An existing file, or a folder that is missing, is a sentence and stays as it is."""
    (tmp_path / "there.db").write_text("mine")
    with pytest.raises(StorageError, match="cannot be written: file exists"):
        database.backup(tmp_path / "there.db")
    assert (tmp_path / "there.db").read_text() == "mine"
    with pytest.raises(StorageError, match="cannot be written: no such file"):
        database.backup(tmp_path / "missing" / "copy.db")


def test_a_failed_backup_leaves_no_half_file(database: Database, tmp_path: Path) -> None:
    """A backup that cannot be finished is removed again."""
    database.path.unlink()
    with pytest.raises(StorageError, match=r"backup .* cannot be written"):
        database.backup(tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_problems_names_rows_that_refer_to_nothing(database: Database) -> None:
    """The full check also finds checks of accounts that are gone."""
    with closing(sqlite3.connect(database.path)) as foreign, foreign:
        foreign.execute(
            "INSERT INTO checks(account_id, at, trigger, status, ms, observations) VALUES ('no', 0, '', '', 0, '')"
        )
    assert database.problems() == ["1 rows refer to rows that are gone"]


def test_the_wal_is_cut_again_after_it_grew(path: Path) -> None:
    """What grew beyond its limit is moved away once, not again with every write that follows."""
    wal = path.with_name("hub.db-wal")
    with opened(path) as database:
        with database.write() as con:
            con.execute(AUDIT, ("x" * 5_000_000,))
        assert wal.stat().st_size > 4 * 1024 * 1024
        with database.write() as con:
            con.execute(AUDIT, ("one",))
        assert wal.stat().st_size < 100_000


def test_readers_see_what_was_written_since_the_last_reading(database: Database) -> None:
    """A reading connection is used again, each time with the present, also after a reading that failed."""
    for number in range(3):
        with database.write() as con:
            con.execute(AUDIT, (f"number {number}",))
        assert actions(database)[-1] == f"number {number}"
        with pytest.raises(sqlite3.OperationalError, match="no such table"), database.read() as con:
            con.execute("SELECT * FROM missing")


def test_readers_notice_that_the_file_is_gone(database: Database) -> None:
    """A file that was taken away is not read on from a connection to what was there before."""
    assert actions(database) == []
    database.path.unlink()
    with pytest.raises(StorageError, match="not there"):
        actions(database)


def test_nested_readers_do_not_share_a_moment(database: Database) -> None:
    """A reading inside a reading has a connection of its own, and more readers than are kept are served."""
    with ExitStack() as stack:
        cons = [stack.enter_context(database.read()) for _ in range(9)]
        assert len({id(con) for con in cons}) == 9
    assert actions(database) == []


def test_a_database_that_was_watched_closes_whole(path: Path) -> None:
    """Whoever asked for the mark leaves nothing open: the WAL is gone after closing, and nobody marks any more."""
    with opened(path) as database:
        before = database.mark()
        with database.write() as con:
            con.execute(AUDIT, ("one",))
        assert database.mark() != before
    assert not path.with_name("hub.db-wal").exists()
    with pytest.raises(StorageError, match="closed"):
        database.mark()


def test_closing_twice_is_closing_once_and_ends_writing(database: Database) -> None:
    """After closing, writing is a sentence, the WAL is gone, and closing again does nothing."""
    database.close()
    database.close()
    with pytest.raises(StorageError, match="closed"), database.write():
        pass
    assert not database.path.with_name("hub.db-wal").exists()


def test_two_processes_may_make_the_same_database(path: Path) -> None:
    """Programs that start on an empty folder at once make one schema."""
    made: list[Database] = []
    threads = [threading.Thread(target=lambda: made.append(Database(path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert [database.version for database in made] == [len(MIGRATIONS)] * 4
    finally:
        for database in made:
            database.close()
