"""What a pasted server address means: one strict grammar, and everything people paste read into it."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from hub_core.bitwarden.credentials import BLANKS, INVISIBLE, canonical_uuid, unwrapped
from hub_core.bitwarden.regions import Region, region_of_host
from hub_core.errors import InputError
from hub_core.model import Endpoints, Reason, RegionId

if TYPE_CHECKING:
    from collections.abc import Collection

_LONGEST_ADDRESS: Final = 2_000
_LONGEST_HOST: Final = 253
_LAST_PORT: Final = 65_535
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_EXAMPLE: Final = "such as https://vault.example.com"

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)")
_PARTS: Final = re.compile(r"([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?")
_PORT: Final = re.compile(r"0*[0-9]{1,5}")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~-]+")
_VAULT_ROUTE: Final = re.compile(r"#(?:/.*)?")
_ORGANIZATION: Final = re.compile(r"/organizations/([0-9a-fA-F-]{36})(?![0-9a-fA-F-])")

_SERVER_TAIL: Final = re.compile(
    r"/(?:api(?:/(?:config|alive|version|public(?:/.*)?))?"
    r"|identity(?:/(?:connect/token|\.well-known/.*))?"
    r"|connect/token)\Z",
    re.IGNORECASE,
)
_API_TAIL: Final = re.compile(r"/(?:config|alive|version|public(?:/.*)?)\Z", re.IGNORECASE)
_IDENTITY_TAIL: Final = re.compile(r"/(?:connect/token|\.well-known/.*)\Z", re.IGNORECASE)

_EAST_ASIAN: Final = {"CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "LATIN"}
"""Scripts that are written together in one word without deceiving anybody."""


@dataclass(frozen=True, slots=True)
class Understood:
    """What a pasted address means: the endpoints, and what a person should be told about how it was read."""

    endpoints: Endpoints
    organization_id: str | None = None
    """The uuid in a pasted web-vault address, to compare with the client ID."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Typed:
    """One address, taken apart and normalized."""

    scheme: str
    host: str
    """Lower-case punycode name, dotted quad, or IPv6 address in brackets."""
    port: int | None
    """`None` when it is the scheme's own."""
    path: str
    """Empty, or segments each led by a slash."""
    fragment: str
    notes: tuple[str, ...]

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}" + (f":{self.port}" if self.port is not None else "")


def parse_server(text: str, *, plaintext_hosts: Collection[str] = ()) -> Understood:
    """Read the one address of a server: a host of Bitwarden's clouds, or the base of a self-hosted server.

    Args:
        text: what was typed or pasted.
        plaintext_hosts: hosts the operator lists for `http://`.

    Raises:
        InputError: for the field `server`, with a sentence that says what to type.
    """
    typed = _read(text, "server", plaintext_hosts)
    official = region_of_host(typed.host)
    if official is not None:
        return _official(official, typed)
    path, notes = _without_tail(_SERVER_TAIL, typed.path)
    base = typed.origin + path
    endpoints = Endpoints(RegionId.SELF_HOSTED, identity=f"{base}/identity", api=f"{base}/api", vault=base)
    return Understood(endpoints, _organization_in(typed.fragment), (*typed.notes, *notes))


def parse_pair(api: str, identity: str, *, plaintext_hosts: Collection[str] = ()) -> Understood:
    """Read two addresses of one server whose API and identity live apart; both are taken as they are.

    Raises:
        InputError: for the field `api` or `identity`; with `HOSTS_MISMATCH` when the two belong to different regions.
    """
    one = _read(api, "api", plaintext_hosts)
    two = _read(identity, "identity", plaintext_hosts)
    _check_pair(one, two)
    official = _common_region(one, two)
    if official is not None:
        return _official(official, one, two)
    api_path, api_notes = _without_tail(_API_TAIL, one.path)
    identity_path, identity_notes = _without_tail(_IDENTITY_TAIL, two.path)
    endpoints = Endpoints(
        RegionId.SELF_HOSTED,
        identity=two.origin + identity_path,
        api=one.origin + api_path,
        vault=_common_base(one.origin + api_path, two.origin + identity_path),
    )
    notes = dict.fromkeys((*one.notes, *two.notes, *api_notes, *identity_notes))
    return Understood(endpoints, None, tuple(notes))


def describe(endpoints: Endpoints) -> tuple[str, str]:
    """Return the two addresses that will be called, API first, exactly as they will be used."""
    return endpoints.api, endpoints.identity


def _official(region: Region, *typed: _Typed) -> Understood:
    if region.endpoints is None:  # pragma: no cover - only clouds have hosts in the table
        raise AssertionError(region.id)
    note = f"{typed[0].host} is Bitwarden's {region.name} cloud: the addresses of that region are used."
    notes = dict.fromkeys((*(note for address in typed for note in address.notes), note))
    return Understood(region.endpoints, _organization_in(typed[0].fragment), tuple(notes))


