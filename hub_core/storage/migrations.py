"""The schema, as ordered functions; each runs once, with its version, in one transaction.

A released function is never edited. Table definitions go through sqlite-utils, which is imported only when
there is something to do: it pulls in pandas where that is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub_core.errors import StorageError
from hub_core.storage.schema_access import access
from hub_core.storage.schema_alerts import alerts
from hub_core.storage.schema_history import history
from hub_core.storage.schema_maintenance import maintenance

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from sqlite_utils import Database
    from sqlite_utils.db import Table

    Steps = Sequence[Callable[[Database], None]]


def _m001_accounts(db: Database) -> None:
    """Accounts, their checks, changes of status, the key ring, the token budget and the audit trail."""
    _table(db, "keyring").create(
        {"dek_id": str, "kek_id": str, "wrapped": bytes, "state": str, "created_at": str},
        pk="dek_id",
        not_null={"kek_id", "wrapped", "state", "created_at"},
        strict=True,
    )
    db.execute("CREATE UNIQUE INDEX keyring_one_active ON keyring(state) WHERE state = 'active'")
    _table(db, "account").create(
        {
            "id": str,
            "label": str,
            "region": str,
            "identity": str,
            "api": str,
            "vault": str,
            "identity_origin": str,
            "client_id": str,
            "ca_pem": str,
            "tags": str,
            "note": str,
            "sealed": str,
            "lifecycle": str,
            "pause_reason": str,
            "linked_at": int,
            "key_entered_at": int,
            "generation": int,
            "status": str,
            "reason": str,
            "since": int,
            "checked_at": int,
            "link_proven_at": int,
            "key_proven_at": int,
            "server_kind": str,
            "server_version": str,
            "latency_ms": int,
            "certificate_ends": int,
            "facts": str,
        },
        pk="id",
        not_null={
            "label", "region", "identity", "api", "identity_origin", "client_id", "tags", "note", "lifecycle",
            "pause_reason", "linked_at", "key_entered_at", "generation", "status", "facts",
        },
        strict=True,
    )  # fmt: skip
    _table(db, "account").create_index(["client_id", "identity_origin"], index_name="account_once", unique=True)
    _table(db, "checks").create(
        {
            "id": int,
            "account_id": str,
            "at": int,
            "trigger": str,
            "status": str,
            "reason": str,
            "ms": int,
            "latency_ms": int,
            "observations": str,
        },
        pk="id",
        not_null={"account_id", "at", "trigger", "status", "ms", "observations"},
        foreign_keys=[("account_id", "account", "id")],
        strict=True,
    )
    _table(db, "checks").create_index(["account_id", "at"], index_name="checks_by_account")
    _table(db, "transition").create(
        {"id": int, "account_id": str, "at": int, "before": str, "after": str, "reason": str},
        pk="id",
        not_null={"account_id", "at", "before", "after"},
        foreign_keys=[("account_id", "account", "id")],
        strict=True,
    )
    _table(db, "transition").create_index(["account_id", "at"], index_name="transition_by_account")
    _table(db, "token_request").create(
        {"id": int, "origin": str, "at": int}, pk="id", not_null={"origin", "at"}, strict=True
    )
    _table(db, "token_request").create_index(["origin", "at"], index_name="token_request_by_origin")
    _table(db, "origin_hold").create({"origin": str, "until": int}, pk="origin", not_null={"until"}, strict=True)
    _table(db, "audit").create(
        {"seq": int, "at": int, "actor": str, "action": str, "target": str, "detail": str},
        pk="seq",
        not_null={"at", "actor", "action", "target", "detail"},
        strict=True,
    )


def _m002_schedule(db: Database) -> None:
    """When each account is checked next, how its last failures went, and who is watching."""
    _table(db, "schedule").create(
        {
            "account_id": str,
            "next_at": int,
            "light_at": int,
            "key_at": int,
            "deep_at": int,
            "refusals": int,
            "waits": int,
            "failures": int,
            "first_failure_at": int,
            "recovered_at": int,
            "successes": int,
            "claim": int,
        },
        pk="account_id",
        not_null={"next_at", "refusals", "waits", "failures", "successes", "claim"},
        defaults=dict.fromkeys(("next_at", "refusals", "waits", "failures", "successes", "claim"), 0),
        foreign_keys=[("account_id", "account", "id")],
        strict=True,
    )
    _table(db, "schedule").create_index(["next_at"], index_name="schedule_by_time")
    _table(db, "account").create_index(["identity_origin", "lifecycle"], index_name="account_by_origin")
    db.execute("INSERT INTO schedule(account_id) SELECT id FROM account")
    _table(db, "lease").create(
        {"name": str, "owner": str, "fence": int, "beat_at": int, "expires_at": int},
        pk="name",
        not_null={"owner", "fence", "beat_at", "expires_at"},
        strict=True,
    )


def _m007_usual(db: Database) -> None:
    """What is usual for an account's latency, and what counts in a row against that and against its key proof."""
    db.execute("ALTER TABLE rolled ADD COLUMN usual INTEGER")
    for name in ("slow", "quick", "lights"):
        db.execute(f"ALTER TABLE schedule ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0")


MIGRATIONS: Steps = (_m001_accounts, _m002_schedule, history, maintenance, alerts, access, _m007_usual)


def version_of(con: sqlite3.Connection) -> int:
    """Return the schema version the database was written with; 0 for a new one."""
    return int(con.execute("PRAGMA user_version").fetchone()[0])


def refuse_unknown(con: sqlite3.Connection, known: int) -> None:
    """Accept a database that a program with `known` migrations can work with.

    Raises:
        StorageError: it was written by a newer program, or by an altogether different one.
    """
    have = version_of(con)
    if have > known:
        raise StorageError(
            f"The database has schema version {have}; this program knows up to {known}. It was written by a newer "
            "Link Hub: start that version, or restore a backup made before the upgrade. Nothing was changed."
        )
    tables = {row[0] for row in con.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if tables and not (have and "keyring" in tables):
        raise StorageError("This database was not written by Link Hub. Nothing was changed.")


def migrate(con: sqlite3.Connection, steps: Steps, *, before_first: Callable[[], None]) -> None:
    """Bring the database to this program's schema.

    Args:
        con: the writer, in autocommit mode, foreign keys off.
        steps: the migrations, oldest first.
        before_first: called once when an existing database is about to change; makes the backup.

    Raises:
        StorageError: the database is damaged after the change.
    """
    have = version_of(con)
    if have == len(steps):
        return
    if have:
        before_first()
    from sqlite_utils import Database  # noqa: PLC0415 - costs half a second, wanted only when the schema changes

    db = Database(con, strict=True, execute_plugins=False)
    for number, step in enumerate(steps[have:], have + 1):
        con.execute("BEGIN IMMEDIATE")
        try:
            step(db)
            con.execute(f"PRAGMA user_version = {number}")
            con.execute("COMMIT")
        except BaseException:
            if con.in_transaction:
                con.execute("ROLLBACK")
            raise
    if (
        con.execute("PRAGMA foreign_key_check").fetchone()
        or con.execute("PRAGMA integrity_check").fetchone()[0] != "ok"
    ):
        raise StorageError("The database is damaged after the upgrade; restore the backup made before it.")


def _table(db: Database, name: str) -> Table:
    return db.table(name)
