"""Writes accounts as CSV that no spreadsheet takes for formulas, and as JSON for machines."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from hub_core import texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hub_core.storage.store import AccountRow

_FORMULA_STARTS = "=+-@\uff1d\uff0b\uff0d\uff20"
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
        "cause": texts.REASONS[row.reason].title if row.reason else None,
        "since": _iso(row.since),
        "checked_at": _iso(row.checked_at),
        "key_proven_at": _iso(row.key_proven_at),
        "server": row.server_kind,
        "version": row.server_version,
        "latency_ms": row.latency_ms,
        "certificate_ends": _iso(row.certificate_ends),
        "certificate_days": (row.certificate_ends - now).days if row.certificate_ends else None,
        "tags": list(row.tags),
    }


def to_json(rows: Sequence[AccountRow], *, now: datetime) -> str:
    """Return accounts as JSON."""
    return json.dumps([as_values(row, now=now) for row in rows], indent=2, ensure_ascii=False)


def to_csv(rows: Sequence[AccountRow], *, now: datetime) -> str:
    """Return accounts as CSV, every text cell safe against formulas."""
    out = io.StringIO()
    values = [as_values(row, now=now) for row in rows]
    if values:
        writer = csv.DictWriter(out, values[0])
        writer.writeheader()
        for value in values:
            value["tags"] = ", ".join(value["tags"])
            writer.writerow({k: safe_cell(str(v)) if isinstance(v, str) else v for k, v in value.items()})
    return out.getvalue()


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
