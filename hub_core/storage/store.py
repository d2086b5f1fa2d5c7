"""The only SQL: accounts, checks, the key ring, the token budget and the audit trail."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from hub_core.errors import AlreadyLinked, NotFound
from hub_core.model import Account, Lifecycle, Observation, Reason, Standing, Status, Transition, Trigger
from hub_core.storage import codec
from hub_core.storage.database import Database
from hub_core.storage.seal import KeyringRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from hub_core.health.status import Step
    from hub_core.model import Check, Endpoints


class AccountRow(NamedTuple):
    """One line of the Accounts page: the columns of one query, times as aware UTC."""

    id: str
    label: str
    region: str
    client_id: str
    identity_origin: str
    tags: tuple[str, ...]
    lifecycle: Lifecycle
    status: Status
    reason: Reason | None
    since: datetime | None
    checked_at: datetime | None
    key_proven_at: datetime | None
    server_kind: str | None
    server_version: str | None
    latency_ms: int | None
    certificate_ends: datetime | None
    locked: bool
    """There is no stored secret, or it was dropped; the account needs its key again."""


@dataclass(frozen=True, slots=True)
class StoredCheck:
    """One row of an account's history."""

    at: datetime
    trigger: Trigger
    status: Status
    reason: Reason | None
    ms: int
    latency_ms: int | None
    observations: tuple[Observation, ...]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A stored secret and everything it is bound to."""

    account_id: str
    client_id: str
    identity_origin: str
    token: str | None


class Store:
    """What the hub remembers."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or make the database; raises StorageError."""
        return cls(Database(path))

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    # ---- accounts

    def add_account(self, account: Account, *, sealed: str, check: Check, step: Step, actor: str) -> None:
        """Store a verified account, its sealed secret, its first check and the audit entry in one transaction.

        Raises:
            AlreadyLinked: this organization is linked on this identity origin, perhaps since a moment ago.
        """
        values = {
            "id": account.id,
            "client_id": account.client_id,
            "sealed": sealed,
            "lifecycle": account.lifecycle,
            "pause_reason": account.pause_reason,
            "linked_at": codec.to_ms(account.linked_at),
            "key_entered_at": codec.to_ms(account.key_entered_at),
            "generation": 0,
            **_words_columns(account.label, account.tags, account.note),
            **_server_columns(account.endpoints, account.ca_pem),
            **codec.standing_columns(step.standing),
            **codec.facts_columns(step.facts),
        }
        with self.database.write() as con:
            twin = _twin(con, account.client_id, account.endpoints.identity_origin)
            if twin:
                raise AlreadyLinked(twin["id"], twin["label"])
            _insert(con, "account", values)
            _insert_check(con, account.id, check, step)
            _audit(con, check.at, actor, "link", account.id, {"client_id": account.client_id, "label": account.label})

    def find(self, client_id: str, identity_origin: str) -> tuple[str, str] | None:
        """Return id and label of the account that links this organization there, if there is one."""
        with self.database.read() as con:
            row = _twin(con, client_id, identity_origin)
        return (row["id"], row["label"]) if row else None

    def account(self, account_id: str) -> Account:
        """Return one account; raises NotFound."""
        with self.database.read() as con:
            row = con.execute("SELECT * FROM account WHERE id = ?", (account_id,)).fetchone()
        if row is None:
            raise NotFound("There is no such account; it may have been unlinked.")
        return codec.account_of(row)

    def generation(self, account_id: str) -> int:
        """Return how often the account's key or server changed; a check of an older generation is not recorded."""
        with self.database.read() as con:
            row = con.execute("SELECT generation FROM account WHERE id = ?", (account_id,)).fetchone()
        if row is None:
            raise NotFound("There is no such account; it may have been unlinked.")
        return int(row[0])

    def overview(self) -> list[AccountRow]:
        """Return every account as the Accounts page shows it, in no particular order: one query."""
        with self.database.read() as con:
            con.row_factory = None
            rows = con.execute(
                "SELECT id, label, region, client_id, identity_origin, tags, lifecycle, status, reason, since, "
                "checked_at, key_proven_at, server_kind, server_version, latency_ms, certificate_ends, "
                "sealed IS NULL FROM account"
            )
            return [
                AccountRow(
                    *(account_id, label, region, client_id, origin),
                    codec.load_words(tags) if tags != "[]" else (),
                    Lifecycle(lifecycle),
                    codec.status_of(status),
                    codec.reason_of(reason),
                    *(codec.from_ms(since), codec.from_ms(checked), codec.from_ms(proven)),
                    *(kind, version, latency),
                    codec.from_ms(ends),
                    bool(locked),
                )
                for (
                    account_id, label, region, client_id, origin, tags, lifecycle, status, reason, since, checked,
                    proven, kind, version, latency, ends, locked,
                ) in rows
            ]  # fmt: skip

    def sealed(self, account_id: str) -> Sealed:
        """Return an account's stored secret as it is stored; raises NotFound."""
        with self.database.read() as con:
            row = con.execute(
                "SELECT id, client_id, identity_origin, sealed FROM account WHERE id = ?", (account_id,)
            ).fetchone()
        if row is None:
            raise NotFound("There is no such account; it may have been unlinked.")
        return Sealed(*row)

    def all_sealed(self) -> list[Sealed]:
        """Return every stored secret as it is stored."""
        with self.database.read() as con:
            return [Sealed(*row) for row in con.execute("SELECT id, client_id, identity_origin, sealed FROM account")]

    def record(
        self,
        account_id: str,
        generation: int,
        *,
        check: Check,
        step: Callable[[Account], Step],
    ) -> Standing | None:
        """Store a check and what it does to the account, in one transaction.

        `step` is the pure state machine; it is given the account as it is inside the transaction, so that two
        checks at once cannot overwrite each other's step. Returns the new standing, or None when the account was
        unlinked or its key or server changed meanwhile: such a check says nothing about the present.
        """
        with self.database.write() as con:
            row = con.execute("SELECT * FROM account WHERE id = ?", (account_id,)).fetchone()
            if row is None or row["generation"] != generation:
                return None
            done = step(codec.account_of(row))
            _update(con, account_id, {**codec.standing_columns(done.standing), **codec.facts_columns(done.facts)})
            _insert_check(con, account_id, check, done)
        return done.standing

    def replace_key(
        self,
        account_id: str,
        *,
        sealed: str,
        endpoints: Endpoints,
        ca_pem: str | None,
        check: Check,
        step: Callable[[Account], Step],
        actor: str,
        action: str,
    ) -> None:
        """Store a verified new key, address or CA of an account with the check that proved it, in one transaction.

        Raises:
            NotFound: unlinked meanwhile.
            AlreadyLinked: another account already links this organization at the new address.
        """
        with self.database.write() as con:
            row = con.execute("SELECT * FROM account WHERE id = ?", (account_id,)).fetchone()
            if row is None:
                raise NotFound("This account was unlinked meanwhile.")
            twin = _twin(con, row["client_id"], endpoints.identity_origin)
            if twin and twin["id"] != account_id:
                raise AlreadyLinked(twin["id"], twin["label"])
            done = step(codec.account_of(row))
            _update(
                con,
                account_id,
                {
                    "sealed": sealed,
                    "key_entered_at": codec.to_ms(check.at),
                    "generation": row["generation"] + 1,
                    **_server_columns(endpoints, ca_pem),
                    **codec.standing_columns(done.standing),
                    **codec.facts_columns(done.facts),
                },
            )
            _insert_check(con, account_id, check, done)
            _audit(con, check.at, actor, action, account_id, {"identity": endpoints.identity, "api": endpoints.api})

    def describe(
        self, account_id: str, *, label: str, tags: Sequence[str], note: str, at: datetime, actor: str
    ) -> None:
        """Change what people wrote about an account; raises NotFound."""
        with self.database.write() as con:
            _update(con, account_id, _words_columns(label, tags, note))
            _audit(con, at, actor, "edit", account_id, {"label": label})

    def set_lifecycle(self, account_id: str, lifecycle: Lifecycle, *, why: str, at: datetime, actor: str) -> None:
        """Pause or resume an account; raises NotFound."""
        with self.database.write() as con:
            _update(con, account_id, {"lifecycle": lifecycle, "pause_reason": why})
            action = "pause" if lifecycle is Lifecycle.PAUSED else "resume"
            _audit(con, at, actor, action, account_id, {"why": why})

    def unlink(self, account_id: str, *, at: datetime, actor: str) -> None:
        """Erase an account, its secret and its history, also from the WAL; raises NotFound."""
        with self.database.write() as con:
            row = con.execute("SELECT label, client_id FROM account WHERE id = ?", (account_id,)).fetchone()
            if row is None:
                raise NotFound("There is no such account; it may have been unlinked already.")
            con.execute("DELETE FROM checks WHERE account_id = ?", (account_id,))
            con.execute("DELETE FROM transition WHERE account_id = ?", (account_id,))
            con.execute("DELETE FROM account WHERE id = ?", (account_id,))
            _audit(con, at, actor, "unlink", account_id, {"label": row["label"], "client_id": row["client_id"]})
        self.database.empty_wal()

    # ---- history

    def history(self, account_id: str, limit: int = 200) -> list[StoredCheck]:
        """Return an account's checks, newest first."""
        with self.database.read() as con:
            rows = con.execute(
                "SELECT at, trigger, status, reason, ms, latency_ms, observations FROM checks "
                "WHERE account_id = ? ORDER BY at DESC, id DESC LIMIT ?",
                (account_id, limit),
            ).fetchall()
        return [
            StoredCheck(
                codec.moment(at),
                Trigger(trigger),
                codec.status_of(status),
                codec.reason_of(reason),
                ms,
                latency_ms,
                codec.load_observations(observations),
            )
            for at, trigger, status, reason, ms, latency_ms, observations in rows
        ]

    def transitions(self, account_id: str, limit: int = 200) -> list[Transition]:
        """Return an account's changes of status, newest first."""
        with self.database.read() as con:
            rows = con.execute(
                "SELECT at, before, after, reason FROM transition WHERE account_id = ? ORDER BY at DESC, id DESC LIMIT ?",
                (account_id, limit),
            ).fetchall()
        return [
            Transition(codec.moment(at), codec.status_of(before), codec.status_of(after), codec.reason_of(reason))
            for at, before, after, reason in rows
        ]

    def audit_trail(self, limit: int = 1000) -> list[dict[str, Any]]:
        """Return who did what to which account, newest first."""
        with self.database.read() as con:
            rows = con.execute(
                "SELECT seq, at, actor, action, target, detail FROM audit ORDER BY seq DESC LIMIT ?", (limit,)
            ).fetchall()
        return [{**dict(row), "at": codec.moment(row["at"]), "detail": json.loads(row["detail"])} for row in rows]

    # ---- key ring

    def keyring(self) -> list[KeyringRow]:
        """Return the wrapped data keys."""
        with self.database.read() as con:
            rows = con.execute("SELECT dek_id, kek_id, wrapped, state, created_at FROM keyring").fetchall()
        return [KeyringRow(*row) for row in rows]

    def first_key(self, make: Callable[[], KeyringRow]) -> None:
        """Store the first data key unless another process just did."""
        with self.database.write() as con:
            if con.execute("SELECT count(*) FROM keyring").fetchone()[0] == 0:
                _insert_key(con, make())

    def reseal(self, new: KeyringRow, reseal: Callable[[Sealed], str], *, at: datetime, actor: str) -> int:
        """Make `new` the active data key and reseal every secret, in one transaction; return how many.

        `reseal` gets a stored secret and returns its new token; it opens what it sealed before it returns.
        """
        with self.database.write() as con:
            con.execute("DELETE FROM keyring")
            _insert_key(con, new)
            rows = con.execute(
                "SELECT id, client_id, identity_origin, sealed FROM account WHERE sealed IS NOT NULL"
            ).fetchall()
            for row in rows:
                con.execute("UPDATE account SET sealed = ? WHERE id = ?", (reseal(Sealed(*row)), row["id"]))
            _audit(con, at, actor, "key rotate", new.dek_id, {"secrets": len(rows)})
        self.database.empty_wal()
        return len(rows)

    def rewrap(self, rows: Iterable[KeyringRow], *, at: datetime, actor: str) -> None:
        """Store the same data keys wrapped with another master key, in one transaction."""
        with self.database.write() as con:
            for row in rows:
                con.execute("DELETE FROM keyring WHERE dek_id = ?", (row.dek_id,))
                _insert_key(con, row)
            _audit(con, at, actor, "key rekey", row.kek_id, {})
        self.database.empty_wal()

    def drop_secrets(self, *, at: datetime, actor: str) -> int:
        """Erase every sealed secret and data key, keeping accounts and history; return how many secrets."""
        with self.database.write() as con:
            count = con.execute("UPDATE account SET sealed = NULL WHERE sealed IS NOT NULL").rowcount
            con.execute("DELETE FROM keyring")
            _audit(con, at, actor, "key reset", "", {"secrets": count})
        self.database.empty_wal()
        return count

    # ---- token budget

    def take_token_slot(self, origin: str, *, at: datetime, limit: int, spacing_ms: int = 250) -> int:
        """Take one of `limit` token requests a minute to `origin`; return 0, or the milliseconds to wait first.

        Counted in the database, so that pages, command line and scheduler of every process share one budget.
        The spacing keeps a burst below the five a second that the cloud also enforces (bitwarden-protocol 3).
        """
        now = codec.to_ms(at) or 0
        with self.database.write() as con:
            held = con.execute("SELECT until FROM origin_hold WHERE origin = ?", (origin,)).fetchone()
            if held and held[0] > now:
                return int(held[0] - now)
            con.execute("DELETE FROM origin_hold WHERE origin = ?", (origin,))
            # Rows of the future come from a clock that was set back; they would block for ever.
            con.execute("DELETE FROM token_request WHERE origin = ? AND (at <= ? OR at > ?)", (origin, now - 60_000, now))
            taken = [
                row[0]
                for row in con.execute("SELECT at FROM token_request WHERE origin = ? ORDER BY at", (origin,))
            ]
            if len(taken) >= limit:
                return int(taken[-limit] + 60_000 - now) + 1
            if taken and now - taken[-1] < spacing_ms:
                return int(spacing_ms - (now - taken[-1]))
            con.execute("INSERT INTO token_request(origin, at) VALUES (?, ?)", (origin, now))
        return 0

    def hold_origin(self, origin: str, until: datetime) -> None:
        """Ask nothing of this identity origin before `until`: it told us to wait."""
        with self.database.write() as con:
            con.execute(
                "INSERT INTO origin_hold(origin, until) VALUES (?, ?) "
                "ON CONFLICT(origin) DO UPDATE SET until = max(until, excluded.until)",
                (origin, codec.to_ms(until)),
            )


