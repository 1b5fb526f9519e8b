"""Follows one request through the transport: its connection, its waits, what it asks of the deadline."""

from __future__ import annotations

from typing import Literal

from chaoskit.clock import now
from chaoskit.probe.completion import StreamState
from chaoskit.probe.deadline import Deadline
from chaoskit.probe.recorder import Recorder
from chaoskit.probe.transport.connection import Connection, ConnectTimings
from chaoskit.probe.transport.exchange import Exchange
from chaoskit.probe.transport.stamps import ReadStamp
from chaoskit.records.model import TcpInfo
from chaoskit.spec.workload import Timeouts
from chaoskit.units import counted


class Sending:
    """The `Observer` of one request. Stamps are None until known; `started` is when the probe started it.

    `last_activity` is when the last bytes were read; before that, when sending began.
    """

    def __init__(self, stream: int, started: int, timeouts: Timeouts, recorder: Recorder, deadline: Deadline) -> None:
        self.connection: Connection | None = None
        self.timings = ConnectTimings()  # of the latest connection that was made for it
        self.has_reconnected = False
        self.queue_duration: int | None = None
        self.sent: int | None = None
        self.upload_duration: int | None = None
        self.last_activity: int | None = None
        self._stream = stream
        self._timeouts = timeouts
        self._recorder = recorder
        self._deadline = deadline
        self._is_own_connection = False  # made for it
        self._exchange: Exchange | None = None
        self._queued: int | None = None  # since when it waits for a stream of HTTP/2
        self._allowed_streams = 0
        deadline.reschedule(started + timeouts.connect, "connect_failed")

    @property
    def is_reused(self) -> bool:
        """Whether its connection was made for another request."""
        return self.connection is not None and not self._is_own_connection

    @property
    def own_timings(self) -> ConnectTimings:
        """Those of its own connection, as far as it got; without any when it used another's."""
        return self.timings if self._is_own_connection or self.sent is None else ConnectTimings()

    def connecting(self, timings: ConnectTimings) -> None:
        """See `Observer`."""
        self.timings = timings

    def connected(self, connection: Connection) -> None:
        """See `Observer`."""
        self.connection = connection
        self._is_own_connection = True
        at, fields = connection.tcp_info_at_connect
        self._recorder.tcp_info(TcpInfo(self._stream, "connected", at, fields))

    def queued(self, streams: int) -> None:
        """See `Observer`."""
        self._queued, self._allowed_streams = now(), streams
        if self.sent is None:
            self._deadline.reschedule(self._queued + self._timeouts.connect, "client_error")

    def sending(self, exchange: Exchange) -> None:
        """See `Observer`. A second time when the server has not processed the request."""
        at = now()
        if self._queued is not None:
            self.queue_duration = (self.queue_duration or 0) + at - self._queued
            self._queued = None
        if self.sent is None:
            self.sent = at
            self._deadline.reschedule(at + self._timeouts.first_token, "first_token_timeout")
        self.last_activity = at
        self._exchange = exchange
        self._is_own_connection = self._is_own_connection and self.connection is exchange.connection
        self.connection = exchange.connection

    def uploaded(self) -> None:
        """See `Observer`."""
        assert self.sent is not None
        self.upload_duration = now() - self.sent

    def reconnecting(self) -> None:
        """See `Observer`."""
        self.has_reconnected = True

    def sample(self, when: Literal["start", "end"]) -> None:
        """Record the TCP_INFO of its connection, if there is one."""
        if self.connection is not None:
            self._record(when, self.connection.info())

    def look_in_silence(self, when: Literal["silent", "stuck"]) -> TcpInfo | None:
        """The TCP_INFO of its connection, if nothing is to be read there. Its next read is looked at, too."""
        found = self.connection.info_in_silence() if self.connection is not None else None
        return None if found is None else TcpInfo(self._stream, when, *found)

    def record(self, info: TcpInfo) -> None:
        """Record a sample."""
        self._recorder.tcp_info(info)

    def sample_of_read(self, stamp: ReadStamp) -> None:
        """Record the TCP_INFO of its connection at this read, which ends a silence."""
        if self.connection is not None:
            self._record("resumed", self.connection.info_of_read(stamp))

    def _record(self, when: Literal["start", "resumed", "end"], sample: tuple[int, dict[str, int]]) -> None:
        self._recorder.tcp_info(TcpInfo(self._stream, when, *sample))

    def state(self, had_headers: bool) -> StreamState:
        """Where it was when it ended."""
        exchange = self._exchange
        return StreamState(
            was_sent=self.sent is not None,
            had_headers=had_headers,
            peer_closed=self.connection is not None and self.connection.eof_received,
            reset=exchange.reset if exchange else None,
            goaway=exchange.goaway if exchange else None,
        )

    def timeout_detail(self) -> str:
        """What it was waiting for when its deadline expired before it was sent."""
        if self._queued is None:
            return f"{self.timings.step} not finished within {self._timeouts.connect}"
        allowed = counted(self._allowed_streams, "stream")
        return (
            f"waited {self._timeouts.connect} in this client, and was never sent: the server allows {allowed} "
            "on a shared connection; connections: kept has one for each"
        )
