"""Six hours of a few organizations in virtual time, with one of every trouble: `make simulate` has the whole week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.scenario import Mix, morning
from tests.simulated import Simulation
from tests.truth import Judge

if TYPE_CHECKING:
    from pathlib import Path

FEW = Mix(us=6, eu=4, hosted=8, vaultwarden=3, shared=3)


def test_a_morning_is_told_as_it_was(tmp_path: Path) -> None:
    """Each trouble and its end are found within their bounds, nothing else is, and the history agrees."""
    run = Simulation(morning(datetime(2026, 11, 23, tzinfo=UTC), FEW), tmp_path)
    try:
        run.run(timedelta(hours=6))
        verdict = Judge(run).verdict()
    finally:
        run.close()
    assert verdict.problems == []
    assert all(found.detected and found.recovered for found in verdict.found if found.case.status)
    assert verdict.incidents > len(verdict.found)
