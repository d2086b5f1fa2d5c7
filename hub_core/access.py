"""Who may read by machine: API tokens, made and recognized, and badges that anybody may see."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections import deque
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from hub_core.drafts import one_line
from hub_core.errors import InputError, StorageError
from hub_core.model import Reason, Secret
from hub_core.storage.access import AccessStore, ApiToken, Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from hub_core.clock import Clock
    from hub_core.storage.database import Database

__all__ = ["Access", "ApiToken", "Refused", "Scope", "badge_path", "written_out"]

NAME_LIMIT: Final = 60
DAYS_LIMIT: Final = 3650
WRONG_A_MINUTE: Final = 30
"""Wrong tokens a minute, by everybody together, before the answer is to wait; right ones pass all the same."""

_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 32
_TEXT: Final = re.compile(r"lh_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_USE_NOTED_EVERY: Final = timedelta(minutes=1)
_MINUTE_S: Final = 60.0
_NO_HASH: Final = bytes(hashlib.sha256().digest_size)


class Refused(StrEnum):
    """Why a request is not answered."""

    UNKNOWN = "unknown"
    """No token, or one that is malformed, unknown, expired or revoked: the answer is the same for all of them."""
    SCOPE = "scope"
    """The token works, but not for this."""
    TOO_MANY = "too_many"
    """As unknown, and there were many such tries within the last minute."""


class Access:
    """The use cases of API tokens and badges."""

    def __init__(
        self, database: Database, clock: Clock, *, randomness: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        """Work on `database`; `randomness` gives as many random bytes as it is asked for."""
        self._store = AccessStore(database)
        self._clock = clock
        self._randomness = randomness
        self._wrong: deque[float] = deque(maxlen=WRONG_A_MINUTE)

    # ---- tokens

    def tokens(self) -> list[ApiToken]:
        """Return every API token, those expired or revoked too, newest first."""
        return self._store.tokens()

    def create(self, name: str, scopes: Collection[Scope], days: int | None, *, actor: str) -> tuple[ApiToken, Secret]:
        """Make an API token and return it with its text, which is stored nowhere and cannot be shown again.

        Args:
            name: how people tell it from others.
            scopes: what it may read.
            days: until it expires; None: never.
            actor: who makes it.

        Raises:
            InputError: the field `name`, `scopes` or `days` can be corrected.
        """
        name = one_line(name)
        if not name or len(name) > NAME_LIMIT:
            raise InputError("name", Reason.LABEL_MISSING, f"Give the token a name of at most {NAME_LIMIT} characters.")
        if not scopes:
            raise InputError("scopes", Reason.LABEL_MISSING, "Say what the token may read.")
        if days is not None and not 0 < days <= DAYS_LIMIT:
            raise InputError("days", Reason.LABEL_MISSING, f"Let it expire after 1 to {DAYS_LIMIT} days, or never.")
        now = self._clock.now()
        token_id = self._randomness(_ID_BYTES).hex()
        random = base64.urlsafe_b64encode(self._randomness(_SECRET_BYTES)).rstrip(b"=").decode()
        text = f"lh_{token_id}_{random}"
        ends = None if days is None else now + timedelta(days=days)
        token = ApiToken(token_id, name, frozenset(scopes), now, actor, ends)
        self._store.add(token, _digest(text), actor=actor)
        return token, Secret(text)

    def revoke(self, token_id: str, *, actor: str) -> None:
        """End an API token at once and for good; a second time does nothing; raises NotFound."""
        self._store.revoke(token_id, at=self._clock.now(), actor=actor)

    def admits(self, text: str, scope: Scope) -> ApiToken | Refused:
        """Return the token that this text is, if it works and may read `scope`, or why not.

        A flood of wrong tokens is told to wait; whoever has a right one never waits for others.
        """
        match = _TEXT.fullmatch(text)
        found = self._store.token(match[1]) if match else None
        token, digest = found or (None, _NO_HASH)
        right = hmac.compare_digest(digest, _digest(text))
        if token is None or not right or not token.works(self._clock.now()):
            return Refused.TOO_MANY if self._flooded() else Refused.UNKNOWN
        return token if scope in token.scopes else Refused.SCOPE

    def note_use(self, token: ApiToken) -> None:
        """Note that a token was used, at most once a minute; not being able to is nobody's trouble."""
        now = self._clock.now()
        if token.last_used_at is None or not timedelta() <= now - token.last_used_at < _USE_NOTED_EVERY:
            with suppress(StorageError):
                self._store.used(token.id, at=now)

    def _flooded(self) -> bool:
        """Count one wrong try; tell whether there were more than enough within the last minute."""
        now = self._clock.monotonic()
        flooded = len(self._wrong) == self._wrong.maxlen and now - self._wrong[0] < _MINUTE_S
        if not flooded:
            self._wrong.append(now)
        return flooded

    # ---- badges

    def set_badge(self, account_id: str, shown: bool, *, actor: str) -> None:  # noqa: FBT001 - reads as it is said
        """Let anybody who has its address see an account's status, or nobody any more; raises NotFound."""
        self._store.set_badge(account_id, shown=shown, at=self._clock.now(), actor=actor)

    def badge_shown(self, account_id: str) -> bool:
        """Tell whether an account's badge is shown; one that does not exist has none."""
        return self._store.badge_shown(account_id)


def badge_path(account_id: str) -> str:
    """Return where an account's badge is, below the dashboard's own address."""
    return f"/badge/{account_id}.svg"


def written_out(secret: Secret) -> str:
    """Return the text of a token that was made a moment ago: the one time it is shown."""
    return secret.reveal()


def _digest(text: str) -> bytes:
    # 256 random bits need no slow hash: nobody guesses them, however fast.
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
