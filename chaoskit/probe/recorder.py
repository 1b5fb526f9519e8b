"""Writes the probe's records of one drive to the run directory, and counts streams for its vitals."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from chaoskit import clock
from chaoskit.probe.keepalives import KeepaliveCounter
from chaoskit.probe.target import DriveProgress
from chaoskit.records.jsonl import Log
from chaoskit.records.model import ASKED_AGAIN, NOT_INTERRUPTED, Keepalives, Request, SocketRead, TcpInfo, Vitals

_MAX_DETAIL = 4000  # characters of a detail, which may quote the server


class Recorder:
    """Use it as a context manager. Every flush may raise RefusedError, for example when the disk is full.

    `process` is the number of this process where several do one drive.
    """

    def __init__(self, run: Path, process: int | None = None) -> None:
        self.open = 0
        self._process = process
        self._started = 0
        self._ended = 0
        self._interrupted = 0
        self._asked_again = 0
        self._last_ttft: int | None = None
        self._requests = Log(run, Request)
        self._reads = Log(run, SocketRead)
        self._keepalives = Log(run, Keepalives)
        self._tcp_infos = Log(run, TcpInfo)
        self._vitals = Log(run, Vitals)
        self._logs = (self._requests, self._reads, self._keepalives, self._tcp_infos, self._vitals)
        self._keepalive_counter = KeepaliveCounter()

    def stream_started(self) -> None:
        """A stream has started."""
        self.open += 1
        self._started += 1

    def read(self, record: SocketRead) -> None:
        """Record a read that completed events."""
        for line in self._keepalive_counter.add(record):
            (self._reads if isinstance(line, SocketRead) else self._keepalives).add(line)

    def tcp_info(self, record: TcpInfo) -> None:
        """Record a TCP_INFO sample."""
        self._tcp_infos.add(record)

    @property
    def any_token(self) -> bool:
        """Whether any stream has received a token."""
        return self._last_ttft is not None

    def first_token(self, ttft: int) -> None:
        """A stream had its first token `ttft` ns after it was scheduled."""
        self._last_ttft = ttft

    def stream_ended(self, record: Request) -> None:
        """A stream has ended."""
        self.open -= 1
        self._ended += 1
        self._asked_again += ASKED_AGAIN in record.detail
        self._interrupted += record.completion not in NOT_INTERRUPTED and not record.warmup
        for keepalives in self._keepalive_counter.end(record.stream):
            self._keepalives.add(keepalives)
        detail = _encodable(record.detail)
        self._requests.add(record if detail == record.detail else replace(record, detail=detail))

    def vitals(self, lag: int) -> None:
        """Record the vitals; `lag` is the longest delay of the loop since the last record, ns."""
        self._vitals.add(
            Vitals(
                at=clock.now(),
                open=self.open,
                started=self._started,
                ended=self._ended,
                lag=lag,
                cpu=clock.cpu(),
                last_ttft=self._last_ttft,
                process=self._process,
            )
        )

    def progress(self) -> DriveProgress:
        """The streams so far."""
        return DriveProgress(
            clock.now(), self.open, self._ended - self._asked_again, self._interrupted, self._last_ttft
        )

    def flush(self) -> None:
        """Write everything to the files."""
        self._flush_keepalives()
        for log in self._logs:
            log.flush()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush_keepalives()
        with contextlib.ExitStack() as closing:
            for log in self._logs:
                closing.callback(log.close)

    def _flush_keepalives(self) -> None:
        for keepalives in self._keepalive_counter.flush():
            self._keepalives.add(keepalives)


def _encodable(detail: str) -> str:
    """The beginning of it, without lone surrogates, which a server's JSON may contain."""
    return detail[:_MAX_DETAIL].encode(errors="replace").decode()
