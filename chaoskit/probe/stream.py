"""Runs one stream: sends its request, reads the response and records both.

Rules: whatever the peer does is recorded, as one `Request` and a `SocketRead` for each socket read that completed an
event; an event has the stamp of the read that completed it; the deadline bounds every wait, and the workload's limits
every size; an exception in one stream does not reach another. Redirects are not followed; the Location is kept as text.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

import httpx

from chaoskit.clock import now
from chaoskit.probe import completion
from chaoskit.probe.client import Client
from chaoskit.probe.completion import Outcome, StreamState
from chaoskit.probe.deadline import Deadline
from chaoskit.probe.framing import MalformedError, TooLargeError
from chaoskit.probe.protocols import PROTOCOLS
from chaoskit.probe.protocols.error_messages import error_message
from chaoskit.probe.protocols.events import ProtocolEvent
from chaoskit.probe.protocols.response_parser import ResponseParser
from chaoskit.probe.recorder import Recorder
from chaoskit.probe.requests import RequestFactory
from chaoskit.probe.transcript import Transcript
from chaoskit.probe.transport.connection import Connection, ConnectTimings
from chaoskit.probe.transport.exchange import Exchange
from chaoskit.probe.transport.pool import Response
from chaoskit.probe.transport.stamps import ReadStamp
from chaoskit.records.model import Completion, Request, TcpInfo
from chaoskit.spec.endpoint import redacted
from chaoskit.units import counted

_SECOND = 1_000_000_000  # ns
_AFTER_END = _SECOND  # ns that a response may continue after its end marker, or after an error status
_MAX_ERROR_BODY = 16 * 1024  # bytes of an error response's body that are read
_MAX_HEADER_TEXT = 150  # characters of a header value in the detail
_REDIRECTS = range(300, 400)


@dataclass(frozen=True)
class ScheduledRequest:
    """A request that is ready to be sent at `scheduled` (monotonic ns)."""

    number: int
    scheduled: int
    request: httpx.Request


class Stream:
    """One request and its response. `run` it once, as the task that the deadline watches.

    `is_clean` when the response was read to its end, so that its connection can be used again.
    """

    def __init__(
        self,
        request: ScheduledRequest,
        requests: RequestFactory,
        client: Client,
        recorder: Recorder,
        deadline: Deadline,
    ) -> None:
        self.is_clean = False
        self._request = request
        self._requests = requests
        self._timeouts = requests.workload.timeouts
        self._limits = requests.workload.limits
        self._client = client
        self._recorder = recorder
        self._deadline = deadline
        self._transcript = Transcript(request.number, recorder)
        self._started = now()
        self._connection: Connection | None = None
        self._timings = ConnectTimings()  # of the latest connection that was made for it
        self._is_own_connection = False  # made for it
        self._has_reconnected = False
        self._response_state: Exchange | None = None
        self._queued: int | None = None  # since when it waits for a stream of HTTP/2
        self._queue_duration: int | None = None
        self._allowed_streams = 0
        self._sent: int | None = None
        self._last_activity: int | None = None  # when the last bytes were read; before that, when sending began
        self._sample_after = _SECOND
        self._upload_duration: int | None = None
        self._headers_at: int | None = None
        self._http: str | None = None
        self._status: int | None = None
        self._http_error = ""

    async def run(self) -> Request:
        """Send the request and read the response to its end. Never raises what the peer caused."""
        self._recorder.stream_started()
        self._deadline.reschedule(self._started + self._timeouts.connect, "connect_failed")
        outcome = self._final_outcome(await self._run_exchange())
        self._deadline.close()
        try:
            self._transcript.write()
            self._sample("end")
        except Exception as error:  # noqa: BLE001  a bug in one stream must not end the others
            outcome = completion.classify_unexpected(error)
        record = self._record(*outcome)
        self._recorder.stream_ended(record)
        return record

    def sample_if_stuck(self, at: int) -> None:
        """Sample its socket when nothing has been read for 1 s, and again after 2 s, 4 s, ..."""
        if self._last_activity is not None and at - self._last_activity >= self._sample_after:
            self._sample_after *= 2
            self._sample("stuck")

    async def _run_exchange(self) -> Outcome:
        try:
            await self._exchange()
            self.is_clean = True
            return completion.NO_END_MARKER
        except completion.PEER_ERRORS as error:
            return completion.classify(error, self._state())
        except asyncio.CancelledError:
            if self._deadline.reason is None:
                raise
            return self._deadline.reason, self._timeout_detail(self._deadline.reason)
        except Exception as error:  # noqa: BLE001  as above
            return completion.classify_unexpected(error)

    async def _exchange(self) -> None:
        response = await self._client.send(self._request.request, self._requests.key_headers(), self)
        try:
            await self._read_response(response)
        finally:
            await response.aclose()

    async def _read_response(self, response: Response) -> None:
        self._headers_at = response.head_stamp.at
        self._http = response.http
        self._status = response.status
        if not response.is_success:
            self._deadline.reschedule(now() + _AFTER_END, "http_error")
            await self._read_error_response(response)
            return
        self._check_headers(response)
        parser = ResponseParser(self._requests.workload.protocol, self._limits.event)
        size = 0

        def take(data: bytes, stamp: ReadStamp) -> None:
            nonlocal size
            self._last_activity, self._sample_after = stamp.read_at, _SECOND
            size += len(data)
            if size > self._limits.body:
                raise TooLargeError(f"a body of more than {self._limits.body}")
            events = parser.feed(data)
            if events:
                self._process(stamp, events)

        await response.read(take)

    def _process(self, stamp: ReadStamp, events: list[ProtocolEvent]) -> None:
        transcript = self._transcript
        tokens, had_ended = transcript.tokens, transcript.has_ended
        transcript.add(stamp, events)
        if had_ended:
            pass  # the deadline after the end marker is not moved again
        elif transcript.has_ended:
            self._deadline.reschedule(now() + _AFTER_END, "cancelled")
        elif transcript.tokens > tokens or (tokens and self._timeouts.keepalive_extends_idle):
            # from now, not from the stamp: under overload the next data may already be waiting
            self._deadline.reschedule(now() + self._timeouts.idle, "idle_timeout")
        if not tokens and transcript.first_token is not None:
            self._recorder.first_token(transcript.first_token - self._request.scheduled)
            self._sample("start")
        if transcript.events > self._limits.events:
            raise TooLargeError(f"more than {self._limits.events} events and comments")

    async def _read_error_response(self, response: Response) -> None:
        """Describe an error status: Retry-After, Location, and the message in the body."""
        body = b""
        self._http_error = f"{response.status}"
        if retry := response.header(b"retry-after"):
            self._http_error += f", retry-after {retry[:_MAX_HEADER_TEXT]}"
        location = response.header(b"location")
        if location is not None and response.status in _REDIRECTS:
            self._http_error += f", not followed to {redacted(location[:_MAX_HEADER_TEXT])}"

        def take(data: bytes, _: ReadStamp) -> None:
            nonlocal body
            body += data
            if len(body) > _MAX_ERROR_BODY:
                raise TooLargeError("no message")

        await response.read(take)
        message = error_message(body)
        self._http_error += f": {message}" if message else ""

    def _check_headers(self, response: Response) -> None:
        expected = PROTOCOLS[self._requests.workload.protocol].content_types
        found = response.header(b"content-type") or expected[0]
        if found.partition(";")[0].strip().lower() not in expected:
            raise MalformedError(self._requests.redact(f"content-type {found} instead of {expected[0]}"))
        coding = response.header(b"content-encoding") or "identity"
        if coding.lower() != "identity":
            raise MalformedError(self._requests.redact(f"content-encoding {coding} though none was asked for"))

    def connecting(self, timings: ConnectTimings) -> None:
        """See `Observer`."""
        self._timings = timings

    def connected(self, connection: Connection) -> None:
        """See `Observer`."""
        self._connection = connection
        self._is_own_connection = True
        at, fields = connection.tcp_info_at_connect
        self._recorder.tcp_info(TcpInfo(self._request.number, "connected", at, fields))

    def queued(self, streams: int) -> None:
        """See `Observer`."""
        self._queued, self._allowed_streams = now(), streams
        if self._sent is None:
            self._deadline.reschedule(self._queued + self._timeouts.connect, "client_error")

    def sending(self, exchange: Exchange) -> None:
        """See `Observer`. A second time when the server has not processed the request."""
        at = now()
        if self._queued is not None:
            self._queue_duration = (self._queue_duration or 0) + at - self._queued
            self._queued = None
        if self._sent is None:
            self._sent = at
            self._deadline.reschedule(self._sent + self._timeouts.first_token, "first_token_timeout")
        self._last_activity = at
        self._response_state = exchange
        self._is_own_connection = self._is_own_connection and self._connection is exchange.connection
        self._connection = exchange.connection

    def uploaded(self) -> None:
        """See `Observer`."""
        assert self._sent is not None
        self._upload_duration = now() - self._sent

    def reconnecting(self) -> None:
        """See `Observer`."""
        self._has_reconnected = True

    def _final_outcome(self, outcome: Outcome) -> Outcome:
        """Prefer what the server said over how the connection ended, and a bug of chaoskit over everything."""
        if outcome[0] == "internal_error":
            return outcome
        if self._http_error:
            return "http_error", self._http_error
        if self._transcript.error_message is not None:
            return "error_event", self._transcript.error_message
        if self._transcript.completed_at is not None:
            return "complete", ""
        return outcome

    def _record(self, completion: Completion, detail: str) -> Request:
        transcript = self._transcript
        timings = self._timings if self._is_own_connection or self._sent is None else ConnectTimings()
        ended = transcript.completed_at if completion == "complete" else None
        return Request(
            stream=self._request.number,
            scheduled=self._request.scheduled,
            started=self._started,
            ended=ended or now(),
            completion=completion,
            detail=self._requests.redact(detail),
            sent=self._sent,
            dns_duration=timings.dns,
            connect_duration=timings.connect,
            tls_duration=timings.tls,
            upload_duration=self._upload_duration,
            headers=self._headers_at,
            first_event=transcript.first_event,
            first_token=transcript.first_token,
            first_output=transcript.first_output,
            last_token=transcript.last_token,
            tokens=transcript.tokens,
            usage=transcript.usage,
            status=self._status,
            http=self._http,
            connection=self._connection.number if self._connection else None,
            reused=self._connection is not None and not self._is_own_connection,
            reconnected=self._has_reconnected,
            queue_duration=self._queue_duration,
            unreachable=timings.unreachable,
        )

    def _sample(self, when: Literal["start", "stuck", "end"]) -> None:
        if self._connection is not None:
            at, fields = self._connection.info()
            self._recorder.tcp_info(TcpInfo(self._request.number, when, at, fields))

    def _state(self) -> StreamState:
        exchange = self._response_state
        return StreamState(
            was_sent=self._sent is not None,
            had_headers=self._status is not None,
            peer_closed=self._connection is not None and self._connection.eof_received,
            reset=exchange.reset if exchange else None,
            goaway=exchange.goaway if exchange else None,
        )

    def _timeout_detail(self, reason: Completion) -> str:
        """What the stream was waiting for when its deadline expired."""
        waited_for = "first token" if self._status is not None else "response"
        match reason:
            case "connect_failed":
                return f"{self._timings.step} not finished within {self._timeouts.connect}"
            case "client_error":
                allowed = counted(self._allowed_streams, "stream")
                return (
                    f"waited {self._timeouts.connect} in this client, and was never sent: the server allows {allowed} "
                    "on a shared connection; connections: kept has one for each"
                )
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
