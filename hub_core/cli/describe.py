"""Says what is known about one account, for people and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub_core.exports import as_values
from hub_core.model import Lifecycle
from hub_core.showing import NOT_REPORTED, aged, moment, shown

if TYPE_CHECKING:
    from datetime import datetime

    from hub_core.hub import Hub
    from hub_core.model import Account
    from hub_core.storage.store import AccountRow, StoredCheck


def status_cell(hub: Hub, row: AccountRow) -> str:
    """Return sign and word of how an account is shown."""
    text = shown(hub, row)
    return f"{text.mark} {text.word}"


def more_facts(account: Account, *, now: datetime) -> dict[str, str]:
    """Return what else is known about an account, by names for people; empty ones are left out."""
    standing, facts = account.standing, account.facts
    known = {
        "Tags": ", ".join(account.tags),
        "Note": account.note,
        "Paused": account.pause_reason or ("yes" if account.lifecycle is Lifecycle.PAUSED else ""),
        "Since": moment(standing.since),
        "Last check": aged(standing.checked_at, now),
        "Link proven": aged(standing.link_proven_at, now),
        "Key proven": aged(standing.key_proven_at, now),
        "Key entered": aged(account.key_entered_at, now),
        "Latency": f"{facts.latency_ms} ms" if facts.latency_ms is not None else NOT_REPORTED,
        "Certificate ends": moment(facts.certificate_ends),
        "Seats": str(facts.seats) if facts.seats is not None else NOT_REPORTED,
    }
    return {name: value for name, value in known.items() if value}


def row_values(hub: Hub, row: AccountRow) -> dict[str, Any]:
    """Return one line of the list for machines; `docs/command-line.md` lists the keys."""
    return {
        **as_values(row, now=hub.clock.now()),
        "stale": hub.watching.stale(row),
        "needs_key": row.locked,
    }


def account_values(hub: Hub, row: AccountRow) -> dict[str, Any]:
    """Return everything about one account for machines; `docs/command-line.md` lists the keys."""
    account = hub.account(row.id)
    facts, standing = account.facts, account.standing
    last = next(iter(hub.history(row.id, limit=1)), None)
    return {
        **row_values(hub, row),
        "client_id": account.client_id,
        "api": account.endpoints.api,
        "identity_address": account.endpoints.identity,
        "vault": account.endpoints.vault,
        "own_ca": account.ca_pem is not None,
        "note": account.note,
        "pause_reason": account.pause_reason,
        "linked_at": _iso(account.linked_at),
        "key_entered_at": _iso(account.key_entered_at),
        "link_proven_at": _iso(standing.link_proven_at),
        "members": dict(facts.members) if facts.members is not None else None,
        "counts": dict(facts.counts),
        "seats": facts.seats,
        "capabilities": {path: capability.value for path, capability in facts.capabilities.items()},
        "tls_version": facts.tls_version,
        "certificate_issuer": facts.certificate_issuer,
        "certificate_sha256": facts.certificate_sha256,
        "skew_seconds": facts.skew_seconds,
        "last_check": _check_values(last) if last else None,
    }


def _check_values(check: StoredCheck) -> dict[str, Any]:
    return {
        "at": _iso(check.at),
        "trigger": check.trigger.value,
        "status": check.status.value,
        "reason": check.reason.value if check.reason else None,
        "ms": check.ms,
        "stages": [
            {
                "stage": seen.stage.value,
                "outcome": seen.outcome.value,
                "reason": seen.reason.value if seen.reason else None,
                "ms": seen.ms,
                "evidence": dict(seen.evidence),
            }
            for seen in check.observations
        ],
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
