"""Answers the requests of a tier, each in a task, on the connections of the reference server.

A client that leaves cancels its task, and with it whatever the task waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from chaoskit.records import trace_context
from chaoskit.records.jsonl import Log
from chaoskit.server import fields, routes
from chaoskit.server.dispatcher import Outcome
from chaoskit.server.limits import Budget, Limits
from chaoskit.server.requests import SCRIPT_HEADER, STREAM_HEADER, BadRequestError, Reply, Request, json_reply
from chaoskit.server.writer import ResponseWriter
from chaoskit.tiers.failures import RequestError
from chaoskit.tiers.tracing import Tracer
from chaoskit.timer import AbsoluteTimer


class TierResponse:
    """A response in progress: the task that works on it, and the writer of what it sends."""

    def __init__(self, writer: ResponseWriter, stream: int | None) -> None:
        self.writer = writer
        self.stream = stream
        self.is_blocked = False
        self.has_begun = False
        self._task: asyncio.Task[None] | None = None
        self._readable = asyncio.Event()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Start the task."""
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(self._done)

    def open(self, status: int, headers: tuple[tuple[str, str], ...], data: bytes) -> None:
        """Send the head and the first bytes of the body."""
        self.has_begun = True
        self.writer.open(status, headers, data)

    async def send(self, data: bytes) -> None:
        """Send more, when the client reads."""
        while not self.writer.is_writable:
            self.is_blocked = True
            self._readable.clear()
            await self._readable.wait()
        self.is_blocked = False
        self.writer.send(data)

    def reply(self, reply: Reply) -> None:
        """Send all of it."""
        self.open(reply.status, reply.headers, reply.body)
        self.writer.finish(b"")

    def lag(self, now: int) -> int:
        """Nothing: it has no schedule."""
        del now
        return 0

    def resume(self) -> None:
        """The client reads again."""
        self._readable.set()

    def _done(self, task: asyncio.Task[None]) -> None:
        """Tell of a mistake in this code, and end the connection of a client that would wait without end."""
        if not task.cancelled() and (error := task.exception()) is not None:
            told = {"message": "a response of a tier failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(told)
            self.writer.break_off("reset")

    def stop(self, outcome: Outcome) -> None:
        """The client has left, or the server ends: cancel the task."""
        if outcome != "sent" and self._task is not None and not self._task.done():
            self._task.cancel()


class Tier:
    """A host's dispatcher: who answers which path, and what all its requests share."""

    pages: tuple[str, ...] = ()
    """What else than /health answers a GET."""

    def __init__(self, host: str, timer: AbsoluteTimer, log: Log | None, limits: Limits) -> None:
        self.limits = limits
        self.memory = Budget(limits.memory)
        self.requests = Budget(limits.requests)
        self.unacked: Log | None = None
        self.read_headers = frozenset({STREAM_HEADER, SCRIPT_HEADER, trace_context.HEADER})
        self.timer = timer
        self.tracer = Tracer(host, log)

    def take(self, request: Request, writer: ResponseWriter) -> TierResponse | None:
        """Answer at once, or begin a task."""
        reply = self._immediate(request)
        if reply is not None:
            writer.open(reply.status, reply.headers, b"" if request.method == "HEAD" else reply.body)
            writer.finish(b"")
            return None
        response = TierResponse(writer, fields.stream_number(request))
        response.begin(self._respond(request, response))
        return response

    def close(self) -> None:
        """Close what it has open."""

    @property
    def path(self) -> str:
        """The path that is asked."""
        raise NotImplementedError

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that are asked."""
        return (self.path,)

    def get(self, path: str) -> Reply | None:
        """The answer to a GET of one of `pages`; None for any other path."""
        del path
        return None

    async def answer(self, request: Request, body: dict[str, Any], response: TierResponse) -> None:
        """Answer a POST of its path. Raises RequestError and BadRequestError while nothing has been sent."""
        raise NotImplementedError

    def _immediate(self, request: Request) -> Reply | None:
        """What needs no task: what is not asked of a tier, and mistakes."""
        path = request.target.partition("?")[0]
        if request.method in ("GET", "HEAD"):
            found = json_reply(200, {"status": "ok"}) if path == "/health" else self.get(path)
            if found is not None:
                return found
        if path not in self.paths:
            *others, last = (
                *(f"POST {each}" for each in self.paths),
                *(f"GET {each}" for each in (*self.pages, "/health")),
            )
            return _error(404, f"there is no {path[:200]}; this host has {', '.join(others)} and {last}")
        if request.method != "POST":
            return json_reply(405, routes.DEFAULT.error(405, f"{path} takes POST"), (("allow", "POST"),))
        try:
            fields.stream_number(request)
        except BadRequestError as wrong:
            return _error(400, str(wrong))
        return None

    async def _respond(self, request: Request, response: TierResponse) -> None:
        try:
            await self.answer(request, fields.json_object(request.body), response)
        except BadRequestError as wrong:
            response.reply(_error(400, str(wrong)))
        except RecursionError:
            response.reply(_error(400, "the body is nested too deeply"))
        except RequestError as error:
            if response.has_begun:
                response.writer.break_off("close")
            else:
                response.reply(_error(error.status, str(error), error.headers))


def _error(status: int, sentence: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    return json_reply(status, routes.DEFAULT.error(status, sentence), headers)
