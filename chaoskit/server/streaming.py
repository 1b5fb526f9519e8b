"""Telling one answer, token by token, each at its time.

Rules: the schedule never moves. A client that does not take what is sent is not written to: the schedule goes
on, the tokens are late, and how late is written down. What waits in this process for one stream stays within
one event above the connection's buffer limit. `sent` is read right before the bytes are handed on.
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
from chaoskit.server.schedule import Answer, Script
from chaoskit.timer import AbsoluteTimer

_BURST = 64  # tokens that one stream may catch up with before it is the others' turn
_TOKEN_SIZE = 16  # bytes that a token of a whole answer is reckoned at: the longest word has 9


class Outlet(Protocol):
    """Where one response goes: an HTTP/1.1 connection or an HTTP/2 stream."""

    @property
    def is_clear(self) -> bool:
        """Whether the client takes what it is sent. When it turns true again, `ResponseStream.resume` is called."""

    def open(self, status: int, headers: Headers, data: bytes) -> None:
        """Send the head and the first bytes of the body."""

    def send(self, data: bytes) -> None:
        """Send more of the body."""

    def finish(self, data: bytes) -> None:
        """Send the last bytes, and that they are the last."""

    def hold(self, size: int) -> bool:
        """Whether `size` bytes may be kept until the client has taken them."""

    def tcp_info(self) -> dict[str, int]:
        """The connection's TCP_INFO."""


class ResponseStream:
    """One answer on its way."""

    def __init__(
        self, desk: ResponseScheduler, ask: CompletionRequest, answer: Answer, outlet: Outlet, received: int
    ) -> None:
        self._desk = desk
        self._ask = ask
        self._answer = answer
        self._outlet = outlet
        self._received = received
        self._format = formats.of(ask, answer.name)
        self._tcp_info_at_start = outlet.tcp_info() if desk.log is not None else {}
        self._seq = 0
        self._late = 0
        self._waits = False
        self._timed = False  # the timer holds this, and will call
        self._over = False

    @property
    def stream(self) -> int | None:
        """As the client numbers it."""
        return self._ask.stream

    @property
    def waits(self) -> bool:
        """Whether the next token is due and has no room."""
        return self._waits

    def arrears(self, now: int) -> int:
        """How long the next token has been due at `now`, ns; negative before it is."""
        return now - self._due(self._seq)

    def start(self) -> None:
        """Send what comes before the first token, and be there when that is due."""
        if self._ask.streamed:
            headers = (("content-type", self._format.content_type), ("cache-control", "no-cache"))
            self._outlet.open(200, headers, self._format.opening())
            self._at(self._due(0), self._tell)
        else:
            self._at(self._due(self._ask.tokens - 1), self._tell_whole)

    def resume(self) -> None:
        """The client takes bytes again."""
        if self._waits:
            self._waits = False
            self._tell()

    def stop(self, outcome: Literal["sent", "client-left", "failed"]) -> None:
        """No more of this; write down what became of it."""
        if self._over:
            return
        self._over = True
        if self._timed:
            self._desk.requests.owe()
        if self._desk.log is not None:
            self._desk.log.add(
                ServedResponse(
                    stream=self._ask.stream,
                    received=self._received,
                    first_due=self._due(0),
                    ended=clock.now(),
                    tokens=self._ask.tokens,
                    tokens_sent=self._seq,
                    max_late=self._late,
                    outcome=outcome,
                    tcp_info=self._outlet.tcp_info(),
                    tcp_info_at_start=self._tcp_info_at_start,
                )
            )

    def _due(self, seq: int) -> int:
        return self._answer.due(self._received, seq)

    def _at(self, due: int, call: Callable[[], None]) -> None:
        self._timed = True
        self._desk.pacer.at(due, call)

    def _is_over(self) -> bool:
        """Asked when the timer calls. One that was stopped before has counted as a request until now, for it took as
        much room: a client that asks and leaves, again and again, fills no memory."""
        if self._over and self._timed:
            self._desk.requests.give()
        self._timed = False
        return self._over

    def _tell(self) -> None:
        """Send every token whose time has come, and come back for the next."""
        if self._is_over():
            return
        for _ in range(_BURST):
            due = self._due(self._seq)
            if clock.now() < due:
                self._at(due, self._tell)
                return
            if not self._outlet.is_clear:
                self._waits = True
                return
            text, sent = self._answer.text(self._seq), clock.now()
            self._outlet.send(self._format.token(text, self._seq, due, sent))
            self._late = max(self._late, sent - due)
            self._seq += 1
            if self._seq == self._ask.tokens:
                self._end(self._format.closing())
                return
        self._at(due, self._tell)

    def _tell_whole(self) -> None:
        if self._is_over():
            return
        due = self._due(self._ask.tokens - 1)
        sent = clock.now()
        self._late = sent - due
        self._seq = self._ask.tokens
        body = self._format.whole(self._answer.whole(), due, sent)
        headers = (("content-type", self._format.content_type), ("content-length", str(len(body))))
        self._outlet.open(200, headers, body)
        self._end(b"")

    def _end(self, data: bytes) -> None:
        self.stop("sent")
        self._outlet.finish(data)


class ResponseScheduler:
    """Where requests arrive, whatever way they came: what all connections of one server share."""

    def __init__(
        self,
        script: Script,
        pacer: AbsoluteTimer,
        log: jsonl.Log | None = None,
        unacked: jsonl.Log | None = None,
        limits: Limits = PUBLIC,
    ) -> None:
        self.script = script
        self.pacer = pacer
        self.log = log
        self.unacked = unacked
        self.limits = limits
        self.memory = Budget(limits.memory)
        self.requests = Budget(limits.requests)
        self._arrivals = 0

    def take(self, request: Request, outlet: Outlet) -> ResponseStream | None:
        """Answer at once, or begin to tell."""
        asked = requests.understand(request)
        if isinstance(asked, CompletionRequest) and not asked.streamed and not outlet.hold(asked.tokens * _TOKEN_SIZE):
            asked = requests.error(asked.vendor, *requests.BUSY)
        match asked:
            case Reply(status, headers, body):
                outlet.open(status, headers, b"" if request.method == "HEAD" else body)
                outlet.finish(b"")
                return None
            case CompletionRequest() as ask:
                answer = self.script.answer(ask.tokens, *self._who(ask))
                telling = ResponseStream(self, ask, answer, outlet, request.received)
                telling.start()
                return telling

    def _who(self, ask: CompletionRequest) -> tuple[str, int]:
        """A numbered stream by its number, another request by its turn."""
        if ask.stream is not None:
            return "stream", ask.stream
        self._arrivals += 1
        return "arrival", self._arrivals
