"""Sealed secrets open at their own place with their own key, and nowhere else."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import itertools
import pickle
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_core.errors import MasterKeyError, SealError
from hub_core.model import Secret
from hub_core.storage.seal import (
    KeyringRow,
    MasterKey,
    Place,
    Sealer,
    dek_id_of,
    from_recovery_sheet,
    recovery_sheet,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = "2026-11-23T00:00:00Z"
SECRET = Secret("Kq7vXh2mPz9TgB4wLr8sNc1yDf5JuA")
PLACE = Place(
    table="account",
    row="6f1d2c3e-0000-4000-8000-000000000001",
    column="secret",
    client_id="organization.b6f1a6c2-3c1e-4b0a-9d53-aa0000000001",
    origin="https://identity.bitwarden.com",
)

# The known answer. These four lines never change: a release that cannot open them has lost people's keys.
KNOWN_KEY = Secret("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
KNOWN_KEY_ID = "02672b337031a7e6"
KNOWN_ROW = KeyringRow(
    dek_id="4041424344454647",
    kek_id=KNOWN_KEY_ID,
    wrapped=bytes.fromhex(
        "48494a4b4c4d4e4f50515253ee0ca94051c43f68f0691d56420d075d0f8b3c620aee829acb0d89dce1ae9e855c84d8914b1cea2adc953a47"
        "51b04c45"
    ),
    state="active",
    created_at=NOW,
)
KNOWN_TOKEN = "s1.4041424344454647.VFVWV1hZWltcXV5f_OAAoRQP6k9Bm5Xd4E8LGtAB2QH9JlL0uOUp4s6KscO6Wujr6GdaqVLp0F8n-w"


def counting(start: int) -> Callable[[int], bytes]:
    numbers = itertools.count(start)
    return lambda size: bytes(next(numbers) % 256 for _ in range(size))


def make_sealer() -> Sealer:
    master = MasterKey.generate()
    return Sealer(master, [master.new_row(NOW)])


SEALER = make_sealer()
TOKEN = SEALER.seal(SECRET, PLACE)


def is_locked(sealer: Sealer, token: str, place: Place) -> bool:
    try:
        sealer.open(token, place)
    except SealError:
        return True
    return False


# --- the format, for ever


def test_the_known_answer_opens() -> None:
    """A key, a keyring row and a token written down once open in every release."""
    sealer = Sealer(MasterKey.from_text(KNOWN_KEY), [KNOWN_ROW])
    assert sealer.open(KNOWN_TOKEN, PLACE) == SECRET


def test_the_known_answer_is_made_again() -> None:
    """The same random bytes give the same key id, wrapped key and token, so the format has not drifted."""
    master = MasterKey.from_text(KNOWN_KEY)
    assert master.id == KNOWN_KEY_ID
    row = master.new_row(NOW, counting(32))
    assert row == KNOWN_ROW
    assert Sealer(master, [row]).seal(SECRET, PLACE, counting(84)) == KNOWN_TOKEN


def test_the_documented_format_is_enough_to_open_a_token() -> None:
    """Someone with the master key and the format's description opens a secret without this program."""

    def prefixed(*parts: str) -> bytes:
        return b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)

    kek = bytes(range(32))
    kek_id = hmac.new(kek, b"key id v1", hashlib.sha256).hexdigest()[:16]
    wrapped = KNOWN_ROW.wrapped
    dek = AESGCM(kek).decrypt(wrapped[:12], wrapped[12:], prefixed("dek", KNOWN_ROW.dek_id, kek_id))
    version, dek_id, text = KNOWN_TOKEN.split(".")
    sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    bound = prefixed(version, dek_id, PLACE.table, PLACE.row, PLACE.column, PLACE.client_id, PLACE.origin)
    assert AESGCM(dek).decrypt(sealed[:12], sealed[12:], bound).decode() == SECRET.reveal()


# --- sealing and opening


@given(text=st.text(st.characters()), place=st.builds(Place, *[st.text(st.characters())] * 5))
def test_any_text_comes_back_from_any_place(text: str, place: Place) -> None:
    """Whatever characters a secret and its place have, sealing and opening gives the same secret."""
    assert SEALER.open(SEALER.seal(Secret(text), place), place) == Secret(text)


def test_sealing_twice_gives_different_tokens() -> None:
    """Equal secrets cannot be recognized by equal tokens."""
    assert len({SEALER.seal(SECRET, PLACE) for _ in range(100)}) == 100


def test_a_token_shows_neither_secret_nor_place() -> None:
    """Nothing but the version and the data key's id can be read from a token."""
    assert TOKEN.startswith(f"s1.{SEALER.active_id}.")
    assert dek_id_of(TOKEN) == SEALER.active_id
    raw = base64.urlsafe_b64decode(TOKEN.split(".")[2] + "==")
    assert SECRET.reveal().encode() not in raw
    assert PLACE.client_id.encode() not in raw


