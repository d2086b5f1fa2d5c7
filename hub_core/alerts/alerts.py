"""What pages and command line can do about channels: plain blocking calls."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4
from zoneinfo import ZoneInfo

from hub_core.alerts import form, timing, words
from hub_core.alerts.apprising import AT_ONCE, Apprising
from hub_core.alerts.channel import Added, Channel, Kind, Sort, Tested, Told
from hub_core.alerts.inbox import SETTLE, Post
from hub_core.alerts.posting import Poster
from hub_core.alerts.sending import Courier
from hub_core.alerts.teller import CLAIM, Pinger, Teller
from hub_core.bitwarden.policy import OutboundPolicy
from hub_core.errors import InputError, InvalidForm
from hub_core.model import Reason
from hub_core.storage.channels import Channels
from hub_core.storage.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub_core.alerts.channel import ChannelDraft, Delivery
    from hub_core.alerts.form import ChannelForm
    from hub_core.alerts.inbox import Subject
    from hub_core.bitwarden.reach import Resolver
    from hub_core.clock import Clock
    from hub_core.engine import Engine
    from hub_core.keychain import Keychain
    from hub_core.settings import Settings
    from hub_core.storage.store import Store

TELL_S = 30.0
"""Seconds in which messages are begun where nobody goes on watching; the last of them may take a minute more."""

SHOWN_AT_ONCE = 50
"""Deliveries that are returned if nothing else is asked."""


class Alerts:
    """The channels of this installation, and what became of their messages."""

    def __init__(
        self,
        store: Store,
        keychain: Keychain,
        engine: Engine,
        *,
        settings: Settings,
        clock: Clock,
        resolve: Resolver,
        maintained: Callable[[Subject], bool],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._channels = Channels(store.database)
        self._outbox = Outbox(store.database, new_id=lambda: f"msg_{uuid4().hex}")
        self._keychain = keychain
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._resolve = resolve
        self._random = random
        self._zone = ZoneInfo(settings.timezone)
        self._maintained = maintained
        self._policy = OutboundPolicy.from_settings(settings)
        self._places = asyncio.Semaphore(AT_ONCE)

    # ---- channels

    def channels(self) -> list[Channel]:
        """Return every channel, by name."""
        return self._channels.all()

    def channel(self, channel_id: str) -> Channel:
        """Return one channel; raises NotFound."""
        return self._channels.one(channel_id)

    def read_form(self, entered: ChannelForm, *, channel_id: str | None = None) -> ChannelDraft:
        """Read what was entered about a new channel, or about one that is there.

        An Apprise address is tried on Apprise itself, which takes a second.

        Raises:
            InvalidForm: with every field that needs correcting.
            NotFound: there is no such channel.
        """
        known = self.channel(channel_id) if channel_id else None
        if known and known.kind is not entered.kind:
            wrong = "A channel keeps its kind. Remove this one and add another."
            raise InvalidForm([InputError("kind", Reason.LABEL_MISSING, wrong)])
        needed = known is None or known.locked
        return form.read(entered, policy=self._policy, check_apprise=self._check_apprise, changing=not needed)

    def add(self, draft: ChannelDraft, *, actor: str) -> Added:
        """Store a new channel; a webhook without a signing secret gets one, which is returned this once."""
        made = form.new_secret(self._random) if draft.kind is Kind.WEBHOOK and draft.secret is None else None
        target, secret = draft.target, draft.secret or made
        if target is None:
            raise InputError("target", Reason.ADDRESS_MISSING, "Enter the address that messages are sent to.")
        channel_id, now = str(uuid4()), self._clock.now()
        self._channels.add(
            channel_id,
            draft,
            seal_target=self._keychain.sealing(target),
            seal_secret=self._keychain.sealing(secret) if secret else None,
            summed_on=timing.summed_until(draft.rules, now, self._zone),
            at=now,
            actor=actor,
        )
        return Added(self.channel(channel_id), made)

    def change(self, channel_id: str, draft: ChannelDraft, *, actor: str) -> Added:
        """Store what was changed; address and secret stay where the draft has none; raises NotFound."""
        now = self._clock.now()
        known = self.channel(channel_id)
        lost = known.locked and draft.kind is Kind.WEBHOOK and draft.secret is None
        made = form.new_secret(self._random) if lost else None
        secret = draft.secret or made
        self._channels.change(
            channel_id,
            draft,
            seal_target=self._keychain.sealing(draft.target) if draft.target else None,
            seal_secret=self._keychain.sealing(secret) if secret else None,
            summed_on=timing.summed_until(draft.rules, now, self._zone),
            at=now,
            actor=actor,
        )
        return Added(self.channel(channel_id), made)

    def remove(self, channel_id: str, *, actor: str) -> None:
        """Erase a channel, its address and its messages at once; raises NotFound."""
        self._channels.remove(channel_id, at=self._clock.now(), actor=actor)

    def set_enabled(self, channel_id: str, *, enabled: bool, actor: str) -> None:
        """Switch a channel on or off; what is untold meanwhile stays untold. Raises NotFound."""
        self._channels.set_enabled(channel_id, enabled=enabled, at=self._clock.now(), actor=actor)

    # ---- messages

    def test(self, channel_id: str, *, actor: str) -> Tested:
        """Send a test message at once, also to a channel that is switched off; raises NotFound."""
        channel, now = self.channel(channel_id), self._clock.now()
        post = Post(channel_id, Sort.TEST, words.test_message(channel.name, self._settings.url))
        delivery_id = self._outbox.put(post, now=now, claimed_until=now + CLAIM, actor=actor)
        ready = self._outbox.ready(delivery_id)
        attempt = self._engine.call(lambda _: self.teller().attempt(ready, again=False), _ignore)
        if attempt.error:
            return Tested(False, f"“{channel.name}” could not be reached. {attempt.error}")
        return Tested(True, f"The test message reached “{channel.name}”.")

    def deliveries(self, channel_id: str, limit: int = SHOWN_AT_ONCE) -> list[Delivery]:
        """Return a channel's messages, newest first."""
        return self._outbox.deliveries(channel_id, limit)

    def problem(self) -> str:
        """Return a sentence when alerts do not get through; nothing while all is well."""
        failing = [channel for channel in self.channels() if channel.stopped or (channel.enabled and channel.error)]
        if not failing:
            return ""
        first = failing[0]
        since = f" since {first.failing_since:%Y-%m-%d %H:%M} UTC" if first.failing_since else ""
        others = f" {len(failing) - 1} more channels have trouble, too." if len(failing) > 1 else ""
        off = " The channel was switched off." if first.stopped else ""
        return f"Alerts to “{first.name}” do not get through{since}: {first.error}{off}{others}"

    def tell(self) -> Told:
        """Tell people what is untold, and send what is due, at once; for where nobody watches.

        No change waits to settle: nothing is checked meanwhile that could undo it or join it.
        """
        teller = self.teller(settle=timedelta())
        sent = self._engine.call(lambda _: teller.clear(within_s=TELL_S), _ignore)
        return Told(sent, sum(self._outbox.waiting().values()))

    # ---- whoever watches

    def teller(self, *, settle: timedelta = SETTLE) -> Teller:
        """Return what tells people; it runs where the scheduler does. A change of status waits for `settle`."""
        return Teller(
            self._outbox,
            self._keychain,
            self._courier(),
            clock=self._clock,
            zone=self._zone,
            url=self._settings.url,
            maintained=self._maintained,
            settle=settle,
        )

    def pinger(self) -> Pinger | None:
        """Return what is to be called after every pass of checks, if the operator gave an address."""
        address = self._settings.ping_url
        return Pinger(self._courier(), address) if address else None

    def _courier(self) -> Courier:
        return Courier(Poster(policy=self._policy, resolve=self._resolve), self._apprising())

    def _apprising(self) -> Apprising:
        return Apprising(policy=self._policy, places=self._places)

    def _check_apprise(self, url: str) -> str:
        return self._engine.call(lambda _: self._apprising().check(url), _ignore)


def _ignore(_: object) -> None:
    """Watch nothing."""
