"""What a pasted server address means: a corpus of friendly and hostile addresses, and properties of every text."""

from __future__ import annotations

import socket
import unicodedata
from urllib.parse import urlsplit

import idna
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hub_core.bitwarden.address import Understood, describe, parse_pair, parse_server
from hub_core.bitwarden.regions import region
from hub_core.errors import InputError
from hub_core.model import Endpoints, Reason, RegionId

UUID = "0e8b1a2c-1111-4111-8111-00000000a001"
VAULT = "https://vault.example.com"
LONG_LABEL = "a" * 63
LONG_HOST = ".".join(["a" * 49] * 5) + ".bcd"

SELF_HOSTED = [
    # as it should be, and without a scheme
    ("https://vault.example.com", VAULT),
    ("vault.example.com", VAULT),
    ("//vault.example.com", VAULT),
    ("HTTPS://VAULT.Example.COM", VAULT),
    ("https://vault.example.com/", VAULT),
    ("https://vault.example.com///", VAULT),
    ("vault", "https://vault"),
    ("localhost", "https://localhost"),
    # what copying adds
    ("  https://vault.example.com\n", VAULT),
    ("\t\r\nvault.example.com\r\n", VAULT),
    ('"https://vault.example.com"', VAULT),
    ("'vault.example.com',", VAULT),
    ("`https://vault.example.com/`;", VAULT),
    ("“https://vault.example.com”", VAULT),
    ("„vault.example.com“", VAULT),
    ("«vault.example.com»", VAULT),
    ("<https://vault.example.com>", VAULT),
    ("\ufeffhttps://vault.example.com", VAULT),
    ("\u200bhttps://vault.example.com\u200b", VAULT),
    ("\u2060 \u00a0vault.example.com\u00a0\u200e", VAULT),
    # the parts the hub adds by itself
    ("https://vault.example.com/api", VAULT),
    ("https://vault.example.com/api/", VAULT),
    ("https://vault.example.com/API", VAULT),
    ("https://vault.example.com/identity", VAULT),
    ("https://vault.example.com/Identity/", VAULT),
    ("https://vault.example.com/identity/connect/token", VAULT),
    ("https://vault.example.com/IDENTITY/Connect/Token/", VAULT),
    ("https://vault.example.com/identity/.well-known/openid-configuration", VAULT),
    ("https://vault.example.com/connect/token", VAULT),
    ("https://vault.example.com/api/config", VAULT),
    ("https://vault.example.com/api/alive", VAULT),
    ("https://vault.example.com/api/version", VAULT),
    ("https://vault.example.com/api/public", VAULT),
    ("https://vault.example.com/api/public/members", VAULT),
    ("https://vault.example.com/api/public/members/0e8b1a2c/group-ids", VAULT),
    ("https://vault.example.com/api/api", VAULT),
    # the web vault
    ("https://vault.example.com/#/login", VAULT),
    ("https://vault.example.com/#", VAULT),
    ("https://vault.example.com#/vault", VAULT),
    (f"https://vault.example.com/#/organizations/{UUID}/settings/account", VAULT),
    ("https://vault.example.com/#/login?redirect=%2Fvault&x=\N{LATIN SMALL LETTER E WITH ACUTE}", VAULT),
    # below a path
    ("https://example.com/bitwarden", "https://example.com/bitwarden"),
    ("https://example.com/bitwarden/", "https://example.com/bitwarden"),
    ("example.com/Tools/BitWarden/api", "https://example.com/Tools/BitWarden"),
    ("https://example.com/bitwarden/identity/connect/token", "https://example.com/bitwarden"),
    ("https://example.com/bitwarden/#/login", "https://example.com/bitwarden"),
    ("https://example.com/myapi", "https://example.com/myapi"),
    ("https://example.com/api-v2", "https://example.com/api-v2"),
    ("https://example.com/~team/vault_1.0", "https://example.com/~team/vault_1.0"),
    ("https://example.com/...", "https://example.com/..."),
    # ports
    ("https://vault.example.com:8443", "https://vault.example.com:8443"),
    ("vault.example.com:15443/api", "https://vault.example.com:15443"),
    ("localhost:8443", "https://localhost:8443"),
    ("https://vault.example.com:443/", VAULT),
    ("https://vault.example.com:00443/", VAULT),
    ("https://vault.example.com:80", "https://vault.example.com:80"),
    ("https://vault.example.com:65535", "https://vault.example.com:65535"),
    # names
    ("https://vault.example.com.", VAULT),
    ("https://vault.example.com.:8443/api", "https://vault.example.com:8443"),
    ("https://bit_warden.example.com", "https://bit_warden.example.com"),
    ("https://_vault.example.com", "https://_vault.example.com"),
    ("https://r3---sn-x.example.com", "https://r3---sn-x.example.com"),
    (f"https://{LONG_LABEL}.example", f"https://{LONG_LABEL}.example"),
    (f"https://{LONG_HOST}", f"https://{LONG_HOST}"),
    ("https://1password-to-bitwarden.example", "https://1password-to-bitwarden.example"),
    ("https://0x7f.example", "https://0x7f.example"),
    ("https://127.0.0.1.example", "https://127.0.0.1.example"),
    # addresses by number; whether they may be contacted is decided where the connection is made
    ("https://192.0.2.10", "https://192.0.2.10"),
    ("192.0.2.10:8443/api", "https://192.0.2.10:8443"),
    ("https://127.0.0.1:8599/us", "https://127.0.0.1:8599/us"),
    ("https://192.0.2.10./", "https://192.0.2.10"),
    ("https://[2001:db8::1]", "https://[2001:db8::1]"),
    ("https://[2001:DB8:0:0:0:0:0:1]:443/api", "https://[2001:db8::1]"),
    ("[2001:db8::0001]:8443", "https://[2001:db8::1]:8443"),
    ("https://[::1]:8443", "https://[::1]:8443"),
    # names in other scripts, as they are looked up
    ("https://bücher.example", "https://xn--bcher-kva.example"),
    ("https://BÜCHER.example", "https://xn--bcher-kva.example"),
    ("https://bu\u0308cher.example", "https://xn--bcher-kva.example"),
    ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ("https://XN--BCHER-KVA.example", "https://xn--bcher-kva.example"),
    ("https://faß.example", "https://xn--fa-hia.example"),
    ("https://例え。テスト", "https://xn--r8jz45g.xn--zckzah"),
    ("https://пример.example", "https://xn--e1afmkfd.example"),
    ("https://ｖａｕｌｔ．ｅｘａｍｐｌｅ．ｃｏｍ", VAULT),  # noqa: RUF001 - full-width on purpose
    ("https://ⓥault.example.com", VAULT),
    ("https://a_b.bücher.example", "https://a_b.xn--bcher-kva.example"),
    # looks like Bitwarden's cloud, and is somebody else's
    ("https://vault.bitwarden.com.example", "https://vault.bitwarden.com.example"),
    ("https://vault-bitwarden.com", "https://vault-bitwarden.com"),
    ("https://vault.bitwarden.com.evil.example/api", "https://vault.bitwarden.com.evil.example"),
    ("https://evilbitwarden.com", "https://evilbitwarden.com"),
    ("https://example.com/vault.bitwarden.com", "https://example.com/vault.bitwarden.com"),
    ("https://vault.bitwаrden.com", "https://vault.xn--bitwrden-46g.com"),  # noqa: RUF001 - a Cyrillic letter
    ("https://vault\u3002example\uff0ecom", VAULT),
]

