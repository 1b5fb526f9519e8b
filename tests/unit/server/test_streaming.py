"""A stream that is behind its schedule does not delay others."""

import asyncio

from chaoskit.server.requests import Headers, Request
from chaoskit.server.schedule import Script
from chaoskit.server.streaming import ResponseDispatcher
from chaoskit.server.writer import Break
from chaoskit.timer import AbsoluteTimer
from chaoskit.units import Duration


class RecordingWriter:
    """A response writer that records the order of writes."""

    is_writable = True

    def __init__(self, name: str, turns: list[str]) -> None:
        self.name = name
        self.turns = turns
        self.finished = asyncio.Event()

    def open(self, status: int, headers: Headers, data: bytes) -> None:
        """Ignored."""

    def send(self, data: bytes) -> None:
        """Record the write."""
        self.turns.append(self.name)

    def finish(self, data: bytes) -> None:
        """Record the end."""
        self.finished.set()

    def raw(self, data: bytes) -> None:
        """Ignored."""

    def go_away(self) -> None:
        """Ignored."""

    def break_off(self, by: Break) -> None:
        """Ignored."""

    def reserve(self, size: int) -> bool:
        """There is always memory."""
        return True

    def tcp_info(self) -> dict[str, int]:
        """There is no connection, so none."""
        return {}

    def sent_again(self) -> tuple[int, int, int]:
        """Nothing was."""
        return 0, 0, 0


def test_streams_catch_up_in_turns() -> None:
    """Two streams that are a thousand tokens behind catch up alternately, not one after the other."""

    async def work() -> list[str]:
        turns: list[str] = []
        timer = AbsoluteTimer()
        dispatcher = ResponseDispatcher(Script(Duration(0), Duration(0), Duration(0)), timer, None)
        writers = [RecordingWriter(name, turns) for name in "ab"]
        for writer in writers:
            dispatcher.take(Request("GET", "/sse?tokens=1000", {}, b"", 0), writer)
        for writer in writers:
            await asyncio.wait_for(writer.finished.wait(), 10)
        timer.close()
        return turns

    turns = asyncio.run(work())

    assert turns.count("a") == turns.count("b") == 1000
    assert "b" in turns[:100]
    assert "a" in turns[-200:]
