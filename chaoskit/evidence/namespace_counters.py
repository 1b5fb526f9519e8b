"""Samples what each namespace counted of its TCP, at both ends of every phase."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chaoskit.clock import Clock
from chaoskit.evidence.connection_ends import Namespaces
from chaoskit.kernel.tcp_counters import counters
from chaoskit.records.host_records import NamespaceCounters
from chaoskit.records.jsonl import Log
from chaoskit.records.model import Phase


class NamespaceSampler:
    """A context manager. `places` are the namespaces; "" is this process's own."""

    def __init__(self, run: Path, kernel: Namespaces, places: Sequence[str], clock: Clock) -> None:
        self._log, self._kernel, self._places, self._clock = Log(run, NamespaceCounters), kernel, places, clock

    def __enter__(self) -> NamespaceSampler:
        return self

    def sample(self, phase: Phase) -> None:
        """Record the counters of all, which belong to this phase."""
        for place in self._places:
            with self._kernel.inside(place):
                found, missing = counters()
            self._log.add(NamespaceCounters(self._clock.now(), place, phase.name, phase.round, found, missing))
        self._log.flush()

    def __exit__(self, *_: object) -> None:
        self._log.close()
