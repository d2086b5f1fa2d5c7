"""What the hub remembers: accounts, checks, the key ring, the token budget and the audit trail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

from hub_core.errors import AlreadyLinked, ChangedMeanwhile
from hub_core.model import Lifecycle
from hub_core.storage import codec, glancing, recording, statements
from hub_core.storage.budget import BudgetTable
from hub_core.storage.channels import drop_channel_secrets, reseal_channels
from hub_core.storage.database import Database
from hub_core.storage.history import History
from hub_core.storage.rows import AccountRow, Loaded, StoredCheck
from hub_core.storage.schedule import Schedule
from hub_core.storage.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from hub_core.health.status import Step
    from hub_core.model import Account, Check, Endpoints
    from hub_core.storage.seal import KeyringRow, Place
    from hub_core.storage.statements import Ring

__all__ = ["AccountRow", "Loaded", "Store", "StoredCheck"]


class Store:
    """What the hub remembers."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.schedule = Schedule(database)
        self.budget = BudgetTable(database)
        self.past = History(database)
        self.sums = Sums(database)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or make the database; raises StorageError."""
        return cls(Database(path))

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    # ---- accounts

    def add_account(
        self, account: Account, *, seal: Callable[[Ring], str], check: Check, step: Step, actor: str
    ) -> None:
        """Store a verified account, its sealed secret, its first check and the audit entry in one transaction.

        `seal` is given the data keys as they are inside the transaction: another process may have rotated them.

        Raises:
            AlreadyLinked: this organization is linked on this identity origin, perhaps since a moment ago.
        """
        with self.database.write() as con:
            twin = statements.twin(con, account.client_id, account.endpoints.identity_origin)
            if twin:
                raise AlreadyLinked(twin["id"], twin["label"])
            values = {
                "id": account.id,
                "client_id": account.client_id,
                "sealed": seal(statements.ring(con)),
                "lifecycle": account.lifecycle,
                "pause_reason": account.pause_reason,
                "linked_at": codec.to_ms(account.linked_at),
                "key_entered_at": codec.to_ms(account.key_entered_at),
                "generation": 0,
                **statements.words_columns(account.label, account.tags, account.note),
                **statements.server_columns(account.endpoints, account.ca_pem),
                **codec.standing_columns(step.standing),
                **codec.facts_columns(step.facts),
            }
            statements.insert(con, "account", values)
            schedule = codec.schedule_columns(step.standing, step.due)
            statements.insert(con, "schedule", {"account_id": account.id, **schedule})
            no = recording.begin(con, account.id, check.at)
            recording.keep(con, no, account, step)
            statements.audit(con, actor, "link", at=check.at, target=account.id, client_id=account.client_id)

    def find(self, client_id: str, identity_origin: str) -> tuple[str, str] | None:
        """Return id and label of the account that links this organization there, if there is one."""
        with self.database.read() as con:
            row = statements.twin(con, client_id, identity_origin)
        return (row["id"], row["label"]) if row else None

    def account(self, account_id: str) -> Account:
        """Return one account; raises NotFound."""
        with self.database.read() as con:
            return codec.account_of(statements.account_row(con, account_id))

    def load(self, account_id: str) -> Loaded:
        """Return everything a check of an account needs; raises NotFound."""
        with self.database.read() as con:
            row, ring = statements.account_row(con, account_id), statements.ring(con)
        return Loaded(codec.account_of(row), row["generation"], codec.sealed_of(row), ring)

    def overview(self) -> list[AccountRow]:
        """Return every account as the Accounts page shows it, in no particular order: one query."""
        with self.database.read() as con:
            return glancing.rows(con)

    def lines(self, known: Mapping[str, glancing.Line], now: datetime) -> dict[str, glancing.Line]:
        """Return every account with its past in short; lines that are known and unchanged are returned as they are."""
        with self.database.read() as con:
            return glancing.lines(con, known, now)

    def all_sealed(self) -> tuple[list[codec.Sealed], Ring]:
        """Return every stored secret as it is stored, and the data keys of the same moment."""
        with self.database.read() as con:
            found = con.execute("SELECT id, client_id, identity, api, sealed FROM account").fetchall()
            return [codec.sealed_of(row) for row in found], statements.ring(con)

    def record(
        self,
        account_id: str,
        generation: int,
        *,
        step: Callable[[Account], Step],
        fence: int | None = None,
        maintenance: bool = False,
    ) -> Step | None:
        """Store a check and what it does to the account, in one transaction.

        `step` is the pure state machine; it is given the account as it is inside the transaction, so that two
        checks at once cannot overwrite each other's step. Returns what it did, or None when the account was unlinked
        or its key or server changed meanwhile: such a check says nothing about the present. Neither does one of a
        scheduler, known by its `fence`, that has lost its claim to another one. `maintenance` tells whether it was made
        during a maintenance window.
        """
        with self.database.write() as con:
            if not statements.still_wanted(con, account_id, generation, fence):
                return None
            row = statements.account_row(con, account_id)
            before = codec.account_of(row)
            done = step(before)
            columns = {**codec.standing_columns(done.standing), **codec.facts_columns(done.facts)}
            statements.update(con, account_id, columns)
            statements.update_schedule(con, account_id, done)
            recording.keep(con, row["no"], before, done, maintenance=maintenance)
        return done

    def replace_key(
        self,
        account_id: str,
        generation: int,
        *,
        seal: Callable[[Ring], str],
        endpoints: Endpoints,
        ca_pem: str | None,
        check: Check,
        step: Callable[[Account], Step],
        entered: bool,
        actor: str,
        action: str,
    ) -> None:
        """Store a verified new key, address or CA of an account with the check that proved it, in one transaction.

        `seal` is as for `add_account`, `step` as for `record`; `entered` tells whether a person gave the secret anew.

        Raises:
            NotFound: unlinked meanwhile.
            ChangedMeanwhile: the account is no longer of the generation that was verified.
            AlreadyLinked: another account already links this organization at the new address.
        """
        with self.database.write() as con:
            row = statements.account_row(con, account_id)
            if row["generation"] != generation:
                raise ChangedMeanwhile
            twin = statements.twin(con, row["client_id"], endpoints.identity_origin)
            if twin and twin["id"] != account_id:
                raise AlreadyLinked(twin["id"], twin["label"])
            before = codec.account_of(row)
            done = step(before)
            columns = {
                "sealed": seal(statements.ring(con)),
                "key_entered_at": codec.to_ms(check.at) if entered else row["key_entered_at"],
                "generation": row["generation"] + 1,
                **statements.server_columns(endpoints, ca_pem),
                **codec.standing_columns(done.standing),
                **codec.facts_columns(done.facts),
            }
            statements.update(con, account_id, columns)
            statements.update_schedule(con, account_id, done)
            if endpoints.api != row["api"]:
                con.execute("UPDATE rolled SET usual = NULL WHERE no = ?", (row["no"],))
            recording.keep(con, row["no"], before, done)
            where = {"identity": endpoints.identity, "api": endpoints.api}
            statements.audit(con, actor, action, at=check.at, target=account_id, **where)
        self.database.empty_wal()

    def describe(
        self, account_id: str, *, label: str, tags: Sequence[str], note: str, at: datetime, actor: str
    ) -> None:
        """Change what people wrote about an account; raises NotFound."""
        with self.database.write() as con:
            statements.update(con, account_id, statements.words_columns(label, tags, note))
            statements.audit(con, actor, "describe", at=at, target=account_id)

    def set_lifecycle(self, account_id: str, lifecycle: Lifecycle, *, why: str, at: datetime, actor: str) -> None:
        """Pause or resume an account; raises NotFound."""
        action = "pause" if lifecycle is Lifecycle.PAUSED else "resume"
        with self.database.write() as con:
            statements.update(con, account_id, {"lifecycle": lifecycle, "pause_reason": why})
            if lifecycle is Lifecycle.PAUSED:
                recording.pause(con, account_id, at)
            if lifecycle is Lifecycle.ACTIVE:
                # A person acted: it is looked at now, whatever was planned before the pause.
                con.execute(
                    "UPDATE schedule SET next_at = 0, light_at = NULL, key_at = NULL, refusals = 0, waits = 0 "
                    "WHERE account_id = ?",
                    (account_id,),
                )
            statements.audit(con, actor, action, at=at, target=account_id)

    def unlink(self, account_id: str, *, at: datetime, actor: str) -> None:
        """Erase an account, its secret and its history, also from the WAL; raises NotFound."""
        with self.database.write() as con:
            row = statements.account_row(con, account_id)
            recording.erase(con, account_id)
            con.execute("DELETE FROM schedule WHERE account_id = ?", (account_id,))
            con.execute("DELETE FROM account WHERE id = ?", (account_id,))
            statements.audit(con, actor, "unlink", at=at, target=account_id, client_id=row["client_id"])
        self.database.empty_wal()

    # ---- audit

    def audit_trail(self, limit: int = 1000) -> list[dict[str, Any]]:
        """Return who did what to which account, newest first."""
        with self.database.read() as con:
            rows = con.execute(
                "SELECT seq, at, actor, action, target, detail FROM audit ORDER BY seq DESC LIMIT ?", (limit,)
            ).fetchall()
        return [{**dict(row), "at": codec.moment(row["at"]), "detail": json.loads(row["detail"])} for row in rows]

    # ---- key ring

    def ring(self) -> Ring:
        """Return the wrapped data keys."""
        with self.database.read() as con:
            return statements.ring(con)

    def first_key(self, make: Callable[[], KeyringRow]) -> None:
        """Store the first data key unless another process just did."""
        with self.database.write() as con:
            if not statements.ring(con):
                statements.insert_key(con, make())

    def reseal(self, new: KeyringRow, reseal: Callable[[str, Place, Ring], str], *, at: datetime, actor: str) -> int:
        """Make `new` the one data key and reseal every secret, those of channels too, in one transaction.

        `reseal` gets a sealed text, its place and the keys so far, and returns its new token. Returns how many.
        """
        with self.database.write() as con:
            ring = statements.ring(con)
            con.execute("DELETE FROM keyring")
            statements.insert_key(con, new)
            sealed = con.execute("SELECT id, client_id, identity, api, sealed FROM account WHERE sealed IS NOT NULL")
            for row in (found := sealed.fetchall()):
                token = reseal(row["sealed"], codec.sealed_of(row).place, ring)
                con.execute("UPDATE account SET sealed = ? WHERE id = ?", (token, row["id"]))
            count = len(found) + reseal_channels(con, lambda token, place: reseal(token, place, ring))
            statements.audit(con, actor, "key rotate", at=at, target=new.dek_id, secrets=count)
        self.database.empty_wal()
        return count

    def rewrap(self, rewrap: Callable[[KeyringRow], KeyringRow], *, at: datetime, actor: str) -> None:
        """Store every data key as `rewrap` returns it, wrapped with another master key, in one transaction."""
        with self.database.write() as con:
            rewrapped = [rewrap(row) for row in statements.ring(con)]
            con.execute("DELETE FROM keyring")
            for row in rewrapped:
                statements.insert_key(con, row)
            statements.audit(con, actor, "key rekey", at=at, target=rewrapped[0].kek_id)
        self.database.empty_wal()

    def drop_secrets(self, *, at: datetime, actor: str) -> int:
        """Erase every sealed secret and data key, keeping accounts and history; return how many secrets."""
        with self.database.write() as con:
            count = con.execute("UPDATE account SET sealed = NULL WHERE sealed IS NOT NULL").rowcount
            count += drop_channel_secrets(con)
            con.execute("DELETE FROM keyring")
            statements.audit(con, actor, "key reset", at=at, target="", secrets=count)
        self.database.empty_wal()
        return count
