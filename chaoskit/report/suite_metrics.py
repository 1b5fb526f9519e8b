"""Writes the result of a suite as metrics: each run's outcome, and whether it was expected.

Rules are those of runs (`formats/openmetrics`); the numbers of a run are in the metrics of its own directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO, get_args

from prometheus_client import exposition
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from chaoskit.analysis.suite_result import Outcome, SuiteResult, SuiteStatus
from chaoskit.report.formats.metric_names import SUITE_FAMILIES
from chaoskit.terminal import printable_begin

_MOST_LABEL = 300  # characters


def write_openmetrics(suite: SuiteResult, file: BinaryIO) -> None:
    """Write it as OpenMetrics."""
    file.write(generate_latest(SuiteFamilies(suite)))  # type: ignore[no-untyped-call]  # it has no types


def write_prometheus(suite: SuiteResult, file: BinaryIO) -> None:
    """Write the same in Prometheus' older text format."""
    file.write(exposition.generate_latest(SuiteFamilies(suite)))


class SuiteFamilies(Collector):
    """The metrics of a suite, for the writers of prometheus_client."""

    def __init__(self, suite: SuiteResult) -> None:
        self._suite, self._found = suite, dict[str, Metric]()
        self._fill()

    def collect(self) -> Iterator[Metric]:
        """In the order of the table."""
        yield from (self._found[name] for name in SUITE_FAMILIES if name in self._found)

    def _fill(self) -> None:
        suite = self._suite
        self._add_states("chaoskit_suite_status", get_args(SuiteStatus), suite.status)
        self._add("chaoskit_suite_exit_code", suite.exit_code)
        self._add("chaoskit_suite_duration_seconds", suite.seconds)
        started = _unix_time(suite.started)
        if started is not None:
            self._add("chaoskit_suite_start_timestamp_seconds", started)
        self._add("chaoskit_suite_command_errors", len(suite.errors))
        for run in suite.runs:
            mine = {"run": run.name, "owner": run.owner, "expect": run.expect}
            if run.is_as_expected is not None:
                self._add("chaoskit_suite_run_as_expected", float(run.is_as_expected), mine)
            if run.outcome is not None:
                self._add_states("chaoskit_suite_run_outcome", get_args(Outcome), run.outcome, mine)
            if run.code is not None:
                self._add("chaoskit_suite_run_exit_code", run.code, mine)
            if run.seconds:
                self._add("chaoskit_suite_run_duration_seconds", run.seconds, mine)

    def _add(self, name: str, value: float, labels: dict[str, str] | None = None) -> None:
        family = SUITE_FAMILIES[name]
        metric = self._found.setdefault(name, Metric(name, f"{family.help}.", family.kind, family.unit))
        told = {"suite": self._suite.name, **(labels or {})}
        metric.add_sample(name, {key: printable_begin(text, _MOST_LABEL) for key, text in told.items()}, float(value))

    def _add_states(self, name: str, states: tuple[str, ...], state: str, labels: dict[str, str] | None = None) -> None:
        for each in states:
            self._add(name, float(each == state), {**(labels or {}), name: each})


def _unix_time(started: str) -> float | None:
    try:
        return datetime.fromisoformat(started).timestamp()
    except ValueError:  # of another version
        return None
