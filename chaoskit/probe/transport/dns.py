"""Resolves host names in daemon threads that nothing has to join.

asyncio's resolver runs in an executor whose threads are joined at shutdown: a name server that does not answer would
delay the end of a run by half a minute. The number of daemon threads is bounded; when all of them are busy, a further
lookup waits for one, within its own timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

Addresses = list[tuple[socket.AddressFamily, Any]]
_MAX_THREADS = 64


class Resolver:
    """Resolves names for all streams of one event loop."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(_MAX_THREADS)

    async def addresses(self, host: str, port: int) -> tuple[Addresses, bool]:
        """The addresses of `host`, in the system's order, and whether a lookup was needed.

        Raises socket.gaierror when there are none.
        """
        try:
            return _look_up(host, port, socket.AI_NUMERICHOST), False
        except socket.gaierror:
            await self._free.acquire()
            return await self._in_a_thread(host, port), True

    async def _in_a_thread(self, host: str, port: int) -> Addresses:
        """Run the lookup in a thread; the thread frees its slot when it ends, even if the caller has given up."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Addresses] = loop.create_future()

        def finish(found: Addresses | OSError) -> None:
            self._free.release()
            if answer.done():
                return
            if isinstance(found, OSError):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def resolve() -> None:
            found: Addresses | OSError
            try:
                found = _look_up(host, port, 0)
            except OSError as error:
                found = error
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(finish, found)

        try:
            threading.Thread(target=resolve, name="resolver", daemon=True).start()
        except RuntimeError:  # no further thread: a limit of this machine
            self._free.release()
            raise socket.gaierror(socket.EAI_MEMORY, "no thread for it") from None
        return await answer


def _look_up(host: str, port: int, flags: int) -> Addresses:
    # as bytes: a str is encoded with the idna codec, which limits the length of names
    found = socket.getaddrinfo(host.encode(), port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]
