"""Events without tokens are counted, whatever their number."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from far_side import DONE, END, HEAD, ROLE, ask, chunk, far_side, outcome, ready, saying, token, workload

from chaoskit.analysis.streams.assemble import assemble_streams
from chaoskit.analysis.streams.columns import signs_of_life, token_columns
from chaoskit.probe.drive import DriveOptions, Target, drive
from chaoskit.probe.keepalives import KeepaliveCounter
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import Event, Keepalives, SocketRead

PING = b": still here\n\n"
FLOOD = 60_000


def read(number: int, at: int, *kinds: str, size: int = 100) -> SocketRead:
    """One read of stream 7 with these events."""
    return SocketRead(7, number, at, at + 1, at, size, tuple(Event(kind) for kind in kinds))  # type: ignore[arg-type]


def test_a_series_is_one_record() -> None:
    """Between two tokens: how many of each kind, the bytes of their reads, the first and last stamp."""
    counter = KeepaliveCounter()
    written = [*counter.add(read(1, 10, "meta")), *counter.add(read(2, 20, "content"))]
    for number in range(3, 1000):
        written += counter.add(read(number, number * 10, *["ping"] * 5, size=number))
    written += counter.add(read(1000, 10_000, "ping", "content", "content", "finish", size=9))
    written += counter.end(7)

    assert written == [
        Keepalives(7, 0, 10, 10, 100, 100, meta=1),
        read(2, 20, "content"),
        Keepalives(7, 1, 30, 10_000, sum(range(3, 1000)) + 9, 999, ping=997 * 5 + 1),
        read(1000, 10_000, "content", "content", size=9),
        Keepalives(7, 3, 10_000, 10_000, 9, 9, finish=1),
    ]


def test_a_flush_ends_every_series() -> None:
    """Every series is written a few times a second, so that a kill loses no more than that."""
    counter = KeepaliveCounter()
    assert list(counter.add(read(1, 10, "ping"))) == []

    assert list(counter.flush()) == [Keepalives(7, 0, 10, 10, 100, 100, ping=1)]
    assert list(counter.flush()) == list(counter.end(7)) == []


def test_a_flood_of_comments_takes_no_room() -> None:
    """Sixty thousand comments in a row are counted to the last one, in a few hundred bytes."""

    async def main() -> tuple[int, list[Keepalives]]:
        flood = [chunk(PING * 1000)] * (FLOOD // 1000)
        parts = [HEAD, chunk(ROLE), chunk(token()), *flood, chunk(token()), chunk(DONE), END]
        async with far_side(saying(*parts)) as url:
            with tempfile.TemporaryDirectory() as directory:
                run = Path(directory)
                order = DriveOptions(seed=1, start=await ready(), length=None, requests=1)
                await drive(Target(url), workload(), order, run, asyncio.Event())
                assert outcome(run).ending == ("complete", "")
                size = sum((run / FILES[kind]).stat().st_size for kind in (SocketRead, Keepalives))
                return size, outcome(run).keepalives

    size, signs = asyncio.run(main())

    assert sum(one.ping for one in signs) == FLOOD
    assert sum(one.size for one in signs if one.ping) >= FLOOD * len(PING)
    assert size < 5000


@pytest.mark.parametrize("stamp", [-1, 2**60, 10**30, -(10**30)])
def test_a_servers_stamps_have_bounds(stamp: int) -> None:
    """A stamp out of the range of records counts as not given."""

    async def main() -> None:
        async with far_side(saying(HEAD, chunk(token(sent=stamp)), chunk(token(sent=5)), chunk(DONE), END)) as url:
            found = await ask(url, workload())

        assert [event.sent for one in found.reads for event in one.events] == [None, 5]

    asyncio.run(main())


def test_keepalives_are_signs_of_life() -> None:
    """A stream was last alive at the end of its last series."""
    found = assemble_streams(
        [], token_columns([read(1, 5, "content")]), signs_of_life([Keepalives(7, 1, 10, 90, 10, 10, ping=2)])
    )

    assert found.arrivals.last == 90
    assert found.unfinished == 1
