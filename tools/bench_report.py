"""Figures, each beside its target: printed as they come, and kept for a machine to read."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024 * 1024


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    accounts: int = 1000
    at_once: int = 50
    rounds: int = 3
    verifies: int = 60
    pages: tuple[int, ...] = (200, 1_000, 10_000)
    glances: tuple[int, ...] = (100, 1_000)
    loads: int = 3
    viewers: tuple[int, ...] = (5, 50, 100)
    watched_s: float = 30.0
    history_days: int = 30

    @classmethod
    def small(cls) -> Self:
        """Return what shows in seconds that everything runs."""
        return cls(
            accounts=20,
            at_once=5,
            rounds=1,
            verifies=2,
            pages=(20,),
            glances=(20,),
            loads=1,
            viewers=(2,),
            watched_s=1.0,
            history_days=6,
        )


@dataclass(frozen=True)
class Figure:
    """One thing measured."""

    section: str
    what: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    met: bool | None = None
    """Nothing where there is no target."""


@dataclass
class Report:
    """What was measured so far."""

    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    section: str = ""

    def begin(self, section: str) -> None:
        """Begin a section."""
        self.section = section
        print(f"\n{section}  (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)", flush=True)

    def add(
        self, what: str, value: float, unit: str, *, at_most: float | None = None, at_least: float | None = None
    ) -> None:
        """Keep a figure and print its line, with its target if it has one."""
        met = None
        target = ""
        if at_most is not None:
            met, target = value <= at_most, f"target ≤ {at_most:g} {unit}"
        elif at_least is not None:
            met, target = value >= at_least, f"target ≥ {at_least:g} {unit}"
        self.figures.append(Figure(self.section, what, value, unit, at_most, at_least, met))
        verdict = {None: "", True: "met", False: "NOT MET"}[met]
        print(f"  {what:<66} {shown(value):>9} {unit:<10} {target:<22} {verdict}".rstrip(), flush=True)

    def say(self, sentence: str) -> None:
        """Keep and print what is no figure, such as that something is not installed."""
        self.notes.append(f"{self.section}: {sentence}")
        print(f"  {sentence}", flush=True)

    def as_json(self) -> str:
        """Return everything for a machine."""
        machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
        figures = [asdict(figure) for figure in self.figures]
        return json.dumps({"machine": machine, "figures": figures, "notes": self.notes}, indent=1)


def shown(value: float) -> str:
    """Return a number at a length that can be read."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def best(work: Callable[[], object], rounds: int = 5, *, before: Callable[[], object] = lambda: None) -> float:
    """Return the shortest wall time in seconds; what is done before each time is not counted."""
    times = []
    for _ in range(rounds):
        before()
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)
