"""Watches a lab's connections during its timeline: their ends at once, the hosts' sockets each second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from chaoskit.clock import Clock
from chaoskit.errors import RefusedError
from chaoskit.evidence.connection_ends import ConnectionEnds, Namespaces
from chaoskit.evidence.host_sockets import HostSockets
from chaoskit.records.host_records import ConnectionEnd, HostSocket
from chaoskit.records.jsonl import Log
from chaoskit.records.model import Counters
from chaoskit.topology.places import Places

_SECOND = 10**9


class LabConnections:
    """A context manager. Of what this kernel cannot tell there is no file; without namespaces it does nothing.

    `missing` says what that is, and why, once it is entered.
    """

    def __init__(self, run: Path, kernel: Namespaces, places: Places, clock: Clock) -> None:
        self._run, self._kernel, self._places, self._clock = run, kernel, places, clock
        self._ends: ConnectionEnds | None = None
        self._sockets: HostSockets | None = None
        self._due = 0
        self._closing = ExitStack()
        self.missing: list[str] = []

    def __enter__(self) -> LabConnections:
        if not self._places.all:
            return self
        with self._noted():
            self._ends = ConnectionEnds(self._kernel, self._places, self._clock)
            self._closing.callback(self._ends.close)
            self._end_log = Log(self._run, ConnectionEnd)
            self._closing.callback(self._end_log.close)
        with self._noted():
            self._sockets = HostSockets(self._kernel, self._places, self._clock)
            self._closing.callback(self._sockets.close)
            self._socket_log = Log(self._run, HostSocket)
            self._closing.callback(self._socket_log.close)
        return self

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except RefusedError as error:
            self.missing.append(str(error))

    def look(self) -> None:
        """Record what is new; to be called several times a second."""
        if self._ends is not None:
            self._ends.poll(self._end_log)
        if self._sockets is not None and (at := self._clock.now()) >= self._due:
            self._due = at - at % _SECOND + _SECOND
            self._sockets.sample(self._socket_log)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._closing:
            if error is None:
                self._due = 0
                self.look()
                self._add_totals()

    def _add_totals(self) -> None:
        log = Log(self._run, Counters)
        try:
            for source in (self._ends, self._sockets):
                for line in source.totals() if source is not None else ():
                    log.add(line)
        finally:
            log.close()
