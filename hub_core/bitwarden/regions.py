"""The table of paired hosts: which identity and API addresses belong together, and what is known beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

from hub_core.model import Endpoints, RegionId, origin_of

if TYPE_CHECKING:
    from collections.abc import Iterable

VaultPage = Literal["account", "subscription", "members", "events", "policies"]

_VAULT_PAGES: Final[dict[VaultPage, str]] = {
    "account": "settings/account",
    "subscription": "billing/subscription",
    "members": "members",
    "events": "reporting/events",
    "policies": "settings/policies",
}


@dataclass(frozen=True, slots=True)
class Region:
    """Where organizations live: a name for people and, for Bitwarden's own clouds, the fixed pair of addresses."""

    id: RegionId
    name: str
    endpoints: Endpoints | None
    """`None` where the addresses are typed (self-hosted) or handed in (sandbox)."""
    sibling: RegionId | None = None
    """The cloud people confuse this one with."""


def _endpoints(region: RegionId, identity: str, api: str, vault: str) -> Endpoints:
    return Endpoints(region=region, identity=identity, api=api, vault=vault)


REGIONS: Final[tuple[Region, ...]] = (
    Region(
        RegionId.US,
        "US",
        _endpoints(
            RegionId.US,
            "https://identity.bitwarden.com",
            "https://api.bitwarden.com",
            "https://vault.bitwarden.com",
        ),
        sibling=RegionId.EU,
    ),
    Region(
        RegionId.EU,
        "EU",
        _endpoints(
            RegionId.EU,
            "https://identity.bitwarden.eu",
            "https://api.bitwarden.eu",
            "https://vault.bitwarden.eu",
        ),
        sibling=RegionId.US,
    ),
    Region(
        RegionId.GOV,
        "Government",
        _endpoints(
            RegionId.GOV,
            "https://identity.bitwarden-gov.com",
            "https://api.bitwarden-gov.com",
            "https://vault.bitwarden-gov.com",
        ),
    ),
    Region(RegionId.SELF_HOSTED, "Self-hosted", None),
    Region(RegionId.SANDBOX, "Sandbox", None),
)
"""Every region, in the order of the picker."""

_BY_ID: Final = {row.id: row for row in REGIONS}

_WEBSITES: Final = {
    "bitwarden.com": RegionId.US,
    "www.bitwarden.com": RegionId.US,
    "bitwarden.eu": RegionId.EU,
    "www.bitwarden.eu": RegionId.EU,
    "bitwarden-gov.com": RegionId.GOV,
    "www.bitwarden-gov.com": RegionId.GOV,
}
"""Names people type although no API answers there."""

_BY_HOST: Final = {host: _BY_ID[region_id] for host, region_id in _WEBSITES.items()} | {
    origin_of(address).removeprefix("https://"): row
    for row in REGIONS
    if row.endpoints is not None
    for address in (row.endpoints.api, row.endpoints.identity, row.endpoints.vault)
    if address is not None
}


def region(region_id: RegionId) -> Region:
    """Return the row of a region."""
    return _BY_ID[region_id]


def region_of_host(host: str) -> Region | None:
    """Return the cloud a host name belongs to, or `None`.

    Only whole names count: `host` is lower case, in punycode, without a port. A name that merely ends or begins like
    one of Bitwarden's is somebody else's.
    """
    return _BY_HOST.get(host)


def sibling(endpoints: Endpoints, *, also: Iterable[tuple[str, Endpoints]] = ()) -> tuple[Region, Endpoints] | None:
    """Return the cloud a refused key may belong to instead, with the addresses to try; `None` where there is none.

    Args:
        endpoints: the addresses that refused the key.
        also: further rows, each named like a region (`US`, `EU`): the sandbox's clouds.
    """
    official = [(row.name, row.endpoints) for row in REGIONS if row.endpoints is not None]
    for rows in (official, list(also)):
        by_name = {name.casefold(): row for name, row in rows}
        for name, row in by_name.items():
            if (row.identity, row.api) == (endpoints.identity, endpoints.api):
                return _other(name, by_name)
    return None


def _other(name: str, by_name: dict[str, Endpoints]) -> tuple[Region, Endpoints] | None:
    here = next((row for row in REGIONS if row.name.casefold() == name), None)
    if here is None or here.sibling is None:
        return None
    there = region(here.sibling)
    found = by_name.get(there.name.casefold())
    return (there, found) if found is not None else None


def organization_page(endpoints: Endpoints, organization_id: str, page: VaultPage = "account") -> str | None:
    """Return the web-vault address of one page of an organization; `None` if the web vault is not known."""
    if endpoints.vault is None:
        return None
    return f"{endpoints.vault}/#/organizations/{quote(organization_id, safe='')}/{_VAULT_PAGES[page]}"
