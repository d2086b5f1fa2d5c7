"""Secrets at rest: the only module that encrypts one, and the only one that opens it again.

    token    "s1." dek_id "." base64url(nonce12 ciphertext tag)
             bound to lp("s1") lp(dek_id) lp(table) lp(row) lp(column) lp(client_id) lp(origin)
    wrapped  nonce12 ciphertext tag of the data key under the master key
             bound to lp("dek") lp(dek_id) lp(kek_id)

Both are AES-256-GCM; `lp` is four bytes of length and the text, so that no two lists of parts read the
same. A key is chosen by its id, never by trying: nothing here guesses, and nothing writes back what it
could not read. `dek` is a data key, kept wrapped in the database; `kek` is the master key, kept outside.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from hub_core.errors import MasterKeyError, SealError
from hub_core.model import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Random = Callable[[int], bytes]
"""Returns so many random bytes; `os.urandom` everywhere but in tests with known answers."""

_VERSION = "s1"
_KEY_BYTES = 32
_ID_BYTES = 8
_NONCE_BYTES = 12
_KEY_TEXT = re.compile(r"[A-Za-z0-9+/]{43}=?")
_TOKEN = re.compile(r"s1\.(?P<dek_id>[0-9a-f]{16})\.(?P<sealed>[A-Za-z0-9_-]+)")
_SHEET_KEY_LENGTH = 44


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret belongs and where it may be sent; a sealed secret opens at its own place only."""

    table: str
    row: str
    column: str
    client_id: str
    origin: str


@dataclass(frozen=True, slots=True)
class KeyringRow:
    """One data key as the database keeps it: wrapped by the master key, `active` or `retired`."""

    dek_id: str
    kek_id: str
    wrapped: bytes
    state: str
    created_at: str


class MasterKey:
    """The key kept outside the database, which wraps the data keys inside it; it never shows itself."""

    __slots__ = ("_kek", "id")

    def __init__(self, kek: bytes) -> None:
        if len(kek) != _KEY_BYTES:
            raise MasterKeyError("A master key has exactly 32 bytes.")
        self._kek = kek
        # A name, not a check a thief could use: the key has 256 random bits.
        self.id = hmac.new(kek, b"key id v1", hashlib.sha256).hexdigest()[:16]

    @classmethod
    def from_text(cls, text: Secret) -> MasterKey:
        """Read a key from base64, standard or urlsafe, with or without its padding and outer white space."""
        trimmed = text.reveal().strip().replace("-", "+").replace("_", "/")
        if _KEY_TEXT.fullmatch(trimmed):
            kek = base64.b64decode(trimmed.removesuffix("=") + "=")
            # 43 characters hold 258 bits: without this, four texts would be the same key and a typo pass.
            if base64.b64encode(kek).decode() == trimmed.removesuffix("=") + "=":
                return cls(kek)
        raise MasterKeyError(
            "This is not a master key, which is 32 bytes as base64 (44 characters), as `openssl rand -base64 32` makes."
        )

    @classmethod
    def generate(cls, random: Random = os.urandom) -> MasterKey:
        """Make a new key."""
        return cls(random(_KEY_BYTES))

    def to_text(self) -> Secret:
        """Return the key as standard base64."""
        return Secret(base64.b64encode(self._kek).decode())

    def write(self, stream: BinaryIO) -> None:
        """Write the key's text, and a line end, to an open file."""
        stream.write(self.to_text().reveal().encode() + b"\n")

    def new_row(self, created_at: str, random: Random = os.urandom) -> KeyringRow:
        """Make a new data key and wrap it, as the active one."""
        dek = random(_KEY_BYTES)
        return self._wrap(random(_ID_BYTES).hex(), dek, state="active", created_at=created_at, random=random)

    def rewrap(self, row: KeyringRow, old: MasterKey, random: Random = os.urandom) -> KeyringRow:
        """Wrap the same data key, so far under `old`, under this key; the secrets sealed by it stay as they are."""
        dek = old.unwrap(row)
        return self._wrap(row.dek_id, dek, state=row.state, created_at=row.created_at, random=random)

    def unwrap(self, row: KeyringRow) -> bytes:
        """Return the data key of a row that this key wrapped."""
        if row.kek_id != self.id:
            raise MasterKeyError(f"The stored secrets need master key {row.kek_id}, but the key given is {self.id}.")
        dek = _decrypt(_cipher(self._kek), row.wrapped, _length_prefixed("dek", row.dek_id, row.kek_id))
        if dek is None or len(dek) != _KEY_BYTES:
            raise MasterKeyError(
                f"Data key {row.dek_id} needs master key {row.kek_id}; the key given is {self.id}, and yet does not "
                "open it. The database was altered or damaged: restore a backup of it."
            )
        return dek

    def _wrap(self, dek_id: str, dek: bytes, *, state: str, created_at: str, random: Random) -> KeyringRow:
        wrapped = _encrypt(_cipher(self._kek), dek, _length_prefixed("dek", dek_id, self.id), random)
        return KeyringRow(dek_id=dek_id, kek_id=self.id, wrapped=wrapped, state=state, created_at=created_at)

    def __repr__(self) -> str:
        return f"<MasterKey {self.id}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a master key is not pickled")