# --- everything that must stay locked


def test_every_single_bit_flip_is_rejected() -> None:
    """Changing any one bit of any character of a token locks it, the spare bits of base64 included."""
    raw = TOKEN.encode()
    flipped = [
        bytes(byte ^ (1 << bit) if at == where else byte for at, byte in enumerate(raw)).decode("latin-1")
        for where in range(len(raw))
        for bit in range(8)
    ]
    assert len(flipped) == 8 * len(TOKEN)
    assert [token for token in flipped if not is_locked(SEALER, token, PLACE)] == []


@pytest.mark.parametrize("length", range(16, 32))
def test_no_second_spelling_of_a_token_opens(length: int) -> None:
    """Every other last character is rejected, however many spare bits the length of the secret leaves."""
    token = SEALER.seal(Secret("x" * length), PLACE)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/="
    others = [token[:-1] + last for last in alphabet if last != token[-1]] + [token + "=", token + "==", token + "\n"]
    assert all(is_locked(SEALER, other, PLACE) for other in others)


def test_every_truncation_is_rejected() -> None:
    """A token cut off anywhere, at its end or its beginning, stays locked."""
    cuts = [TOKEN[:end] for end in range(len(TOKEN))] + [TOKEN[start:] for start in range(1, len(TOKEN) + 1)]
    assert all(is_locked(SEALER, cut, PLACE) for cut in cuts)


@pytest.mark.parametrize("part", [f.name for f in fields(Place)])
def test_each_changed_part_of_the_place_locks_the_secret(part: str) -> None:
    """A secret moved to another table, row, column, organization or origin does not open there."""
    for value in ("", "other", getattr(PLACE, part) + "x", getattr(PLACE, part).upper() + " "):
        assert is_locked(SEALER, TOKEN, replace(PLACE, **{part: value}))
    assert SEALER.open(TOKEN, PLACE) == SECRET


def test_parts_of_a_place_cannot_trade_places() -> None:
    """The same five texts in any other order are another place."""
    parts = [getattr(PLACE, f.name) for f in fields(Place)]
    others = [Place(*order) for order in itertools.permutations(parts) if list(order) != parts]
    assert len(others) == 119
    assert all(is_locked(SEALER, TOKEN, other) for other in others)


@settings(max_examples=500)
@given(
    text=st.text(min_size=1, max_size=12),
    cuts=st.lists(st.integers(0, 12), min_size=4, max_size=4),
    others=st.lists(st.integers(0, 12), min_size=4, max_size=4),
)
def test_places_that_read_the_same_when_joined_are_different(text: str, cuts: list[int], others: list[int]) -> None:
    """Two ways to cut one text into five parts bind to different places: ("ab", "c") is not ("a", "bc")."""

    def cut(at: list[int]) -> Place:
        edges = [0, *sorted(at), len(text)]
        return Place(*(text[a:b] for a, b in itertools.pairwise(edges)))

    one, other = cut(cuts), cut(others)
    assert is_locked(SEALER, SEALER.seal(SECRET, one), other) == (one != other)


def test_two_rows_cannot_swap_their_tokens() -> None:
    """Exchanging the tokens of two organizations locks both instead of handing one the other's key."""
    other = replace(PLACE, row="6f1d2c3e-0000-4000-8000-000000000002", client_id="organization.other")
    other_token = SEALER.seal(Secret("another"), other)
    assert is_locked(SEALER, other_token, PLACE)
    assert is_locked(SEALER, TOKEN, other)


def test_the_data_key_id_in_a_token_is_bound() -> None:
    """A token relabelled with the id of another data key stays locked, even if both ids lead to the same key."""
    master = MasterKey.from_text(KNOWN_KEY)
    # The same data key under two ids: only the binding of the id can tell the tokens apart.
    twin = master.new_row(NOW, lambda size: bytes(range(32, 64)) if size == 32 else b"\x11" * size)
    sealer = Sealer(master, [KNOWN_ROW, replace(twin, state="retired")])
    assert is_locked(sealer, KNOWN_TOKEN.replace(KNOWN_ROW.dek_id, twin.dek_id), PLACE)
    assert sealer.open(KNOWN_TOKEN, PLACE) == SECRET


def test_a_token_of_a_missing_data_key_names_it() -> None:
    """Without its data key a secret stays locked, and the sentence says which key it wants."""
    with pytest.raises(SealError, match=KNOWN_ROW.dek_id):
        SEALER.open(KNOWN_TOKEN, PLACE)


def test_another_version_is_not_guessed_at() -> None:
    """A token of a later format is refused, not tried."""
    assert is_locked(SEALER, "s2" + TOKEN[2:], PLACE)
    with pytest.raises(SealError):
        dek_id_of("s2" + TOKEN[2:])


