"""Turns values of the vocabulary into the columns of a row and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any, overload

from hub_core.model import (
    Account,
    Capability,
    Due,
    Endpoints,
    Facts,
    Lifecycle,
    Observation,
    Outcome,
    Reason,
    RegionId,
    ServerKind,
    Stage,
    Standing,
    Status,
    origin_of,
)
from hub_core.storage.seal import Place

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Sealed:
    """A stored secret and everything it is bound to."""

    account_id: str
    client_id: str
    origins: str
    """Of the addresses it and its access tokens are sent to, as `bound_origins` writes them."""
    token: str | None

    @property
    def place(self) -> Place:
        """Where it belongs, and where it may be sent."""
        return Place(
            table="account", row=self.account_id, column="sealed", client_id=self.client_id, origin=self.origins
        )


NO_TIME = timedelta()

_REASONS = {reason.value: reason for reason in Reason}
_STATUSES = {status.value: status for status in Status}


@overload
def to_ms(at: datetime) -> int: ...
@overload
def to_ms(at: datetime | None) -> int | None: ...
def to_ms(at: datetime | None) -> int | None:
    """Return milliseconds since 1970, UTC."""
    return None if at is None else round(at.timestamp() * 1000)


def from_ms(ms: int | None) -> datetime | None:
    """Return the aware UTC time of milliseconds since 1970."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


def moment(ms: int) -> datetime:
    """Return the aware UTC time of a column that is never null."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def span_ms(span: timedelta) -> int:
    """Return a span as milliseconds."""
    return round(span.total_seconds() * 1000)


def minutes(span: timedelta) -> int:
    """Return a span as whole minutes, none lost."""
    return ceil(span.total_seconds() / 60)


def reason_of(word: str | None) -> Reason | None:
    """Return the reason; a word of another version of this program reads as none."""
    return _REASONS.get(word) if word else None


def status_of(word: str) -> Status:
    """Return the status; a word of another version of this program reads as unknown."""
    return _STATUSES.get(word, Status.UNKNOWN)


def dump_observations(observations: Sequence[Observation]) -> str:
    """Return the observations as compact JSON."""
    return _dump(
        [[o.stage, o.outcome, o.reason, o.ms, dict(o.evidence)] for o in observations],
    )


def load_observations(text: str) -> tuple[Observation, ...]:
    """Return the observations of a stored check."""
    return tuple(
        Observation(Stage(stage), Outcome(outcome), reason_of(reason), ms, evidence)
        for stage, outcome, reason, ms, evidence in json.loads(text)
    )


def dump_facts(facts: Facts) -> str:
    """Return the facts as compact JSON, what was not reported left out."""
    values: dict[str, Any] = {
        "server_kind": facts.server_kind,
        "server_name": facts.server_name,
        "server_version": facts.server_version,
        "vault": facts.vault,
        "addresses": list(facts.addresses),
        "tls_version": facts.tls_version,
        "certificate_issuer": facts.certificate_issuer,
        "certificate_subject": facts.certificate_subject,
        "certificate_sha256": facts.certificate_sha256,
        "certificate_ends": to_ms(facts.certificate_ends),
        "skew_seconds": facts.skew_seconds,
        "latency_ms": facts.latency_ms,
        "capabilities": dict(facts.capabilities),
        "members": None if facts.members is None else dict(facts.members),
        "counts": dict(facts.counts),
        "seats": facts.seats,
    }
    return _dump({name: value for name, value in values.items() if value not in (None, [], {})})


def load_facts(text: str) -> Facts:
    """Return stored facts."""
    values = json.loads(text)
    kind = values.get("server_kind")
    return Facts(
        **{
            **values,
            "server_kind": ServerKind(kind) if kind else None,
            "addresses": tuple(values.get("addresses", ())),
            "certificate_ends": from_ms(values.get("certificate_ends")),
            "capabilities": {p: Capability(c) for p, c in values.get("capabilities", {}).items()},
        }
    )


def dump_words(words: Sequence[str]) -> str:
    """Return words such as tags as a JSON list."""
    return _dump(list(words))


def load_words(text: str) -> tuple[str, ...]:
    """Return the words of a JSON list."""
    return tuple(json.loads(text))


def endpoints_of(row: sqlite3.Row) -> Endpoints:
    """Return the endpoints in a row of the account table."""
    return Endpoints(RegionId(row["region"]), row["identity"], row["api"], row["vault"])


def account_of(row: sqlite3.Row) -> Account:
    """Return the account in a row of `statements.account_row`."""
    return Account(
        id=row["id"],
        label=row["label"],
        endpoints=endpoints_of(row),
        client_id=row["client_id"],
        ca_pem=row["ca_pem"],
        tags=load_words(row["tags"]),
        note=row["note"],
        lifecycle=Lifecycle(row["lifecycle"]),
        pause_reason=row["pause_reason"],
        linked_at=moment(row["linked_at"]),
        key_entered_at=moment(row["key_entered_at"]),
        standing=Standing(
            status_of(row["status"]),
            reason_of(row["reason"]),
            from_ms(row["since"]),
            from_ms(row["checked_at"]),
            from_ms(row["link_proven_at"]),
            from_ms(row["key_proven_at"]),
            row["failures"],
            from_ms(row["first_failure_at"]),
            from_ms(row["recovered_at"]),
            row["successes"],
            row["slow"],
            row["quick"],
            row["lights"],
        ),
        facts=load_facts(row["facts"]),
        locked=row["sealed"] is None,
        due=Due(
            from_ms(row["light_at"]),
            from_ms(row["key_at"]),
            from_ms(row["deep_at"]),
            row["refusals"],
            row["waits"],
        ),
        neighbours=row["neighbours"],
        usual_ms=row["usual"],
    )


def bound_origins(identity: str, api: str) -> str:
    """Return what a secret is bound to: whoever changes either address in the database gets neither key nor token."""
    return f"{origin_of(identity)} {origin_of(api)}"


def sealed_of(row: sqlite3.Row) -> Sealed:
    """Return the sealed secret in a row of the account table."""
    return Sealed(row["id"], row["client_id"], bound_origins(row["identity"], row["api"]), row["sealed"])


def standing_columns(standing: Standing) -> dict[str, Any]:
    """Return the columns of an account's standing."""
    return {
        "status": standing.status,
        "reason": standing.reason,
        "since": to_ms(standing.since),
        "checked_at": to_ms(standing.checked_at),
        "link_proven_at": to_ms(standing.link_proven_at),
        "key_proven_at": to_ms(standing.key_proven_at),
    }


def schedule_columns(standing: Standing, due: Due) -> dict[str, Any]:
    """Return the columns of an account's schedule, and of how its last failures went."""
    return {
        "next_at": to_ms(due.next_at) or 0,
        "light_at": to_ms(due.light_at),
        "key_at": to_ms(due.key_at),
        "deep_at": to_ms(due.deep_at),
        "refusals": due.refusals,
        "waits": due.waits,
        "failures": standing.failures,
        "first_failure_at": to_ms(standing.first_failure_at),
        "recovered_at": to_ms(standing.recovered_at),
        "successes": standing.successes,
        "slow": standing.slow,
        "quick": standing.quick,
        "lights": standing.lights,
        "claim": 0,
    }


def facts_columns(facts: Facts) -> dict[str, Any]:
    """Return the facts, and those of them that the Accounts page shows as columns of their own."""
    return {
        "server_kind": facts.server_kind,
        "server_version": facts.server_version,
        "latency_ms": facts.latency_ms,
        "certificate_ends": to_ms(facts.certificate_ends),
        "facts": dump_facts(facts),
    }


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
