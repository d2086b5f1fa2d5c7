"""Exports: cells no spreadsheet runs, and nothing secret."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from hub_core import texts
from hub_core.exports import as_values, safe_cell, to_csv, to_json
from hub_core.model import Lifecycle, Reason, Status
from hub_core.storage.store import AccountRow

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROW = AccountRow(
    id="1",
    label="Café “A”, B\nC",
    region="eu",
    client_id="organization.6a2f1c84-3b5d-4e7a-9c10-b1f5a0d2e801",
    identity_origin="https://identity.bitwarden.eu",
    tags=("a", "b"),
    lifecycle=Lifecycle.ACTIVE,
    status=Status.FAILING,
    reason=Reason.KEY_NO_LONGER_ACCEPTED,
    since=NOW,
    checked_at=NOW,
    key_proven_at=None,
    server_kind="official",
    server_version="2026.8.0",
    latency_ms=41,
    certificate_ends=NOW + timedelta(days=20, hours=1),
    locked=False,
)


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        " =1+1",
        "\t=1",
        "\r=1",
        "\n=1",
        "\u00a0=1",
        "\u3000=1",
        "\u2003=1",
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff201",
        " \uff1d1",
        "\ttab",
        "\rreturn",
        "\nline",
        '=HYPERLINK("http://x","y")',
        "=cmd|' /C calc'!A0",
    ],
)
def test_a_formula_becomes_text(text: str) -> None:
    """Whatever a spreadsheet would run or split gets an apostrophe in front."""
    assert safe_cell(text) == "'" + text


@pytest.mark.parametrize("text", ["", " ", "Acme", "A=B", "a-b", "1+1", "'=1", "Ümläut", " Acme", "a\tb"])
def test_plain_text_stays(text: str) -> None:
    """Text that no spreadsheet runs is left as it is."""
    assert safe_cell(text) == text


def test_csv_comes_back_as_written() -> None:
    """Commas, quotes and line breaks in a label survive a CSV reader; empty values are empty."""
    (row,) = csv.DictReader(io.StringIO(to_csv([ROW], now=NOW), newline=""))
    assert row["label"] == ROW.label
    assert row["tags"] == "a, b"
    assert row["status"] == "failing"
    assert row["cause"] == texts.REASONS[Reason.KEY_NO_LONGER_ACCEPTED].title
    assert row["certificate_days"] == "20"
    assert row["key_proven_at"] == ""
    assert row["since"] == "2026-11-23T12:00:00+00:00"


def test_every_text_cell_of_csv_is_safe() -> None:
    """Label, tags and version cannot be formulas, whoever wrote them."""
    hostile = ROW._replace(label="=1+1", tags=("@x",), server_version="+2026")
    (row,) = csv.DictReader(io.StringIO(to_csv([hostile], now=NOW)))
    assert (row["label"], row["tags"], row["version"]) == ("'=1+1", "'@x", "'+2026")


def test_json_keeps_text_as_it_is() -> None:
    """JSON is for machines: nothing is escaped for spreadsheets, lists stay lists."""
    (row,) = json.loads(to_json([ROW._replace(label="=1+1")], now=NOW))
    assert (row["label"], row["tags"], row["latency_ms"]) == ("=1+1", ["a", "b"], 41)


def test_no_accounts_is_no_error() -> None:
    """An empty hub exports an empty table, with the head of any other."""
    assert to_csv([], now=NOW).splitlines() == to_csv([ROW], now=NOW).splitlines()[:1]
    assert json.loads(to_json([], now=NOW)) == []


def test_what_leaves_the_hub_is_a_closed_list() -> None:
    """A new column is a decision, not an accident: nothing sealed is among the exported ones."""
    assert list(as_values(ROW, now=NOW)) == [
        "id",
        "label",
        "region",
        "organization",
        "identity",
        "lifecycle",
        "status",
        "reason",
        "cause",
        "since",
        "checked_at",
        "key_proven_at",
        "server",
        "version",
        "latency_ms",
        "certificate_ends",
        "certificate_days",
        "tags",
    ]
