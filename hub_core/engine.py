"""The one event loop, in a thread of its own, and the door through which blocking callers use it."""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

T = TypeVar("T")

BEAT_S = 0.5


class Engine:
    """Runs coroutines for threads that wait; events they report are handled in the waiting thread."""

    def __init__(self) -> None:
        self._start = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def stream(self, make: Callable[[Callable[[Any], None]], Awaitable[T]]) -> Generator[Any, None, T]:
        """Run `make(report)`; yield what it reports, and None every half second, then return its result.

        Closing the generator, or an exception thrown where it is consumed, cancels the work and waits for its end.
        """
        events: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

        async def work() -> T:
            try:
                return await make(lambda event: events.put((False, event)))
            finally:
                events.put((True, None))

        future = asyncio.run_coroutine_threadsafe(work(), self._running())
        try:
            while True:
                try:
                    done, event = events.get(timeout=BEAT_S)
                except queue.Empty:
                    done, event = False, None
                if done:
                    return future.result()
                yield event
        finally:
            if future.cancel():
                while not events.get()[0]:
                    pass

    def call(self, make: Callable[[Callable[[Any], None]], Awaitable[T]], on_event: Callable[[Any], None]) -> T:
        """Run `make(report)` to its end; `on_event` gets what it reports, in the calling thread."""
        work = self.stream(make)
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            try:
                if event is not None:
                    on_event(event)
            except BaseException:
                work.close()
                raise

    def close(self) -> None:
        """Cancel what runs and end the thread."""
        with self._start:
            loop, thread, self._loop = self._loop, self._thread, None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop)
        thread.join(timeout=10)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._start:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._serve, args=(self._loop,), name="link-hub", daemon=True)
                self._thread.start()
            return self._loop

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()


async def _cancel_all() -> None:
    loop = asyncio.get_running_loop()
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    loop.stop()


__all__ = ["CancelledError", "Engine"]
