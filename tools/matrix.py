"""Print the fault matrix: every stage and fault, what the hub found, and how long it took."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.cells import peak_mb, run  # noqa: E402 - needs the path above
from tests.matrix import TABLE  # noqa: E402 - needs the path above

_ROW = "{:<9} {:<44} {:<28} {:<12} {:>6} {:>9}"


def main() -> int:
    """Run every cell and print it; return 1 if one is not as the table says."""
    print(_ROW.format("stage", "fault", "reason", "status", "ms", "deadline"))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(TABLE[-1:], Path(folder, "warm")))
        before = peak_mb()
        results = asyncio.run(run([cell for cell in TABLE if not cell.big], Path(folder, "most")))
        grown = peak_mb() - before
        results += asyncio.run(run([cell for cell in TABLE if cell.big], Path(folder, "big")))
    for result in results:
        cell = result.cell
        found = result.reason or "fine"
        print(_ROW.format(cell.stage, cell.fault, found, result.status, round(result.seconds * 1000), cell.deadline))
        for problem in result.problems:
            print(f"          MISMATCH: {problem}")
    wrong = sum(bool(result.problems) for result in results)
    late = sum(not result.in_time for result in results)
    print(f"{len(results)} cells, {wrong} not as expected, {late} late, memory grew by {grown:.1f} MB")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
