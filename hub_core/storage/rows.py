"""What the store returns beside the vocabulary: lines of lists, and what a check is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from hub_core.model import Account, Lifecycle, Observation, Reason, Status, Trigger
    from hub_core.storage import codec
    from hub_core.storage.statements import Ring


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
    rests_until: datetime | None = None
    """As `Account.rests_until`."""
    neighbours: int = 1
    """Accounts that are checked on the same identity origin."""
    link_proven_at: datetime | None = None
    """When a read last answered."""


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


class Loaded(NamedTuple):
    """An account with its sealed secret and the keys to it, all as of one moment."""

    account: Account
    generation: int
    """How often its key or server changed; a check of an older generation is not recorded."""
    sealed: codec.Sealed
    ring: Ring
