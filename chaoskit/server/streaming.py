"""Streams one response, each token at its due time.

Rules: the schedule never moves. Nothing is written to a client that does not read: the schedule continues, the tokens
are late, and their lateness is recorded. The pending data of one stream is at most one event above the connection's
buffer limit. `sent` is read right before the bytes are written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from chaoskit import clock
from chaoskit.records import jsonl
from chaoskit.records.model import ServedResponse
from chaoskit.server import formats, requests
from chaoskit.server.limits import PUBLIC, Budget, Limits
from chaoskit.server.requests import CompletionRequest, Headers, Reply, Request
from chaoskit.server.schedule import PlannedResponse, Script
from chaoskit.timer import AbsoluteTimer

_BURST = 64  # late tokens that one stream may send before other streams run
_TOKEN_SIZE = 16  # bytes reserved for a token of a response without streaming: the longest word has 9


class ResponseWriter(Protocol):
    """Writes one response: an HTTP/1.1 connection or an HTTP/2 stream."""

    @property
    def is_writable(self) -> bool:
        """Whether more can be sent. When it becomes true again, `ResponseStream.resume` is called."""

    def open(self, status: int, headers: Headers, data: bytes) -> None:
        """Send the head and the first bytes of the body."""

    def send(self, data: bytes) -> None:
        """Send more of the body."""

    def finish(self, data: bytes) -> None:
        """Send the last bytes, and end the response."""

    def reserve(self, size: int) -> bool:
        """Reserve memory for `size` bytes until they are sent; False when there is none."""

    def tcp_info(self) -> dict[str, int]:
        """The connection's TCP_INFO."""


class ResponseStream:
    """One response in progress."""

    def __init__(
        self,
        dispatcher: ResponseDispatcher,
        completion: CompletionRequest,
        planned: PlannedResponse,
        writer: ResponseWriter,
        received: int,
    ) -> None:
        self._dispatcher = dispatcher
        self._completion = completion
        self._planned = planned
        self._writer = writer
        self._received = received
        self._format = formats.format_of(completion, planned.name)
        self._tcp_info_at_start = writer.tcp_info() if dispatcher.log is not None else {}
        self._seq = 0
        self._late = 0
        self._is_blocked = False
        self._is_timer_set = False  # a timer callback is pending
        self._is_finished = False

    @property
    def stream(self) -> int | None:
        """The client's number of this stream."""
        return self._completion.stream

    @property
    def is_blocked(self) -> bool:
        """Whether the next token is due and the client does not read."""
        return self._is_blocked

    def lag(self, now: int) -> int:
        """How long the next token has been due at `now`, ns; negative before its due time."""
        return now - self._due(self._seq)

    def start(self) -> None:
        """Send what precedes the first token, and schedule the tokens."""
        if self._completion.streamed:
            headers = (("content-type", self._format.content_type), ("cache-control", "no-cache"))
            self._writer.open(200, headers, self._format.opening())
            self._at(self._due(0), self._send_due_tokens)
        else:
            self._at(self._due(self._completion.tokens - 1), self._send_whole)

    def resume(self) -> None:
        """The client reads again."""
        if self._is_blocked:
            self._is_blocked = False
            self._send_due_tokens()

    def stop(self, outcome: Literal["sent", "client-left", "failed"]) -> None:
        """Stop, and record the outcome."""
        if self._is_finished:
            return
        self._is_finished = True
        if self._is_timer_set:
            self._dispatcher.requests.overdraw()
        if self._dispatcher.log is not None:
            self._dispatcher.log.add(
                ServedResponse(
                    stream=self._completion.stream,
                    received=self._received,
                    first_due=self._due(0),
                    ended=clock.now(),
                    tokens=self._completion.tokens,
                    tokens_sent=self._seq,
                    max_late=self._late,
                    outcome=outcome,
                    tcp_info=self._writer.tcp_info(),
                    tcp_info_at_start=self._tcp_info_at_start,
                )
            )

    def _due(self, seq: int) -> int:
        return self._planned.due(self._received, seq)

    def _at(self, due: int, call: Callable[[], None]) -> None:
        self._is_timer_set = True
        self._dispatcher.timer.at(due, call)

    def _timer_done(self) -> bool:
        """Whether it was stopped before the timer callback. Until then it has counted as a request, because it used as
        much memory: a client that sends requests and disconnects in a loop cannot exhaust the memory."""
        if self._is_finished and self._is_timer_set:
            self._dispatcher.requests.release()
        self._is_timer_set = False
        return self._is_finished

    def _send_due_tokens(self) -> None:
        """Send every token that is due, and schedule the next."""
        if self._timer_done():
            return
        for _ in range(_BURST):
            due = self._due(self._seq)
            if clock.now() < due:
                self._at(due, self._send_due_tokens)
                return
            if not self._writer.is_writable:
                self._is_blocked = True
                return
            text, sent = self._planned.text(self._seq), clock.now()
            self._writer.send(self._format.token(text, self._seq, due, sent))
            self._late = max(self._late, sent - due)
            self._seq += 1
            if self._seq == self._completion.tokens:
                self._end(self._format.closing())
                return
        self._at(due, self._send_due_tokens)

    def _send_whole(self) -> None:
        if self._timer_done():
            return
        due = self._due(self._completion.tokens - 1)
        sent = clock.now()
        self._late = sent - due
        self._seq = self._completion.tokens
        body = self._format.whole(self._planned.whole(), due, sent)
        headers = (("content-type", self._format.content_type), ("content-length", str(len(body))))
        self._writer.open(200, headers, body)
        self._end(b"")

    def _end(self, data: bytes) -> None:
        self.stop("sent")
        self._writer.finish(data)


class ResponseDispatcher:
    """Responds to requests. All connections of one server share it."""

    def __init__(
        self,
        script: Script,
        timer: AbsoluteTimer,
        log: jsonl.Log | None = None,
        unacked: jsonl.Log | None = None,
        limits: Limits = PUBLIC,
    ) -> None:
        self.script = script
        self.timer = timer
        self.log = log
        self.unacked = unacked
        self.limits = limits
        self.memory = Budget(limits.memory)
        self.requests = Budget(limits.requests)
        self._arrivals = 0

    def take(self, request: Request, writer: ResponseWriter) -> ResponseStream | None:
        """Respond at once, or start a stream."""
        parsed = requests.parse(request)
        if (
            isinstance(parsed, CompletionRequest)
            and not parsed.streamed
            and not writer.reserve(parsed.tokens * _TOKEN_SIZE)
        ):
            parsed = requests.error(parsed.vendor, *requests.BUSY)
        match parsed:
            case Reply(status, headers, body):
                writer.open(status, headers, b"" if request.method == "HEAD" else body)
                writer.finish(b"")
                return None
            case CompletionRequest() as completion:
                planned = self.script.plan(completion.tokens, *self._identity(completion))
                response = ResponseStream(self, completion, planned, writer, request.received)
                response.start()
                return response

    def _identity(self, completion: CompletionRequest) -> tuple[str, int]:
        """The stream number, or for other requests their order of arrival."""
        if completion.stream is not None:
            return "stream", completion.stream
        self._arrivals += 1
        return "arrival", self._arrivals
