"""Reading the Link form: every mistake at once, text made storable, nothing secret shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub_core.drafts import (
    LABEL_LIMIT,
    NOTE_LIMIT,
    TAG_LIMIT,
    TAGS_LIMIT,
    Form,
    one_line,
    read,
    read_ca,
    read_label,
    read_note,
    read_server,
    read_tags,
)
from hub_core.errors import InputError, InvalidForm
from hub_core.model import Endpoints, Reason, RegionId

UUID = "6a2f1c84-3b5d-4e7a-9c10-b1f5a0d2e801"
SECRET = "dR4ftCanarySecret0123456789abc"
GOOD = Form(region=RegionId.EU, label="Acme", client_id=f"organization.{UUID}", secret=SECRET)
OWN = replace(GOOD, region=RegionId.SELF_HOSTED, server="vault.example.com")


def reasons(form: Form) -> dict[str, Reason]:
    with pytest.raises(InvalidForm) as caught:
        read(form)
    return {error.field: error.reason for error in caught.value.errors}


def test_a_cloud_needs_no_address() -> None:
    """The region alone gives both hosts, whatever is left in the address fields."""
    draft = read(replace(GOOD, server="https://evil.example"))
    assert (draft.endpoints.identity, draft.endpoints.api) == (
        "https://identity.bitwarden.eu",
        "https://api.bitwarden.eu",
    )
    assert (draft.label, draft.key.client_id, draft.ca_pem) == ("Acme", GOOD.client_id, None)


def test_one_address_gives_both_of_a_self_hosted_server() -> None:
    """A self-hosted server is one address; two are used as typed."""
    assert read(OWN).endpoints.identity == "https://vault.example.com/identity"
    two = replace(OWN, server="", api="https://api.example.com", identity="https://id.example.com")
    assert (read(two).endpoints.api, read(two).endpoints.identity) == (
        "https://api.example.com",
        "https://id.example.com",
    )


def test_the_sandbox_has_the_addresses_it_is_given() -> None:
    """The region Sandbox uses what the hub hands in."""
    sandbox = Endpoints(RegionId.SANDBOX, "https://127.0.0.1:1/us/identity", "https://127.0.0.1:1/us/api")
    assert read(replace(GOOD, region=RegionId.SANDBOX), sandbox=sandbox).endpoints == sandbox


def test_every_mistake_is_told_at_once() -> None:
    """A form with several mistakes lists one for each field."""
    bad = Form(region=RegionId.SELF_HOSTED, client_id="user." + UUID, secret="x", ca="rubbish")
    assert reasons(bad) == {
        "server": Reason.ADDRESS_MISSING,
        "client_id": Reason.PERSONAL_KEY,
        "label": Reason.LABEL_MISSING,
        "ca": Reason.CA_MALFORMED,
    }


def test_an_empty_form_asks_for_all_it_needs() -> None:
    """Whoever sends the form empty is told everything that is missing at once, the secret too."""
    assert set(reasons(Form(region=RegionId.US))) == {"client_id", "secret", "label"}


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"client_id": SECRET, "secret": GOOD.client_id}, "client_id", Reason.FIELDS_SWAPPED),
        ({"client_id": ""}, "client_id", Reason.CLIENT_ID_MISSING),
        ({"client_id": UUID}, "client_id", Reason.CLIENT_ID_BARE),
        ({"client_id": GOOD.client_id[:-3]}, "client_id", Reason.CLIENT_ID_CUT),
        ({"client_id": f"installation.{UUID}"}, "client_id", Reason.INSTALLATION_KEY),
        ({"secret": ""}, "secret", Reason.SECRET_MISSING),
        ({"secret": "with a blank"}, "secret", Reason.SECRET_MALFORMED),
        ({"label": " \t\u200b"}, "label", Reason.LABEL_MISSING),
        ({"label": "x" * (LABEL_LIMIT + 1)}, "label", Reason.LABEL_MISSING),
        ({"ca": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}, "ca", Reason.CA_MALFORMED),
    ],
)
def test_each_mistake_has_its_field_and_reason(changes: dict[str, str], field: str, reason: Reason) -> None:
    """A mistake is shown beside the field it is in."""
    assert reasons(replace(GOOD, **changes)) == {field: reason}  # type: ignore[arg-type]  # fields of text


def test_an_address_of_another_organization_is_noticed() -> None:
    """A pasted web-vault address and a client ID that name different organizations do not go together."""
    other = "11111111-1111-4111-8111-111111111111"
    page = f"https://vault.example.com/#/organizations/{other}/settings/account"
    assert reasons(replace(OWN, server=page)) == {"server": Reason.ADDRESS_OTHER_ORGANIZATION}
    assert read(replace(OWN, server=page.replace(other, UUID))).endpoints.api == "https://vault.example.com/api"


def test_plain_http_needs_the_operator() -> None:
    """An http:// address is refused unless its host is listed."""
    plain = replace(OWN, server="http://bw.lan")
    assert reasons(plain) == {"server": Reason.ADDRESS_PLAINTEXT}
    assert read(plain, plaintext_hosts=("bw.lan",)).endpoints.api == "http://bw.lan/api"


