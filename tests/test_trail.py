"""Who did what, as people read it: on the Settings page and as a file."""

from __future__ import annotations

import ast
import csv
import io
from typing import TYPE_CHECKING

import pytest

from hub_core import exports
from hub_core.access import Scope
from hub_core.alerts.channel import Sort
from hub_core.model import Trigger
from hub_core.texts.deeds import DEEDS
from tests.paging import Visitor, hub, link, own_hub
from tests.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with own_hub(monkeypatch, tmp_path):
        yield


def test_nothing_done_yet() -> None:
    """A hub in which nobody has done anything says what will appear."""
    assert "Nobody has done anything yet" in Visitor("settings.py", part="Audit").text


def test_the_latest_first_by_present_names() -> None:
    """Deeds come newest first, with the label of today; of what was unlinked only the id is left."""
    kept, gone = link("Meadow"), link("Harbor")
    hub().pause(kept.id, "moving", actor="kim")
    hub().describe(kept.id, label="Bakery", tags="", note="", actor="kim")
    hub().unlink(gone.id, gone.label, actor="=cmd()")
    frame = Visitor("settings.py", part="Audit").at.dataframe[0].value
    assert list(frame["Did"][:3]) == ["Unlinked", "Changed label, tags or note", "Paused"]
    assert list(frame["Who"][:3]) == ["=cmd()", "kim", "kim"]
    assert list(frame["What"][:3]) == [gone.id, "Bakery", "Bakery"]
    assert "Harbor" not in frame.to_csv()


def test_as_a_file() -> None:
    """The export holds every entry, and no cell of it is run as a formula."""
    account = link("Meadow")
    hub().pause(account.id, "", actor="=cmd()")
    hub().access.create("Grafana", frozenset({Scope.READ}), None, actor="kim")
    rows = list(csv.DictReader(io.StringIO(exports.deeds_to_csv(hub().trail.deeds()))))
    assert [(row["actor"], row["action"], row["name"]) for row in rows[:2]] == [
        ("kim", "token create", "Grafana"),
        ("'=cmd()", "pause", account.label),
    ]


def test_every_deed_has_words() -> None:
    """Whatever the code writes into the audit trail, people read in words."""
    written = {"pause", "resume", "channel enable", "channel disable", f"channel {Sort.TEST}"}
    written |= {trigger.value for trigger in (Trigger.RELINK, Trigger.EDIT)}
    for path in (ROOT / "hub_core" / "storage").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "audit":
                written |= {
                    found.value
                    for found in ast.walk(node.args[2])
                    if isinstance(found, ast.Constant) and not isinstance(node.args[2], ast.JoinedStr)
                }
    assert written == set(DEEDS)
