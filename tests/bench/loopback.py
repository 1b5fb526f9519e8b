"""Provides the probe benchmarks with a reference server in its own process, and with tables."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Sequence
from types import TracebackType

from chaoskit.server.app import serve
from chaoskit.server.limits import LAB
from chaoskit.server.schedule import Script
from chaoskit.units import Duration


class Server:
    """The reference server on a free loopback port, as a context manager.

    With a `Duration` it sends a token each such interval.
    """

    def __init__(self, responses: Duration | Script) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._script = (
            responses
            if isinstance(responses, Script)
            else Script(Duration.parse("300ms"), Duration.parse("320ms"), responses)
        )
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._pid = 0

    def __enter__(self) -> Server:
        self._pid = os.fork()
        if self._pid == 0:
            try:
                asyncio.run(self.serve())
            finally:
                os._exit(0)
        self._listener.close()
        return self

    async def serve(self) -> None:
        """What the process of its own does, until SIGTERM."""
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await serve(self._listener, self._script, stop, limits=LAB)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self._pid, signal.SIGTERM)
        os.waitpid(self._pid, 0)


def quantile(values: Sequence[int], share: float) -> int:
    """The smallest value that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns, the first to the left, the others to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