class Sealer:
    """Seals secrets with the active data key, and opens what any data key of the keyring sealed.

    Every row is unwrapped on making it, so that a wrong master key is found before any account is touched.

    Raises:
        MasterKeyError: if the rows need another master key, or not exactly one of them is active.
    """

    def __init__(self, master: MasterKey, rows: Iterable[KeyringRow]) -> None:
        rows = tuple(rows)
        strange = sorted({row.kek_id for row in rows} - {master.id})
        if strange:
            raise MasterKeyError(
                f"The stored secrets need master key {', '.join(strange)}, but the key given is {master.id}."
            )
        active = [row.dek_id for row in rows if row.state == "active"]
        if len(active) != 1:
            raise MasterKeyError(
                f"The keyring under master key {master.id} must have exactly one active data key, not {len(active)}."
            )
        self.active_id = active[0]
        self._ciphers = {row.dek_id: _cipher(master.unwrap(row)) for row in rows}

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all data keys, the active one included."""
        return frozenset(self._ciphers)

    def seal(self, secret: Secret, place: Place, random: Random = os.urandom) -> str:
        """Encrypt `secret` so that it opens at `place` only."""
        bound = _bound(self.active_id, place)
        sealed = _encrypt(self._ciphers[self.active_id], _utf8(secret.reveal()), bound, random)
        return f"{_VERSION}.{self.active_id}.{_to_base64url(sealed)}"

    def open(self, token: str, place: Place) -> Secret:
        """Decrypt what `seal` made for `place`.

        Raises:
            SealError: if the token is not whole, was sealed for another place, or by a data key we do not have.
        """
        dek_id, sealed = _parse(token)
        cipher = self._ciphers.get(dek_id)
        if cipher is None:
            raise SealError(f"This secret was sealed with data key {dek_id}, which is not in the keyring.")
        plain = _decrypt(cipher, sealed, _bound(dek_id, place))
        if plain is None:
            raise SealError("This secret was altered, moved, or sealed for another organization or address.")
        return Secret(plain.decode("utf-8", "surrogatepass"))

    def __repr__(self) -> str:
        return f"<Sealer active {self.active_id}, {len(self._ciphers)} data keys>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a sealer is not pickled")


def dek_id_of(token: str) -> str:
    """Return the id of the data key that sealed `token`, without opening it."""
    return _parse(token)[0]


def recovery_sheet(master: MasterKey) -> str:
    """Return the key for paper: base64 in groups of four, then the key id, which is its checksum."""
    text = master.to_text().reveal() + master.id
    groups = [text[at : at + 4] for at in range(0, len(text), 4)]
    return "\n".join(" ".join(line) for line in (groups[:4], groups[4:8], groups[8:11], groups[11:]))


def from_recovery_sheet(text: str) -> MasterKey:
    """Read a recovery sheet back; spaces and line ends are free.

    Raises:
        MasterKeyError: if a character is missing or mistyped.
    """
    compact = "".join(text.split())
    try:
        master = MasterKey.from_text(Secret(compact[:_SHEET_KEY_LENGTH]))
    except MasterKeyError:
        master = None
    if master is None or compact[_SHEET_KEY_LENGTH:].lower() != master.id:
        raise MasterKeyError("This is not a recovery sheet as it was printed: a character is missing or mistyped.")
    return master


def _parse(token: str) -> tuple[str, bytes]:
    match = _TOKEN.fullmatch(token)
    sealed = _from_base64url(match["sealed"]) if match else None
    if match is None or sealed is None:
        raise SealError("This is not a sealed secret of this version of the program.")
    return match["dek_id"], sealed


def _bound(dek_id: str, place: Place) -> bytes:
    return _length_prefixed(_VERSION, dek_id, place.table, place.row, place.column, place.client_id, place.origin)


def _length_prefixed(*parts: str) -> bytes:
    encoded = [_utf8(part) for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def _utf8(text: str) -> bytes:
    # Lone surrogates get in by JSON; they must not turn a refusal into a crash.
    return text.encode("utf-8", "surrogatepass")


def _to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_base64url(text: str) -> bytes | None:
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    # The last character has spare bits that decoding ignores: only one spelling of a token is valid.
    return data if _to_base64url(data) == text else None


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - 50 ms; most commands open nothing

    return AESGCM(key)


def _encrypt(cipher: AESGCM, plain: bytes, bound: bytes, random: Random) -> bytes:
    nonce = random(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, bound)


def _decrypt(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as above

    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
        return None
