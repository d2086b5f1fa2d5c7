"""What a server answered: headers, a bounded body, strict JSON; not judged here."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from hub_core.errors import RemoteError
from hub_core.model import Reason

if TYPE_CHECKING:
    from datetime import datetime

    from httpx import Headers


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered, whatever the status."""

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    ms: int
    """From the request being sent to the body being complete."""
    received_at: datetime

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Read the body as strict JSON: UTF-8, no key twice, no infinite number, nothing nested without end.

        Raises:
            RemoteError: ANSWER_UNREADABLE.
        """
        try:
            value = json.loads(
                self.body.decode("utf-8-sig"),
                object_pairs_hook=_each_key_once,
                parse_constant=_refuse,
                parse_float=_finite,
            )
            if b"\\ud" in self.body.lower():
                # Half a surrogate pair is legal JSON and breaks whoever stores or shows it.
                json.dumps(value, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise RemoteError(Reason.ANSWER_UNREADABLE, evidence={"what": "not proper JSON"}) from None
        return value


class Body:
    """A body as it arrives: at most one gzip coding, undone here, and never more bytes than the limit."""

    def __init__(self, coding: str, limit: int) -> None:
        """Undo `coding`, as the header names it, within `limit` bytes."""
        coding = coding.strip().lower()
        if coding not in {"", "identity", "gzip", "x-gzip"}:
            raise RemoteError(Reason.ANSWER_UNREADABLE, evidence={"what": "content coding"})
        self._gzip = zlib.decompressobj(zlib.MAX_WBITS | 16) if coding.endswith("gzip") else None
        self._limit = limit
        self._bytes = bytearray()
        self._fed = False

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            RemoteError: ANSWER_TOO_LARGE, ANSWER_UNREADABLE.
        """
        self._fed = True
        if self._gzip:
            data = self._inflate(self._gzip, data)
        self._bytes += data
        if len(self._bytes) > self._limit:
            raise RemoteError(Reason.ANSWER_TOO_LARGE, evidence={"limit": str(self._limit)})

    def finish(self) -> bytes:
        """Return the whole body.

        Raises:
            RemoteError: ANSWER_UNREADABLE where the coding does not end properly.
        """
        if self._gzip and self._fed and (not self._gzip.eof or self._gzip.unused_data):
            raise RemoteError(Reason.ANSWER_UNREADABLE, evidence={"what": "gzip"})
        return bytes(self._bytes)

    def _inflate(self, gzip: zlib._Decompress, data: bytes) -> bytes:
        # One byte more than fits is enough to know, so a bomb never unfolds.
        room = self._limit - len(self._bytes) + 1
        try:
            return gzip.decompress(data, room)
        except zlib.error:
            raise RemoteError(Reason.ANSWER_UNREADABLE, evidence={"what": "gzip"}) from None


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _refuse(_: str) -> NoReturn:
    raise ValueError("not a finite number")
