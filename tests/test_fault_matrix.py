"""The fault matrix, cell by cell, and what holds for all of it together."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from hub_core.model import Reason
from tests.cells import Cell, Result, run
from tests.matrix import TABLE

ROOT = Path(__file__).resolve().parents[1]
MEMORY_MB = 20.0

NOT_IN_AN_ANSWER = {
    # read from what was typed, before anything is sent
    *[reason for reason in Reason if reason.value.startswith(("client_id_", "secret_", "address_", "label_", "ca_"))],
    Reason.PERSONAL_KEY,
    Reason.INSTALLATION_KEY,
    Reason.FIELDS_SWAPPED,
    # not to be had on one loopback interface, or proved with the transport
    Reason.NO_ROUTE,
    Reason.PROXY_FAILED,
    # seen over many checks
    Reason.SLOW,
    Reason.KEY_OVERDUE,
    # our own doing
    Reason.STOPPED,
    Reason.INTERNAL,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """Every cell, run once."""
    found = asyncio.run(run(TABLE, tmp_path_factory.mktemp("matrix")))
    return {result.cell.name: result for result in found}


@pytest.mark.parametrize("cell", TABLE, ids=lambda cell: cell.name)
def test_a_fault_has_one_finding(cell: Cell, results: dict[str, Result]) -> None:
    """The expected reason at the expected stage and the expected status, in time, with a host and without a secret."""
    assert results[cell.name].problems == []


def test_no_cell_ends_in_a_fault_of_ours(results: dict[str, Result]) -> None:
    """Whatever a server does, nothing inside the hub breaks."""
    assert Reason.INTERNAL not in {o.reason for result in results.values() for o in result.check.observations}


def test_evidence_is_plain_text_on_one_line(results: dict[str, Result]) -> None:
    """No control or direction character of a stranger gets into the evidence or the facts."""
    told = [text for r in results.values() for o in r.check.observations for text in o.evidence.values()]
    told += [str(r.check.facts.server_name) for r in results.values()]
    assert [text for text in told if re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)] == []


def test_the_secret_is_sent_only_after_the_server_was_found_right(results: dict[str, Result]) -> None:
    """No token is asked for where a name, a certificate, the server's answer or the pair of hosts is wrong."""
    early = [
        r for r in results.values() if r.check.failure and r.check.failure.stage.value in {"reach", "tls", "server"}
    ]
    assert len(early) > 90
    assert [r.cell.name for r in early if any(line.startswith("POST") for line in r.asked)] == []


def test_a_token_is_asked_for_at_most_once(results: dict[str, Result]) -> None:
    """A refused or lost token request is not sent again."""
    assert [r.cell.name for r in results.values() if sum(line.startswith("POST") for line in r.asked) > 1] == []


def test_the_table_has_every_reason_a_server_can_cause() -> None:
    """A reason nobody can provoke is either missing here or not needed."""
    assert {cell.reason for cell in TABLE} - {None} == set(Reason) - NOT_IN_AN_ANSWER | {Reason.ADDRESS_NOT_ALLOWED}


def test_the_table_is_as_large_as_promised() -> None:
    """Names are unique, and there are cells enough at every stage."""
    assert len({cell.name for cell in TABLE}) == len(TABLE) >= 300
    assert min(Counter(cell.stage for cell in TABLE).values()) >= 7


def test_the_printed_table_agrees_and_stays_small() -> None:
    """`make matrix` prints every cell, ends well, and needs little memory whatever the servers send."""
    done = subprocess.run(
        [sys.executable, "tools/matrix.py"], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    *rows, summary = done.stdout.splitlines()
    match = re.fullmatch(r"(\d+) cells, 0 not as expected, 0 late, memory grew by ([\d.]+) MB", summary)
    assert match, done.stdout + done.stderr
    assert (done.returncode, done.stderr) == (0, "")
    assert int(match[1]) == len(rows) - 1 == len(TABLE)
    assert float(match[2]) <= MEMORY_MB
