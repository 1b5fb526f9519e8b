"""Names to addresses, without leaving a thread behind that somebody must wait for.

The loop's own resolver runs in a pool whose threads are waited for at the end: a name server that does not
answer would hold up the end of a run by half a minute. A thread of our own can be left to itself. There are a bounded
number of them; when all of them wait for a name server, a further lookup waits for one, within its own timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

Addresses = list[tuple[socket.AddressFamily, Any]]
_MOST_THREADS = 64


class Resolver:
    """Looks names up, for all streams of one event loop."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_MOST_THREADS)

    async def addresses(self, host: str, port: int) -> tuple[Addresses, bool]:
        """The addresses of `host`, in the system's order, and whether the resolver had to be asked.

        Raises socket.gaierror when there is none.
        """
        try:
            return _look_up(host, port, socket.AI_NUMERICHOST), False
        except socket.gaierror:
            await self._free.acquire()
            return await self._in_a_thread(host, port), True

    async def _in_a_thread(self, host: str, port: int) -> Addresses:
        """In a thread that is free when it has ended, whether its answer is still waited for or not."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Addresses] = loop.create_future()

        def settle(found: Addresses | OSError) -> None:
            self._free.release()
            if answer.done():
                return
            if isinstance(found, OSError):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def ask() -> None:
            found: Addresses | OSError
            try:
                found = _look_up(host, port, 0)
            except OSError as error:
                found = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(settle, found)

        threading.Thread(target=ask, name="resolver", daemon=True).start()
        return await answer


def _look_up(host: str, port: int, flags: int) -> Addresses:
    # as bytes: a text would be put through a codec that has its own ideas of a name's length
    found = socket.getaddrinfo(host.encode(), port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]
