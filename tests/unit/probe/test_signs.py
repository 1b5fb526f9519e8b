"""What is no token is counted: a server may send as much of it as it likes."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from chaoskit.analysis.tokens import signs_of, tokens_of
from chaoskit.probe.signs import Runs
from chaoskit.records.files import FILES
from far_side import DONE, END, HEAD, ROLE, Order, ask, chunk, far_side, outcome, ready, saying, token, workload

from chaoskit.analysis.streams import streams
from chaoskit.probe.drive import Target, drive
from chaoskit.records.model import Event, Read, Signs

PING = b": still here\n\n"
FLOOD = 60_000


def read(number: int, at: int, *kinds: str, size: int = 100) -> Read:
    """One read of stream 7 with these events."""
    return Read(7, number, at, at + 1, size, tuple(Event(kind) for kind in kinds))  # type: ignore[arg-type]


def test_a_run_of_signs_is_one_record() -> None:
    """Between two tokens: how many of each kind, the bytes of their reads, the first and last stamp."""
    runs = Runs()
    told = [*runs.take(read(1, 10, "meta")), *runs.take(read(2, 20, "content"))]
    for number in range(3, 1000):
        told += runs.take(read(number, number * 10, *["ping"] * 5, size=number))
    told += runs.take(read(1000, 10_000, "ping", "content", "content", "finish", size=9))
    told += runs.end(7)

    assert told == [
        Signs(7, 0, 10, 10, 100, 100, meta=1),
        read(2, 20, "content"),
        Signs(7, 1, 30, 10_000, sum(range(3, 1000)) + 9, 999, ping=997 * 5 + 1),
        read(1000, 10_000, "content", "content", size=9),
        Signs(7, 3, 10_000, 10_000, 9, 9, finish=1),
    ]


def test_a_flush_ends_every_run() -> None:
    """What has come is written down a few times a second, so that a kill takes no more than that along."""
    runs = Runs()
    assert list(runs.take(read(1, 10, "ping"))) == []

    assert list(runs.flush()) == [Signs(7, 0, 10, 10, 100, 100, ping=1)]
    assert list(runs.flush()) == list(runs.end(7)) == []


def test_a_flood_of_comments_takes_no_room() -> None:
    """Sixty thousand comments in a row are counted to the last one, in a few hundred bytes."""

    async def main() -> tuple[int, list[Signs]]:
        flood = [chunk(PING * 1000)] * (FLOOD // 1000)
        parts = [HEAD, chunk(ROLE), chunk(token()), *flood, chunk(token()), chunk(DONE), END]
        async with far_side(saying(*parts)) as url:
            with tempfile.TemporaryDirectory() as directory:
                run = Path(directory)
                order = Order(seed=1, start=await ready(), length=None, requests=1)
                await drive(Target(url), workload(), order, run, asyncio.Event())
                assert outcome(run).ending == ("complete", "")
                size = sum((run / FILES[kind]).stat().st_size for kind in (Read, Signs))
                return size, outcome(run).signs

    size, signs = asyncio.run(main())

    assert sum(one.ping for one in signs) == FLOOD
    assert sum(one.size for one in signs if one.ping) >= FLOOD * len(PING)
    assert size < 5000


@pytest.mark.parametrize("stamp", [-1, 2**60, 10**30, -(10**30)])
def test_a_servers_own_stamps_are_believed_within_bounds(stamp: int) -> None:
    """A number that no record may hold is one that the server did not give."""

    async def main() -> None:
        async with far_side(saying(HEAD, chunk(token(sent=stamp)), chunk(token(sent=5)), chunk(DONE), END)) as url:
            found = await ask(url, workload())

        assert [event.sent for one in found.reads for event in one.events] == [None, 5]

    asyncio.run(main())


def test_signs_are_signs_of_life() -> None:
    """A stream was last alive at the end of its last run."""
    found = streams([], tokens_of([read(1, 5, "content")]), signs_of([Signs(7, 1, 10, 90, 10, 10, ping=2)]))

    assert found.heard.last == 90
    assert found.unfinished == 1