def _twin(con: sqlite3.Connection, client_id: str, identity_origin: str) -> Any:
    return con.execute(
        "SELECT id, label FROM account WHERE client_id = ? AND identity_origin = ?", (client_id, identity_origin)
    ).fetchone()


def _words_columns(label: str, tags: Sequence[str], note: str) -> dict[str, Any]:
    return {"label": label, "tags": codec.dump_words(tags), "note": note}


def _server_columns(endpoints: Endpoints, ca_pem: str | None) -> dict[str, Any]:
    return {
        "region": endpoints.region,
        "identity": endpoints.identity,
        "api": endpoints.api,
        "vault": endpoints.vault,
        "identity_origin": endpoints.identity_origin,
        "ca_pem": ca_pem,
    }


def _insert(con: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
    columns = ", ".join(values)
    marks = ", ".join("?" * len(values))
    con.execute(f"INSERT INTO {table}({columns}) VALUES ({marks})", tuple(values.values()))  # noqa: S608 - own names


def _update(con: sqlite3.Connection, account_id: str, values: dict[str, Any]) -> None:
    columns = ", ".join(f"{name} = ?" for name in values)
    done = con.execute(f"UPDATE account SET {columns} WHERE id = ?", (*values.values(), account_id))  # noqa: S608 - own names
    if done.rowcount != 1:
        raise NotFound("There is no such account; it may have been unlinked.")


def _insert_check(con: sqlite3.Connection, account_id: str, check: Check, step: Step) -> None:
    """Insert a check and the change of status it made."""
    failure = check.failure
    worst = failure or next(iter(check.warnings), None)
    _insert(
        con,
        "checks",
        {
            "account_id": account_id,
            "at": codec.to_ms(check.at),
            "trigger": check.trigger,
            "status": step.standing.status,
            "reason": worst.reason if worst else None,
            "ms": check.ms,
            "latency_ms": check.facts.latency_ms,
            "observations": codec.dump_observations(check.observations),
        },
    )
    if step.transition:
        _insert(
            con,
            "transition",
            {
                "account_id": account_id,
                "at": codec.to_ms(step.transition.at),
                "before": step.transition.before,
                "after": step.transition.after,
                "reason": step.transition.reason,
            },
        )


def _insert_key(con: sqlite3.Connection, row: KeyringRow) -> None:
    _insert(
        con,
        "keyring",
        {
            "dek_id": row.dek_id,
            "kek_id": row.kek_id,
            "wrapped": row.wrapped,
            "state": row.state,
            "created_at": row.created_at,
        },
    )


def _audit(
    con: sqlite3.Connection, at: datetime, actor: str, action: str, target: str, detail: dict[str, Any]
) -> None:
    _insert(
        con,
        "audit",
        {"at": codec.to_ms(at), "actor": actor, "action": action, "target": target, "detail": json.dumps(detail)},
    )