def _check_pair(api: _Typed, identity: _Typed) -> None:
    for field, address, other in (("api", api, "/identity"), ("identity", identity, "/api")):
        if address.fragment:
            _refuse(field, f"This is a page of the web vault. Type the address of the {_PAIR_NAMES[field]} itself.")
        if address.path.lower().endswith(other):
            _refuse(field, f"This address ends in {other}: it belongs in the other field.")


_PAIR_NAMES: Final = {"api": "API", "identity": "identity service"}


def _common_region(api: _Typed, identity: _Typed) -> Region | None:
    one, two = region_of_host(api.host), region_of_host(identity.host)
    if one is two:
        return one
    names = " and ".join("your own server" if r is None else f"Bitwarden's {r.name} cloud" for r in (one, two))
    raise InputError(
        "identity",
        Reason.HOSTS_MISMATCH,
        f"API and identity belong to different places ({names}), and a key works in one only. "
        "Give both addresses of the same server, or choose its region.",
    )


def _common_base(api: str, identity: str) -> str | None:
    base = api.removesuffix("/api")
    return base if api == f"{base}/api" and identity == f"{base}/identity" else None


def _organization_in(fragment: str) -> str | None:
    found = _ORGANIZATION.search(fragment)
    return canonical_uuid(found[1]) if found else None


def _without_tail(tail: re.Pattern[str], path: str) -> tuple[str, tuple[str, ...]]:
    """Cut what the hub adds by itself, until nothing of it is left, so that reading a result again changes nothing."""
    base = path
    while found := tail.search(base):
        base = base[: found.start()]
    if base == path:
        return path, ()
    return base, (f"Left out {path[len(base) :]} at the end of the address: it is added by itself.",)


def _read(text: str, field: str, plaintext_hosts: Collection[str]) -> _Typed:
    bare = _bare(text, field)
    notes = [] if bare == text else ["Removed blanks, quotation marks or invisible characters around the address."]
    scheme, rest = _scheme(bare, field)
    if scheme is None:
        notes.append("Put https:// in front of the address.")
    elif scheme == "http":
        notes.append("Over http:// everyone on the way can read the key.")
    parts = _PARTS.fullmatch(rest)
    if parts is None:  # pragma: no cover - line breaks, the only thing not matched, are refused before
        _refuse(field, f"Type one address, {_EXAMPLE}.")
    authority, path, query, fragment = (part or "" for part in parts.groups())
    host, port = _host_and_port(authority, field, notes)
    if query:
        _refuse(field, "Leave out the “?” and everything after it.")
    if not _VAULT_ROUTE.fullmatch(fragment or "#"):
        _refuse(field, "Leave out the “#” and everything after it.")
    if fragment:
        notes.append("Left out the part after #: it is a page of the web vault.")
    typed = _Typed(
        scheme=scheme or "https",
        host=host,
        port=None if port == _DEFAULT_PORTS[scheme or "https"] else port,
        path=_path(path, field),
        fragment=fragment,
        notes=tuple(notes),
    )
    _check_policy(typed, field, plaintext_hosts)
    return typed


def _refuse(field: str, message: str) -> NoReturn:
    raise InputError(field, Reason.ADDRESS_MALFORMED, message)


def _bare(text: str, field: str) -> str:
    if len(text) > _LONGEST_ADDRESS:
        _refuse(field, f"This is far too long for an address. Type the server alone, {_EXAMPLE}.")
    bare = unwrapped(text)
    if not bare:
        raise InputError(field, Reason.ADDRESS_MISSING, f"Type the address of the server, {_EXAMPLE}.")
    if any(character in BLANKS for character in bare):
        _refuse(field, f"An address has no blanks or line breaks inside. Type one address, {_EXAMPLE}.")
    if any(character in INVISIBLE or unicodedata.category(character)[0] == "C" for character in bare):
        _refuse(field, "The address contains characters that cannot be seen. Type it by hand instead of pasting it.")
    if "\\" in bare:
        _refuse(field, "The address contains a backslash. Use “/”.")
    return bare


def _scheme(text: str, field: str) -> tuple[str | None, str]:
    """Return the scheme, `None` if none was typed, and the text from the host on."""
    found = _SCHEME.fullmatch(text)
    if found is None:
        return None, text.removeprefix("//")
    scheme, rest = found[1].lower(), found[2]
    if scheme in _DEFAULT_PORTS:
        if not rest.startswith("//"):
            _refuse(field, f"Two slashes are missing after “{scheme}:”.")
        return scheme, rest[2:]
    # What stands before the colon is a host with a port, a user with a password, or a scheme that is not ours.
    if rest.startswith("//") or ("." not in scheme and "@" not in rest and not re.match(r"[0-9:/?#]|\Z", rest)):
        _refuse(field, f"Only https:// addresses can be used, {_EXAMPLE}.")
    return None, text


