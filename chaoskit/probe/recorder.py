"""What the probe writes down: the run directory's files of one drive, and the counts of its vitals."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType

from chaoskit import clock
from chaoskit.probe.keepalives import Runs
from chaoskit.records.jsonl import Log
from chaoskit.records.model import Read, Request, Signs, TcpInfo, Vitals


class Recorder:
    """Open as a context manager. Every flush may raise RefusedError: a full disk."""

    def __init__(self, run: Path) -> None:
        self.open = 0
        self._started = 0
        self._ended = 0
        self._last_ttft: int | None = None
        self._requests = Log(run, Request)
        self._reads = Log(run, Read)
        self._signs = Log(run, Signs)
        self._tcp_infos = Log(run, TcpInfo)
        self._vitals = Log(run, Vitals)
        self._logs = (self._requests, self._reads, self._signs, self._tcp_infos, self._vitals)
        self._runs = Runs()

    def begin(self) -> None:
        """A stream has started."""
        self.open += 1
        self._started += 1

    def read(self, record: Read) -> None:
        """A read that completed events."""
        for told in self._runs.take(record):
            (self._reads if isinstance(told, Read) else self._signs).add(told)

    def tcp_info(self, record: TcpInfo) -> None:
        """A sample."""
        self._tcp_infos.add(record)

    def first_token(self, ttft: int) -> None:
        """A stream had its first token `ttft` ns after it was scheduled."""
        self._last_ttft = ttft

    def end(self, record: Request) -> None:
        """A stream has ended."""
        self.open -= 1
        self._ended += 1
        for signs in self._runs.end(record.stream):
            self._signs.add(signs)
        self._requests.add(record)

    def vitals(self, lag: int) -> None:
        """How things are now; `lag` is the longest wait of the loop since the last time, ns."""
        self._vitals.add(
            Vitals(
                at=clock.now(),
                open=self.open,
                started=self._started,
                ended=self._ended,
                lag=lag,
                cpu=clock.cpu(),
                last_ttft=self._last_ttft,
            )
        )

    def flush(self) -> None:
        """Hand everything to the kernel."""
        self._end_runs()
        for log in self._logs:
            log.flush()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_runs()
        with contextlib.ExitStack() as all_of_them:
            for log in self._logs:
                all_of_them.callback(log.close)

    def _end_runs(self) -> None:
        for signs in self._runs.flush():
            self._signs.add(signs)
