"""Requests and answers as plain values, and how Bitwarden spells JSON and dates."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

Headers = tuple[tuple[str, str], ...]

SECURITY_HEADERS: Headers = (
    ("x-frame-options", "SAMEORIGIN"),
    ("x-xss-protection", "1; mode=block"),
    ("x-content-type-options", "nosniff"),
)
"""What every answer of the server itself carries, and no answer of the edge does."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, with the path below the mount it was sent to."""

    method: str
    path: str
    peer: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case; of repeated headers the first."""
    body: bytes = b""

    def at(self, path: str) -> Request:
        """Return the same request for another path."""
        return replace(self, path=path)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; empty by default, as most refusals of Bitwarden are."""

    status: int
    body: bytes = b""
    headers: Headers = ()

    def adding(self, headers: Headers) -> Answer:
        """Return the same answer with more headers."""
        return replace(self, headers=self.headers + headers)


def json_answer(status: int, value: Any, *, headers: Headers = ()) -> Answer:
    """Answer with JSON the way the API and Vaultwarden write it."""
    return Answer(status, compact(value), (("Content-Type", "application/json; charset=utf-8"), *headers))


def html_answer(status: int, page: str, *, headers: Headers = ()) -> Answer:
    """Answer with a web page."""
    return Answer(status, page.encode(), (("Content-Type", "text/html"), *headers))


def text_answer(status: int, text: str, *, headers: Headers = ()) -> Answer:
    """Answer with plain text."""
    return Answer(status, text.encode(), (("Content-Type", "text/plain"), *headers))


def compact(value: Any) -> bytes:
    """Encode as JSON without blanks."""
    return json.dumps(value, separators=(",", ":")).encode()


def nginx_page(status: int, phrase: str) -> Answer:
    """Answer with the error page nginx makes itself."""
    title = f"{status} {phrase}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return html_answer(status, page, headers=(("Server", "nginx"),))


def seven_decimals(moment: datetime) -> str:
    """Write a time as .NET does in `/now` and `X-Rate-Limit-Reset`: always seven decimals."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def trimmed(moment: datetime) -> str:
    """Write a time as .NET does inside models: as many decimals as are needed."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return text + "Z"
