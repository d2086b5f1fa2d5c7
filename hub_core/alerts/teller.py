"""The loop that tells people: routes what is untold, sends what is due, and tries again what failed."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from traceback import extract_tb
from typing import TYPE_CHECKING, Final

from hub_core.alerts import timing
from hub_core.alerts.apprising import AT_ONCE
from hub_core.alerts.inbox import SETTLE
from hub_core.alerts.routing import decide
from hub_core.alerts.sending import Attempt
from hub_core.errors import HubError, MasterKeyError, SealError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, tzinfo

    from hub_core.alerts.inbox import Inbox, Subject
    from hub_core.alerts.sending import Courier
    from hub_core.clock import Clock
    from hub_core.keychain import Keychain
    from hub_core.model import Secret
    from hub_core.storage.outbox import Outbox, Ready

log = logging.getLogger(__name__)

LOOK_S = 10.0
"""How often is looked for something to tell."""

CLAIM = timedelta(minutes=2)
"""Whoever claimed a message and has not settled it by then is taken to be dead; longer than any attempt."""

RETRIES: Final = (10, 60, 300, 900, 3600, 21600, 21600, 21600, 21600)
"""Seconds between two attempts: a message is given up after ten of them, a little over a day."""

BY_APPRISE = AT_ONCE - 1
"""Messages on their way by Apprise at once: none is claimed that has to wait, and whoever tests finds a place."""

LONGEST_RETRY_S = 6 * 3600
FAULT_PAUSE_S = 60.0
KEEP = timedelta(days=14)
PRUNE_EVERY_S = 3600.0


class Teller:
    """Tells people; several on one database do no harm: a message is routed in one transaction, and claimed."""

    def __init__(
        self,
        outbox: Outbox,
        keychain: Keychain,
        courier: Courier,
        *,
        clock: Clock,
        zone: tzinfo,
        url: str | None,
        maintained: Callable[[Subject], bool],
        settle: timedelta = SETTLE,
    ) -> None:
        self._outbox = outbox
        self._keychain = keychain
        self._courier = courier
        self._clock = clock
        self._zone = zone
        self._url = url
        self._maintained = maintained
        self._settle = settle
        self._sending: dict[str, asyncio.Task[bool]] = {}
        """What is on its way, by channel: one at a time, so that a slow channel delays only itself."""
        self._prune_at = 0.0

    async def run(self) -> None:
        """Tell people until cancelled; what is on its way then is sent again by whoever comes next."""
        try:
            while True:
                try:
                    await self.round()
                    pause = LOOK_S
                except StorageError as error:
                    log.error("Alerts pause for a minute: %s", error)  # noqa: TRY400 - the sentence says it all
                    pause = FAULT_PAUSE_S
                except Exception:
                    log.exception("telling people failed; it goes on in a minute")
                    pause = FAULT_PAUSE_S
                await self._clock.sleep(pause)
        finally:
            for task in self._sending.values():
                task.cancel()
            await asyncio.gather(*self._sending.values(), return_exceptions=True)

    async def round(self) -> list[asyncio.Task[bool]]:
        """Route what is untold, and begin to send what is due; return that: each tells whether it got there."""
        begun = {one.channel.id: asyncio.create_task(self._bring(one)) for one in await asyncio.to_thread(self._due)}
        self._sending |= begun
        if self._clock.monotonic() >= self._prune_at:
            self._prune_at = self._clock.monotonic() + PRUNE_EVERY_S
            await asyncio.to_thread(self._outbox.prune, self._clock.now() - KEEP)
        return list(begun.values())

    async def clear(self, *, within_s: float) -> int:
        """Send everything that is due, one after the other in each channel; return how much of it got there.

        After `within_s` seconds nothing more is begun; what is on its way then ends by its own deadline.
        """
        ends = self._clock.monotonic() + within_s
        begun: list[asyncio.Task[bool]] = []
        while self._clock.monotonic() < ends:
            new = await self.round()
            begun += new
            if not new and not self._sending:
                break
            await asyncio.wait([*new, *self._sending.values()], return_when=asyncio.FIRST_COMPLETED)
        return sum(await asyncio.gather(*begun))

    async def idle(self) -> None:
        """Wait until nothing is on its way."""
        await asyncio.gather(*self._sending.values())

    def route(self) -> bool:
        """Turn what is untold into messages; return whether there was anything."""
        now = self._clock.now()
        return self._outbox.route(
            lambda inbox: decide(
                inbox, zone=self._zone, url=self._url, maintained=self._maintained, settle=self._settle
            ),
            now=now,
            everybody=lambda inbox: self._sums_up(inbox, now),
        )

    async def attempt(self, ready: Ready, *, again: bool = True) -> Attempt:
        """Try once to send a message, and store what came of it; `again` tells whether it is tried later."""
        attempt = await self._try(ready)
        now = self._clock.now()
        if not attempt.error:
            await asyncio.to_thread(self._outbox.sent, ready, at=now)
        elif attempt.gone:
            why = f"{attempt.error} The receiver wants no messages any more."
            log.warning("Channel %s is switched off: %s", ready.channel.id, why)
            await asyncio.to_thread(self._outbox.stop, ready, why, at=now)
        else:
            next_at = next_attempt(ready.attempts, attempt.retry_after, now) if again else None
            log.warning("Channel %s: message %s was not delivered: %s", ready.channel.id, ready.id, attempt.error)
            await asyncio.to_thread(self._outbox.failed, ready, attempt.error, at=now, next_at=next_at)
        return attempt

    # ---- inside

    def _due(self) -> list[Ready]:
        """Route what is untold, and claim what is to be sent now."""
        pending = self._outbox.pending(self._clock.now())
        if not (pending.news and self.route()) and not pending.due:
            return []
        now = self._clock.now()  # not before what was just routed
        return self._outbox.claim(now=now, until=now + CLAIM, busy=list(self._sending), by_apprise=BY_APPRISE)

    async def _bring(self, ready: Ready) -> bool:
        try:
            attempt = await self.attempt(ready)
        except HubError as error:
            log.error("Message %s is tried again: %s", ready.id, error)  # noqa: TRY400 - the sentence says it all
        except Exception:
            log.exception("message %s could not be sent; it is tried again", ready.id)
        else:
            return not attempt.error
        finally:
            self._sending.pop(ready.channel.id, None)
        return False

    async def _try(self, ready: Ready) -> Attempt:
        try:
            target, secret = self._opened(ready)
        except (SealError, MasterKeyError):
            return Attempt("Its stored address cannot be opened any more. Enter it again.")
        try:
            return await self._courier.send(ready, target, secret, now=self._clock.now())
        except Exception as error:  # noqa: BLE001 - counted, else it is tried for ever and holds up what is behind it
            place = extract_tb(error.__traceback__)[-1]
            kind = type(error).__name__  # its text may hold the address
            log.error("Message %s: sending failed with %s at %s:%d", ready.id, kind, place.filename, place.lineno)  # noqa: TRY400 - the same
            return Attempt(f"The hub itself failed while sending ({kind}). Its log says where; please report it.")

    def _opened(self, ready: Ready) -> tuple[Secret, Secret | None]:
        return self._keychain.open_channel(ready.sealed, ready.ring)

    def _sums_up(self, inbox: Inbox, now: datetime) -> bool:
        return any(
            channel.enabled and timing.is_summary_due(channel.rules, summed_on, now, self._zone)
            for channel, summed_on in inbox.listeners
        )


class Pinger:
    """Asks an address after a pass of checks, so that its owner notices when this hub falls silent."""

    def __init__(self, courier: Courier, address: Secret) -> None:
        self._courier = courier
        self._address = address
        self._failing = False

    async def after_pass(self) -> None:
        """Ask; a failure is logged when it begins, without the address."""
        error = await self._courier.ping(self._address)
        if error and not self._failing:
            log.warning("LINKHUB_PING_URL could not be asked: %s", error)
        self._failing = bool(error)


def next_attempt(attempts: int, retry_after: int | None, now: datetime) -> datetime | None:
    """Return when a message that was tried in vain, after so many earlier attempts, is tried again; None for never."""
    if attempts >= len(RETRIES):
        return None
    asked = min(retry_after or 0, LONGEST_RETRY_S)
    return now + timedelta(seconds=max(RETRIES[attempts], asked))
