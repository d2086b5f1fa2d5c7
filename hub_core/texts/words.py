"""The words, icons and colors of statuses, stages, outcomes, capabilities, remedies and the rest."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from hub_core.model import Capability, Outcome, Remedy, ServerKind, Stage, Status, Trigger
from hub_core.timeline import Why

if TYPE_CHECKING:
    from collections.abc import Mapping

Color = Literal["green", "blue", "orange", "red", "gray"]


@dataclass(frozen=True, slots=True)
class StatusText:
    """How one state is shown: always word, icon and color together."""

    word: str
    icon: str
    """A name of Material Symbols."""
    color: Color
    meaning: str
    mark: str
    """One sign beside the word where there are no icons: in a table's cell, in a terminal."""


@dataclass(frozen=True, slots=True)
class StageText:
    """How one stage is shown while it runs and afterwards."""

    name: str
    doing: str
    done: str
    icon: str


@dataclass(frozen=True, slots=True)
class RemedyText:
    """The label of the one button that helps, and what it stands for."""

    button: str
    sentence: str


STATUSES: Final[Mapping[Status, StatusText]] = MappingProxyType(
    {
        Status.FAILING: StatusText(
            "Failing",
            "error",
            "red",
            "A person must act: the key was refused, or something about this link is set wrongly.",
            "✕",
        ),
        Status.UNREACHABLE: StatusText(
            "Unreachable", "cloud_off", "red", "The server gave no proper answer. The key was not judged.", "⊘"
        ),
        Status.DEGRADED: StatusText(
            "Degraded", "warning", "orange", "The link works, and something about it needs fixing soon.", "▲"
        ),
        Status.UNKNOWN: StatusText(
            "Unknown", "help", "gray", "The key has not been judged yet, or the server has only asked to wait.", "?"
        ),
        Status.LIMITED: StatusText(
            "Limited", "info", "blue", "The key is accepted. This server offers little or nothing to read.", "◐"
        ),
        Status.HEALTHY: StatusText(
            "Healthy",
            "check_circle",
            "green",
            "At the last check the key was accepted and the organization could be read.",
            "✓",
        ),
    }
)

PAUSED: Final = StatusText("Paused", "pause_circle", "gray", "A person stopped the checks of this account.", "‖")

STALE: Final = StatusText(
    "No recent check", "history", "gray", "The last check is too old to say anything about now.", "◷"
)

LOCKED: Final = StatusText(
    "Needs its key",
    "key_off",
    "red",
    "The stored secret was given up. Relink this account with the organization's present key.",
    "✕",
)

CLOSED: Final = StatusText("Closed", "task_alt", "gray", "The account has worked again since then.", "✓")
"""How an incident that is over is shown."""

CHANGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "server": "Server",
        "server_version": "Server version",
        "vault": "Web vault",
        "certificate": "Certificate",
        "identity_address": "Identity address",
        "api_address": "API address",
        "seats": "Seats bought",
        "seats_taken": "Seats taken",
    }
)
"""What a fact is called that a check found to be other than before; a list of the public API is in `PATHS`."""

GAPS: Final[Mapping[Why, str]] = MappingProxyType(
    {
        Why.NOT_LINKED: "not linked yet",
        Why.PAUSED: "paused",
        Why.MAINTENANCE: "maintenance",
        Why.NOBODY: "hub not running",
    }
)
"""Why nothing was judged for a while."""

_SKIPPED: Final[Mapping[Stage, str]] = MappingProxyType(
    {
        Stage.TLS: "skipped, the address is plain http",
        Stage.TOKEN: "not asked, the last token still holds",
    }
)
"""Why a stage was left out."""

STAGES: Final[Mapping[Stage, StageText]] = MappingProxyType(
    {
        Stage.FORMAT: StageText("Format", "Reading what was entered", "The entries have the right form", "edit_note"),
        Stage.REACH: StageText("Reach", "Resolving and reaching the servers", "The servers can be reached", "lan"),
        Stage.TLS: StageText("Certificate", "Checking the certificates", "The certificates are trusted", "encrypted"),
        Stage.SERVER: StageText("Server", "Asking the server what it is", "The server introduced itself", "dns"),
        Stage.TOKEN: StageText("Key", "Exchanging the key for a fresh token", "The key is accepted", "key"),
        Stage.READ: StageText("Read", "Asking what this key can read", "The organization can be read", "menu_book"),
        Stage.IDENTITY: StageText(
            "Organization", "Comparing the organization", "The key belongs to this organization", "badge"
        ),
    }
)

