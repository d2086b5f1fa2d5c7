"""The organizations that live in the sandbox: constant ids and keys, so that pages and docs can show them."""

from __future__ import annotations

import hashlib
import string
from dataclasses import dataclass, field
from enum import StrEnum

SECRET_LENGTH = 30


class ServerName(StrEnum):
    """The servers of the sandbox."""

    US = "us"
    EU = "eu"
    SELF_HOSTED = "self_hosted"
    VAULTWARDEN = "vaultwarden"

    @property
    def cloud(self) -> bool:
        """Whether it is laid out as Bitwarden's cloud: separate hosts, rate limits."""
        return self in {ServerName.US, ServerName.EU}


@dataclass(frozen=True, slots=True)
class SandboxOrganization:
    """One organization of the sandbox and its key, which opens nothing real."""

    name: str
    server: ServerName
    client_id: str
    secret: str = field(repr=False)
    story: str
    members: int = 0
    enabled: bool = True
    uses_api: bool = True
    seats: int | None = None
    events: int = 0

    @property
    def guid(self) -> str:
        """The uuid behind the prefix of the client id."""
        return self.client_id.partition(".")[2]

    @property
    def personal(self) -> bool:
        """Whether this is a person's key, not an organization's."""
        return self.client_id.startswith("user.")


def secret_of(client_id: str, generation: int = 0) -> str:
    """Return the secret of a client id: 30 letters and digits, another for each generation."""
    alphabet = string.ascii_letters + string.digits
    digest = hashlib.sha256(f"sandbox:{client_id}:{generation}".encode()).digest()
    return "".join(alphabet[byte % len(alphabet)] for byte in digest[:SECRET_LENGTH])


def _key(client_id: str) -> tuple[str, str]:
    return client_id, secret_of(client_id)


ORGANIZATIONS = (
    SandboxOrganization(
        "Meadow Bakery",
        ServerName.US,
        *_key("organization.6a2f1c84-3b5d-4e7a-9c10-b1f5a0d2e801"),
        story="A healthy organization with 240 members in every state, groups, collections, policies and events.",
        members=240,
        seats=250,
        events=300,
    ),
    SandboxOrganization(
        "Harbor Clinic",
        ServerName.US,
        *_key("organization.6a2f1c84-3b5d-4e7a-9c10-b1f5a0d2e802"),
        story="A small healthy organization beside the first one; its plan records no events.",
        members=12,
        seats=15,
    ),
    SandboxOrganization(
        "Alpine Logistics",
        ServerName.EU,
        *_key("organization.6a2f1c84-3b5d-4e7a-9c10-b1f5a0d2e803"),
        story="A healthy organization in the other cloud: tried at the US server, its key is refused.",
        members=48,
        seats=60,
        events=120,
    ),
    SandboxOrganization(
        "Orchard School",
        ServerName.SELF_HOSTED,
        *_key("organization.6a2f1c84-3b5d-4e7a-9c10-b1f5a0d2e804"),
        story="A healthy organization on its own Bitwarden server: one address gives both, no subscription to read.",
        members=85,
        events=130,
    ),
    SandboxOrganization(
        "Cedar Makerspace",
        ServerName.VAULTWARDEN,
        *_key("organization.6a2f1c84-3b5d-4e7a-9c10-b1f5a0d2e805"),
        story="An organization on Vaultwarden: the key is accepted, but there is nothing this server lets it read.",
        members=9,
    ),
    SandboxOrganization(
        "Lapsed Theatre",
        ServerName.US,
        *_key("organization.6a2f1c84-3b5d-4e7a-9c10-b1f5a0d2e806"),
        story="A disabled organization, as after an unpaid bill: the right key is refused.",
        members=30,
        seats=30,
        enabled=False,
    ),
    SandboxOrganization(
        "Garden Family",
        ServerName.US,
        *_key("organization.6a2f1c84-3b5d-4e7a-9c10-b1f5a0d2e807"),
        story="An organization whose plan has no API: the right key is refused, just like a wrong one.",
        members=5,
        seats=6,
        uses_api=False,
    ),
    SandboxOrganization(
        "Robin Miller",
        ServerName.US,
        *_key("user.6a2f1c84-3b5d-4e7a-9c10-b1f5a0d2e808"),
        story="A personal key, easily mistaken for an organization's: recognized before anything is sent.",
    ),
)