def test_what_was_corrected_is_said_and_what_is_odd_is_remarked() -> None:
    """Quotes are removed and said; a secret of unusual length is only remarked."""
    draft = read(replace(GOOD, client_id=f' "{GOOD.client_id.upper()}" ', secret=SECRET[:-1]))
    assert draft.key.client_id == GOOD.client_id
    assert any("quotation marks" in note for note in draft.notes)
    assert draft.remarks == (Reason.SECRET_LENGTH,)


def test_no_representation_shows_what_was_typed() -> None:
    """Neither form nor draft shows the secret, even when it was typed into the other field."""
    swapped = replace(GOOD, client_id=SECRET, secret=GOOD.client_id)
    with pytest.raises(InvalidForm) as caught:
        read(swapped)
    for thing in (swapped, GOOD, read(GOOD), caught.value, *caught.value.errors):
        assert SECRET not in repr(thing) + str(thing)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Acme   Inc ", "Acme Inc"),
        ("a\nb\tc", "a b c"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("\u202eevil", "evil"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("nul\0", "nul"),
        ("Cafe\u0301", "Café"),
        ("日本 \U0001f9c1", "日本 \U0001f9c1"),
        ("=1+1 <b> [x](y)", "=1+1 <b> [x](y)"),
    ],
)
def test_a_label_is_one_visible_line(typed: str, kept: str) -> None:
    """Labels lose what cannot be seen or stored, and keep every visible character."""
    assert read_label(typed) == one_line(typed) == kept


def test_a_note_keeps_its_lines_and_can_be_stored() -> None:
    """Notes keep paragraphs, lose what no database takes, and are cut at their limit."""
    assert read_note("one\r\n\r\n two \ud800\0three\u200b ") == "one\n\ntwo three"
    assert len(read_note("x" * (NOTE_LIMIT + 5))) == NOTE_LIMIT


def test_tags_are_few_short_and_each_once() -> None:
    """Tags come from text or a list, without blanks, doubles and excess."""
    assert read_tags(" a, b ,,a,\u200b") == ("a", "b")
    assert read_tags(["x, y", "z"]) == ("x, y", "z")
    assert read_tags("t" * 100) == ("t" * TAG_LIMIT,)
    assert read_tags("t" * (TAG_LIMIT - 1) + " tail") == ("t" * (TAG_LIMIT - 1),)
    assert len(read_tags(",".join(map(str, range(50))))) == TAGS_LIMIT


def test_no_ca_is_none() -> None:
    """An empty CA field means the system's own trust."""
    assert read_ca(" \n") is None


def test_reading_an_address_alone_raises_a_single_error() -> None:
    """The page echoes an address before the rest of the form is filled in."""
    with pytest.raises(InputError):
        read_server(replace(OWN, server=""), sandbox=None)
