"""Writes numbers and verdicts as OpenMetrics, which Prometheus scrapes and GitLab compares.

Rules: base units (seconds, ratios), in the name; what has no value has no sample; what was never reached is +Inf.
Runs of one name get a label that tells them apart. `metric_names` has all families.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import BinaryIO, get_args

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from chaoskit.analysis.result import ObjectiveVerdict, PhaseResult, Result, RunStatus, RunVerdict, Unit
from chaoskit.analysis.summaries import LatencySummary
from chaoskit.report.formats.metric_names import FAMILIES, LATENCIES, OBSERVED, RATES
from chaoskit.report.formats.source import Run, Source
from chaoskit.spec.objectives import phase_of
from chaoskit.terminal import printable_begin

_MOST_LABEL = 300  # characters
_QUANTILES = {"p50": "0.5", "p90": "0.9", "p95": "0.95", "p99": "0.99", "max": "1.0"}
_STATES = ("started", "complete", "interrupted", "cancelled", "empty", "short")
_CAUSES = ("network", "server", "client", "between", "unknown")
_MS = 1e-3

Labels = dict[str, str]


def write_all(sources: Sequence[Source], file: BinaryIO) -> None:
    """Write the metrics of all runs, family by family."""
    file.write(generate_latest(Families(sources)))  # type: ignore[no-untyped-call]  # it has no types


class Families(Collector):
    """The metrics of these runs, for the writers of prometheus_client."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._found: dict[str, Metric] = {}
        names = Counter((source.name, run.variant) for source in sources for run in source.runs)
        for source in sources:
            for run in source.runs:
                labels = {"experiment": source.name} | ({"variant": run.variant} if run.variant else {})
                if names[source.name, run.variant] > 1:
                    labels["run"] = source.label or str(run.path)
                if run.result is not None:
                    self._add_run(run.result, run, labels)

    def collect(self) -> Iterator[Metric]:
        """In the order of the table."""
        yield from (self._found[name] for name in FAMILIES if name in self._found)

    def _add(self, name: str, labels: Labels, value: float | None, suffix: str = "") -> None:
        if value is None or math.isnan(value):
            return
        family = FAMILIES[name]
        metric = self._found.setdefault(name, Metric(name, f"{family.help}.", family.kind, family.unit))
        shown = {key: printable_begin(text, _MOST_LABEL) for key, text in labels.items()}
        metric.add_sample(name + suffix, shown, float(f"{value:.12g}"))

    def _add_states(self, name: str, labels: Labels, states: Sequence[str], state: str) -> None:
        for each in states:
            self._add(name, labels | {name: each}, float(each == state))

    def _add_run(self, result: Result, run: Run, labels: Labels) -> None:
        made = result.provenance
        about = {"chaoskit": result.chaoskit, "clock": result.clock, "kernel": result.kernel, "target": result.target}
        self._add("chaoskit_run", labels | about | {"commit": (made.commit or "") if made else ""}, 1, "_info")
        self._add_states("chaoskit_run_status", labels, get_args(RunStatus), result.outcome.status)
        self._add_states("chaoskit_run_verdict", labels, get_args(RunVerdict), result.outcome.verdict)
        self._add("chaoskit_run_exit_code", labels, result.exit_code)
        self._add("chaoskit_run_duration_seconds", labels, result.seconds)
        self._add("chaoskit_run_start_timestamp_seconds", labels, _unix_time(made.started if made else None))
        self._add("chaoskit_run_warnings", labels, len(result.warnings))
        for phase in result.phases:
            self._add_phase(phase, labels | {"phase": phase.name})
        self._add_objectives(result, labels)

    def _add_objectives(self, result: Result, labels: Labels) -> None:
        judged = [("", each) for each in result.objectives]
        judged += [(f"{other.name}: ", each) for other in result.workloads for each in other.objectives]
        for whose, each in judged:
            mine = labels | {"phase": phase_of(each.text), "objective": whose + each.text}
            self._add_states("chaoskit_objective_verdict", mine, get_args(ObjectiveVerdict), each.verdict)
            suffix, _ = OBSERVED[each.unit]
            self._add(f"chaoskit_objective_observed_{suffix}", mine, _in_base_unit(each.observed.value, each.unit))
            self._add(f"chaoskit_objective_bound_{suffix}", mine, _in_base_unit(each.bound, each.unit))

    def _add_phase(self, phase: PhaseResult, labels: Labels) -> None:
        metrics, stalls = phase.metrics, phase.stall_attribution
        for attribute, (name, _) in LATENCIES.items():
            self._add_latencies(name, labels, getattr(metrics, attribute))
        for attribute, (name, _, _) in RATES.items():
            self._add(name, labels, getattr(metrics, attribute).value)
        for state in _STATES:
            self._add("chaoskit_streams", labels | {"state": state}, getattr(metrics, state))
        self._add("chaoskit_stalls", labels, metrics.stalls)
        for cause in _CAUSES:
            self._add("chaoskit_stall_seconds", labels | {"cause": cause}, getattr(stalls, f"{cause}_ms") * _MS)

    def _add_latencies(self, name: str, labels: Labels, found: LatencySummary) -> None:
        for statistic, quantile in _QUANTILES.items():
            value = getattr(found, f"{statistic}_ms")
            self._add(name, labels | {"quantile": quantile}, None if value is None else value * _MS)
        if found.mean_ms is not None and math.isfinite(found.mean_ms):
            self._add(name, labels, found.mean_ms * found.count * _MS, "_sum")
        self._add(name, labels, found.count, "_count")


def _in_base_unit(value: float | None, unit: Unit) -> float | None:
    return value * _MS if value is not None and unit == "ms" else value


def _unix_time(started: str | None) -> float | None:
    try:
        return datetime.fromisoformat(started).timestamp() if started else None
    except ValueError:  # of another version
        return None
