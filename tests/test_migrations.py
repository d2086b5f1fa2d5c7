"""The schema's steps: what they make, how an upgrade is kept safe, and what they refuse."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from hub_core.errors import StorageError
from hub_core.storage.database import Database
from hub_core.storage.migrations import MIGRATIONS
from hub_core.storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    import sqlite_utils

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def add_plan(db: sqlite_utils.Database) -> None:
    db.execute("ALTER TABLE account ADD COLUMN plan TEXT")


def add_seats(db: sqlite_utils.Database) -> None:
    db.execute("ALTER TABLE account ADD COLUMN seats INTEGER")


def breaks_off(db: sqlite_utils.Database) -> None:
    db.execute("ALTER TABLE account ADD COLUMN half TEXT")
    raise sqlite3.OperationalError("out of luck")


def orphans(db: sqlite_utils.Database) -> None:
    db.execute("INSERT INTO transition(account_id, at, before, after) VALUES ('nobody', 0, '', '')")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub.db"


def columns(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as con:
        return {row[1] for row in con.execute("PRAGMA table_info(account)")}


def backups(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.glob("hub.db.before-upgrade-*"))


def written_by_the_present_program(path: Path) -> None:
    store = Store.open(path)
    store.hold_origin("https://identity.example", NOW)
    store.close()


def test_a_new_database_is_brought_to_the_newest_version_without_a_backup(path: Path) -> None:
    """There is nothing to save before the first step."""
    Database(path).close()
    with closing(sqlite3.connect(path)) as con:
        assert con.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert backups(path) == []


def test_a_database_of_the_present_version_is_left_alone(path: Path) -> None:
    """Opening again makes no backup and changes no schema."""
    written_by_the_present_program(path)
    with closing(sqlite3.connect(path)) as con:
        before = con.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall()
    Database(path).close()
    with closing(sqlite3.connect(path)) as con:
        assert con.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall() == before
    assert backups(path) == []


def test_an_upgrade_keeps_the_rows_and_a_private_backup_of_before(path: Path) -> None:
    """An older database gets the missing steps; what it was is kept beside it, whole, mode 0600, openable as it was."""
    written_by_the_present_program(path)
    Database(path, steps=(*MIGRATIONS, add_plan, add_seats)).close()
    assert {"plan", "seats"} <= columns(path)
    with closing(sqlite3.connect(path)) as con:
        assert con.execute("SELECT count(*) FROM origin_hold").fetchone()[0] == 1
    assert backups(path) == [f"hub.db.before-upgrade-from-{len(MIGRATIONS)}.1"]
    backup = path.with_name(backups(path)[0])
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with closing(sqlite3.connect(backup)) as con:
        assert con.execute("SELECT count(*) FROM origin_hold").fetchone()[0] == 1
    restored = Database(backup)
    assert restored.problems() == []
    restored.close()


def test_a_second_upgrade_keeps_the_first_backup(path: Path) -> None:
    """Backups are numbered, never overwritten."""
    written_by_the_present_program(path)
    for _ in range(2):
        with pytest.raises(StorageError):
            Database(path, steps=(*MIGRATIONS, breaks_off))
    first = f"hub.db.before-upgrade-from-{len(MIGRATIONS)}"
    assert backups(path) == [f"{first}.1", f"{first}.2"]


def test_a_step_that_fails_changes_nothing(path: Path) -> None:
    """A step is all or nothing; the steps before it stay, and the next start goes on from there."""
    written_by_the_present_program(path)
    with pytest.raises(StorageError, match="out of luck"):
        Database(path, steps=(*MIGRATIONS, add_plan, breaks_off))
    assert "plan" in columns(path)
    assert "half" not in columns(path)
    Database(path, steps=(*MIGRATIONS, add_plan, add_seats)).close()
    assert {"plan", "seats"} <= columns(path)


def test_a_first_step_that_fails_leaves_an_empty_database(path: Path) -> None:
    """A new installation whose first step fails can simply be started again."""
    with pytest.raises(StorageError, match="out of luck"):
        Database(
            path, steps=(*MIGRATIONS[:0], lambda db: breaks_off(db) if db.execute("CREATE TABLE account(x)") else None)
        )
    Database(path).close()
    assert "sealed" in columns(path)


def test_rows_that_refer_to_nothing_after_an_upgrade_are_said(path: Path) -> None:
    """A step that breaks references is found out at once, with the backup to restore."""
    written_by_the_present_program(path)
    with pytest.raises(StorageError, match="damaged after the upgrade; restore the backup"):
        Database(path, steps=(*MIGRATIONS, orphans))


def test_an_older_program_refuses_what_the_newer_one_made(path: Path) -> None:
    """After an upgrade the older program does not touch the database any more."""
    Database(path, steps=(*MIGRATIONS, add_plan)).close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="newer Link Hub"):
        Database(path)
    assert path.read_bytes() == before
