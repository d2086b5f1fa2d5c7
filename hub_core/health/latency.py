"""Pure: latencies counted in fixed buckets, which add up over any span and give percentiles within a bucket's width.

Bucket n holds what took at least `2 ** (n / 2)` milliseconds: 1, 1.4, 2, 2.8 … 32768, each 1.4 times the one before.
"""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Buckets = dict[int, int]
"""Number of checks by bucket; only those that are not zero."""

LAST: Final = 30
"""The bucket of everything from 33 seconds on: no exchange with a server lasts longer."""

_MORE = 0x80


def bucket_of(ms: int) -> int:
    """Return the bucket of a latency in milliseconds."""
    return min(int(2 * log2(ms)), LAST) if ms > 1 else 0


def bounds(bucket: int) -> tuple[float, float]:
    """Return from and below which milliseconds a latency is in a bucket; the first begins at 0."""
    return (2 ** (bucket / 2) if bucket else 0.0), 2 ** ((bucket + 1) / 2)


def count(latencies: Iterable[int]) -> Buckets:
    """Return latencies in milliseconds, counted."""
    counted: Buckets = {}
    for ms in latencies:
        bucket = bucket_of(ms)
        counted[bucket] = counted.get(bucket, 0) + 1
    return counted


def merge(parts: Iterable[Mapping[int, int] | None]) -> Buckets:
    """Return several counts as one."""
    merged: Buckets = {}
    for part in parts:
        for bucket, number in (part or {}).items():
            merged[bucket] = merged.get(bucket, 0) + number
    return merged


def percentile(counted: Mapping[int, int], share: float) -> int | None:
    """Return the milliseconds that a share of the checks, 0 to 1, did not exceed; None when none was measured.

    Right within the bucket's width; within it, latencies are taken to be spread evenly.
    """
    rank, below = share * sum(counted.values()), 0
    for bucket in sorted(counted):
        number = counted[bucket]
        if below + number >= rank and number:
            low, high = bounds(bucket)
            return round(low + (high - low) * (rank - below) / number)
        below += number
    return None


def dump(counted: Mapping[int, int]) -> bytes:
    """Return a count as few bytes: of each bucket its number and how many, seven bits to a byte."""
    packed = bytearray()
    for bucket in sorted(counted):
        packed.append(bucket)
        number = counted[bucket]
        while number >= _MORE:
            packed.append(number & 0x7F | _MORE)
            number >>= 7
        packed.append(number)
    return bytes(packed)


def load(packed: bytes) -> Buckets:
    """Return the count that was packed."""
    counted: Buckets = {}
    rest = iter(packed)
    for bucket in rest:
        number = shift = 0
        for byte in rest:
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < _MORE:
                break
        counted[bucket] = number
    return counted
