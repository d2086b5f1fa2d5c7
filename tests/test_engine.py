"""The event loop's door: results, events, cancelling, closing, many threads."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from hub_core.engine import Engine, to_its_end
from hub_core.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Report = Callable[[Any], None]


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


def threads() -> int:
    return sum(thread.name == "link-hub" for thread in threading.enumerate())


class Endless:
    """Work that reports once and then waits for ever, and notes how it ended."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    async def __call__(self, report: Report) -> None:
        """Report and wait."""
        try:
            report("begun")
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # ending may take a turn of the loop
            self.ended.set()


def test_nothing_runs_before_the_first_work() -> None:
    """Making an engine starts no thread, and closing it without work is fine."""
    before = threads()
    engine = Engine()
    assert threads() == before
    engine.close()
    engine.close()


def test_call_returns_the_result_and_hands_over_events_in_order(engine: Engine) -> None:
    """Events come in the calling thread, in order, all of them before the result."""
    seen: list[tuple[int, str]] = []

    async def work(report: Report) -> str:
        for number in range(100):
            report(number)
            await asyncio.sleep(0)
        return "result"

    def on_event(number: int) -> None:
        seen.append((number, threading.current_thread().name))

    assert engine.call(work, on_event) == "result"
    assert seen == [(number, threading.current_thread().name) for number in range(100)]


def test_what_the_work_raises_comes_out(engine: Engine) -> None:
    """An exception in the loop is raised in the waiting thread."""

    async def work(_: Report) -> None:
        raise HubError("from inside")

    with pytest.raises(HubError, match="from inside"):
        engine.call(work, lambda _: None)


def test_work_that_cannot_even_begin_raises_too(engine: Engine) -> None:
    """A mistake before the first await does not leave the caller waiting for ever."""

    def work(_: Report) -> Any:
        raise ValueError("at once")

    with pytest.raises(ValueError, match="at once"):
        engine.call(work, lambda _: None)


@pytest.mark.parametrize("error", [RuntimeError("watcher"), KeyboardInterrupt(), SystemExit()])
def test_an_exception_of_the_watcher_cancels_the_work(engine: Engine, error: BaseException) -> None:
    """When showing an event fails, or the person left the page, the work has ended before the exception is out."""
    work = Endless()

    def on_event(_: object) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        engine.call(work, on_event)
    assert caught.value is error
    assert work.ended.is_set()


def test_closing_the_stream_cancels_the_work_and_waits(engine: Engine) -> None:
    """After `close` of the generator nothing of the work runs any more."""
    work = Endless()
    stream = engine.stream(work)
    assert next(stream) == "begun"
    stream.close()
    assert work.ended.is_set()


def test_closing_the_stream_before_it_began_does_nothing(engine: Engine) -> None:
    """A generator that was never asked for anything starts no work."""
    before = threads()
    engine.stream(Endless()).close()
    assert threads() == before


def test_closing_the_stream_while_the_loop_is_busy_still_ends(engine: Engine) -> None:
    """Work that is cancelled before its first step does not leave its caller waiting."""
    go_on, held = threading.Event(), threading.Event()

    async def hog(report: Report) -> None:
        report("hogging")
        held.set()
        go_on.wait(20)

    hogging = threading.Thread(target=lambda: engine.call(hog, lambda _: None))
    hogging.start()
    assert held.wait(20)
    work = Endless()
    stream = engine.stream(work)
    assert next(stream) is None
    closing = threading.Thread(target=stream.close)
    closing.start()
    go_on.set()
    closing.join(20)
    hogging.join(20)
    assert not closing.is_alive()
    assert not hogging.is_alive()


def test_a_silent_work_yields_beats(engine: Engine) -> None:
    """While nothing is reported, the consumer gets None now and then, so that it can notice a wish to stop."""
    stream = engine.stream(Endless())
    assert next(stream) == "begun"
    assert next(stream) is None
    stream.close()


def test_closing_the_engine_ends_the_thread_and_tells_who_waits() -> None:
    """A caller that waits while the hub closes gets a sentence; the thread is gone."""
    before = threads()
    engine, begun, told = Engine(), threading.Event(), []

    def wait() -> None:
        try:
            engine.call(Endless(), lambda _: begun.set())
        except HubError as error:
            told.append(str(error))

    waiting = [threading.Thread(target=wait) for _ in range(3)]
    for thread in waiting:
        thread.start()
    assert begun.wait(20)
    engine.close()
    for thread in waiting:
        thread.join(20)
    assert threads() == before
    assert set(told) <= {"The hub was closed meanwhile.", "The hub is closed."}
    assert len(told) == 3


def test_a_closed_engine_begins_nothing() -> None:
    """Work that comes too late is refused with a sentence instead of starting a new thread."""
    engine = Engine()
    engine.close()
    with pytest.raises(HubError, match="closed"):
        engine.call(Endless(), lambda _: None)


def test_a_paused_consumer_can_close_after_the_engine() -> None:
    """A generator that is closed after the engine has ended neither hangs nor fails."""
    engine = Engine()
    stream = engine.stream(Endless())
    next(stream)
    engine.close()
    stream.close()


def test_many_threads_may_call_at_once(engine: Engine) -> None:
    """Each of many callers gets its own events and its own result."""
    results: dict[int, tuple[int, list[int]]] = {}

    def call(me: int) -> None:
        seen: list[int] = []

        async def work(report: Report) -> int:
            for number in range(20):
                report(me * 100 + number)
                await asyncio.sleep(0)
            return me

        results[me] = engine.call(work, seen.append), seen

    callers = [threading.Thread(target=call, args=(me,)) for me in range(24)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
    assert results == {me: (me, [me * 100 + n for n in range(20)]) for me in range(24)}


def test_closing_races_with_many_callers_without_a_deadlock() -> None:
    """Whoever calls while the engine closes gets a result or a sentence, and every thread ends."""
    for _ in range(20):
        engine, outcomes = Engine(), []

        def call(engine: Engine = engine, outcomes: list[str] = outcomes) -> None:
            try:
                engine.call(Endless(), lambda _: None)
            except HubError as error:
                outcomes.append(str(error))

        callers = [threading.Thread(target=call) for _ in range(6)]
        for caller in callers:
            caller.start()
        engine.close()
        for caller in callers:
            caller.join(20)
        assert len(outcomes) == 6


def test_what_must_be_finished_is_finished_although_cancelled() -> None:
    """Recording a check that was made is not cut off when its caller goes away, who ends only after it."""
    finished = []

    async def scenario() -> None:
        gate = asyncio.Event()

        async def record() -> None:
            await gate.wait()
            finished.append("recorded")

        caller = asyncio.create_task(to_its_end(record()))
        for _ in range(3):
            await asyncio.sleep(0)
        caller.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        assert not caller.done()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await caller

    asyncio.run(scenario())
    assert finished == ["recorded"]


def test_a_failure_nobody_waits_for_is_not_logged(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """Work that fails while it is being cancelled leaves no traceback in the log."""

    async def work(report: Report) -> None:
        try:
            report("begun")
            await asyncio.Event().wait()
        finally:
            raise ValueError("while ending")

    with caplog.at_level(logging.DEBUG):
        stream = engine.stream(work)
        next(stream)
        stream.close()
        engine.close()
    assert "while ending" not in caplog.text