OUTCOMES: Final[Mapping[Outcome, StatusText]] = MappingProxyType(
    {
        Outcome.PASS: StatusText("Passed", "check_circle", "green", "This stage found nothing wrong.", "✓"),
        Outcome.WARN: StatusText(
            "Passed with a note", "warning", "orange", "This stage passed; something needs care.", "▲"
        ),
        Outcome.FAIL: StatusText("Failed", "error", "red", "The check stopped at this stage.", "✕"),
        Outcome.SKIP: StatusText("Skipped", "remove", "gray", "This stage did not run.", "–"),
    }
)

CAPABILITIES: Final[Mapping[Capability, StatusText]] = MappingProxyType(
    {
        Capability.READABLE: StatusText("Readable", "check_circle", "green", "The server answered with the list.", "✓"),
        Capability.REFUSED: StatusText("Refused", "block", "orange", "The server refused this list to this key.", "✕"),
        Capability.NOT_OFFERED: StatusText(
            "Not offered", "do_not_disturb_on", "blue", "This server does not have this list.", "–"
        ),
        Capability.NOT_APPLICABLE: StatusText(
            "Not applicable", "remove", "gray", "This list has no meaning on this kind of server.", "–"
        ),
        Capability.FAULTY: StatusText(
            "Faulty",
            "report",
            "orange",
            "The server failed while answering. Whether the list can be read is open.",
            "▲",
        ),
    }
)

SERVER_KINDS: Final[Mapping[ServerKind, str]] = MappingProxyType(
    {
        ServerKind.OFFICIAL: "Bitwarden",
        ServerKind.VAULTWARDEN: "Vaultwarden",
        ServerKind.UNKNOWN: "Unknown server",
    }
)

TRIGGERS: Final[Mapping[Trigger, str]] = MappingProxyType(
    {
        Trigger.LINK: "Linked",
        Trigger.RELINK: "Relinked",
        Trigger.EDIT: "Edited",
        Trigger.MANUAL: "By hand",
        Trigger.SCHEDULE: "Schedule",
    }
)

REMEDIES: Final[Mapping[Remedy, RemedyText]] = MappingProxyType(
    {
        Remedy.RELINK: RemedyText("Relink", "Enter the current key of the same organization."),
        Remedy.CHOOSE_REGION: RemedyText("Choose region", "Pick the region in which the organization lives."),
        Remedy.EDIT_SERVER: RemedyText("Edit server", "Correct the address or the CA certificate of this server."),
        Remedy.WAIT: RemedyText("Wait", "Give it some time, then check again."),
        Remedy.ASK_OWNER: RemedyText("Ask the Owner", "Only an Owner of the organization can see and settle this."),
        Remedy.FIX_SERVER: RemedyText("Check again", "Fix the cause outside the hub, then check again."),
        Remedy.CORRECT_INPUT: RemedyText("Correct the entry", "Change what was entered and try again."),
        Remedy.REPORT: RemedyText("Report this", "Send what “linkhub doctor” prints to whoever looks after this hub."),
        Remedy.NOTHING: RemedyText("Nothing to do", "This is for your information."),
    }
)

MEMBER_STATES: Final[Mapping[int, str]] = MappingProxyType(
    {-1: "revoked", 0: "invited", 1: "accepted", 2: "confirmed", 3: "staged"}
)

PATHS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "/public/members": "Members",
        "/public/groups": "Groups",
        "/public/collections": "Collections",
        "/public/policies": "Policies",
        "/public/events": "Events",
        "/public/organization/subscription": "Subscription",
    }
)


def member_state(number: object) -> str:
    """Return the word for a member's state; a number nobody has named yet is shown as it is."""
    if not isinstance(number, int):
        return "not reported"
    return MEMBER_STATES.get(number, f"other ({number})")


def skipped(stage: Stage) -> str:
    """Return why a stage was left out."""
    return _SKIPPED.get(stage, "skipped")
