"""The bench itself: it runs, measures what it promises and writes it for machines; how fast is not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def figures(folder: Path, *sections: str) -> list[dict[str, Any]]:
    """Run sections of the bench, with little of everything, and return what it wrote."""
    ran = subprocess.run(
        [sys.executable, "tools/bench.py", *sections, "--small", "--json", str(folder / "bench.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found: list[dict[str, Any]] = json.loads((folder / "bench.json").read_text("utf-8"))["figures"]
    return found


def test_checks_are_measured_beside_others(tmp_path: Path) -> None:
    """Ours and bare httpx are measured in one run, with and without TLS, ours beside their targets."""
    found = {figure["what"]: figure for figure in figures(tmp_path, "clients")}
    for scheme in ("http", "https"):
        for mode, seconds in (("fresh", 1.6), ("kept", 1.0)):
            assert found[f"Link Hub, {mode} tokens, {scheme}: CPU"]["at_most"] == seconds
        assert found[f"bare httpx, one shared pool, {scheme}: CPU"]["value"] > 0
    assert all(figure["value"] >= 0 for figure in found.values())


def test_pages_and_viewers_are_measured(tmp_path: Path) -> None:
    """The page's script runs over a history, and open pages refresh as they ask to."""
    found = {figure["what"]: figure["value"] for figure in figures(tmp_path, "pages", "viewers")}
    assert found["Accounts page, 20 accounts, 6 days of history, script"] > 0
    assert any("viewers" in what for what in found)


@pytest.mark.parametrize("given", [("nonsense",), ("clients", "glimpse")])
def test_an_unknown_section_is_refused(given: tuple[str, ...]) -> None:
    """The names that there are stand in the answer."""
    ran = subprocess.run(
        [sys.executable, "tools/bench.py", *given], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 2
    assert f"no such section: {given[-1]}" in ran.stderr
