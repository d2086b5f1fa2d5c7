"""Says what is known about one account, for people at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub_core.model import Lifecycle
from hub_core.showing import NOT_REPORTED, aged, moment, shown

if TYPE_CHECKING:
    from datetime import datetime

    from hub_core.hub import Hub
    from hub_core.model import Account
    from hub_core.storage.store import AccountRow


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
