"""What a piece of work cost this process, or a process: processor time, wall time, memory."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, order=True)
class Costs:
    """Seconds."""

    cpu: float
    """User and system, of all threads of this process."""
    wall: float

    @classmethod
    def of(cls, work: Callable[[], object]) -> Self:
        """Do the work and return what it cost."""
        before = cls.now()
        work()
        return cls.now() - before

    @classmethod
    def now(cls) -> Self:
        """Return what was used so far."""
        return cls(time.process_time(), time.perf_counter())

    def __sub__(self, before: Self) -> Self:
        return type(self)(self.cpu - before.cpu, self.wall - before.wall)


def cpu_of(pid: int) -> float:
    """Return the seconds of processor time a process has used so far, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int | str = "self") -> int:
    """Return the bytes of memory in use now; 0 where the system does not say."""
    return _status(pid, "VmRSS")


def peak_memory(pid: int | str = "self") -> int:
    """Return the most bytes of memory that were in use since the process began; 0 where the system does not say."""
    return _status(pid, "VmHWM")


def _status(pid: int | str, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)
