"""Takes exported spans in: those of the run's requests are recorded, all others are counted.

Rules: nothing that a program sends is obeyed; sizes and numbers are bounded, and what is left out is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from chaoskit.clock import now, realtime_offset
from chaoskit.records.jsonl import Log
from chaoskit.records.spans import Exports
from chaoskit.telemetry import conventions
from chaoskit.telemetry.exported_span import Batch
from chaoskit.telemetry.mapping import SpanMapping, to_span

MOST_SPANS = 1_000_000
"""Of one run: some 300 MB of records."""
MOST_SERVICES = 100
"""Names of services that are told apart; the counts of further ones are added to those without a name."""
NAMELESS = "unknown_service"
"""A service that names itself not: as OpenTelemetry's SDKs call it."""
_MOST_NAME = 100  # characters


@dataclass
class Intake:
    """What all programs of a run export. `trace_prefix` is the begin of its requests' traces."""

    log: Log
    trace_prefix: str
    mapping: SpanMapping
    most: int = MOST_SPANS
    offset: Callable[[], int] = realtime_offset
    _counts: dict[str, Counter[str]] = field(default_factory=dict)
    _problems: dict[str, str] = field(default_factory=dict)

    def take(self, host: str | None, batch: Batch) -> int:
        """Record the spans of an export; returns how many were wrong. `host` None: the host is the service's name."""
        wrong, offset = batch.wrong, self.offset()
        for exported in batch.spans:
            name = self._name(exported.service) if host is None else host
            counts = self._of(name)
            if not exported.trace.startswith(self.trace_prefix):
                counts["foreign"] += 1
            elif conventions.is_message(exported):
                counts["details"] += 1
            elif not self.most:
                counts["beyond"] += 1
            else:
                try:
                    self.log.add(to_span(exported, name, offset, self.mapping))
                except ValueError:
                    wrong += 1
                    continue
                self.most -= 1
                counts["spans"] += 1
        first = batch.spans[0].service if batch.spans else ""
        self._of(self._name(first) if host is None else host).update(exports=1, wrong=wrong)
        self.log.flush()
        return wrong

    def refuse(self, host: str | None, problem: str) -> None:
        """Count an export that could not be read, and keep the reason."""
        self._of(host or NAMELESS)["refused"] += 1
        self._problems[host or NAMELESS] = problem

    def accept_other(self, host: str | None) -> None:
        """Count an export of metrics or logs."""
        self._of(host or NAMELESS)["other"] += 1

    def totals(self) -> list[Exports]:
        """The counts of each host until now."""
        at = now()
        return [Exports(host, at, **counts, problem=self._problems.get(host)) for host, counts in self._counts.items()]

    def _of(self, host: str) -> Counter[str]:
        return self._counts.setdefault(host, Counter())

    def _name(self, service: str) -> str:
        name = service[:_MOST_NAME] or NAMELESS
        return name if name in self._counts or len(self._counts) < MOST_SERVICES else NAMELESS
