"""API tokens, stored as hashes, and which accounts have a badge: the statements of what machines may read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hub_core.errors import NotFound
from hub_core.storage import codec, statements

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from hub_core.storage.database import Database


class Scope(StrEnum):
    """What an API token may read."""

    READ = "read"
    """The JSON API."""
    METRICS = "metrics"
    """`/metrics`."""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What is known of an API token: everything but its text, which was shown once."""

    id: str
    """Part of its text, and no secret."""
    name: str
    scopes: frozenset[Scope]
    made_at: datetime
    made_by: str
    expires_at: datetime | None
    """None: it does not expire."""
    last_used_at: datetime | None = None
    """To the minute."""
    revoked_at: datetime | None = None

    def works(self, now: datetime) -> bool:
        """Tell whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class AccessStore:
    """The tokens and the badges."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tokens(self) -> list[ApiToken]:
        """Return every token, those revoked too, newest first."""
        with self._database.read() as con:
            return [_token_of(row) for row in con.execute("SELECT * FROM api_token ORDER BY made_at DESC, id")]

    def token(self, token_id: str) -> tuple[ApiToken, bytes] | None:
        """Return a token and the hash of its text; None when there is none."""
        with self._database.read() as con:
            row = con.execute("SELECT * FROM api_token WHERE id = ?", (token_id,)).fetchone()
        return (_token_of(row), row["hash"]) if row else None

    def add(self, token: ApiToken, digest: bytes, *, actor: str) -> None:
        """Store a new token and the audit entry."""
        scopes = sorted(token.scopes)
        values = {
            "id": token.id,
            "name": token.name,
            "scopes": codec.dump_words(scopes),
            "hash": digest,
            "made_at": codec.to_ms(token.made_at),
            "made_by": token.made_by,
            "expires_at": codec.to_ms(token.expires_at),
        }
        with self._database.write() as con:
            statements.insert(con, "api_token", values)
            statements.audit(con, actor, "token create", at=token.made_at, target=token.id, scopes=scopes)

    def revoke(self, token_id: str, *, at: datetime, actor: str) -> None:
        """End a token for good; one that was revoked before keeps its time; raises NotFound."""
        with self._database.write() as con:
            row = con.execute("SELECT revoked_at FROM api_token WHERE id = ?", (token_id,)).fetchone()
            if row is None:
                raise NotFound("There is no such API token.")
            if row["revoked_at"] is None:
                con.execute("UPDATE api_token SET revoked_at = ? WHERE id = ?", (codec.to_ms(at), token_id))
                statements.audit(con, actor, "token revoke", at=at, target=token_id)

    def used(self, token_id: str, *, at: datetime) -> None:
        """Note when a token was last used."""
        with self._database.write() as con:
            con.execute("UPDATE api_token SET last_used_at = ? WHERE id = ?", (codec.to_ms(at), token_id))

    def set_badge(self, account_id: str, *, shown: bool, at: datetime, actor: str) -> None:
        """Give an account a badge, or take it away; raises NotFound."""
        with self._database.write() as con:
            statements.account_row(con, account_id)
            if shown:
                con.execute("INSERT OR IGNORE INTO badge(account_id) VALUES (?)", (account_id,))
            else:
                con.execute("DELETE FROM badge WHERE account_id = ?", (account_id,))
            statements.audit(con, actor, "badge on" if shown else "badge off", at=at, target=account_id)

    def badge_shown(self, account_id: str) -> bool:
        """Tell whether an account has a badge."""
        with self._database.read() as con:
            return con.execute("SELECT 1 FROM badge WHERE account_id = ?", (account_id,)).fetchone() is not None


def _token_of(row: sqlite3.Row) -> ApiToken:
    known = {scope.value for scope in Scope}
    return ApiToken(
        row["id"],
        row["name"],
        frozenset(Scope(word) for word in codec.load_words(row["scopes"]) if word in known),
        codec.moment(row["made_at"]),
        row["made_by"],
        codec.from_ms(row["expires_at"]),
        codec.from_ms(row["last_used_at"]),
        codec.from_ms(row["revoked_at"]),
    )
