"""Looks for canary secrets in anything a program leaves behind, in every form a secret may take on its way out."""

from __future__ import annotations

import base64
import json
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from hub_core.model import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def forms(canary: str | bytes) -> dict[str, bytes]:
    """Return a canary in each of its forms, by the form's name."""
    data = canary.encode() if isinstance(canary, str) else canary
    found = {"raw": data, "reversed": data[::-1], "hex": data.hex().encode(), "HEX": data.hex().upper().encode()}
    found |= {"utf-16": b"".join(bytes((byte, 0)) for byte in data)}
    found |= {"url": quote(data, safe="").encode(), "url of every byte": _each(data, "%{:02X}")}
    found |= {"url of every byte, lower": _each(data, "%{:02x}"), "python": repr(data)[2:-1].encode()}
    for alignment in range(3):
        # What stands before and after shares characters with the ends, so only the middle is certain.
        encoded = base64.b64encode(bytes(alignment) + data)
        middle = encoded[(alignment * 8 + 5) // 6 : (alignment + len(data)) * 8 // 6]
        found[f"base64 at {alignment}"] = middle
        found[f"base64url at {alignment}"] = middle.replace(b"+", b"-").replace(b"/", b"_")
    if isinstance(canary, str):
        found |= {"json": json.dumps(canary)[1:-1].encode(), "json of every character": _each(data, "\\u{:04x}")}
    return found


def leaks(canaries: Mapping[str, str | bytes], data: bytes | str, where: str = "") -> list[str]:
    """Return which canaries are in some data, and in which form."""
    haystack = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return [
        f"{name} as {form} in {where}"
        for name, canary in canaries.items()
        for form, needle in forms(canary).items()
        if needle in haystack
    ]


def leaks_in_folder(canaries: Mapping[str, str | bytes], folder: Path) -> list[str]:
    """Return what leaked into any file below a folder, its name included."""
    return [
        leak
        for path in sorted(folder.rglob("*"))
        for leak in leaks(canaries, str(path) + "\n" if path.is_dir() else bytes(path) + path.read_bytes(), path.name)
    ]


def texts_within(value: object, _seen: set[int] | None = None) -> Iterator[str]:
    """Yield every text that can be reached from a value, hidden ones included."""
    seen = set() if _seen is None else _seen
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, bytes | str):
        yield str(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts_within(key, seen)
            yield from texts_within(inner, seen)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from texts_within(inner, seen)
    elif is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from texts_within(getattr(value, one.name, None), seen)
    else:
        yield repr(value)
        if isinstance(value, BaseException):
            yield from texts_within([value.args, vars(value)], seen)


def _each(data: bytes, form: str) -> bytes:
    return "".join(form.format(byte) for byte in data).encode()
