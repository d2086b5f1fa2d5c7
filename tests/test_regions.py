"""The table of paired hosts: what belongs together, what is only similar, and the links into the web vault."""

from __future__ import annotations

import pytest

from hub_core.bitwarden.regions import REGIONS, VaultPage, organization_page, region, region_of_host, sibling
from hub_core.model import Endpoints, RegionId

ORGANIZATION = "0e8b1a2c-1111-4111-8111-00000000a001"
SANDBOX_US, SANDBOX_EU = (
    Endpoints(
        RegionId.SANDBOX,
        identity=f"https://127.0.0.1:8599/{cloud}/identity",
        api=f"https://127.0.0.1:8599/{cloud}/api",
        vault=f"https://127.0.0.1:8599/{cloud}/vault",
    )
    for cloud in ("us", "eu")
)
SANDBOX_OWN = Endpoints(RegionId.SANDBOX, "https://127.0.0.1:8599/own/identity", "https://127.0.0.1:8599/own/api")
SANDBOX_ROWS = [("US", SANDBOX_US), ("Self-hosted", SANDBOX_OWN), ("EU", SANDBOX_EU)]


def endpoints_of(region_id: RegionId) -> Endpoints:
    """The fixed pair of a cloud."""
    endpoints = region(region_id).endpoints
    assert endpoints is not None
    return endpoints


def test_the_picker_offers_every_region_in_order() -> None:
    """Every region has exactly one row, in the order and with the words of the picker."""
    assert [(row.id, row.name) for row in REGIONS] == [
        (RegionId.US, "US"),
        (RegionId.EU, "EU"),
        (RegionId.GOV, "Government"),
        (RegionId.SELF_HOSTED, "Self-hosted"),
        (RegionId.SANDBOX, "Sandbox"),
    ]
    assert {region(region_id).id for region_id in RegionId} == set(RegionId)


@pytest.mark.parametrize(
    ("region_id", "domain"),
    [(RegionId.US, "bitwarden.com"), (RegionId.EU, "bitwarden.eu"), (RegionId.GOV, "bitwarden-gov.com")],
)
def test_a_cloud_pairs_hosts_of_one_domain(region_id: RegionId, domain: str) -> None:
    """Identity, API and web vault of a cloud are the three documented hosts of one domain."""
    assert endpoints_of(region_id) == Endpoints(
        region_id,
        identity=f"https://identity.{domain}",
        api=f"https://api.{domain}",
        vault=f"https://vault.{domain}",
    )


@pytest.mark.parametrize("region_id", [RegionId.SELF_HOSTED, RegionId.SANDBOX])
def test_addresses_that_are_typed_or_handed_in_are_not_in_the_table(region_id: RegionId) -> None:
    """Self-hosted and sandbox have no fixed pair."""
    assert region(region_id).endpoints is None


@pytest.mark.parametrize(
    ("domain", "region_id"),
    [("bitwarden.com", RegionId.US), ("bitwarden.eu", RegionId.EU), ("bitwarden-gov.com", RegionId.GOV)],
)
@pytest.mark.parametrize("prefix", ["api.", "identity.", "vault.", "www.", ""])
def test_every_host_of_a_cloud_names_its_region(prefix: str, domain: str, region_id: RegionId) -> None:
    """The three hosts of a cloud, and the names of its website, lead to its row."""
    assert region_of_host(prefix + domain) is region(region_id)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "com",
        "vault.bitwarden.com.example",
        "evil-vault.bitwarden.com",
        "evilbitwarden.com",
        "vault.bitwarden.eu.com",
        "vault.bitwarden",
        "VAULT.BITWARDEN.COM",
        "vault.bitwarden.com.",
        "vault.bitwarden.com:443",
        "https://vault.bitwarden.com",
        "xn--vault-bitwarden.com",
        "127.0.0.1",
    ],
)
def test_a_similar_host_is_somebody_elses(host: str) -> None:
    """Only the whole, normalized name counts: no suffix, prefix, port or case is forgiven here."""
    assert region_of_host(host) is None


@pytest.mark.parametrize(("here", "there"), [(RegionId.US, RegionId.EU), (RegionId.EU, RegionId.US)])
def test_us_and_eu_are_siblings(here: RegionId, there: RegionId) -> None:
    """A key refused in one of the two public clouds may belong to the other, with that cloud's own pair."""
    assert sibling(endpoints_of(here)) == (region(there), endpoints_of(there))


def test_the_rows_of_the_sandbox_are_siblings_like_the_clouds_they_stand_for() -> None:
    """Rows handed in by the caller are paired by the region they are named after, not by their addresses."""
    assert sibling(SANDBOX_US, also=SANDBOX_ROWS) == (region(RegionId.EU), SANDBOX_EU)
    assert sibling(SANDBOX_EU, also=iter(SANDBOX_ROWS)) == (region(RegionId.US), SANDBOX_US)


@pytest.mark.parametrize(
    "endpoints",
    [
        endpoints_of(RegionId.GOV),
        SANDBOX_OWN,
        Endpoints(RegionId.SELF_HOSTED, "https://vault.example.com/identity", "https://vault.example.com/api"),
        Endpoints(RegionId.US, "https://identity.bitwarden.com", "https://api.bitwarden.eu"),
        Endpoints(RegionId.SELF_HOSTED, "https://vault.example.com/us/identity", "https://vault.example.com/us/api"),
    ],
)
def test_nothing_else_has_a_sibling(endpoints: Endpoints) -> None:
    """The government cloud, own servers and mixed pairs lead nowhere: no address is made up by replacing text."""
    assert sibling(endpoints, also=SANDBOX_ROWS) is None


def test_a_row_without_its_partner_has_no_sibling() -> None:
    """A sandbox with one cloud only offers nothing to try."""
    assert sibling(SANDBOX_US, also=[("US", SANDBOX_US)]) is None
    assert sibling(SANDBOX_US) is None


@pytest.mark.parametrize(
    ("page", "path"),
    [
        ("account", "settings/account"),
        ("subscription", "billing/subscription"),
        ("members", "members"),
        ("events", "reporting/events"),
        ("policies", "settings/policies"),
    ],
)
def test_a_deep_link_opens_the_page_in_the_right_vault(page: VaultPage, path: str) -> None:
    """A link leads to the organization's page in the web vault of its own region."""
    link = organization_page(endpoints_of(RegionId.EU), ORGANIZATION, page)
    assert link == f"https://vault.bitwarden.eu/#/organizations/{ORGANIZATION}/{path}"


def test_the_default_deep_link_is_where_the_key_is_shown() -> None:
    """Without a page named, the link opens Organization info, below the base path of an own server."""
    endpoints = Endpoints(RegionId.SELF_HOSTED, "https://a.example/bw/identity", "https://a.example/bw/api")
    assert organization_page(endpoints, ORGANIZATION) is None
    known = Endpoints(RegionId.SELF_HOSTED, endpoints.identity, endpoints.api, "https://a.example/bw")
    assert organization_page(known, ORGANIZATION) == (
        f"https://a.example/bw/#/organizations/{ORGANIZATION}/settings/account"
    )


def test_a_deep_link_cannot_be_bent_by_an_id() -> None:
    """Whatever stands for the organization stays one segment of the link."""
    link = organization_page(endpoints_of(RegionId.US), "../x?y#z")
    assert link == "https://vault.bitwarden.com/#/organizations/..%2Fx%3Fy%23z/settings/account"
