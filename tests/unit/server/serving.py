"""A real server on loopback, in a thread of its own."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaoskit.records import jsonl
from chaoskit.records.model import ServedResponse, UnackedSample
from chaoskit.records.spans import ModelState, Span
from chaoskit.server.app import serve
from chaoskit.server.inference.model_records import ModelLogs
from chaoskit.server.limits import PUBLIC, Limits
from chaoskit.server.schedule import Script
from chaoskit.units import Duration

SCRIPT = Script(
    first_token_median=Duration.parse("20ms"),
    first_token_p99=Duration.parse("40ms"),
    token_interval=Duration.parse("2ms"),
    seed=7,
)


@dataclass
class Running:
    """A running server; `stop` ends it and waits for its end."""

    port: int
    run: Path
    loop: asyncio.AbstractEventLoop
    ask_to_stop: asyncio.Event
    thread: threading.Thread
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Stop it as the conductor does."""
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.ask_to_stop.set)
            self.thread.join(10)
        assert not self.thread.is_alive()

    def served(self) -> list[ServedResponse]:
        """Its records so far."""
        return jsonl.read(self.run, ServedResponse)

    def served_when(self, count: int) -> list[ServedResponse]:
        """Its records, as soon as there are `count`."""
        wait_for(lambda: len(self.served()) >= count)
        return self.served()

    def connect(self) -> socket.socket:
        """A plain connection with a timeout of ten seconds."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


def wait_for(condition: Callable[[], bool], patience: float = 10.0) -> None:
    """Return when it holds; fail when it does not in time."""
    pause, until = threading.Event(), time.monotonic() + patience
    while not condition():
        if time.monotonic() > until:
            pytest.fail("waited in vain")
        pause.wait(0.01)


@contextmanager
def running(run: Path, script: Script = SCRIPT, send_buffer: int = 0, limits: Limits = PUBLIC) -> Iterator[Running]:
    """A server with this script; `send_buffer` in bytes limits what the kernel holds for each client."""
    listener = socket.create_server(("127.0.0.1", 0))
    if send_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    port = listener.getsockname()[1]
    ready = threading.Event()
    loop: list[asyncio.AbstractEventLoop] = []
    stop: list[asyncio.Event] = []

    async def work() -> None:
        loop.append(asyncio.get_running_loop())
        stop.append(asyncio.Event())
        ready.set()
        with ExitStack() as stack:
            served, unacked, spans, states = (
                stack.enter_context(closing(jsonl.Log(run, kind)))
                for kind in (ServedResponse, UnackedSample, Span, ModelState)
            )
            logs = ModelLogs("model", script.seed, spans, None if script.engine is None else states)
            await serve(listener, script, stop[0], served, unacked, limits, logs)

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    assert ready.wait(10)
    server = Running(port, run, loop[0], stop[0], thread, "https" if script.tls else "http")
    try:
        yield server
    finally:
        server.stop()