token_like = st.one_of(
    st.text(st.characters()),
    st.text("s12.abcdef0-_=", max_size=60),
    st.from_regex(r"s1\.[0-9a-f]{16}\.[A-Za-z0-9_-]*", fullmatch=True),
    st.text("ABCXYZabcxyz0189-_", max_size=120).map(lambda rest: f"s1.{SEALER.active_id}.{rest}"),
    st.integers(0, len(TOKEN)).flatmap(lambda at: st.characters().map(lambda c: TOKEN[:at] + c + TOKEN[at:])),
)


@settings(max_examples=2000, deadline=None)
@given(token=token_like)
def test_any_other_text_is_a_seal_error(token: str) -> None:
    """2,000 texts that are no tokens give the one error for it, never another exception."""
    with pytest.raises(SealError):
        SEALER.open(token, PLACE)


# --- keys and the keyring


def test_a_retired_key_opens_but_never_seals() -> None:
    """After a rotation old tokens still open, and new ones use the new data key."""
    master = MasterKey.generate()
    old = master.new_row(NOW)
    token = Sealer(master, [old]).seal(SECRET, PLACE)
    new = master.new_row(NOW)
    sealer = Sealer(master, [replace(old, state="retired"), new])
    assert sealer.open(token, PLACE) == SECRET
    assert dek_id_of(sealer.seal(SECRET, PLACE)) == sealer.active_id == new.dek_id
    assert sealer.ids == {old.dek_id, new.dek_id}


def test_a_wrong_master_key_names_both_keys() -> None:
    """With another master key no sealer is made, and the sentence names the needed and the given key id."""
    right, wrong = MasterKey.generate(), MasterKey.generate()
    with pytest.raises(MasterKeyError, match=rf"{right.id}.*{wrong.id}"):
        Sealer(wrong, [right.new_row(NOW)])


def test_one_row_of_another_master_key_is_enough_to_refuse() -> None:
    """A keyring half of which another master key wrapped is refused as a whole."""
    right, wrong = MasterKey.generate(), MasterKey.generate()
    rows = [right.new_row(NOW), replace(wrong.new_row(NOW), state="retired")]
    with pytest.raises(MasterKeyError, match=rf"{wrong.id}.*{right.id}"):
        Sealer(right, rows)


def test_a_relabelled_row_does_not_pass() -> None:
    """A row that claims to be wrapped by the given key, but was not, is refused with both ids."""
    right, wrong = MasterKey.generate(), MasterKey.generate()
    row = replace(right.new_row(NOW), kek_id=wrong.id)
    with pytest.raises(MasterKeyError, match=rf"{row.dek_id} needs master key {wrong.id}.*altered"):
        Sealer(wrong, [row])


def test_every_bit_of_a_wrapped_key_counts() -> None:
    """A wrapped data key with any bit changed, cut off, or under another id is refused."""
    master = MasterKey.generate()
    row = master.new_row(NOW)
    flips = [
        bytes(byte ^ (1 << bit) if at == where else byte for at, byte in enumerate(row.wrapped))
        for where in range(len(row.wrapped))
        for bit in range(8)
    ]
    cuts = [row.wrapped[:end] for end in range(len(row.wrapped))]
    bad = [replace(row, wrapped=wrapped) for wrapped in flips + cuts] + [replace(row, dek_id="0" * 16)]
    for altered in bad:
        with pytest.raises(MasterKeyError):
            Sealer(master, [altered])


@pytest.mark.parametrize("states", [[], ["retired"], ["active", "active"], ["retired", "spare"]])
def test_exactly_one_data_key_is_active(states: list[str]) -> None:
    """A keyring with no active data key, or with two, is refused."""
    master = MasterKey.generate()
    with pytest.raises(MasterKeyError, match="exactly one active"):
        Sealer(master, [replace(master.new_row(NOW), state=state) for state in states])


def test_rewrapping_changes_the_master_key_and_no_secret() -> None:
    """After a change of the master key the old tokens open with the new key, and no longer with the old one."""
    old, new = MasterKey.generate(), MasterKey.generate()
    row = old.new_row(NOW)
    token = Sealer(old, [row]).seal(SECRET, PLACE)
    rewrapped = new.rewrap(row, old)
    assert (rewrapped.dek_id, rewrapped.state, rewrapped.created_at) == (row.dek_id, row.state, row.created_at)
    assert rewrapped.kek_id == new.id
    assert Sealer(new, [rewrapped]).open(token, PLACE) == SECRET
    with pytest.raises(MasterKeyError):
        Sealer(old, [rewrapped])
    with pytest.raises(MasterKeyError):
        new.rewrap(row, new)


