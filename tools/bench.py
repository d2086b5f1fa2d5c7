"""Measures what a user waits for and what a check costs, beside others doing the same; prints figures and targets.

Machines differ and are noisy: ratios within one run are what can be compared. Every figure is the best of several.
Name sections to run only those; `--json FILE` writes the figures for a machine to read, too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import bench_clients
import bench_pages
import bench_start
import bench_verify
import bench_viewers
from bench_report import Report, Sizes

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent

SECTIONS: dict[str, Callable[[Report, Path, Sizes], None]] = {
    "imports": bench_start.imports,
    "start": bench_start.start,
    "clients": bench_clients.clients,
    "verify": bench_verify.verifies,
    "pages": bench_pages.pages,
    "glance": bench_pages.glances,
    "viewers": bench_viewers.viewers,
}


def main() -> None:
    """Run the sections that were asked for and print a line for each figure."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; all if none is named")
    asked.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as JSON, too")
    asked.add_argument("--small", action="store_true", help="little of everything: shows that it runs, not how fast")
    given = asked.parse_args()
    if unknown := set(given.sections) - SECTIONS.keys():
        asked.error(f"no such section: {', '.join(sorted(unknown))}")
    sys.path.insert(0, str(ROOT))  # the histories of the measured pages come from tests/lived.py
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        for name in given.sections or SECTIONS:
            report.begin(name)
            home = Path(folder) / name
            home.mkdir()
            SECTIONS[name](report, home, Sizes.small() if given.small else Sizes())
    if given.json:
        given.json.write_text(report.as_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
