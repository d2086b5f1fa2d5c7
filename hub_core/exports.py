"""Writes accounts, incidents and checks as CSV that no spreadsheet takes for formulas, and as JSON for machines."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from hub_core import showing, texts
from hub_core.storage.rows import AccountRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hub_core.history import Beat, Incident
    from hub_core.hub import Hub
    from hub_core.model import Account, Reason
    from hub_core.storage.rows import StoredCheck
    from hub_core.trail import Deed

_FORMULA_STARTS = "=+-@\uff1d\uff0b\uff0d\uff20"
_COLUMNS = (
    *("id", "label", "region", "organization", "identity", "lifecycle", "status", "reason", "cause", "since"),
    *("checked_at", "key_proven_at", "server", "version", "latency_ms", "certificate_ends", "certificate_days", "tags"),
)
"""Of a table of accounts, also of an empty one."""
_BREAKS = ("\t", "\r", "\n")


def safe_cell(text: str) -> str:
    """Return text that a spreadsheet shows instead of running (security 3.4).

    Leading blanks do not disarm a formula, and full-width signs are read like the plain ones.
    """
    if text.startswith(_BREAKS) or text.lstrip().startswith(tuple(_FORMULA_STARTS)):
        return "'" + text
    return text


def as_values(row: AccountRow, *, now: datetime) -> dict[str, Any]:
    """Return what may leave the hub about an account: no secret, no sealed text."""
    return {
        "id": row.id,
        "label": row.label,
        "region": row.region,
        "organization": row.client_id.removeprefix("organization."),
        "identity": row.identity_origin,
        "lifecycle": row.lifecycle,
        "status": row.status,
        "reason": row.reason,
        "cause": _cause(row.reason),
        "since": iso(row.since),
        "checked_at": iso(row.checked_at),
        "key_proven_at": iso(row.key_proven_at),
        "server": row.server_kind,
        "version": row.server_version,
        "latency_ms": row.latency_ms,
        "certificate_ends": iso(row.certificate_ends),
        "certificate_days": (row.certificate_ends - now).days if row.certificate_ends else None,
        "tags": list(row.tags),
    }


def to_json(rows: Sequence[AccountRow], *, now: datetime) -> str:
    """Return accounts as JSON."""
    return json.dumps([as_values(row, now=now) for row in rows], indent=2, ensure_ascii=False)


def to_csv(rows: Sequence[AccountRow], *, now: datetime) -> str:
    """Return accounts as CSV, every text cell safe against formulas."""
    values = [as_values(row, now=now) for row in rows]
    return _csv([{**value, "tags": ", ".join(value["tags"])} for value in values], _COLUMNS)


def _csv(values: Sequence[dict[str, Any]], columns: Sequence[str] = ()) -> str:
    out = io.StringIO()
    names = columns or list(values[0] if values else ())
    if names:
        writer = csv.DictWriter(out, names)
        writer.writeheader()
        for value in values:
            writer.writerow({k: safe_cell(str(v)) if isinstance(v, str) else v for k, v in value.items()})
    return out.getvalue()


# ---- incidents and checks


def incident_values(incident: Incident) -> dict[str, Any]:
    """Return what may leave the hub about an incident; `docs/command-line.md` lists the keys."""
    return {
        "id": incident.id,
        "account_id": incident.account_id,
        "label": incident.label,
        "open": incident.closed_at is None,
        "opened_at": iso(incident.opened_at),
        "closed_at": iso(incident.closed_at),
        "status": incident.status.value,
        "reason": incident.reason.value if incident.reason else None,
        "cause": _cause(incident.reason),
        "story": [
            {"at": iso(at), "status": status.value, "reason": reason.value if reason else None}
            for at, status, reason in incident.story
        ],
        "evidence": dict(incident.evidence),
        "maintenance": incident.maintenance,
        "acknowledged_at": iso(incident.acknowledged_at),
        "acknowledged_by": incident.acknowledged_by,
        "note": incident.note,
    }


def incidents_to_json(incidents: Sequence[Incident]) -> str:
    """Return incidents as JSON."""
    return json.dumps([incident_values(incident) for incident in incidents], indent=2, ensure_ascii=False)


def incidents_to_csv(incidents: Sequence[Incident], *, now: datetime) -> str:
    """Return incidents as CSV, every text cell safe against formulas; the story as the number of its changes."""
    values = []
    for incident in incidents:
        value = incident_values(incident)
        lasted = (incident.closed_at or now) - incident.opened_at
        flat = {key: found for key, found in value.items() if key not in {"story", "evidence"}}
        values.append({**flat, "minutes": round(lasted.total_seconds() / 60), "changes": len(incident.story) - 1})
    return _csv(values)


def deeds_to_csv(deeds: Sequence[Deed]) -> str:
    """Return who did what as CSV, every text cell safe against formulas."""
    return _csv(
        [
            {
                "at": iso(deed.at),
                "actor": deed.actor,
                "action": deed.action,
                "target": deed.target,
                "name": deed.name,
                "detail": json.dumps(deed.detail, ensure_ascii=False) if deed.detail else "",
            }
            for deed in deeds
        ]
    )


def beats_to_csv(beats: Sequence[Beat]) -> str:
    """Return checks in short as CSV."""
    return _csv(
        [
            {
                "at": iso(beat.at),
                "status": "paused" if beat.paused else beat.status.value,
                "reason": beat.reason.value if beat.reason else None,
                "cause": _cause(beat.reason),
                "trigger": beat.trigger.value,
                "kind": "light" if beat.light else "full",
                "latency_ms": beat.latency_ms,
                "down": beat.down,
                "maintenance": beat.maintenance,
            }
            for beat in beats
        ]
    )


def _cause(reason: Reason | None) -> str | None:
    return texts.REASONS[reason].title if reason else None


def row_values(hub: Hub, row: AccountRow) -> dict[str, Any]:
    """Return one line of the list for machines; `docs/command-line.md` lists the keys."""
    return {
        **as_values(row, now=hub.clock.now()),
        "shown": showing.SHOWN_WORDS[showing.shown(hub, row).word],
        "stale": hub.watching.stale(row),
        "needs_key": row.locked,
        "link_proven_at": iso(row.link_proven_at),
    }


def row_of(account: Account) -> AccountRow:
    """Return an account as one line of the list."""
    standing, facts = account.standing, account.facts
    return AccountRow(
        id=account.id,
        label=account.label,
        region=account.endpoints.region,
        client_id=account.client_id,
        identity_origin=account.endpoints.identity_origin,
        tags=account.tags,
        lifecycle=account.lifecycle,
        status=standing.status,
        reason=standing.reason,
        since=standing.since,
        checked_at=standing.checked_at,
        key_proven_at=standing.key_proven_at,
        server_kind=facts.server_kind,
        server_version=facts.server_version,
        latency_ms=facts.latency_ms,
        certificate_ends=facts.certificate_ends,
        locked=account.locked,
        rests_until=account.rests_until,
        neighbours=account.neighbours,
        link_proven_at=standing.link_proven_at,
    )


def account_values(hub: Hub, account: Account) -> dict[str, Any]:
    """Return everything about one account for machines; `docs/command-line.md` lists the keys."""
    facts, last = account.facts, hub.past.last_check(account.id)
    return {
        **row_values(hub, row_of(account)),
        "client_id": account.client_id,
        "api": account.endpoints.api,
        "identity_address": account.endpoints.identity,
        "vault": account.endpoints.vault,
        "own_ca": account.ca_pem is not None,
        "note": account.note,
        "pause_reason": account.pause_reason,
        "linked_at": iso(account.linked_at),
        "key_entered_at": iso(account.key_entered_at),
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
        "at": iso(check.at),
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


def iso(at: datetime | None) -> str | None:
    """Return a time in UTC as ISO 8601 has it."""
    return at.isoformat(timespec="seconds") if at else None