CLOUD = [
    ("vault.bitwarden.com", RegionId.US),
    ("https://vault.bitwarden.com", RegionId.US),
    ("https://vault.bitwarden.com/", RegionId.US),
    ("https://vault.bitwarden.com:443/api", RegionId.US),
    ("https://vault.bitwarden.com/identity", RegionId.US),
    (f"https://vault.bitwarden.com/#/organizations/{UUID}/members", RegionId.US),
    ("https://VAULT.BITWARDEN.COM/#/login", RegionId.US),
    ("https://vault.bitwarden.com.", RegionId.US),
    ("api.bitwarden.com", RegionId.US),
    ("https://api.bitwarden.com/public/members", RegionId.US),
    ("https://identity.bitwarden.com/connect/token", RegionId.US),
    ("bitwarden.com", RegionId.US),
    ("www.bitwarden.com", RegionId.US),
    ("bitwarden.com/help/public-api/", RegionId.US),
    ("bitwarden.eu", RegionId.EU),
    (" Bitwarden.EU/ ", RegionId.EU),
    ("https://vault.bitwarden.eu/#/vault", RegionId.EU),
    ("api.bitwarden.eu", RegionId.EU),
    ("https://identity.bitwarden.eu", RegionId.EU),
    ("bitwarden-gov.com", RegionId.GOV),
    ("https://vault.bitwarden-gov.com/api", RegionId.GOV),
    ("https://identity.bitwarden-gov.com", RegionId.GOV),
    ("ｂｉｔｗａｒｄｅｎ．ｅｕ", RegionId.EU),  # noqa: RUF001 - full-width on purpose
]

