"""Reads what a person typed into the Link form into a draft that can be verified, or says what to correct."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub_core.bitwarden.address import Understood, parse_pair, parse_server
from hub_core.bitwarden.credentials import missing_secret, parse_key
from hub_core.bitwarden.regions import region
from hub_core.bitwarden.tls import parse_ca
from hub_core.errors import InputError, InvalidForm
from hub_core.model import ApiKey, Endpoints, Reason, RegionId

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import TypeVar

    T = TypeVar("T")

LABEL_LIMIT = 120
NOTE_LIMIT = 4000
TAG_LIMIT = 40
TAGS_LIMIT = 20
REASON_LIMIT = 400

_SPACES = frozenset({"Cc", "Zl", "Zp", "Zs"})
_UNSEEN = frozenset({"Cf", "Cs", "Co", "Cn"})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Form:
    """The Link form as typed; every field is text of any kind.

    Its representation shows none of them: people paste a secret into any field.
    """

    region: RegionId
    label: str = ""
    client_id: str = ""
    secret: str = ""
    server: str = ""
    api: str = ""
    identity: str = ""
    ca: str = ""
    tags: str | Collection[str] = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What will be verified and, if it proves right, linked."""

    endpoints: Endpoints
    key: ApiKey
    label: str
    tags: tuple[str, ...] = ()
    note: str = ""
    ca_pem: str | None = None
    notes: tuple[str, ...] = ()
    """Sentences about what was understood or corrected."""
    remarks: tuple[Reason, ...] = ()
    """Reasons to look twice that do not stop anything."""


def read(form: Form, *, sandbox: Endpoints | None = None, plaintext_hosts: Collection[str] = ()) -> Draft:
    """Read the whole form.

    Args:
        form: as typed.
        sandbox: the addresses of the chosen sandbox server, for that region.
        plaintext_hosts: hosts that may be linked over http://.

    Raises:
        InvalidForm: with every field that needs correcting.
    """
    errors: list[InputError] = []

    def collect(reader: Callable[[], T]) -> T | None:
        try:
            return reader()
        except InputError as error:
            errors.append(error)
            return None

    place = collect(lambda: read_server(form, sandbox=sandbox, plaintext_hosts=plaintext_hosts))
    parsed = collect(lambda: parse_key(form.client_id, form.secret))
    if not form.client_id.strip() and not form.secret.strip():
        errors.append(missing_secret())  # reading a key stops at its first mistake
    label = collect(lambda: read_label(form.label))
    ca_pem = collect(lambda: read_ca(form.ca))
    if place and parsed and place.organization_id not in {None, parsed.key.organization_id}:
        errors.append(
            InputError(
                "server",
                Reason.ADDRESS_OTHER_ORGANIZATION,
                f"The address is of organization {place.organization_id}, the client ID of "
                f"{parsed.key.organization_id}. Paste both from the same organization.",
            )
        )
    if errors or not place or not parsed or not label:
        raise InvalidForm(errors)
    return Draft(
        endpoints=place.endpoints,
        key=parsed.key,
        label=label,
        tags=read_tags(form.tags),
        note=read_note(form.note),
        ca_pem=ca_pem,
        notes=place.notes + parsed.notes,
        remarks=parsed.warnings,
    )


def read_server(form: Form, *, sandbox: Endpoints | None, plaintext_hosts: Collection[str] = ()) -> Understood:
    """Return the addresses the form means; raises InputError."""
    fixed = sandbox if form.region is RegionId.SANDBOX else region(form.region).endpoints
    if fixed:
        return Understood(fixed, None, ())
    if form.api.strip() or form.identity.strip():
        return parse_pair(form.api, form.identity, plaintext_hosts=plaintext_hosts)
    return parse_server(form.server, plaintext_hosts=plaintext_hosts)


def read_label(text: str) -> str:
    """Return the label in one line; raises InputError."""
    label = one_line(text)
    if not label:
        raise InputError(
            "label",
            Reason.LABEL_MISSING,
            "Give the organization a label. Bitwarden does not tell its name, so this is what you will see.",
        )
    if len(label) > LABEL_LIMIT:
        raise InputError("label", Reason.LABEL_MISSING, f"Keep the label within {LABEL_LIMIT} characters.")
    return label


def read_tags(tags: str | Collection[str]) -> tuple[str, ...]:
    """Return tags, from a list or from text with commas: each once, in the order given."""
    words = tags.split(",") if isinstance(tags, str) else tags
    found = dict.fromkeys(tag for word in words if (tag := one_line(word)[:TAG_LIMIT].strip()))
    return tuple(found)[:TAGS_LIMIT]


def read_ca(text: str) -> str | None:
    """Return a pasted CA certificate, or None; raises InputError."""
    if not text.strip():
        return None
    parse_ca(text)
    return text.strip() + "\n"


def read_note(text: str) -> str:
    """Return a note of several lines without characters that cannot be stored or seen."""
    return "\n".join(map(one_line, text.splitlines())).strip()[:NOTE_LIMIT]


def one_line(text: str) -> str:
    """Return text in one line without control and invisible characters, with single spaces, composed (NFC)."""
    spaced = "".join(" " if unicodedata.category(c) in _SPACES else c for c in unicodedata.normalize("NFC", text))
    return " ".join("".join(c for c in spaced if unicodedata.category(c) not in _UNSEEN).split())
