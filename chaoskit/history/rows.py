"""Makes the rows of a run from its result."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaoskit.analysis.result import Metrics, ObjectiveResult, Result
from chaoskit.analysis.statistics.estimates import unit as unit_of
from chaoskit.analysis.summaries import LatencySummary
from chaoskit.history.sql_tables import METRICS as METRICS_TABLE
from chaoskit.history.sql_tables import OBJECTIVES, PHASES, RUNS, Table
from chaoskit.spec.metrics import METRICS
from chaoskit.spec.objectives import parse

Row = dict[str, Any]
_WHOLE_RUN = ""


@dataclass(frozen=True)
class Origin:
    """What a result does not tell of its run.

    `started` is UTC, ISO 8601. `experiment` is the SHA-256 of what was asked, `commit`, `branch` and `is_dirty` are
    those of the checkout. `records` is a digest of the requests. `directory` is "" for records that were not kept.
    """

    started: str
    experiment: str
    records: str
    variant: str = ""
    file: str | None = None
    commit: str | None = None
    branch: str | None = None
    is_dirty: bool | None = None
    directory: str = ""


def rows(result: Result, origin: Origin, added: str) -> Iterator[tuple[Table, tuple[Any, ...]]]:
    """Each row of the run with its table; that of `runs` first."""
    run = _run(result, origin, added)
    yield RUNS, _ordered(RUNS, run)
    below = ((OBJECTIVES, _objectives(result)), (PHASES, _phases(result)), (METRICS_TABLE, _metrics(result)))
    for table, found in below:
        for row in found:
            yield table, _ordered(table, {"run_id": run["id"]} | row)


def label(objective: ObjectiveResult) -> str:
    """What it is about, without its bound: `ttft_p95 during wifi`, `ttft_p95 during wifi over baseline`."""
    asked = parse(objective.text)
    return f"{asked.metric}{asked.clauses}{f' over {asked.reference}' if asked.reference else ''}"


def _ordered(table: Table, row: Mapping[str, Any]) -> tuple[Any, ...]:
    assert row.keys() == {each.name for each in table.columns}, table.name
    return tuple(row[each.name] for each in table.columns)


def _run(result: Result, origin: Origin, added: str) -> Row:
    overall = result.overall
    found = {
        "started": origin.started,
        "added": added,
        "name": result.name,
        "variant": origin.variant,
        "experiment": origin.experiment,
        "file": origin.file,
        "target": result.target,
        "protocol": result.protocol,
        "model": result.model,
        "seed": result.seed,
        "clock": result.clock,
        "kernel": result.kernel,
        "chaoskit": result.provenance.chaoskit if result.provenance else result.chaoskit,
        "git_commit": origin.commit,
        "git_branch": origin.branch,
        "git_dirty": origin.is_dirty,
        "status": result.outcome.status,
        "verdict": result.outcome.verdict,
        "reason": result.outcome.reason,
        "exit_code": result.exit_code,
        "seconds": result.seconds,
        "streams": overall.started,
        "overloaded": result.health.overloaded,
        "run_directory": origin.directory,
    }
    return {"id": _identity(result, origin)} | found


def _identity(result: Result, origin: Origin) -> str:
    """Of what was measured and when: the same however often, from wherever, and by whichever chaoskit it is added."""
    told = (result.name, origin.variant, result.target, result.seed, result.clock, result.kernel)
    return hashlib.sha256(json.dumps([origin.started, origin.experiment, origin.records, *told]).encode()).hexdigest()[
        :16
    ]


def _objectives(result: Result) -> Iterator[Row]:
    for number, each in enumerate(result.objectives, 1):
        asked = parse(each.text)
        yield {
            "number": number,
            "text": each.text,
            "label": label(each),
            "metric": asked.metric,
            "phase": asked.phase or _WHOLE_RUN,
            "unit": each.unit,
            "bound": each.bound,
            **_numbers(each.observed.value, each.observed.low, each.observed.high, each.streams),
            "verdict": each.verdict,
            "reason": each.reason,
        }


def _phases(result: Result) -> Iterator[Row]:
    for number, each in enumerate(result.phases, 1):
        yield {
            "number": number,
            "phase": each.name,
            "faults": ", ".join(each.faults),
            "seconds": each.seconds,
            "streams": each.metrics.started,
            "stalls": each.metrics.stalls,
            "interrupted": each.metrics.interrupted,
        }


def _metrics(result: Result) -> Iterator[Row]:
    known = _intervals(result.objectives)
    for phase, found in ((_WHOLE_RUN, result.overall), *((each.name, each.metrics) for each in result.phases)):
        for metric, numbers in _of_phase(found):
            low, high = known.get((metric, phase), numbers[1:3])
            yield {"phase": phase, "metric": metric, "unit": unit_of(metric)} | _numbers(
                numbers[0], low, high, numbers[3]
            )


def _of_phase(found: Metrics) -> Iterator[tuple[str, tuple[float | None, float | None, float | None, int]]]:
    """Each metric that the phase has, as value, low, high and n."""
    for name, metric in METRICS.items():
        summary = getattr(found, metric.name, None)
        if isinstance(summary, LatencySummary):
            if summary.count:
                yield name, (getattr(summary, f"{name.rpartition('_')[2]}_ms"), None, None, summary.count)
        elif summary is not None and summary.value is not None:
            yield name, (summary.value, summary.low, summary.high, found.started)


def _intervals(objectives: Sequence[ObjectiveResult]) -> dict[tuple[str, str], tuple[float | None, float | None]]:
    """The intervals of metrics that an objective is about, by metric and phase."""
    asked = [(parse(each.text), each) for each in objectives]
    return {
        (one.metric, one.phase or _WHOLE_RUN): (each.observed.low, each.observed.high)
        for one, each in asked
        if one.reference is None and one.traffic_class is None and one.workflow is None
    }


def _numbers(value: float | None, low: float | None, high: float | None, count: int) -> Row:
    value, low, high = (None if each is None or math.isnan(each) else each for each in (value, low, high))
    is_never = value is not None and math.isinf(value)
    low, high = (None if each is None or math.isinf(each) else each for each in (low, high))
    return {"value": None if is_never else value, "low": low, "high": high, "never": int(is_never), "n": count}
