"""The keys of an installation: opening, rotating, rekeying, and what several processes do at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hub_core.clock import Clock
from hub_core.errors import MasterKeyError, SealError
from hub_core.health import status
from hub_core.keychain import Keychain
from hub_core.model import Account, ApiKey, Secret
from hub_core.settings import Settings
from hub_core.storage.codec import bound_origins
from hub_core.storage.keys import replace_key_file
from hub_core.storage.seal import MasterKey
from hub_core.storage.store import Store
from tests.test_store import OWN, account, good

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "kC9secretOfTheKeychainTest0001"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", config=tmp_path / "config")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = Store.open(settings.database)
    yield opened
    opened.close()


def keychain(store: Store, settings: Settings) -> Keychain:
    return Keychain(store, settings, Clock())


def add(store: Store, keys: Keychain, made: Account, secret: str = CANARY) -> None:
    check = good()
    store.add_account(
        made,
        seal=lambda ring: keys.seal(
            ApiKey(made.client_id, Secret(secret)), ring, account_id=made.id, endpoints=made.endpoints
        ),
        check=check,
        step=status.step(made, check),
        actor="test",
    )


def secret_of(store: Store, keys: Keychain, made: Account) -> str:
    loaded = store.load(made.id)
    return keys.open(loaded.sealed, loaded.ring).reveal()


def test_a_new_installation_gets_a_key_and_opens_with_it_again(store: Store, settings: Settings) -> None:
    """The first start makes master and data key; the next start opens with the same ones."""
    add(store, keychain(store, settings), account())
    again = keychain(store, settings)
    assert secret_of(store, again, account()) == CANARY
    told = again.status()
    assert (told.source, told.secrets, told.locked, told.warnings) == ("own file", 1, 0, ())
    assert told.place == str(settings.config / "master.key")
    assert told.master_id == again.master.id == store.ring()[0].kek_id


def test_another_master_key_is_refused_and_changes_nothing(store: Store, settings: Settings) -> None:
    """A wrong key does not start, names both keys, and leaves the ring as it is."""
    add(store, keychain(store, settings), account())
    ring = store.ring()
    wrong = replace(settings, key=MasterKey.generate().to_text())
    with pytest.raises(MasterKeyError, match=ring[0].kek_id):
        keychain(store, wrong)
    assert store.ring() == ring


def test_a_lost_master_key_is_never_replaced_over_secrets(store: Store, settings: Settings) -> None:
    """With the key file gone, starting fails instead of making a key that opens nothing."""
    add(store, keychain(store, settings), account())
    (settings.config / "master.key").unlink()
    with pytest.raises(MasterKeyError, match="No other key opens them"):
        keychain(store, settings)
    assert not (settings.config / "master.key").exists()


def test_rotating_reseals_every_secret_with_a_new_key(store: Store, settings: Settings, tmp_path: Path) -> None:
    """After rotating, every secret opens with the one new data key; the old tokens and key are in no file."""
    keys = keychain(store, settings)
    for number in range(1, 6):
        add(store, keys, account(number), f"{CANARY}{number}")
    before, _ = store.all_sealed()
    old = store.ring()
    assert keys.rotate(actor="test") == 5
    assert [secret_of(store, keys, account(n)) for n in range(1, 6)] == [f"{CANARY}{n}" for n in range(1, 6)]
    assert {row.dek_id for row in store.ring()}.isdisjoint(row.dek_id for row in old)
    everything = b"".join(file.read_bytes() for file in (tmp_path / "data").iterdir())
    assert [s.token for s in before if s.token and s.token.encode() in everything] == []
    assert old[0].wrapped not in everything
    assert store.audit_trail()[0]["action"] == "key rotate"


def test_rotating_with_one_secret_that_does_not_open_changes_nothing(store: Store, settings: Settings) -> None:
    """A tampered row stops the rotation before anything is written."""
    keys = keychain(store, settings)
    add(store, keys, account(1))
    add(store, keys, account(2))
    with store.database.write() as con:
        con.execute("UPDATE account SET identity = 'https://evil.example' WHERE id = ?", (account(2).id,))
    ring = store.ring()
    with pytest.raises(SealError):
        keys.rotate(actor="test")
    assert store.ring() == ring
    assert secret_of(store, keys, account(1)) == CANARY
    assert keys.locked() == [account(2).id]
    assert keys.status().locked == 1


def test_a_running_process_follows_a_rotation_of_another(store: Store, settings: Settings) -> None:
    """The dashboard goes on opening and sealing after the command line rotated the data key."""
    dashboard = keychain(store, settings)
    add(store, dashboard, account(1))
    keychain(store, settings).rotate(actor="test")
    assert secret_of(store, dashboard, account(1)) == CANARY
    add(store, dashboard, account(2))
    fresh = keychain(store, settings)
    assert [secret_of(store, fresh, account(n)) for n in (1, 2)] == [CANARY, CANARY]
    assert dashboard.rotate(actor="test") == 2
    assert fresh.status().locked == 0


def test_what_was_read_before_a_rotation_opens_with_the_keys_of_then(store: Store, settings: Settings) -> None:
    """A check that read its sealed secret just before a rotation is not told that it cannot be opened."""
    keys = keychain(store, settings)
    add(store, keys, account())
    loaded = store.load(account().id)
    keys.rotate(actor="test")
    assert keys.open(loaded.sealed, loaded.ring).reveal() == CANARY
    assert secret_of(store, keys, account()) == CANARY


def test_rekeying_wraps_the_same_data_keys_with_the_new_master_key(store: Store, settings: Settings) -> None:
    """After rekeying only the new key starts, and every secret opens; the process itself goes on."""
    keys = keychain(store, settings)
    add(store, keys, account())
    new = MasterKey.generate()
    replace_key_file(settings.config / "master.key", new)
    keys.rekey(new, actor="test")
    assert keys.master.id == keys.status().master_id == new.id
    assert {row.kek_id for row in store.ring()} == {new.id}
    assert secret_of(store, keychain(store, settings), account()) == CANARY
    keys.rotate(actor="test")
    assert secret_of(store, keychain(store, settings), account()) == CANARY


def test_a_running_process_goes_on_until_a_rotation_under_a_new_master_key(store: Store, settings: Settings) -> None:
    """Knowing only the old master key suffices after a rekey; after a rotation it says which key is needed."""
    dashboard = keychain(store, settings)
    add(store, dashboard, account(1))
    other = keychain(store, settings)
    new = MasterKey.generate()
    other.rekey(new, actor="test")
    assert secret_of(store, dashboard, account(1)) == CANARY
    other.rotate(actor="test")
    with pytest.raises(MasterKeyError, match=f"need master key {new.id}"):
        secret_of(store, dashboard, account(1))
    with pytest.raises(MasterKeyError, match=f"need master key {new.id}"):
        add(store, dashboard, account(2))
    assert len(store.overview()) == 1


def test_rekeying_with_the_present_key_is_refused(store: Store, settings: Settings) -> None:
    """Giving the key in use already is a mistake worth saying."""
    keys = keychain(store, settings)
    with pytest.raises(MasterKeyError, match="in use already"):
        keys.rekey(keys.master, actor="test")


def test_a_secret_does_not_open_under_another_address_organization_or_row(store: Store, settings: Settings) -> None:
    """Whoever can write the database but lacks the key cannot move a secret to where it would be sent elsewhere."""
    keys = keychain(store, settings)
    made = account(1)
    add(store, keys, made)
    stored, ring = store.all_sealed()
    for change in (
        {"origins": bound_origins(OWN.identity, made.endpoints.api)},
        {"origins": bound_origins(made.endpoints.identity, OWN.api)},
        {"client_id": account(2).client_id},
        {"account_id": account(2).id},
    ):
        with pytest.raises(SealError):
            keys.open(replace(stored[0], **change), ring)
    with pytest.raises(SealError, match="no stored secret"):
        keys.open(replace(stored[0], token=None), ring)


def test_a_mangled_token_is_counted_as_locked(store: Store, settings: Settings) -> None:
    """Status counts what cannot be read instead of failing over it."""
    keys = keychain(store, settings)
    add(store, keys, account(1))
    with store.database.write() as con:
        con.execute("UPDATE account SET sealed = 'rubbish'")
    assert (keys.status().secrets, keys.status().locked) == (1, 1)
