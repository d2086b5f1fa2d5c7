"""Finds the account that a person means by a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub_core.cli.entry import Wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub_core.storage.store import AccountRow


def find(rows: Sequence[AccountRow], word: str) -> AccountRow:
    """Return the account with this id, client id, organization uuid, label, or beginning of an id.

    Raises:
        Wrong: none is meant, or several.
    """
    low = word.strip().lower()
    exact = [
        row
        for row in rows
        if low in {row.id, row.client_id, row.client_id.removeprefix("organization.")}
        or " ".join(word.split()) == row.label
    ]
    found = exact or [row for row in rows if low and row.id.startswith(low)]
    if not found:
        raise Wrong("There is no such account. `linkhub list` shows them all.")
    if len(found) > 1:
        names = "; ".join(f"“{row.label}” ({row.id}, {row.identity_origin})" for row in found)
        raise Wrong(f"Several accounts are meant: {names}. Name one by its id.")
    return found[0]
