"""One stream's arrears are not the others' affair."""

import asyncio

from chaoskit.server.requests import Headers, Request
from chaoskit.server.schedule import Script
from chaoskit.server.streaming import ResponseScheduler
from chaoskit.timer import AbsoluteTimer
from chaoskit.units import Duration


class Notebook:
    """An outlet that takes everything and writes down whose turn it was."""

    is_clear = True

    def __init__(self, name: str, turns: list[str]) -> None:
        self.name = name
        self.turns = turns
        self.finished = asyncio.Event()

    def open(self, status: int, headers: Headers, data: bytes) -> None:
        """Not of interest."""

    def send(self, data: bytes) -> None:
        """A turn."""
        self.turns.append(self.name)

    def finish(self, data: bytes) -> None:
        """The end."""
        self.finished.set()

    def tcp_info(self) -> dict[str, int]:
        """There is no connection."""
        return {}


def test_streams_catch_up_in_turns() -> None:
    """Two streams that are a thousand tokens behind catch up side by side, not one after the other."""

    async def work() -> list[str]:
        turns: list[str] = []
        pacer = AbsoluteTimer()
        desk = ResponseScheduler(Script(Duration(0), Duration(0), Duration(0)), pacer, None)
        books = [Notebook(name, turns) for name in "ab"]
        for book in books:
            desk.take(Request("GET", "/sse?tokens=1000", {}, b"", 0), book)
        for book in books:
            await asyncio.wait_for(book.finished.wait(), 10)
        pacer.close()
        return turns

    turns = asyncio.run(work())

    assert turns.count("a") == turns.count("b") == 1000
    assert "b" in turns[:100]
    assert "a" in turns[-200:]
