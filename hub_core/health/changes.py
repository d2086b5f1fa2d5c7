"""Pure: which facts of an account changed in a way a person would want to know when something broke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hub_core.history import Change
from hub_core.model import Capability

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from hub_core.model import Endpoints, Facts

SERVER: Final = "server"
VERSION: Final = "server_version"
VAULT: Final = "vault"
CERTIFICATE: Final = "certificate"
IDENTITY_ADDRESS: Final = "identity_address"
API_ADDRESS: Final = "api_address"
SEATS: Final = "seats"
SEATS_TAKEN: Final = "seats_taken"
"""Kept for what it was at a time; who looks for causes is not shown every colleague that comes or goes."""

KEYS: Final = (SERVER, VERSION, VAULT, CERTIFICATE, IDENTITY_ADDRESS, API_ADDRESS, SEATS, SEATS_TAKEN)
"""What can change, beside the answer to each list of the public API, whose key is its path."""


def of_facts(before: Facts, after: Facts, at: datetime) -> Iterator[Change]:
    """Yield what a check found to be other than before; what is known for the first time has not changed.

    The addresses of host names are left out, as clouds rotate them, and so are lists that broke: that is a failure.
    """
    pairs = {
        SERVER: (_server(before), _server(after)),
        VERSION: (before.server_version, after.server_version),
        VAULT: (before.vault, after.vault),
        SEATS: (_number(before.seats), _number(after.seats)),
    }
    if after.seats is not None:
        pairs[SEATS_TAKEN] = (_number(before.seats_taken), _number(after.seats_taken))
    if before.certificate_sha256 != after.certificate_sha256:
        pairs[CERTIFICATE] = (_certificate(before), _certificate(after))
    for path in before.capabilities.keys() & after.capabilities.keys():
        answers = before.capabilities[path], after.capabilities[path]
        if Capability.FAULTY not in answers:
            pairs[path] = answers
    yield from _changed(pairs, at)


def of_addresses(before: Endpoints, after: Endpoints, at: datetime) -> Iterator[Change]:
    """Yield which addresses a person changed."""
    pairs: dict[str, tuple[str | None, str | None]] = {
        IDENTITY_ADDRESS: (before.identity, after.identity),
        API_ADDRESS: (before.api, after.api),
    }
    yield from _changed(pairs, at)


def _changed(pairs: dict[str, tuple[str | None, str | None]], at: datetime) -> Iterator[Change]:
    for what, (before, after) in sorted(pairs.items()):
        if before and after and before != after:
            yield Change(at, what, before, after)


def _number(of: int | None) -> str | None:
    return None if of is None else str(of)


def _server(facts: Facts) -> str | None:
    return facts.server_name or facts.server_kind


def _certificate(facts: Facts) -> str | None:
    if not facts.certificate_sha256:
        return None
    ends = f", ends {facts.certificate_ends:%Y-%m-%d}" if facts.certificate_ends else ""
    return f"{facts.certificate_issuer or 'unknown issuer'}{ends} ({facts.certificate_sha256[:12]})"
