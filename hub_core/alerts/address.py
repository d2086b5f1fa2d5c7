"""Reads the address of a webhook strictly, and says of any address what may be shown."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import urlsplit

from hub_core.bitwarden.credentials import unwrapped
from hub_core.errors import InputError, RemoteError
from hub_core.model import Reason

if TYPE_CHECKING:
    from hub_core.bitwarden.policy import OutboundPolicy

LONGEST: Final = 2000

_WEB = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>(?:[/?][\x21\x24-\x5b\x5d\x5f\x61-\x7a\x7e%!&'()*+,;=:@/?\[\]]*)?)"
)
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_LAST_PORT = 65535
_LONGEST_NAME = 253


def read_web_address(text: str, policy: OutboundPolicy, *, field: str = "target") -> str:
    """Return the address of a webhook as it will be asked, in the one spelling it has.

    Raises:
        InputError: for the field, with a sentence that never repeats the address: it is a secret.
    """
    bare = unwrapped(text)
    if not bare:
        raise InputError(field, Reason.ADDRESS_MISSING, "Enter the address that messages are sent to.")
    scheme, colon, rest = bare.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    lowered = f"{scheme}{colon}{authority}".lower() + rest[len(authority) :]
    found = _WEB.fullmatch(lowered) if len(bare) <= LONGEST else None
    if found is None:
        _refuse(field, _what_is_wrong(bare, authority))
    host, port = found["host"], int(found["port"] or (443 if found["scheme"] == "https" else 80))
    _check_host(host, field)
    if not 0 < port <= _LAST_PORT:
        _refuse(field, "The port after the “:” is a number from 1 to 65535.")
    if found["scheme"] == "http" and not policy.plaintext_allowed(host.strip("[]"), port):
        raise InputError(
            field,
            Reason.ADDRESS_PLAINTEXT,
            "Over http:// everyone on the way could read the messages. Use https://, or have the operator list the "
            "host in LINKHUB_PLAINTEXT_HOSTS.",
        )
    _check_literal(host, port, policy, field)
    return lowered if found["rest"] else f"{lowered}/"


def hint_of(url: str) -> str:
    """Return scheme, host and port of a web address: all of it that is ever shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _what_is_wrong(text: str, authority: str) -> str:
    if len(text) > LONGEST:
        return f"An address has at most {LONGEST} characters."
    if "@" in authority:
        return "Leave out the “@” and the user name and password before it: messages are signed instead."
    if "#" in text:
        return "Leave out the “#” and everything after it."
    if not text.lower().startswith(("https://", "http://")):
        return "A webhook's address begins with https://."
    return "This is not an address: check it for blanks, unusual characters and a missing host name."


def _check_host(host: str, field: str) -> None:
    if host.startswith("[") != (":" in host) or not (_is_literal(host) or _is_name(host)):
        _refuse(field, "This is not a host name or an address: check dots, hyphens and numbers.")


def _is_name(host: str) -> bool:
    parts = host.split(".")
    return len(host) <= _LONGEST_NAME and all(map(_LABEL.fullmatch, parts)) and not _NUMERIC.fullmatch(parts[-1])


def _is_literal(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _check_literal(host: str, port: int, policy: OutboundPolicy, field: str) -> None:
    """Refuse at once what would be refused when sending; names are resolved only then."""
    if policy.proxy and not policy.on_this_machine(host.strip("[]"), port):
        return
    if not _is_literal(host) and host != "localhost":
        return
    literal = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        policy.check(literal, host=host.strip("[]"), port=port)
    except RemoteError as error:
        rule = error.evidence.get("rule", "")
        _refuse(field, f"This hub may not contact that address ({rule}). The operator decides what it may contact.")


def _refuse(field: str, message: str) -> NoReturn:
    raise InputError(field, Reason.ADDRESS_MALFORMED, message)
