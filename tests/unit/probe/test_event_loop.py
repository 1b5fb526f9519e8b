"""The children's loop does everything that asyncio's does."""

from __future__ import annotations

import asyncio
import socket

from chaoskit.probe.transport import event_loop


def test_a_busy_loop_still_hears_its_sockets() -> None:
    """Callbacks that follow each other without a pause do not keep the loop from reading what comes."""
    here, there = socket.socketpair()
    heard: list[bytes] = []

    async def work() -> None:
        running = asyncio.get_running_loop()
        running.add_reader(here, lambda: heard.append(here.recv(1)))
        for number in range(100):
            there.send(b"x")
            while len(heard) <= number:
                await asyncio.sleep(0)
        running.remove_reader(here)

    with here, there:
        event_loop.run(asyncio.wait_for(work(), 10))

    assert len(heard) == 100
