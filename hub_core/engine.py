"""The one event loop, in a thread of its own, and the door through which blocking callers use it."""

from __future__ import annotations

import asyncio
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from hub_core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    Report = Callable[[Any], None]

T = TypeVar("T")

BEAT_S = 0.5


class Engine:
    """Runs coroutines for threads that wait; events they report are handled in the waiting thread."""

    def __init__(self) -> None:
        self._door = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._background: set[asyncio.Task[None]] = set()

    def stream(self, make: Callable[[Report], Coroutine[Any, Any, T]]) -> Generator[Any, None, T]:
        """Run `make(report)`; yield what it reports, and None every half second, then return its result.

        Closing the generator, or an exception thrown where it is consumed, cancels the work and waits for its end.

        Raises:
            HubError: the engine was closed meanwhile.
        """
        events: queue.SimpleQueue[tuple[Any, asyncio.Task[T] | None]] = queue.SimpleQueue()
        started: list[asyncio.Task[T]] = []

        async def work() -> T:
            return await make(lambda event: events.put((event, None)))

        def begin() -> None:
            task = asyncio.get_running_loop().create_task(work())
            started.append(task)
            task.add_done_callback(lambda done: events.put((None, done)))

        def cancel() -> None:
            started[0].cancel()

        loop = self._enter(begin)
        ended: asyncio.Task[T] | None = None
        try:
            while True:
                try:
                    event, ended = events.get(timeout=BEAT_S)
                except queue.Empty:
                    event = None
                if ended:
                    return _result(ended)
                yield event
        finally:
            if not ended:
                # The loop runs what it is given in order, so the work has begun when it is cancelled.
                with suppress(RuntimeError):  # the loop is closed, and with it the work has ended
                    loop.call_soon_threadsafe(cancel)
                while not ended:
                    _, ended = events.get()
                _ = ended.cancelled() or ended.exception()  # seen: nobody is left to be told

    def call(self, make: Callable[[Report], Coroutine[Any, Any, T]], on_event: Report) -> T:
        """Run `make(report)` to its end; `on_event` gets what it reports, in the calling thread."""
        work = self.stream(make)
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # what the generator returned
            try:
                if event is not None:
                    on_event(event)
            except BaseException:
                work.close()
                raise

    def start(self, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have `make()` run in the loop, for nobody who waits, until it ends or the engine is closed.

        Raises:
            HubError: the engine is closed.
        """

        def begin() -> None:
            task = asyncio.get_running_loop().create_task(make())
            self._background.add(task)
            task.add_done_callback(self._background.discard)

        self._enter(begin)

    def close(self) -> None:
        """Cancel what runs, wait for its end, and end the thread; nothing begins after that."""
        with self._door:
            self._closed = True
            loop, thread, self._loop = self._loop, self._thread, None
            if loop:
                asyncio.run_coroutine_threadsafe(_cancel_all(), loop)
        if thread:
            thread.join()

    def _enter(self, begin: Callable[[], None]) -> asyncio.AbstractEventLoop:
        """Have `begin` called in the loop, which is started if need be; under the lock, so never behind its end."""
        with self._door:
            if self._closed:
                raise HubError("The hub is closed.")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="link-hub", daemon=True)
                self._thread.start()
            self._loop.call_soon_threadsafe(begin)
            return self._loop


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; being cancelled meanwhile takes effect only once it is done."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _result(task: asyncio.Task[T]) -> T:
    if task.cancelled():
        raise HubError("The hub was closed meanwhile.")
    return task.result()


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
