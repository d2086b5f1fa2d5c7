"""The statements that several use cases of the store share; each runs inside the caller's transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hub_core.errors import NotFound
from hub_core.storage import codec
from hub_core.storage.seal import KeyringRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import datetime

    from hub_core.health.status import Step
    from hub_core.model import Check, Endpoints, Transition

Ring = tuple[KeyringRow, ...]
"""Every data key, wrapped, as of one moment."""


def ring(con: sqlite3.Connection) -> Ring:
    """Return the wrapped data keys."""
    return tuple(KeyringRow(*r) for r in con.execute("SELECT dek_id, kek_id, wrapped, state, created_at FROM keyring"))


def insert_key(con: sqlite3.Connection, row: KeyringRow) -> None:
    """Add a wrapped data key."""
    values = {"dek_id": row.dek_id, "kek_id": row.kek_id, "wrapped": row.wrapped}
    insert(con, "keyring", {**values, "state": row.state, "created_at": row.created_at})


def account_row(con: sqlite3.Connection, account_id: str) -> Any:
    """Return the row of an account with its schedule and the number of its neighbours; raises NotFound."""
    row = con.execute(
        "SELECT a.*, s.*, r.usual, (SELECT count(*) FROM account n WHERE n.identity_origin = a.identity_origin "
        "AND n.lifecycle = 'active') AS neighbours "
        "FROM account a JOIN schedule s ON s.account_id = a.id LEFT JOIN rolled r ON r.no = a.no WHERE a.id = ?",
        (account_id,),
    ).fetchone()
    if row is None:
        raise NotFound("There is no such account; it may have been unlinked.")
    return row


def twin(con: sqlite3.Connection, client_id: str, identity_origin: str) -> Any:
    """Return id and label of the account that links this organization on this identity origin, or None."""
    return con.execute(
        "SELECT id, label FROM account WHERE client_id = ? AND identity_origin = ?", (client_id, identity_origin)
    ).fetchone()


def words_columns(label: str, tags: Sequence[str], note: str) -> dict[str, Any]:
    """Return the columns of what people wrote about an account."""
    return {"label": label, "tags": codec.dump_words(tags), "note": note}


def server_columns(endpoints: Endpoints, ca_pem: str | None) -> dict[str, Any]:
    """Return the columns of where an account's organization lives."""
    return {
        "region": endpoints.region,
        "identity": endpoints.identity,
        "api": endpoints.api,
        "vault": endpoints.vault,
        "identity_origin": endpoints.identity_origin,
        "ca_pem": ca_pem,
    }


def insert(con: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
    """Insert one row."""
    columns = ", ".join(values)
    marks = ", ".join("?" * len(values))
    con.execute(f"INSERT INTO {table}({columns}) VALUES ({marks})", tuple(values.values()))  # noqa: S608 - own names


def update(con: sqlite3.Connection, account_id: str, values: dict[str, Any]) -> None:
    """Change columns of an account; raises NotFound."""
    columns = ", ".join(f"{name} = ?" for name in values)
    done = con.execute(f"UPDATE account SET {columns} WHERE id = ?", (*values.values(), account_id))  # noqa: S608 - own names
    if done.rowcount != 1:
        raise NotFound("There is no such account; it may have been unlinked.")


def still_wanted(con: sqlite3.Connection, account_id: str, generation: int, fence: int | None) -> bool:
    """Tell whether a check may be recorded: key and server are as it saw them, its scheduler still has the claim."""
    row = con.execute(
        "SELECT generation, claim, (SELECT fence FROM lease WHERE name = 'watch') AS fence "
        "FROM account JOIN schedule ON account_id = id WHERE id = ?",
        (account_id,),
    ).fetchone()
    if row is None or row["generation"] != generation:
        return False
    return fence is None or fence == row["claim"] == row["fence"]


def update_schedule(con: sqlite3.Connection, account_id: str, step: Step) -> None:
    """Store when an account is checked next, and let go of its claim."""
    values = codec.schedule_columns(step.standing, step.due)
    columns = ", ".join(f"{name} = ?" for name in values)
    con.execute(f"UPDATE schedule SET {columns} WHERE account_id = ?", (*values.values(), account_id))  # noqa: S608 - own names


def insert_check_row(con: sqlite3.Connection, account_id: str, check: Check, *, status: str) -> None:
    """Insert a check, with the status the account has after it."""
    worst = check.failure or next(iter(check.warnings), None)
    insert(
        con,
        "checks",
        {
            "account_id": account_id,
            "at": codec.to_ms(check.at),
            "trigger": check.trigger,
            "status": status,
            "reason": worst.reason if worst else None,
            "ms": check.ms,
            "latency_ms": check.facts.latency_ms,
            "observations": codec.dump_observations(check.observations),
        },
    )


def insert_transition(
    con: sqlite3.Connection, account_id: str, transition: Transition, *, maintenance: bool = False
) -> None:
    """Insert a change of status."""
    values = {"before": transition.before, "after": transition.after, "reason": transition.reason}
    at = codec.to_ms(transition.at)
    insert(con, "transition", {"account_id": account_id, "at": at, "maintenance": maintenance, **values})


def audit(con: sqlite3.Connection, actor: str, action: str, *, at: datetime, target: str, **detail: Any) -> None:
    """Insert who did what to which account or key; no label and no note, so that unlinking can erase them."""
    values = {"at": codec.to_ms(at), "actor": actor, "action": action, "target": target}
    insert(con, "audit", {**values, "detail": json.dumps(detail)})
