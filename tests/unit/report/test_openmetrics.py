"""OpenMetrics and Prometheus' older text: other programs' parsers read back what the result has."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from made_runs import Made, plan
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from chaoskit.report.formats import write
from chaoskit.report.formats.metric_names import FAMILIES
from chaoskit.report.formats.source import Source, load

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
PARSERS: dict[str, Callable[[str], Iterable[Metric]]] = {"openmetrics": parse_openmetrics, "prometheus": parse_text}


def read(name: str, *sources: Source) -> tuple[list[Metric], Samples]:
    """The families, and the value of each sample; no two samples are the same."""
    file = io.BytesIO()
    write(name, sources, file)
    families = list(PARSERS[name](file.getvalue().decode()))
    every = [(each.name, frozenset(each.labels.items()), each.value) for family in families for each in family.samples]
    assert len({each[:2] for each in every}) == len(every)
    return families, {(sample, labels): value for sample, labels, value in every}


def labels(**of: str) -> frozenset[tuple[str, str]]:
    """Those of the made run, and these."""
    return frozenset(({"experiment": "made-by-hand"} | of).items())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A run with a broken objective in which two streams never have a first token."""
    made = Made(plan(["ttft_p50 < 50ms during wifi", "interruption_rate < 50%"])).phases().many(0, 29_000, 100)
    for at in (12_000, 12_100):
        made.stream(at, completion="truncated", ended=at + 5000)
    return load(made.write(tmp_path_factory.mktemp("metrics") / "run"))


@pytest.mark.parametrize("name", PARSERS)
def test_what_the_result_has_is_read_back(name: str, source: Source) -> None:
    """Seconds and shares, a state of each set, the phases and objectives as labels."""
    families, samples = read(name, source)

    result = source.runs[0].result
    assert result is not None
    wifi = result.phase("wifi")
    assert samples["chaoskit_ttft_seconds", labels(phase="wifi", quantile="0.5")] == pytest.approx(0.1)
    assert samples["chaoskit_ttft_seconds", labels(phase="wifi", quantile="1.0")] == math.inf
    assert samples["chaoskit_ttft_seconds_count", labels(phase="wifi")] == wifi.metrics.ttft.count
    assert samples["chaoskit_streams", labels(phase="wifi", state="interrupted")] == 2
    assert samples["chaoskit_interruption_ratio", labels(phase="wifi")] == pytest.approx(
        wifi.metrics.interruption_rate.value
    )
    judged = {"phase": "wifi", "objective": "ttft_p50 < 50ms during wifi"}
    verdict = "chaoskit_objective_verdict"
    told = {state: samples[verdict, labels(**judged, **{verdict: state})] for state in ("met", "broken", "undecided")}
    assert told == {"met": 0, "broken": 1, "undecided": 0}
    assert samples["chaoskit_objective_observed_seconds", labels(**judged)] == pytest.approx(0.1)
    assert samples["chaoskit_objective_bound_seconds", labels(**judged)] == 0.05
    assert samples["chaoskit_run_exit_code", labels()] == 1
    assert {family.name.removesuffix("_info") for family in families} <= FAMILIES.keys()


def test_openmetrics_tells_types_and_units(source: Source) -> None:
    """As in the table; the older format has gauges for what it does not know."""
    told = {family.name: (family.type, family.unit) for family in read("openmetrics", source)[0]}
    older = {family.name: family.type for family in read("prometheus", source)[0]}

    assert told == {name: (FAMILIES[name].kind, FAMILIES[name].unit) for name in told}
    assert set(older.values()) == {"gauge", "summary"}


@pytest.mark.parametrize("name", PARSERS)
def test_runs_of_one_name_are_told_apart(name: str, source: Source, tmp_path: Path) -> None:
    """By their directories."""
    other = load(Made(plan()).phases().many(0, 30_000, 100).write(tmp_path / "other"))

    _, samples = read(name, source, other)

    assert samples["chaoskit_run_exit_code", labels(run=str(source.path))] == 1
    assert samples["chaoskit_run_exit_code", labels(run=str(tmp_path / "other"))] == 0


@pytest.mark.parametrize("name", PARSERS)
def test_a_hostile_run(name: str, hostile: Source) -> None:
    """Its texts are values of labels, and make no sample and no family."""
    families, samples = read(name, hostile)

    assert {family.name.removesuffix("_info") for family in families} <= FAMILIES.keys()
    assert all(len(value) <= 300 for _, found in samples for _, value in found)
    assert len(samples) < 300


def test_the_time_of_the_start(source: Source, tmp_path: Path) -> None:
    """Unix time of what provenance.json tells."""
    run = Made(plan()).phases().many(0, 30_000, 100).write(tmp_path / "run")
    made = dict.fromkeys(("chaoskit_commit", "file", "sha256", "commit", "is_modified"))
    made |= {"started": "2026-01-02T03:04:05+01:00", "time_zone": "CET", "chaoskit": "1", "python": "3", "kernel": "6"}
    (run / "provenance.json").write_text(json.dumps(made | {"libraries": {}}))

    _, samples = read("openmetrics", load(run))

    assert samples["chaoskit_run_start_timestamp_seconds", labels()] == 1767319445


def test_every_family_is_documented() -> None:
    """docs/reports.md has each name."""
    page = (Path(__file__).parents[3] / "docs" / "reports.md").read_text()

    assert set(re.findall(r"`(chaoskit_[a-z_0-9]+)`", page)) == set(FAMILIES)
