"""Says what is known about one account, for people and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub_core import texts
from hub_core.bitwarden.regions import region
from hub_core.cli.output import PAUSED_ICON, STALE_ICON, STATUS_ICONS, moment
from hub_core.exports import as_values
from hub_core.model import Capability, Lifecycle, Status

if TYPE_CHECKING:
    from datetime import datetime

    from hub_core.hub import Hub
    from hub_core.model import Account
    from hub_core.storage.store import AccountRow, StoredCheck

NOT_REPORTED = "not reported"
NEEDS_KEY = "Needs its key"
"""Shown after the stored secrets were given up: the status was true of a key that is no longer here."""


def status_cell(hub: Hub, row: AccountRow) -> str:
    """Return icon and word of an account's status; paused and stale hide a status nobody should believe."""
    if row.locked:
        return f"{STATUS_ICONS[Status.FAILING]} {NEEDS_KEY}"
    if row.lifecycle is Lifecycle.PAUSED:
        return f"{PAUSED_ICON} {texts.PAUSED.word}"
    if row.status is not Status.UNKNOWN and hub.stale(row.checked_at, row.lifecycle):
        return f"{STALE_ICON} {texts.STALE.word}"
    return f"{STATUS_ICONS[row.status]} {texts.STATUSES[row.status].word}"


def server_line(kind: str | None, version: str | None) -> str:
    """Return who the server is and its version."""
    names = {known.value: name for known, name in texts.SERVER_KINDS.items()}
    return f"{names.get(kind or '', NOT_REPORTED)} {version or ''}".strip()


def link_facts(account: Account) -> dict[str, str]:
    """Return what was linked: facts, by their names for people."""
    facts = account.facts
    readable = [texts.PATHS.get(path, path) for path, c in facts.capabilities.items() if c is Capability.READABLE]
    return {
        "Label": account.label,
        "Account": account.id,
        "Region": region(account.endpoints.region).name,
        "API": account.endpoints.api,
        "Identity": account.endpoints.identity,
        "Organization": account.organization_id,
        "Client ID ends in": account.client_id[-4:],
        "Server": server_line(facts.server_kind, facts.server_version),
        "Can be read": ", ".join(readable) or "nothing on this server",
        "Members": _members(account),
    }


def more_facts(account: Account, *, now: datetime) -> dict[str, str]:
    """Return what else is known about an account, by names for people; empty ones are left out."""
    standing, facts = account.standing, account.facts
    known = {
        "Tags": ", ".join(account.tags),
        "Note": account.note,
        "Paused": account.pause_reason or ("yes" if account.lifecycle is Lifecycle.PAUSED else ""),
        "Since": moment(standing.since),
        "Last check": _aged(standing.checked_at, now),
        "Link proven": _aged(standing.link_proven_at, now),
        "Key proven": _aged(standing.key_proven_at, now),
        "Key entered": _aged(account.key_entered_at, now),
        "Latency": f"{facts.latency_ms} ms" if facts.latency_ms is not None else NOT_REPORTED,
        "Certificate ends": moment(facts.certificate_ends) if facts.certificate_ends else NOT_REPORTED,
        "Seats": str(facts.seats) if facts.seats is not None else NOT_REPORTED,
    }
    return {name: value for name, value in known.items() if value}


def row_values(hub: Hub, row: AccountRow) -> dict[str, Any]:
    """Return one line of the list for machines; `docs/command-line.md` lists the keys."""
    return {
        **as_values(row, now=hub.clock.now()),
        "stale": hub.stale(row.checked_at, row.lifecycle),
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


def _members(account: Account) -> str:
    members = account.facts.members
    if members is None:
        return NOT_REPORTED
    states = ", ".join(f"{count} {state}" for state, count in sorted(members.items(), key=lambda m: -m[1]))
    return f"{sum(members.values())}: {states}"


def _aged(at: datetime | None, now: datetime) -> str:
    return f"{moment(at)} ({texts.ago(at, now)})" if at else "never"


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