REFUSED = [
    # nothing typed
    ("", Reason.ADDRESS_MISSING),
    ("  \n\t", Reason.ADDRESS_MISSING),
    ("\u200b\ufeff", Reason.ADDRESS_MISSING),
    ('""', Reason.ADDRESS_MISSING),
    ("“ ”", Reason.ADDRESS_MISSING),
    # no host
    ("https://", Reason.ADDRESS_MALFORMED),
    ("https:///api", Reason.ADDRESS_MALFORMED),
    ("/api", Reason.ADDRESS_MALFORMED),
    ("#/login", Reason.ADDRESS_MALFORMED),
    (":8443", Reason.ADDRESS_MALFORMED),
    ("https://:8443", Reason.ADDRESS_MALFORMED),
    (".", Reason.ADDRESS_MALFORMED),
    # plaintext
    ("http://vault.example.com", Reason.ADDRESS_PLAINTEXT),
    ("HTTP://vault.example.com/api", Reason.ADDRESS_PLAINTEXT),
    ("http://localhost:8080", Reason.ADDRESS_PLAINTEXT),
    ("http://vault.bitwarden.com", Reason.ADDRESS_PLAINTEXT),
    ("http://[::1]/", Reason.ADDRESS_PLAINTEXT),
    # foreign schemes
    ("javascript:alert(1)", Reason.ADDRESS_MALFORMED),
    ("javascript://vault.example.com/%0aalert(1)", Reason.ADDRESS_MALFORMED),
    ("data:text/html,x", Reason.ADDRESS_MALFORMED),
    ("file:///etc/passwd", Reason.ADDRESS_MALFORMED),
    ("ftp://vault.example.com", Reason.ADDRESS_MALFORMED),
    ("ws://vault.example.com", Reason.ADDRESS_MALFORMED),
    ("gopher://127.0.0.1:6379/_x", Reason.ADDRESS_MALFORMED),
    ("blob:https://vault.example.com/x", Reason.ADDRESS_MALFORMED),
    ("view-source:https://vault.example.com", Reason.ADDRESS_MALFORMED),
    ("htps://vault.example.com", Reason.ADDRESS_MALFORMED),
    ("https:vault.example.com", Reason.ADDRESS_MALFORMED),
    ("https:/vault.example.com", Reason.ADDRESS_MALFORMED),
    ("https//vault.example.com", Reason.ADDRESS_MALFORMED),
    ("http://https://vault.example.com", Reason.ADDRESS_MALFORMED),
    ("https://https://vault.example.com", Reason.ADDRESS_MALFORMED),
    # user names, and names in the wrong place
    ("https://user@vault.example.com", Reason.ADDRESS_MALFORMED),
    ("https://user:password@vault.example.com", Reason.ADDRESS_MALFORMED),
    ("https://vault.bitwarden.com@evil.example", Reason.ADDRESS_MALFORMED),
    ("https://vault.bitwarden.com:443@evil.example", Reason.ADDRESS_MALFORMED),
    ("user:password@vault.example.com", Reason.ADDRESS_MALFORMED),
    ("it@example.com", Reason.ADDRESS_MALFORMED),
    ("mailto:it@example.com", Reason.ADDRESS_MALFORMED),
    ("https://@vault.example.com", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com\\@evil.example", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com\\.evil.example", Reason.ADDRESS_MALFORMED),
    ("https:\\\\vault.example.com", Reason.ADDRESS_MALFORMED),
    ("\\\\fileserver\\share", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/\\evil.example", Reason.ADDRESS_MALFORMED),
    # percent signs
    ("https://vault%2eexample.com", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com%00.evil.example", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com%23@evil.example", Reason.ADDRESS_MALFORMED),
    ("https://vault.example\uff05.com", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/a%2fb", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/%2e%2e/api", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/%20", Reason.ADDRESS_MALFORMED),
    # characters that are not seen, or split lines and requests
    ("https://vault.exam\u200bple.com", Reason.ADDRESS_MALFORMED),
    ("https://vault\u00ad.example.com", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/\u202eipa", Reason.ADDRESS_MALFORMED),
    ("https://vault.exam\ufe0fple.com", Reason.ADDRESS_MALFORMED),
    ("https://vault.exa\U000e0061mple.com", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/a\r\nHost: evil.example", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com\nhttps://evil.example", Reason.ADDRESS_MALFORMED),
    ("https://vault.exa\tmple.com", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com\x00.evil.example", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com\x7f", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/\x85x", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/\ud800", Reason.ADDRESS_MALFORMED),
    ("https://vault example.com", Reason.ADDRESS_MALFORMED),
    ("our server", Reason.ADDRESS_MALFORMED),
    ("vault.example.com, vault2.example.com", Reason.ADDRESS_MALFORMED),
    # paths
    ("https://vault.example.com/../api", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/a/../api", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/./api", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/a/..", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/a//api", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/a;x=y/api", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/größe", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/a:b@c", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/<script>", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/a\uff0f..\uff0fapi", Reason.ADDRESS_MALFORMED),
    # query and fragment
    ("https://vault.example.com?x=1", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/api?client_id=x", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/?", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/#login", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com/#@evil.example/", Reason.ADDRESS_MALFORMED),
    # ports
    ("https://vault.example.com:0", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com:65536", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com:99999999999999999999", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com:", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com:https", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com:-443", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com:4\u0664\u0663", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com:8443:8443", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com\uff1a8443", Reason.ADDRESS_MALFORMED),
    ("https://vault.bitwarden.com:8443", Reason.ADDRESS_MALFORMED),
    # names
    ("https://vault..example.com", Reason.ADDRESS_MALFORMED),
    ("https://.example.com", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com..", Reason.ADDRESS_MALFORMED),
    (f"https://{LONG_LABEL}a.example", Reason.ADDRESS_MALFORMED),
    (f"https://{LONG_HOST}e", Reason.ADDRESS_MALFORMED),
    (f"https://{'ü' * 60}.example", Reason.ADDRESS_MALFORMED),
    ("https://" + "a." * 1500 + "example", Reason.ADDRESS_MALFORMED),
    ("https://-vault.example.com", Reason.ADDRESS_MALFORMED),
    ("https://vault-.example.com", Reason.ADDRESS_MALFORMED),
    ("https://vault.exam*ple.com", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com,evil.example", Reason.ADDRESS_MALFORMED),
    ("https://va{u}lt.example.com", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.com&evil.example", Reason.ADDRESS_MALFORMED),
    ("https://xn--zzzzzz999.example", Reason.ADDRESS_MALFORMED),
    ("https://xn--.example", Reason.ADDRESS_MALFORMED),
    ("https://xn--a.example", Reason.ADDRESS_MALFORMED),
    ("https://evil.example\u2100.com", Reason.ADDRESS_MALFORMED),
    ("https://evil\u2048.example", Reason.ADDRESS_MALFORMED),
    ("https://❤.example", Reason.ADDRESS_MALFORMED),
    ("https://vault.bitwarden.com\u2024evil.example", Reason.ADDRESS_MALFORMED),
    # numbers some resolvers take for 127.0.0.1, and their relatives
    ("https://127.1", Reason.ADDRESS_MALFORMED),
    ("https://127.0.1", Reason.ADDRESS_MALFORMED),
    ("https://0x7f000001", Reason.ADDRESS_MALFORMED),
    ("https://0X7F.1", Reason.ADDRESS_MALFORMED),
    ("https://127.0.0.0x1", Reason.ADDRESS_MALFORMED),
    ("https://2130706433", Reason.ADDRESS_MALFORMED),
    ("2130706433:8443", Reason.ADDRESS_MALFORMED),
    ("https://0177.0.0.1", Reason.ADDRESS_MALFORMED),
    ("https://127.0.0.01", Reason.ADDRESS_MALFORMED),
    ("https://0", Reason.ADDRESS_MALFORMED),
    ("https://256.0.0.1", Reason.ADDRESS_MALFORMED),
    ("https://1.2.3.4.5", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.1", Reason.ADDRESS_MALFORMED),
    ("https://vault.example.0x", Reason.ADDRESS_MALFORMED),
    ("https://①②⑦.⓪.⓪.①", Reason.ADDRESS_MALFORMED),
    ("https://１２７.０.０.１", Reason.ADDRESS_MALFORMED),  # noqa: RUF001 - full-width on purpose
    ("https://127。0。0。1", Reason.ADDRESS_MALFORMED),
    ("https://\u0661\u0662\u0667.0.0.1", Reason.ADDRESS_MALFORMED),
    # IPv6
    ("::1", Reason.ADDRESS_MALFORMED),
    ("fe80::1", Reason.ADDRESS_MALFORMED),
    ("https://2001:db8::1/", Reason.ADDRESS_MALFORMED),
    ("https://[fe80::1%25eth0]", Reason.ADDRESS_MALFORMED),
    ("https://[fe80::1%eth0]", Reason.ADDRESS_MALFORMED),
    ("https://[::ffff:127.0.0.1]", Reason.ADDRESS_MALFORMED),
    ("https://[::ffff:7f00:1]", Reason.ADDRESS_MALFORMED),
    ("https://[]", Reason.ADDRESS_MALFORMED),
    ("https://[::1", Reason.ADDRESS_MALFORMED),
    ("https://[::1]evil.example", Reason.ADDRESS_MALFORMED),
    ("https://[::1]:", Reason.ADDRESS_MALFORMED),
    ("https://[vault.example.com]", Reason.ADDRESS_MALFORMED),
    ("https://[1:2:3:4:5:6:7:8:9]", Reason.ADDRESS_MALFORMED),
    ("https://vault[::1].example", Reason.ADDRESS_MALFORMED),
]


def base_of(base: str) -> Endpoints:
    """The endpoints of a self-hosted server below one base address."""
    return Endpoints(RegionId.SELF_HOSTED, identity=f"{base}/identity", api=f"{base}/api", vault=base)


def outcome(text: str, *, plaintext_hosts: tuple[str, ...] = ()) -> Understood | InputError:
    """What a text is understood as, or how it is refused."""
    try:
        return parse_server(text, plaintext_hosts=plaintext_hosts)
    except InputError as error:
        return error


def reading(text: str, *, plaintext_hosts: tuple[str, ...] = ()) -> Endpoints | Reason:
    """What a text is read as: endpoints, or the reason it was refused for."""
    result = outcome(text, plaintext_hosts=plaintext_hosts)
    return result.reason if isinstance(result, InputError) else result.endpoints


@pytest.mark.parametrize(("typed", "base"), SELF_HOSTED, ids=ascii)
def test_a_self_hosted_address_gives_its_pair(typed: str, base: str) -> None:
    """One address of an own server gives API, identity and web vault below the same base."""
    assert parse_server(typed).endpoints == base_of(base)


@pytest.mark.parametrize(("typed", "expected"), CLOUD, ids=ascii)
def test_a_host_of_a_cloud_gives_the_row_of_its_region(typed: str, expected: RegionId) -> None:
    """Any address of Bitwarden's clouds is read as the region's own pair, and the person is told."""
    understood = parse_server(typed)
    assert understood.endpoints == region(expected).endpoints
    assert region(expected).name in understood.notes[-1]


@pytest.mark.parametrize(("typed", "reason"), REFUSED, ids=ascii)
def test_a_hostile_or_broken_address_is_refused(typed: str, reason: Reason) -> None:
    """What the grammar does not allow is refused for the field it was typed in, with one sentence to act on."""
    with pytest.raises(InputError) as caught:
        parse_server(typed)
    assert (caught.value.field, caught.value.reason) == ("server", reason)
    assert caught.value.message.endswith(".")
    assert "password" not in caught.value.message


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Type the address"),
        ("https://user:password@vault.example.com", "“@”"),
        ("https://vault.example.com\\@evil.example", "backslash"),
        ("https://vault%2eexample.com", "“%”"),
        ("https://vault.exam\u200bple.com", "cannot be seen"),
        ("https://vault example.com", "blanks"),
        ("ftp://vault.example.com", "Only https://"),
        ("https:/vault.example.com", "slashes are missing"),
        ("https//vault.example.com", "colon"),
        ("https:///api", "no host name"),
        ("http://vault.example.com", "Type https://vault.example.com"),
        ("https://vault.example.com?x", "“?”"),
        ("https://vault.example.com#x", "“#”"),
        ("https://vault.example.com/../api", "/../"),
        ("https://vault.example.com/a%2fb", "path"),
        ("https://vault.example.com:70000", "65535"),
        ("https://vault.bitwarden.com:8443", "port 8443"),
        ("https://127.1", "four plain numbers"),
        ("::1", "brackets"),
        ("https://[::ffff:127.0.0.1]", "IPv4"),
        ("https://vault..example.com", "host name"),
        ("https://❤.example", "characters"),
        ("a" * 3000, "too long"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_the_sentence_names_what_is_wrong(typed: str, words: str) -> None:
    """Each fault has its own sentence, so that a person knows what to change."""
    refused = outcome(typed)
    assert isinstance(refused, InputError)
    assert words in refused.message


@pytest.mark.parametrize(("typed", "reason"), REFUSED, ids=ascii)
@pytest.mark.parametrize("field", ["api", "identity"])
def test_two_addresses_follow_the_same_grammar(field: str, typed: str, reason: Reason) -> None:
    """The expander with two addresses is no way around the grammar, and names the field at fault."""
    pair = {"api": "https://api.example.com", "identity": "https://id.example.com", field: typed}
    with pytest.raises(InputError) as caught:
        parse_pair(**pair)
    assert (caught.value.field, caught.value.reason) == (field, reason)


@pytest.mark.parametrize(
    ("typed", "base"),
    [
        ("http://vault.lan", "http://vault.lan"),
        ("http://vault.lan:80/api", "http://vault.lan"),
        ("http://VAULT.lan:8080/", "http://vault.lan:8080"),
        ("http://vault.lan:443", "http://vault.lan:443"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("vault.lan", "https://vault.lan"),
    ],
)
def test_plaintext_is_allowed_for_listed_hosts_only(typed: str, base: str) -> None:
    """A host the operator lists may be typed with http://; it is still https:// where nothing was typed."""
    assert reading(typed, plaintext_hosts=("vault.lan", "::1")) == base_of(base)
    assert reading("http://other.lan", plaintext_hosts=("vault.lan", "::1")) is Reason.ADDRESS_PLAINTEXT
    assert reading("http://vault.lan.example", plaintext_hosts=("vault.lan",)) is Reason.ADDRESS_PLAINTEXT


def test_a_listed_plaintext_host_keeps_its_warning() -> None:
    """A person who types http:// is told that the key can be read on the way, even where it is allowed."""
    notes = parse_server("http://vault.lan", plaintext_hosts=("vault.lan",)).notes
    assert any("can read the key" in note for note in notes)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (f"{VAULT}/#/organizations/{UUID}/settings/account", UUID),
        (f"{VAULT}/#/organizations/{UUID.upper()}/members?x=1", UUID),
        (f"{VAULT}/#/organizations/{UUID}", UUID),
        (f"https://vault.bitwarden.eu/#/organizations/{UUID}/vault", UUID),
        (f"{VAULT}/bitwarden/#/organizations/{UUID}/billing/subscription", UUID),
        (f"{VAULT}/#/organizations/{UUID}0/members", None),
        (f"{VAULT}/#/organizations/{'-' * 36}/members", None),
        (f"{VAULT}/#/organizations/new", None),
        (f"{VAULT}/#/vault?organizationId={UUID}", None),
        (VAULT, None),
    ],
)
def test_the_organization_in_a_web_vault_address_is_found(typed: str, expected: str | None) -> None:
    """A pasted page of the web vault yields the organization's uuid, to be compared with the client ID."""
    assert parse_server(typed).organization_id == expected


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("vault.example.com", "https://"),
        (' "https://vault.example.com" ', "Removed"),
        (f"{VAULT}/api", "/api"),
        (f"{VAULT}/#/login", "#"),
        (f"{VAULT}.", "dot"),
        ("https://bücher.example", "xn--bcher-kva.example"),
        ("https://vault.bitwаrden.com", "alphabets"),  # noqa: RUF001 - a Cyrillic letter
        ("https://vault.xn--bitwrden-46g.com", "alphabets"),
        ("vault.bitwarden.com", "US cloud"),
    ],
    ids=ascii,
)
def test_what_was_understood_is_told(typed: str, words: str) -> None:
    """Whatever is read differently from how it was typed is said in a sentence."""
    assert any(words in note for note in parse_server(typed).notes)


@pytest.mark.parametrize("typed", [VAULT, "https://xn--wgv71a119e.jp", "https://東京タワーx.example"], ids=ascii)
def test_nothing_is_said_about_alphabets_that_belong_together(typed: str) -> None:
    """A plain name, and Japanese or Latin letters side by side, raise no suspicion."""
    assert not any("alphabets" in note for note in parse_server(typed).notes)


def test_a_full_address_is_taken_without_remark() -> None:
    """An address that needed no reading has no notes."""
    assert parse_server(VAULT) == Understood(base_of(VAULT))


@pytest.mark.parametrize(
    ("api", "identity", "expected"),
    [
        (
            "https://api.example.com",
            "https://id.example.com/",
            Endpoints(RegionId.SELF_HOSTED, identity="https://id.example.com", api="https://api.example.com"),
        ),
        (
            "api.example.com:4000/public/members",
            "api.example.com:33656/connect/token",
            Endpoints(
                RegionId.SELF_HOSTED, identity="https://api.example.com:33656", api="https://api.example.com:4000"
            ),
        ),
        (f"{VAULT}/api", f"{VAULT}/identity", base_of(VAULT)),
        (f"{VAULT}/api/config", f"{VAULT}/identity/connect/token", base_of(VAULT)),
        (f"{VAULT}/bw/api/", f"{VAULT}/bw/identity/", base_of(f"{VAULT}/bw")),
        ("api.bitwarden.com", "identity.bitwarden.com", region(RegionId.US).endpoints),
        ("https://api.bitwarden.eu/", "https://vault.bitwarden.eu/identity", region(RegionId.EU).endpoints),
    ],
)
def test_two_addresses_are_taken_as_they_are(api: str, identity: str, expected: Endpoints) -> None:
    """API and identity may live apart; the web vault is known only where both share one base."""
    assert parse_pair(api, identity).endpoints == expected


@pytest.mark.parametrize(
    ("api", "identity"),
    [
        ("https://api.bitwarden.com", "https://identity.bitwarden.eu"),
        ("https://api.bitwarden.eu", "https://identity.bitwarden.com"),
        ("https://api.bitwarden.com", "https://identity.bitwarden-gov.com"),
        ("https://api.bitwarden.com", "https://vault.example.com/identity"),
        ("https://vault.example.com/api", "https://identity.bitwarden.com"),
        ("https://vault.example.com/api", "https://BITWARDEN.com."),
    ],
)
def test_regions_are_never_mixed(api: str, identity: str) -> None:
    """Hosts of two regions, or of a cloud and an own server, are refused before anything is sent."""
    with pytest.raises(InputError) as caught:
        parse_pair(api, identity)
    assert caught.value.reason is Reason.HOSTS_MISMATCH


@pytest.mark.parametrize(
    ("api", "identity", "field"),
    [
        (f"{VAULT}/identity", f"{VAULT}/api", "api"),
        (f"{VAULT}/api", f"{VAULT}/api", "identity"),
        (f"{VAULT}/#/login", f"{VAULT}/identity", "api"),
        (f"{VAULT}/api", f"{VAULT}/#/login", "identity"),
    ],
)
def test_two_addresses_in_the_wrong_fields_are_noticed(api: str, identity: str, field: str) -> None:
    """Swapped addresses, and pages of the web vault, are named where a pair is asked for."""
    with pytest.raises(InputError) as caught:
        parse_pair(api, identity)
    assert (caught.value.field, caught.value.reason) == (field, Reason.ADDRESS_MALFORMED)


def test_describe_echoes_exactly_what_will_be_called() -> None:
    """The echo beside the form shows the API and the identity address, nothing added."""
    assert describe(parse_server("vault.example.com/bw").endpoints) == (f"{VAULT}/bw/api", f"{VAULT}/bw/identity")


letters = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
labels = st.one_of(letters, st.text("abcxyzàéøßüčжλд中あ", min_size=1, max_size=8))
names = st.lists(labels, min_size=1, max_size=4).map(lambda parts: ".".join([*parts, "example"]))
paths = st.lists(letters.map(lambda word: "x" + word), max_size=3).map(lambda parts: "".join(f"/{p}" for p in parts))
ports = st.sampled_from(["", ":443", ":8443"])
nasty = st.text(
    st.sampled_from(
        "https://vault.bitwarden.com:443/api#?@%[]\\.-_xn0123456789ü。①А\u200b\u00ad\n \x00\"'〜\u2100\uff0e"
    )
)
known = st.sampled_from([typed for typed, _ in SELF_HOSTED + CLOUD + REFUSED])
spliced = st.tuples(known, st.integers(0, 40), nasty).map(lambda t: t[0][: t[1]] + t[2] + t[0][t[1] :])
anything = st.one_of(st.text(), nasty, spliced, nasty.map("https://".__add__))


@given(names, paths, ports)
def test_scheme_slash_case_and_blanks_do_not_matter(name: str, path: str, port: str) -> None:
    """The same address in the ways people write it is read as the same endpoints."""
    plain = reading(name + port + path)
    assume(isinstance(plain, Endpoints))
    for same in (
        f"https://{name}{port}{path}",
        f"HTTPS://{name}{port}{path}/",
        f"//{name}{port}{path}//",
        f" \n“{name}{port}{path}” ",
        f"\u200b{name}{port}{path}/api",
        f"{name}{port}{path}/identity/connect/token",
        f"{name}{port}{path}/#/organizations/{UUID}/members",
        f"{name}.{port}{path}",
    ):
        assert reading(same) == plain


@given(st.lists(letters, min_size=1, max_size=4).map(".".join), paths)
def test_the_case_of_a_host_does_not_matter(name: str, path: str) -> None:
    """Host names are compared without case; the path keeps its own."""
    assert reading(name.upper() + path) == reading(name + path)


@given(names)
def test_the_host_is_the_one_a_browser_would_call(name: str) -> None:
    """The result's host is the UTS 46 form of what was typed, never another."""
    understood = outcome(name)
    assume(isinstance(understood, Understood))
    assert isinstance(understood, Understood)
    expected = idna.encode(name, uts46=True).decode()
    assert {urlsplit(url).hostname for url in describe(understood.endpoints)} == {expected}


@given(anything)
def test_any_text_is_understood_or_refused(text: str) -> None:
    """Every text gives endpoints of a strict form or a refusal with a sentence; a result read again is itself."""
    understood = outcome(text)
    if isinstance(understood, InputError):
        assert understood.field == "server"
        assert understood.message.endswith(".")
        return
    endpoints = understood.endpoints
    for url in (endpoints.api, endpoints.identity, endpoints.vault):
        assert url is not None
        assert url.isascii()
        assert url.isprintable()
        parts = urlsplit(url)
        assert (parts.scheme, parts.username, parts.query, parts.fragment) == ("https", None, "", "")
        assert url == f"https://{parts.netloc}{parts.path}"
        assert not parts.path.endswith("/")
        assert "//" not in parts.path
        assert reading(url) == endpoints
    assert not any(unicodedata.category(character)[0] == "C" for note in understood.notes for character in note)


@given(st.one_of(anything, st.text("0123456789abcdefx.-①。").map("https://".__add__)))
def test_a_host_that_counts_as_a_number_is_a_plain_address(text: str) -> None:
    """No host the resolver would take for a number is accepted in any but the one plain form."""
    understood = outcome(text)
    host = urlsplit(understood.endpoints.api).hostname if isinstance(understood, Understood) else None
    try:
        packed = socket.inet_aton(host or "")
    except OSError:
        return
    assert host == socket.inet_ntoa(packed)


@given(anything, anything)
def test_any_two_texts_are_understood_or_refused(api: str, identity: str) -> None:
    """A pair of any texts gives endpoints that read again as themselves, or a refusal for one of the two fields."""
    try:
        understood = parse_pair(api, identity)
    except InputError as error:
        field = error.field
    else:
        field = "api"
        assert parse_pair(*describe(understood.endpoints)).endpoints == understood.endpoints
    assert field in {"api", "identity"}
