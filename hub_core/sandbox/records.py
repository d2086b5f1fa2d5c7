"""What an organization of the sandbox holds: members, groups, collections, policies, seats; the same every time."""

from __future__ import annotations

import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub_core.sandbox.organizations import SandboxOrganization

_FIRST = [
    "Ada",
    "Bruno",
    "Chloe",
    "Daan",
    "Elif",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kira",
    "Liam",
    "Mona",
    "Nils",
    "Olga",
    "Pavel",
    "Rosa",
    "Sven",
    "Tara",
    "Yusuf",
]
_LAST = [
    "Abel",
    "Berg",
    "Costa",
    "Diaz",
    "Egger",
    "Fuchs",
    "Gomez",
    "Haas",
    "Ivanov",
    "Jansen",
    "Keller",
    "Lopes",
    "Meyer",
    "Novak",
    "Okafor",
    "Petit",
    "Rossi",
]
_PERMISSIONS = [
    "accessEventLogs",
    "accessImportExport",
    "accessReports",
    "createNewCollections",
    "editAnyCollection",
    "deleteAnyCollection",
    "manageGroups",
    "managePolicies",
    "manageSso",
    "manageUsers",
    "manageResetPassword",
    "manageScim",
    "manageAccessRules",
]

REVOKED, INVITED, ACCEPTED, CONFIRMED, STAGED, NOT_YET_INVENTED = -1, 0, 1, 2, 3, 9
OWNER, ADMIN, USER, CUSTOM = 0, 1, 2, 4


def identifier(organization: SandboxOrganization, *words: object) -> str:
    """Return the constant uuid of a thing in an organization."""
    return str(uuid.uuid5(uuid.UUID(organization.guid), "/".join(map(str, words))))


@lru_cache(maxsize=32)
def members_of(organization: SandboxOrganization) -> tuple[dict[str, Any], ...]:
    """Return the members; large organizations have them in every state, one of them unknown today."""
    return tuple(_member(organization, number) for number in range(organization.members))


def member_groups(organization: SandboxOrganization, member_id: str) -> list[str]:
    """Return the ids of the groups a member is in."""
    groups = groups_of(organization)
    return [group["id"] for group in groups if member_id in group_members(organization, group["id"])]


@lru_cache(maxsize=32)
def groups_of(organization: SandboxOrganization) -> tuple[dict[str, Any], ...]:
    """Return the groups: one for every twenty members."""
    names = [
        "Everyone",
        "Kitchen",
        "Sales",
        "Finance",
        "Support",
        "Night-shift",
        "Suppliers",
        "Board",
        "Trainees",
        "Contractors",
        "Events",
        "IT",
    ]
    collections = collections_of(organization)
    return tuple(
        {
            "object": "group",
            "id": identifier(organization, "group", number),
            "name": name,
            "externalId": f"dir-{number}" if number % 2 else None,
            "collections": [_association(collections[number % len(collections)]["id"], number)],
        }
        for number, name in enumerate(names[: max(1, organization.members // 20)])
    )


def group_members(organization: SandboxOrganization, group_id: str) -> list[str]:
    """Return the ids of the members of a group."""
    numbers = [number for number, group in enumerate(groups_of(organization)) if group["id"] == group_id]
    step = numbers[0] + 1 if numbers else 0
    return [member["id"] for member in members_of(organization)[::step]] if step else []


@lru_cache(maxsize=32)
def collections_of(organization: SandboxOrganization) -> tuple[dict[str, Any], ...]:
    """Return the collections; their names are encrypted, so there are none."""
    return tuple(
        {
            "object": "collection",
            "id": identifier(organization, "collection", number),
            "externalId": f"shelf-{number}" if number % 3 == 0 else None,
            "groups": [_association(identifier(organization, "group", 0), number)],
        }
        for number in range(2 + organization.members // 10)
    )


@lru_cache(maxsize=32)
def policies_of(organization: SandboxOrganization) -> tuple[dict[str, Any], ...]:
    """Return the policies that were ever saved."""
    saved: tuple[tuple[int, bool, dict[str, Any] | None], ...] = (
        (0, True, None),
        (1, True, {"minComplexity": 3, "minLength": 12, "requireLower": True, "enforceOnLogin": False}),
        (3, True, None),
        (8, False, {"autoEnrollEnabled": False}),
        (9, False, {"minutes": 480, "action": None}),
        (15, True, None),
    )
    return tuple(
        {
            "object": "policy",
            "id": identifier(organization, "policy", kind),
            "type": kind,
            "enabled": enabled,
            "data": data,
        }
        for kind, enabled, data in saved
    )


def subscription_of(organization: SandboxOrganization) -> dict[str, Any]:
    """Return the subscription as the cloud tells it: figures, no plan and no dates."""
    return {
        "passwordManager": {"seats": organization.seats, "maxAutoScaleSeats": None, "storage": 1},
        "secretsManager": {
            "seats": None,
            "maxAutoScaleSeats": None,
            "serviceAccounts": None,
            "maxAutoScaleServiceAccounts": None,
        },
    }


def _member(organization: SandboxOrganization, number: int) -> dict[str, Any]:
    status = _status(number)
    kind = _kind(number)
    invited = status in {INVITED, STAGED}
    first, last = _FIRST[number % len(_FIRST)], _LAST[number % len(_LAST)]
    domain = organization.name.lower().replace(" ", "-")
    collections = collections_of(organization)
    return {
        "object": "member",
        "id": identifier(organization, "member", number),
        "userId": None if invited else identifier(organization, "user", number),
        "name": None if invited else f"{first} {last}",
        "email": f"{first}.{last}.{number}@{domain}.example".lower(),
        "twoFactorEnabled": not invited and number % 3 != 0,
        "status": status,
        "type": kind,
        "collections": [_association(collections[number % len(collections)]["id"], number)],
        "resetPasswordEnrolled": not invited and number % 4 == 0,
        "ssoExternalId": f"sso-{number}" if number % 5 == 0 else None,
        "externalId": f"dir-{number}" if number % 2 else None,
        "permissions": {name: name.startswith("access") for name in _PERMISSIONS} if kind == CUSTOM else None,
    }


def _status(number: int) -> int:
    """Return a member's state: mostly confirmed, some of every other, and number 100 in one nobody knows yet."""
    if number == 100:  # noqa: PLR2004 - any one member of the large organization
        return NOT_YET_INVENTED
    return {3: INVITED, 7: ACCEPTED, 11: REVOKED, 13: STAGED, 17: INVITED}.get(number % 20, CONFIRMED)


def _kind(number: int) -> int:
    if number < 2:  # noqa: PLR2004 - two owners, as Bitwarden advises
        return OWNER
    return {2: ADMIN, 12: CUSTOM}.get(number % 40, USER)


def _association(guid: str, number: int) -> dict[str, Any]:
    return {"id": guid, "readOnly": number % 2 == 0, "hidePasswords": False, "manage": number % 7 == 0}