@pytest.mark.parametrize(
    "random_text",
    ["++//" * 10 + "++8=", "--__" * 10 + "--8=", "--__" * 10 + "--8", " \n++//" + "++//" * 9 + "++8=\r\n"],
)
def test_a_key_is_read_from_either_alphabet(random_text: str) -> None:
    """Standard and urlsafe base64, padded or not, with outer white space, are the same key."""
    assert MasterKey.from_text(Secret(random_text)).to_text() == Secret("++//" * 10 + "++8=")


NOT_KEYS = {
    "empty": "",
    "31 bytes": base64.b64encode(b"canary!" * 4 + b"abc").decode(),
    "33 bytes": base64.b64encode(b"canary!" * 4 + b"abcde").decode(),
    "hexadecimal": "c0ffee" * 10 + "c0ff",
    "a space inside": "AAECAwQFBgcICQoLDA0ODx AREhMUFRYXGBkaGxwdHh8=",
    "a second spelling": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",
    "two paddings": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8==",
    "a word": "correct horse battery staple",
    "other digits": "\N{ARABIC-INDIC DIGIT FOUR}" * 43,
    "a lone surrogate": "\ud800" * 43,
}


@pytest.mark.parametrize("text", NOT_KEYS.values(), ids=NOT_KEYS.keys())
def test_anything_else_is_no_key_and_is_not_repeated(text: str) -> None:
    """A text that is not exactly 32 bytes of base64 is refused without being shown."""
    with pytest.raises(MasterKeyError) as caught:
        MasterKey.from_text(Secret(text))
    assert not text or text not in str(caught.value)
    assert caught.value.__context__ is None


def test_keys_of_another_size_are_refused() -> None:
    """A random source that returns too little cannot make a weak key."""
    with pytest.raises(MasterKeyError):
        MasterKey.generate(lambda _size: b"short")


# --- never shown


def test_keys_and_sealers_never_show_themselves() -> None:
    """No way of printing a key, a sealer or a row gives key material, and neither is pickled or copied."""
    master = MasterKey.from_text(KNOWN_KEY)
    sealer = Sealer(master, [KNOWN_ROW])
    shown = "".join(
        f"{thing} {thing!r} {thing!s:>80} {[thing]} { ({'k': thing}) }"
        for thing in (master, sealer, KNOWN_ROW, master.to_text())
    )
    dek = bytes(range(32, 64))
    for hidden in (KNOWN_KEY.reveal(), KNOWN_KEY.reveal()[:12], bytes(range(32)).hex(), dek.hex(), repr(dek)[2:-1]):
        assert hidden not in shown
    assert repr(master) == f"<MasterKey {KNOWN_KEY_ID}>"
    for thing in (master, sealer):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError):
                pickle.dumps(thing, protocol)
        with pytest.raises(TypeError):
            copy.deepcopy(thing)


def test_no_refusal_repeats_what_it_was_given() -> None:
    """Errors about tokens and rows quote neither the token nor the secret."""
    for token in (TOKEN + "x", TOKEN[:-1], "s1." + "canary" * 5):
        with pytest.raises(SealError) as caught:
            SEALER.open(token, PLACE)
        assert "canary" not in str(caught.value)
        assert TOKEN[25:40] not in str(caught.value)


# --- the recovery sheet


def test_a_recovery_sheet_is_read_back() -> None:
    """The printed sheet, typed with other spaces and lines, gives the same key."""
    sheet = recovery_sheet(MasterKey.from_text(KNOWN_KEY))
    assert sheet == ("AAEC AwQF BgcI CQoL\nDA0O DxAR EhMU FRYX\nGBka Gxwd Hh8=\n0267 2b33 7031 a7e6")
    for typed in (
        sheet,
        sheet.replace(" ", ""),
        "\n ".join(sheet.split()),
        f"  {sheet}\r\n",
        sheet.replace("a7e6", "A7E6"),
    ):
        assert from_recovery_sheet(typed).to_text() == KNOWN_KEY


def test_every_typing_error_on_a_sheet_is_found() -> None:
    """One wrong, missing or doubled character, or two neighbours exchanged, is refused without a key."""
    sheet = "".join(recovery_sheet(MasterKey.from_text(KNOWN_KEY)).split())
    wrong = {sheet[:at] + other + sheet[at + 1 :] for at in range(len(sheet)) for other in "0OlI1aZ+/=é"}
    missing = {sheet[:at] + sheet[at + 1 :] for at in range(len(sheet))}
    doubled = {sheet[:at] + sheet[at] + sheet[at:] for at in range(len(sheet))}
    exchanged = {sheet[:at] + sheet[at + 1] + sheet[at] + sheet[at + 2 :] for at in range(len(sheet) - 1)}
    for typed in (wrong | missing | doubled | exchanged | {"", sheet[:44]}) - {sheet}:
        with pytest.raises(MasterKeyError) as caught:
            from_recovery_sheet(typed)
        assert sheet[:8] not in str(caught.value)
