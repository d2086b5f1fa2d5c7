"""The schema's steps: what they make, how an upgrade is kept safe, and what they refuse."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from hub_core.errors import StorageError
from hub_core.model import Due, Reason, Standing, Status
from hub_core.storage.codec import moment
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
    store.budget.hold("https://identity.example", NOW)
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


def written_by_version_one(path: Path) -> None:
    """Make a database as the first version made it, with an account, its check and its change of status."""
    database = Database(path, steps=MIGRATIONS[:1])
    row = {
        "id": "one", "label": "Harbor", "region": "us", "identity": "https://identity.bitwarden.com",
        "api": "https://api.bitwarden.com", "identity_origin": "https://identity.bitwarden.com",
        "client_id": "organization.6a2f1c84-3b5d-4e7a-9c10-b1f5a0d2e801", "tags": "[]", "note": "", "sealed": "sealed",
        "lifecycle": "active", "pause_reason": "", "linked_at": 1, "key_entered_at": 1, "generation": 3,
        "status": "failing", "reason": "key_no_longer_accepted", "since": 2, "checked_at": 3, "link_proven_at": 1,
        "key_proven_at": 1, "facts": "{}",
    }  # fmt: skip
    with database.write() as con:
        con.execute(
            f"INSERT INTO account({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",  # noqa: S608 - names above
            tuple(row.values()),
        )
        con.execute(
            "INSERT INTO checks(account_id, at, trigger, status, ms, observations) "
            "VALUES ('one', 3, 'manual', 'failing', 9, '[]')"
        )
        con.execute("INSERT INTO transition(account_id, at, before, after) VALUES ('one', 2, 'healthy', 'failing')")
    database.close()


def test_a_database_of_the_first_version_is_upgraded_with_its_data(path: Path) -> None:
    """Accounts and history of before the schedule are there unchanged, and every account is due at once."""
    written_by_version_one(path)
    with closing(Store.open(path)) as store:
        assert store.database.version == len(MIGRATIONS)
        assert store.database.problems() == []
        loaded = store.load("one")
        assert (loaded.account.label, loaded.generation, loaded.sealed.token) == ("Harbor", 3, "sealed")
        assert loaded.account.standing == Standing(
            Status.FAILING, Reason.KEY_NO_LONGER_ACCEPTED, *(moment(ms) for ms in (2, 3, 1, 1))
        )
        assert (loaded.account.due, loaded.account.neighbours) == (Due(), 1)
        assert [row.id for row in store.overview()] == ["one"]
        assert [(row.id, row.key_due) for row in store.schedule.due(NOW)] == [("one", True)]
        assert len(store.past.noteworthy("one")) == len(store.past.transitions("one")) == 1
        assert store.schedule.watcher().beat_at is None
    assert backups(path) == ["hub.db.before-upgrade-from-1.1"]


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
