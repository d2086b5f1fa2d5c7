"""Seals and opens the stored secrets of accounts, and looks after the keys they are sealed with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hub_core.errors import MasterKeyError, SealError
from hub_core.storage.channels import Channels, channel_place
from hub_core.storage.codec import Sealed, bound_origins
from hub_core.storage.keys import find_key
from hub_core.storage.seal import Sealer

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub_core.clock import Clock
    from hub_core.model import ApiKey, Endpoints, Secret
    from hub_core.settings import Settings
    from hub_core.storage.channels import SealedChannel
    from hub_core.storage.seal import KeyringRow, MasterKey, Place
    from hub_core.storage.statements import Ring
    from hub_core.storage.store import Store


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """What may be told about the keys: ids, places and numbers, no material."""

    master_id: str
    source: str
    place: str
    data_key_id: str
    data_key_made: str
    secrets: int
    locked: int
    """Accounts whose secret cannot be opened, or was dropped."""
    warnings: tuple[str, ...]


class Keychain:
    """The keys of this installation, opened with the master key.

    Other processes of it may rotate the data keys at any time. So every seal and open is given the ring of data keys
    as it was in the same transaction as the sealed secret; a ring that is new here is unwrapped first.
    """

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        """Find the master key and unwrap every data key; make the first ones in a new installation.

        Raises:
            MasterKeyError: the key is missing, wrong, ambiguous or badly kept.
        """
        self._store = store
        self._clock = clock
        needed = frozenset(row.kek_id for row in store.ring())
        self._found = find_key(settings, needed=needed)
        if not needed:
            store.first_key(lambda: self.master.new_row(clock.now().isoformat()))
        self._sealer = Sealer(self.master, store.ring())

    @property
    def master(self) -> MasterKey:
        """The master key in use."""
        return self._found.master

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about how the master key is kept."""
        return self._found.warnings

    def seal(self, key: ApiKey, ring: Ring, *, account_id: str, endpoints: Endpoints) -> str:
        """Return the sealed secret of a key, bound to its account, its organization and where it may be sent.

        Raises:
            MasterKeyError: the ring needs another master key by now.
        """
        origins = bound_origins(endpoints.identity, endpoints.api)
        return self.seal_at(key.secret, Sealed(account_id, key.client_id, origins, None).place, ring)

    def open(self, stored: Sealed, ring: Ring) -> Secret:
        """Open a stored secret.

        Raises:
            SealError: there is none, it was moved or altered, or its account now points elsewhere.
            MasterKeyError: the ring needs another master key by now.
        """
        if stored.token is None:
            raise SealError("This account has no stored secret any more; relink it.")
        return self.open_at(stored.token, stored.place, ring)

    def sealing(self, secret: Secret) -> Callable[[Place, Ring], str]:
        """Return what seals a secret for a place, with the data keys of the transaction that stores it."""
        return lambda place, ring: self.seal_at(secret, place, ring)

    def open_channel(self, stored: SealedChannel, ring: Ring) -> tuple[Secret, Secret | None]:
        """Open a channel's address and signing secret; raises SealError, MasterKeyError."""
        if stored.target is None:
            raise SealError("This channel has no stored address any more; enter it again.")
        target = self.open_at(stored.target, channel_place(stored.channel_id, "target"), ring)
        if stored.secret is None:
            return target, None
        return target, self.open_at(stored.secret, channel_place(stored.channel_id, "secret"), ring)

    def seal_at(self, secret: Secret, place: Place, ring: Ring) -> str:
        """Return a secret sealed for a place of its own, such as a channel's address; raises MasterKeyError."""
        return self._sealer_of(ring).seal(secret, place)

    def open_at(self, token: str, place: Place, ring: Ring) -> Secret:
        """Open what `seal_at` made for this place; raises SealError, MasterKeyError."""
        return self._sealer_of(ring).open(token, place)

    def locked(self) -> list[str]:
        """Return the ids of accounts whose secret cannot be opened; opens every one."""
        sealed, ring = self._store.all_sealed()
        return [stored.account_id for stored in sealed if not self._opens(stored, ring)]

    def locked_channels(self) -> list[str]:
        """Return the ids of channels whose address or signing secret cannot be opened; opens every one."""
        sealed, ring = Channels(self._store.database).all_sealed()
        return [stored.channel_id for stored in sealed if not self._opens_channel(stored, ring)]

    def status(self) -> KeyStatus:
        """Return ids, places and numbers; opens every secret to count."""
        sealed, ring = self._store.all_sealed()
        active = next(row for row in ring if row.dek_id == self._sealer_of(ring).active_id)
        return KeyStatus(
            self.master.id,
            self._found.source,
            self._found.place,
            active.dek_id,
            active.created_at,
            sum(1 for stored in sealed if stored.token),
            sum(1 for stored in sealed if not self._opens(stored, ring)),
            self.warnings,
        )

    def rotate(self, *, actor: str) -> int:
        """Make a new data key and reseal every secret with it, in one transaction; return how many.

        Raises:
            SealError: a secret cannot be opened; nothing was changed.
        """
        now = self._clock.now()
        row = self.master.new_row(now.isoformat())
        fresh = Sealer(self.master, [row])

        def reseal(sealed: str, place: Place, ring: Ring) -> str:
            secret = self.open_at(sealed, place, ring)
            token = fresh.seal(secret, place)
            if fresh.open(token, place) != secret:
                raise SealError("A resealed secret does not open; nothing was changed.")
            return token

        return self._store.reseal(row, reseal, at=now, actor=actor)

    def rekey(self, new: MasterKey, *, actor: str) -> None:
        """Wrap the data keys with another master key; the caller keeps the new key where it will be found.

        Raises:
            MasterKeyError: the new key is the present one, or the data keys need yet another one.
        """
        if new.id == self.master.id:
            raise MasterKeyError("This is the master key in use already.")

        def rewrap(row: KeyringRow) -> KeyringRow:
            rewrapped = new.rewrap(row, self.master)
            new.unwrap(rewrapped)
            return rewrapped

        self._store.rewrap(rewrap, at=self._clock.now(), actor=actor)
        self._found = replace(self._found, master=new)

    def _sealer_of(self, ring: Ring) -> Sealer:
        sealer = self._sealer
        if sealer.ids != {row.dek_id for row in ring}:
            sealer = self._sealer = Sealer(self.master, ring)
        return sealer

    def _opens(self, stored: Sealed, ring: Ring) -> bool:
        try:
            self.open(stored, ring)
        except SealError:
            return False
        return True

    def _opens_channel(self, stored: SealedChannel, ring: Ring) -> bool:
        try:
            self.open_channel(stored, ring)
        except SealError:
            return False
        return True