def _host_and_port(authority: str, field: str, notes: list[str]) -> tuple[str, int | None]:
    if "@" in authority:
        _refuse(field, f"Leave out the “@” and everything before it, and type the server alone, {_EXAMPLE}.")
    if "%" in authority:
        _refuse(field, f"A host name has no “%” in it. Type the name itself, {_EXAMPLE}.")
    if authority.startswith("["):
        inner, bracket, after = authority[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            _refuse(field, "Write an IPv6 address in brackets, such as https://[2001:db8::1]:8443.")
        return _ipv6(inner, field), _port(after[1:], field) if after else None
    name, colon, port = authority.partition(":")
    if ":" in port:
        _refuse(field, "Write an IPv6 address in brackets, such as https://[2001:db8::1]:8443.")
    return _name(name, field, notes), _port(port, field) if colon else None


def _port(text: str, field: str) -> int:
    if not _PORT.fullmatch(text) or not 0 < int(text) <= _LAST_PORT:
        _refuse(field, "The port after the “:” is a number from 1 to 65535.")
    return int(text)


def _ipv6(text: str, field: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        _refuse(field, "This is not an IPv6 address.")
    if address.ipv4_mapped is not None:
        _refuse(field, "This is an IPv4 address written as IPv6. Type the IPv4 address itself.")
    return f"[{address.compressed}]"


def _name(typed: str, field: str, notes: list[str]) -> str:
    """Return a host name the way it is looked up: lower case, in punycode, without the dot at the end."""
    if not typed:
        _refuse(field, f"The address has no host name. Type it with one, {_EXAMPLE}.")
    try:
        shown, host = _punycode(typed.lower() if typed.isascii() else typed)
    except UnicodeError:
        _refuse(field, "The host name contains characters no host name has.")
    if host.endswith("."):
        host = host[:-1]
        notes.append("Left out the dot at the end of the host name.")
    if host in _DEFAULT_PORTS:
        _refuse(field, f"Write “https://” once, with its colon, {_EXAMPLE}.")
    labels = host.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        return _ipv4(host, field, typed_plainly=typed.isascii())
    if len(host) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        _refuse(field, f"This is not a host name: check dots, hyphens and length. Type it {_EXAMPLE}.")
    if not typed.isascii():
        notes.append(f"The host name is looked up as {host}.")
    if any(_mixes_scripts(label) for label in shown.split(".")):
        notes.append(f"Look closely: the host name {host} mixes letters of different alphabets.")
    return host


def _punycode(name: str) -> tuple[str, str]:
    """Return a name as people read it and as it is looked up, by UTS 46 as browsers do."""
    if name.isascii() and "xn--" not in name:
        return name, name
    import idna  # noqa: PLC0415 - only the few addresses that are not plain ASCII need its tables

    mapped = idna.uts46_remap(name, std3_rules=False)
    labels = mapped.split(".")
    shown = [idna.ulabel(label) if label.startswith("xn--") else label for label in labels]
    stored = [label if label.isascii() else idna.alabel(label).decode("ascii") for label in labels]
    return ".".join(shown), ".".join(stored)


def _ipv4(host: str, field: str, *, typed_plainly: bool) -> str:
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        typed_plainly = False
    if not typed_plainly:
        _refuse(field, "Write an IPv4 address as four plain numbers, such as 192.0.2.10.")
    return str(address)


def _mixes_scripts(label: str) -> bool:
    scripts = {re.split("[ -]", unicodedata.name(letter, ""))[0] for letter in label if letter.isalpha()}
    return len(scripts) > 1 and not scripts <= _EAST_ASIAN


def _path(path: str, field: str) -> str:
    segments = path.strip("/").split("/") if path.strip("/") else []
    for segment in segments:
        if segment in {"", ".", ".."}:
            _refuse(field, "The path of the address contains “//”, “/./” or “/../”. Type it without.")
        if not _SEGMENT.fullmatch(segment):
            _refuse(field, "The path of the address may contain letters a to z, digits and . _ ~ - only.")
    return "".join(f"/{segment}" for segment in segments)


def _check_policy(typed: _Typed, field: str, plaintext_hosts: Collection[str]) -> None:
    if typed.scheme == "http" and typed.host.strip("[]") not in {host.strip("[]") for host in plaintext_hosts}:
        raise InputError(
            field,
            Reason.ADDRESS_PLAINTEXT,
            f"Over http:// everyone on the way could read the key. Type https://{typed.host}, "
            "or have the operator list the host in LINKHUB_PLAINTEXT_HOSTS.",
        )
    if typed.port is not None and region_of_host(typed.host) is not None:
        _refuse(field, f"Bitwarden's cloud does not answer on port {typed.port}. Type {typed.host} alone.")
