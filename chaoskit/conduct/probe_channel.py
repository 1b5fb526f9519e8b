"""Carries news between a probe and its processes: messages over a socket pair, bounded, in JSON.

| message                       | from    | meaning                                                                   |
|-------------------------------|---------|---------------------------------------------------------------------------|
| `{}`                          | process | it is ready to send requests                                              |
| `{"start": ...}`              | probe   | the monotonic stamp from which requests are sent                          |
| `{"progress": ...}`           | process | a `DriveProgress`, twice a second                                         |
| `{"ended": ..., "token": ...}`| process | a request that ended, as long as all may fail alike; what `Judge` is told |
| `{"finished": ...}`           | process | it has done its share                                                     |
| nothing                       | process | it has ended                                                              |
"""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from chaoskit.probe.target import DriveProgress
from chaoskit.records.jsonl import to_line
from chaoskit.records.model import Request
from chaoskit.records.validation import validate

_PATIENCE = 1.0  # s
_LARGEST = 1 << 16  # bytes of a message; a request's detail is bounded


class NewsFromProcess:
    """The process's end, the `Judge` of its drive: the probe decides, and ends this process by a signal."""

    def __init__(self, channel: socket.socket) -> None:
        self.sentence = ""
        self._channel = channel
        self._is_watched = True
        channel.setblocking(False)

    async def start(self, stop: asyncio.Event) -> int | None:
        """Say that this process is ready. Returns the stamp from which it sends requests; None when it is to stop."""
        self._tell({})
        stopped = asyncio.create_task(stop.wait())
        told = asyncio.create_task(asyncio.get_running_loop().sock_recv(self._channel, _LARGEST))
        await asyncio.wait({stopped, told}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if told.done() and not stop.is_set() and told.result():
            start: int = json.loads(told.result())["start"]
            return start
        told.cancel()
        return None

    def progress(self, progress: DriveProgress) -> None:
        """The progress of this process."""
        self._tell({"progress": asdict(progress)})

    def ended(self, request: Request, any_token: bool, is_asked_again: bool = False) -> None:
        """See `Judge`. After the first success nothing more is told."""
        if self._is_watched:
            self._is_watched = not any_token and request.completion != "complete"
            self._tell({"ended": to_line(request), "token": any_token, "again": is_asked_again})

    def drive_ended(self) -> None:
        """See `Judge`: the probe knows when all have ended."""

    def finished(self) -> None:
        """This process has done its share, and was not told to stop."""
        self._channel.settimeout(_PATIENCE)
        self._tell({"finished": True})

    def _tell(self, message: dict[str, Any]) -> None:
        """Without waiting: news that nobody reads is dropped, and streams go on."""
        with suppress(OSError):
            self._channel.send(json.dumps(message).encode())


class NewsToProbe:
    """The probe's end."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        channel.setblocking(False)

    async def next(self) -> dict[str, Any] | None:
        """The next message; None when the process has ended."""
        try:
            message = await asyncio.get_running_loop().sock_recv(self._channel, _LARGEST)
        except ConnectionResetError:
            return None
        return json.loads(message) if message else None

    def start(self, at: int) -> None:
        """Let it begin."""
        with suppress(OSError):  # it has ended, which its end says
            self._channel.send(json.dumps({"start": at}).encode())

    def close(self) -> None:
        """Close this end."""
        self._channel.close()


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends; a message is received whole, or not at all."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def progress_of(message: dict[str, Any]) -> DriveProgress:
    """What is in a `progress` message."""
    return DriveProgress(**message["progress"])


def request_of(message: dict[str, Any]) -> Request:
    """What is in an `ended` message."""
    return validate(Request, json.loads(message["ended"]))
