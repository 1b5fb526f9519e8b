"""One stream from wish to end.

Rules: whatever the far side does is written down, as one `Request` and a `Read` for each socket read that
completed an event; an event has the stamp of the read that completed it; the guard bounds every wait, and the
workload's limits every size; nothing that one stream raises reaches another. A redirect is an answer like any other:
it is not followed, and its location is a text.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from chaoskit.clock import now
from chaoskit.probe import completion, protocols
from chaoskit.probe.completion import Ending, StreamState
from chaoskit.probe.connections import Client, Response
from chaoskit.probe.deadline import Deadline
from chaoskit.probe.framing import MalformedError, TooLargeError
from chaoskit.probe.receive_stamps import Arrival
from chaoskit.probe.recorder import Recorder
from chaoskit.probe.requests import RequestFactory
from chaoskit.probe.socket_stream import Connection, Took
from chaoskit.probe.transcript import Transcript
from chaoskit.records.model import Completion, Request, TcpInfo
from chaoskit.spec.endpoint import redacted

_SECOND = 1_000_000_000  # ns
_AFTERMATH = _SECOND  # ns that a response may go on after its end marker, or after a failing status
_LONGEST_REFUSAL = 16 * 1024  # bytes of a failing response's body that are looked at
_LONGEST_HEADER = 150  # characters of a header that is repeated
_REDIRECTS = range(300, 400)


@dataclass(frozen=True)
class Job:
    """A request that is ready to be sent at its time (monotonic ns)."""

    number: int
    scheduled: int
    request: httpx.Request


class Stream:
    """One request and what came of it. `run` it once, as the task that the guard watches.

    `is_clean` when the response was read to its end, so that its connection can be used again.
    """

    def __init__(self, job: Job, asking: RequestFactory, line: Client, books: Recorder, guard: Deadline) -> None:
        self.is_clean = False
        self._job = job
        self._asking = asking
        self._timeouts = asking.workload.timeouts
        self._limits = asking.workload.limits
        self._line = line
        self._books = books
        self._guard = guard
        self._transcript = Transcript(job.number, books)
        self._started = now()
        self._connection: Connection | None = None
        self._took: Took | None = None  # None: the connection was there already
        self._http2_stream: int | None = None
        self._sent: int | None = None
        self._heard: int | None = None  # when we had the last sign of the server; at first, when we began to send
        self._patience = _SECOND
        self._upload_took: int | None = None
        self._headers_at: int | None = None
        self._http: str | None = None
        self._status: int | None = None
        self._refusal = ""
        job.request.extensions["trace"] = self._trace

    async def run(self) -> Completion:
        """Send it and read the answer to its end. Never raises what the far side caused."""
        self._books.begin()
        self._guard.until(self._started + self._timeouts.connect, "connect_failed")
        ending = self._judge(await self._ending())
        self._guard.close()
        try:
            self._transcript.write()
            self._sample("end")
            self._forget()
        except Exception as error:  # noqa: BLE001  a mistake in one stream must not end the others
            ending = completion.unforeseen(error)
        self._write(*ending)
        return ending[0]

    def look(self, at: int) -> None:
        """Sample its socket if nothing has come for a second, and at the double of that time again."""
        if self._heard is not None and at - self._heard >= self._patience:
            self._patience *= 2
            self._sample("stuck")

    async def _ending(self) -> Ending:
        try:
            await self._exchange()
            self.is_clean = True
            return completion.WITHOUT_MARKER
        except completion.FOREIGN as error:
            return completion.of(error, self._scene())
        except asyncio.CancelledError:
            if self._guard.verdict is None:
                raise
            return self._guard.verdict, self._words(self._guard.verdict)
        except Exception as error:  # noqa: BLE001  as above
            return completion.unforeseen(error)

    async def _exchange(self) -> None:
        answer = await self._line.send(self._job.request, self._asking.key())
        try:
            await self._listen(answer)
        finally:
            await answer.aclose()

    async def _listen(self, answer: Response) -> None:
        assert self._connection is not None
        tap, number = self._connection.tap, self._http2_stream
        head = tap.head(number) if tap is not None and number is not None else None
        self._headers_at = (head or self._connection.last).at
        self._http = answer.http
        self._status = answer.status
        if not answer.is_success:
            self._guard.until(now() + _AFTERMATH, "http_error")
            await self._hear_refusal(answer)
            return
        self._check(answer)
        reader = protocols.Reader(self._asking.workload.protocol, self._limits.event)
        too_large = f"a body of more than {self._limits.body}"
        self._allow(self._limits.body, too_large)
        size = 0
        async for chunk in answer.chunks():
            arrival = self._arrival()
            self._heard, self._patience = arrival.user, _SECOND
            size += len(chunk)
            if size > self._limits.body:
                raise TooLargeError(too_large)
            meanings = reader.feed(chunk)
            if meanings:
                self._take(arrival, meanings)

    def _allow(self, size: int, excess: str) -> None:
        """Bound what may still come. On HTTP/2, where a connection is not one stream's alone, its tap does."""
        if self._connection is not None and self._connection.tap is None:
            self._connection.allow(size, excess)

    def _take(self, arrival: Arrival, meanings: list[protocols.ProtocolEvent]) -> None:
        transcript = self._transcript
        tokens, had_ended = transcript.tokens, transcript.has_ended
        transcript.take(arrival, meanings)
        if had_ended:
            pass  # the time for the rest runs already, whatever still comes
        elif transcript.has_ended:
            self._guard.until(now() + _AFTERMATH, "cancelled")
        elif transcript.tokens > tokens or (tokens and self._timeouts.keepalive_extends_idle):
            # from now: where more comes than we can take, what comes next has been waiting for us
            self._guard.until(now() + self._timeouts.idle, "idle_timeout")
        if not tokens and transcript.first_token is not None:
            self._books.first_token(transcript.first_token - self._job.scheduled)
            self._sample("start")
        if transcript.events > self._limits.events:
            raise TooLargeError(f"more than {self._limits.events} events and comments")

    def _arrival(self) -> Arrival:
        """The read that completed the chunk which was handed out last."""
        assert self._connection is not None
        tap, number = self._connection.tap, self._http2_stream
        frame = tap.take(number) if tap is not None and number is not None else None
        return frame or self._connection.last

    async def _hear_refusal(self, answer: Response) -> None:
        """What a failing status says besides, as far as it is worth knowing."""
        heard = b""
        self._refusal = f"{answer.status}"
        if retry := answer.header(b"retry-after"):
            self._refusal += f", retry-after {retry[:_LONGEST_HEADER]}"
        location = answer.header(b"location")
        if location is not None and answer.status in _REDIRECTS:
            self._refusal += f", not followed to {redacted(location[:_LONGEST_HEADER])}"
        self._allow(self._limits.body, f"a body of more than {self._limits.body}")
        async for chunk in answer.chunks():
            heard += chunk
            if len(heard) > _LONGEST_REFUSAL:
                return
        said = protocols.complaint(heard)
        self._refusal += f": {said}" if said else ""

    def _check(self, answer: Response) -> None:
        wanted = protocols.CONTENT_TYPES[self._asking.workload.protocol]
        found = answer.header(b"content-type") or wanted[0]
        if found.partition(";")[0].strip().lower() not in wanted:
            raise MalformedError(self._asking.safe(f"content-type {found} instead of {wanted[0]}"))
        coding = answer.header(b"content-encoding") or "identity"
        if coding.lower() != "identity":
            raise MalformedError(self._asking.safe(f"content-encoding {coding} though none was asked for"))

    async def _trace(self, name: str, info: dict[str, Any]) -> None:
        """httpcore tells its steps."""
        match name.partition(".")[2]:
            case "connect_tcp.complete":
                connection: Connection = info["return_value"]
                self._connection = connection
                self._took = connection.took
                at, fields = connection.met
                self._books.tcp_info(TcpInfo(self._job.number, "connected", at, fields))
            case "send_request_headers.started":
                self._send(info.get("stream_id"))
            case "send_request_body.complete":
                assert self._sent is not None
                self._upload_took = now() - self._sent

    def _send(self, http2_stream: int | None) -> None:
        """The request is about to be sent; again, when the connection has said by GOAWAY that it did not read it."""
        if self._sent is None:
            self._sent = now()
            self._guard.until(self._sent + self._timeouts.first_token, "first_token_timeout")
        self._heard = now()
        self._connection = self._connection or self._line.backend.latest
        self._http2_stream = http2_stream
        if self._connection is not None and self._connection.tap is not None and http2_stream is not None:
            self._connection.tap.open(http2_stream)
        self._allow(self._limits.headers, f"headers of more than {self._limits.headers}")

    def _judge(self, ending: Ending) -> Ending:
        """What the server said counts before how the connection ended, and a mistake before everything."""
        if ending[0] == "internal_error":
            return ending
        if self._refusal:
            return "http_error", self._refusal
        if self._transcript.complaint is not None:
            return "error_event", self._transcript.complaint
        if self._transcript.whole_at is not None:
            return "complete", ""
        return ending

    def _write(self, completion: Completion, detail: str) -> None:
        transcript = self._transcript
        took = self._took or (self._line.backend.took if self._sent is None else Took())
        ended = transcript.whole_at if completion == "complete" else None
        self._books.end(
            Request(
                stream=self._job.number,
                scheduled=self._job.scheduled,
                started=self._started,
                ended=ended or now(),
                completion=completion,
                detail=self._asking.safe(detail),
                sent=self._sent,
                dns_took=took.name,
                connect_took=took.connect,
                tls_took=took.tls,
                upload_took=self._upload_took,
                headers=self._headers_at,
                first_event=transcript.first_event,
                first_token=transcript.first_token,
                first_output=transcript.first_output,
                last_token=transcript.last_token,
                tokens=transcript.tokens,
                status=self._status,
                http=self._http,
                connection=self._connection.number if self._connection else None,
                reused=self._connection is not None and self._took is None,
            )
        )

    def _sample(self, when: Literal["start", "stuck", "end"]) -> None:
        if self._connection is not None:
            at, fields = self._connection.info()
            self._books.tcp_info(TcpInfo(self._job.number, when, at, fields))

    def _scene(self) -> StreamState:
        connection, number = self._connection, self._http2_stream
        tap = connection.tap if connection else None
        return StreamState(
            was_sent=self._sent is not None,
            had_headers=self._status is not None,
            other_side_closed=connection is not None and connection.ended,
            reset=tap.resets.get(number) if tap and number is not None else None,
            goaway=tap.goaway if tap else None,
        )

    def _forget(self) -> None:
        if self._connection and self._connection.tap and self._http2_stream is not None:
            self._connection.tap.forget(self._http2_stream)

    def _words(self, verdict: Completion) -> str:
        """What was waited for when the guard's patience ended."""
        waited_for = "first token" if self._status is not None else "response"
        match verdict:
            case "connect_failed":
                return f"{self._line.backend.took.step} not finished within {self._timeouts.connect}"
            case "first_token_timeout":
                return f"no {waited_for} within {self._timeouts.first_token}"
            case "idle_timeout" if self._timeouts.keepalive_extends_idle:
                return f"silent for {self._timeouts.idle}"
            case "idle_timeout":
                return f"no token for {self._timeouts.idle}"
            case "stream_timeout":
                return f"not at its end within {self._timeouts.stream}"
            case _:
                return "the run ended" if self._transcript.first_token else f"the run ended before the {waited_for}"
