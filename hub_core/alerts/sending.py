"""Sends one message to one channel; what may go wrong comes back as a sentence that is safe to show."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from hub_core import texts
from hub_core.alerts.address import read_web_address
from hub_core.alerts.channel import Kind, Sort
from hub_core.errors import InputError, RemoteError

if TYPE_CHECKING:
    from datetime import datetime

    from hub_core.alerts.apprising import Apprising
    from hub_core.alerts.posting import Poster
    from hub_core.model import Secret
    from hub_core.storage.outbox import Ready

_GONE = 410
_SUCCESS = range(200, 300)
_REDIRECT = range(300, 400)
_TRICKS = re.compile(r"@(?=everyone|here|channel|all|room|[!&<])|<(?=[!@#])|\](?=\()")
_JOINER = "\u2060"
_APPRISE_TYPES = {Sort.TROUBLE: "failure", Sort.REMINDER: "warning", Sort.RECOVERY: "success"}


class Attempt(NamedTuple):
    """What came of one attempt."""

    error: str = ""
    """Why it failed; empty where it did not."""
    retry_after: int | None = None
    """Seconds the receiver asked to wait."""
    gone: bool = False
    """Whether the receiver wants no messages any more."""


class Courier:
    """Brings messages to channels of every kind."""

    def __init__(self, poster: Poster, apprising: Apprising) -> None:
        self._poster = poster
        self._apprising = apprising

    async def send(self, ready: Ready, target: Secret, secret: Secret | None, *, now: datetime) -> Attempt:
        """Send a message to the address of its channel, signed with the secret where it is a webhook."""
        if ready.channel.kind is Kind.APPRISE:
            sort = _APPRISE_TYPES.get(ready.sort, "info")
            title, text = literally(ready.title), literally(ready.text or ready.title)
            return Attempt(await self._apprising.send(target.reveal(), title=title, text=text, sort=sort))
        if secret is None:
            return Attempt("It has no signing secret any more. Enter one.")
        body = body_of(ready)
        try:
            answer = await self._poster.post(
                target.reveal(), headers=_signed(ready.id, body, secret, now), body=body.encode()
            )
        except RemoteError as error:
            return Attempt(_sentence(error))
        if answer.status in _SUCCESS:
            return Attempt()
        if answer.status in _REDIRECT:
            return Attempt(f"It answered {answer.status}, a redirect; those are not followed. Enter the final address.")
        return Attempt(f"It answered {answer.status}.", answer.retry_after, answer.status == _GONE)

    async def ping(self, address: Secret) -> str:
        """Ask an address to be noticed; return why that failed, or nothing."""
        try:
            answer = await self._poster.get(read_web_address(address.reveal(), self._poster.policy))
        except InputError as error:
            return error.message
        except RemoteError as error:
            return _sentence(error)
        return "" if answer.status in _SUCCESS else f"it answered {answer.status}"


def literally(text: str) -> str:
    """Return text of a message for people as chat services show just so: it calls nobody and hides no link.

    Labels, and what servers say, are strangers' words; a server could call everybody in the room by its error text.
    """
    return _TRICKS.sub(lambda match: match[0] + _JOINER, text)


def body_of(ready: Ready) -> str:
    """Return what is posted to a webhook: the same at every attempt."""
    said = {
        "type": f"alert.{ready.sort}",
        "timestamp": ready.made_at.isoformat(timespec="seconds"),
        "data": {**ready.data, "text": ready.text},
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def _signed(delivery_id: str, body: str, secret: Secret, now: datetime) -> dict[str, str]:
    from standardwebhooks import Webhook  # noqa: PLC0415 - only where there is something to sign

    return {
        "Content-Type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret.reveal()).sign(delivery_id, now, body),
    }


def _sentence(error: RemoteError) -> str:
    host = error.evidence.get("host")
    rule = error.evidence.get("rule")
    about = ", ".join(filter(None, (host, rule)))
    return f"{texts.REASONS[error.reason].title}{f' ({about})' if about else ''}."
