"""Time that passes only where somebody waits for it, and the engine of a hub that lives in it."""

from __future__ import annotations

import asyncio
import selectors
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

from hub_core.clock import Clock
from hub_core.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from hub_core.engine import Report

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class VirtualTime:
    """The true time, what this machine's counter makes of it, and what its clock shows."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self.counted = 1000.0
        """The machine's counter of seconds; it stands still while the machine sleeps."""
        self._slept = -self.counted
        self.wrong_by = timedelta()
        """How far the machine's clock is ahead of the true time."""

    def true(self) -> datetime:
        """Return what time it really is."""
        return self._start + timedelta(seconds=self.counted + self._slept)

    def shown(self) -> datetime:
        """Return what the machine's clock shows."""
        return self.true() + self.wrong_by

    def sleep_machine(self, span: timedelta) -> None:
        """Let the machine sleep: the world goes on, its counter does not."""
        self._slept += span.total_seconds()

    @property
    def clock(self) -> Clock:
        """The machine's clock, as a hub reads it."""
        return Clock(now=self.shown, monotonic=lambda: self.counted, sleep=asyncio.sleep)


class _Leaping(selectors.SelectSelector):
    """Where a loop would wait for its next timer, the time passes at once."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._time = time

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let the time pass; nothing ever arrives from outside."""
        assert timeout is not None, "everything waits for something that never comes"
        self._time.counted += max(timeout, 0.0)
        return []


class _Loop(asyncio.SelectorEventLoop):
    """A loop in virtual time; work for threads is done at once, in the loop's own."""

    def __init__(self, time: VirtualTime) -> None:
        self._virtual = time
        super().__init__(_Leaping(time))

    def time(self) -> float:
        """Return the machine's counter."""
        return self._virtual.counted

    def run_in_executor(self, executor: Any, func: Callable[[Unpack[Ts]], T], *args: *Ts) -> asyncio.Future[T]:
        """Do it now: a database call takes no virtual time."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except BaseException as error:  # noqa: BLE001 - whoever awaits it gets it
            done.set_exception(error)
        return done


class VirtualEngine(Engine):
    """Runs a hub's loop in the calling thread, for as much virtual time as it is given."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._virtual = _Loop(time)

    def call(self, make: Callable[[Report], Coroutine[Any, Any, T]], on_event: Report) -> T:
        """Run it to its end, everything else going on meanwhile."""
        return self._virtual.run_until_complete(make(on_event))

    def let_pass(self, seconds: float) -> None:
        """Let time pass, and everything happen that happens in it."""
        self._virtual.run_until_complete(asyncio.sleep(seconds))

    def close(self) -> None:
        """End what runs."""
        running = asyncio.all_tasks(self._virtual)
        for task in running:
            task.cancel()
        if running:
            self._virtual.run_until_complete(asyncio.wait(running))
        self._virtual.close()

    def _enter(self, begin: Callable[[], None]) -> asyncio.AbstractEventLoop:
        self._virtual.call_soon(begin)
        return self._virtual
