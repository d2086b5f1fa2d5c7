"""What a light check lives on: access tokens, kept in memory only, and the one list it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hub_core.bitwarden.client import LISTS
from hub_core.health.verdict import FAILING, TOKEN_DOUBTS, WAITING
from hub_core.model import Capability, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hub_core.bitwarden.client import AccessToken
    from hub_core.model import Check

RENEW_EARLY_S = 300.0
"""A token is not used in its last five minutes, so that none ends on the way."""


class _Kept(NamedTuple):
    generation: int
    token: AccessToken
    until: float


class Tokens:
    """The access tokens of this process, each for one account as it was when the token was given."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._kept: dict[str, _Kept] = {}

    def get(self, account_id: str, generation: int) -> AccessToken | None:
        """Return the token of an account, unless it ends soon or key or server changed since it was given."""
        kept = self._kept.get(account_id)
        if kept is None:
            return None
        if kept.generation != generation or self._monotonic() >= kept.until:
            del self._kept[account_id]
            return None
        return kept.token

    def learn(self, account_id: str, generation: int, check: Check, fresh: AccessToken | None) -> None:
        """Keep a fresh token that worked, and drop what a check has shown to be of no use."""
        failure = check.failure
        reason = failure.reason if failure else None
        if reason in WAITING and not fresh:
            return
        if reason in FAILING or reason in TOKEN_DOUBTS or (failure and failure.stage is Stage.TOKEN):
            self._kept.pop(account_id, None)
        elif fresh:
            until = self._monotonic() + fresh.expires_in - RENEW_EARLY_S
            self._kept[account_id] = _Kept(generation, fresh, until)

    def forget(self, account_id: str) -> None:
        """Drop the token of an account."""
        self._kept.pop(account_id, None)


def small_read(known: Mapping[str, Capability]) -> tuple[str]:
    """Return the cheapest list that is known to be readable; the cheapest of all when none is."""
    return (next((path for path in LISTS if known.get(path) is Capability.READABLE), LISTS[0]),)
