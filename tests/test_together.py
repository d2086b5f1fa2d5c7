"""Works of many checks in one transaction: each whole or undone, all kept by one commit."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from hub_core.errors import NotFound, StorageError
from hub_core.storage.database import Database
from hub_core.together import MOST, Together

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


def _notes(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE keyring(id INTEGER PRIMARY KEY, text TEXT UNIQUE NOT NULL) STRICT")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "hub.db", steps=(_notes,))
    yield made
    made.close()


def write(database: Database, text: str, *, then: Exception | None = None) -> str:
    with database.write() as con:
        con.execute("INSERT INTO keyring(text) VALUES (?)", (text,))
        if then:
            raise then
    return text


def texts(database: Database) -> list[str]:
    with database.read() as con:
        return [row["text"] for row in con.execute("SELECT text FROM keyring ORDER BY id")]


def test_works_are_kept_by_one_commit(database: Database) -> None:
    """Nothing is seen by others until all are done; then everything is."""
    seen: list[list[str]] = []

    def look() -> None:
        thread = threading.Thread(target=lambda: seen.append(texts(database)))
        thread.start()
        thread.join()

    works: list[Callable[[], Any]] = [partial(write, database, "one"), look, partial(write, database, "two"), look]
    assert database.together(works) == ["one", None, "two", None]
    assert seen == [[], []]
    assert texts(database) == ["one", "two"]


def test_a_work_that_fails_is_undone_alone(database: Database) -> None:
    """Its exception is its own result, whether ours or the database's; the others are kept."""
    works = [
        partial(write, database, "one"),
        partial(write, database, "never", then=NotFound("gone")),
        partial(write, database, "one"),
        partial(write, database, "two"),
    ]
    first, gone, twice, second = database.together(works)
    assert (first, second) == ("one", "two")
    assert isinstance(gone, NotFound)
    assert "UNIQUE" in str(twice)
    assert texts(database) == ["one", "two"]


def test_a_full_disk_keeps_none(database: Database) -> None:
    """Where SQLite undoes the whole transaction, nobody is told that their work was kept."""
    with database.write() as con:
        pages = con.execute("PRAGMA page_count").fetchone()[0]
        con.execute(f"PRAGMA max_page_count = {pages}")
    works = [
        partial(write, database, "one"),
        partial(write, database, "x" * 1_000_000),
        partial(write, database, "two"),
    ]
    try:
        results: Sequence[object] = database.together(works)
    except StorageError:
        results = []
    kept = texts(database)
    assert [result for result in results if isinstance(result, str)] == kept
    assert "x" not in "".join(kept)


def test_what_works_read_is_what_those_before_them_wrote(database: Database) -> None:
    """Inside, reading sees the present state; two works on one account follow each other."""
    assert database.together([partial(write, database, "one"), partial(texts, database)]) == ["one", ["one"]]


def test_works_that_only_read_share_one_moment(database: Database) -> None:
    """They see the same state, and cannot write."""
    write(database, "one")
    seen, refused = database.together([partial(texts, database), partial(write, database, "two")], reading=True)
    assert seen == ["one"]
    assert isinstance(refused, StorageError)
    assert texts(database) == ["one"]


def test_those_who_wait_are_served_with_each_other() -> None:
    """While one round is under way the others gather, and the next round takes them all, up to a limit."""
    rounds: list[int] = []
    go = threading.Event()

    def serve(works: Sequence[Callable[[], Any]]) -> list[Any]:
        go.wait(10)
        rounds.append(len(works))
        return [work() for work in works]

    async def ask() -> list[int]:
        together = Together(serve)
        first = asyncio.ensure_future(together.do(lambda: -1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        others = [asyncio.ensure_future(together.do(partial(int, n))) for n in range(MOST + 3)]
        await asyncio.sleep(0)
        go.set()
        return [await first, *await asyncio.gather(*others)]

    assert asyncio.run(ask()) == [-1, *range(MOST + 3)]
    assert rounds == [1, MOST, 3]


def test_a_round_that_fails_fails_for_everybody_and_the_next_one_works() -> None:
    """A database that cannot be written is told to each who asked; asking again is possible."""
    broken = [True]

    def serve(works: Sequence[Callable[[], Any]]) -> list[Any]:
        if broken.pop():
            broken.append(False)
            raise StorageError("The database cannot be written: the disk is full.")
        broken.append(False)
        return [work() for work in works]

    async def ask() -> tuple[list[Any], int]:
        together = Together(serve)
        failed = await asyncio.gather(*(together.do(lambda: 1) for _ in range(3)), return_exceptions=True)
        return failed, await together.do(lambda: 2)

    failed, then = asyncio.run(ask())
    assert [type(error) for error in failed] == [StorageError] * 3
    assert then == 2


def test_who_is_cancelled_takes_nobody_along() -> None:
    """The others of the same round get their results."""

    async def ask() -> list[Any]:
        together = Together(lambda works: [work() for work in works])
        asked = [asyncio.ensure_future(together.do(partial(int, n))) for n in range(3)]
        await asyncio.sleep(0)
        asked[1].cancel()
        return await asyncio.gather(*asked, return_exceptions=True)

    first, cancelled, last = asyncio.run(ask())
    assert (first, last) == (0, 2)
    assert isinstance(cancelled, asyncio.CancelledError)
