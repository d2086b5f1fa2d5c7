"""Lets a hub watch 500 organizations for a week of virtual time, with troubles whose truth is known, and judges it.

Scheduler, queue, checks, state machine, database, history and incidents are the real ones; what the servers answer is
made up. Every trouble has to be found, and its end, within its bound; nothing else may be found. Exit code 1 if not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.scenario import MINUTE, Mix, week  # noqa: E402 - needs the path above
from tests.simulated import Simulation  # noqa: E402 - as above
from tests.truth import READS_A_MINUTE, TOKENS_A_MINUTE, Judge  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.truth import Found, Verdict

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
FEWEST = 125
"""With fewer there are not enough servers for every trouble of the week."""

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made below it
"""Where files live in memory: half of the real time would else go by waiting for the disk after each commit."""

SHOWN = 50
_ROW = "{:<46} {:>5} {:>18} {:>8} {:>18} {:>8}  {}"


def main() -> int:
    """Simulate, print what was found, and return 1 if anything is not as it has to be."""
    options = _options()
    scenario = week(MONDAY, Mix.of(options.organizations))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        run = Simulation(scenario, Path(folder))
        try:
            run.run(timedelta(days=options.days), _progress(began))
            verdict = Judge(run).verdict()
            _report(run, verdict)
        finally:
            run.close()
    print(f"{options.days:g} days in {(time.monotonic() - began) / 60:.1f} minutes of real time")
    return 1 if verdict.problems else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--organizations", type=int, default=500, help=f"linked organizations, {FEWEST} at least (500)")
    parser.add_argument("--days", type=float, default=7, help="virtual days (7)")
    options = parser.parse_args()
    if options.organizations < FEWEST:
        parser.error(f"The week needs {FEWEST} organizations at least.")
    return options


def _progress(began: float) -> Callable[[datetime], None]:
    """Return what prints a line every six virtual hours."""
    due = [MONDAY]

    def tell(now: datetime) -> None:
        if now >= due[0]:
            print(f"{now:%A %H:%M}, after {time.monotonic() - began:.0f} s", flush=True)
            due[0] = now + timedelta(hours=6)

    return tell


def _report(run: Simulation, verdict: Verdict) -> None:
    print()
    print(_ROW.format("trouble", "of", "found after min", "bound", "end found after", "bound", "what the bound is"))
    groups: dict[str, list[Found]] = {}
    for found in verdict.found:
        groups.setdefault(found.case.name.partition(" (")[0], []).append(found)
    for name, group in groups.items():
        case = group[0].case
        noticed = case.status is not None
        print(
            _ROW.format(
                name, sum(len(found.case.who) for found in group),
                _span([minutes for found in group for minutes in found.detected]) if noticed else "never",
                f"{max(found.case.detect for found in group) / MINUTE:.1f}" if noticed else "never",
                _span([minutes for found in group for minutes in found.recovered]),
                f"{max(found.case.recover for found in group) / MINUTE:.1f}" if noticed else "",
                case.bound if noticed else "nothing may be said",
            )
        )  # fmt: skip
    traffic = run.world.traffic
    print()
    for what, value in (
        ("requests to servers", f"{traffic.requests}"),
        ("most token requests a minute at one origin", f"{max(traffic.most_tokens.values())} of {TOKENS_A_MINUTE}"),
        ("most reads of a path a minute at one origin", f"{max(traffic.most_reads.values())} of {READS_A_MINUTE}"),
        ("changes of status", str(sum(len(moves) for moves in run.moves.values()))),
        ("incidents", str(verdict.incidents)),
        ("messages to people", str(verdict.letters)),
        ("people who were told to come again", str(run.came_again)),
        ("uptime, difference from the truth", f"{verdict.uptime_mean:.3f} points, {verdict.uptime_worst:.2f} at most"),
        ("not as it has to be", str(len(verdict.problems))),
    ):
        print(f"  {what:<46} {value}")
    for problem in verdict.problems[:SHOWN]:
        print(f"    {problem}")


def _span(minutes: list[float]) -> str:
    return f"{min(minutes):.1f} to {max(minutes):.1f}" if minutes else "-"


if __name__ == "__main__":
    sys.exit(main())
