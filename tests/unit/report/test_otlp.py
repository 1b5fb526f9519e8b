"""OTLP metrics: OpenTelemetry's own messages hold them, and a receiver takes them."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import threading
from pathlib import Path

import httpx
import pytest
from google.protobuf.json_format import Parse
from made_runs import MS, START, Made, plan
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, HistogramDataPoint
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics

from chaoskit.records.jsonl import Log
from chaoskit.records.spans import Exports, Span
from chaoskit.report.formats import write
from chaoskit.report.formats.source import Source, load
from chaoskit.telemetry.intake import Intake
from chaoskit.telemetry.mapping import CONVENTIONS
from chaoskit.telemetry.receiver import receive


def document(*sources: Source) -> bytes:
    """What is written."""
    file = io.BytesIO()
    write("otlp", sources, file)
    return file.getvalue()


def points(written: bytes) -> dict[tuple[str, str, str], HistogramDataPoint]:
    """Each histogram by name, phase and error."""
    request = Parse(written, ExportMetricsServiceRequest())
    found = {}
    for resource in request.resource_metrics:
        for metric in resource.scope_metrics[0].metrics:
            assert metric.histogram.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
            for point in metric.histogram.data_points:
                told = {each.key: each.value.string_value for each in point.attributes}
                found[metric.name, told["chaoskit.phase"], told.get("error.type", "")] = point
    return found


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Ten streams in the baseline and two in wifi, of which one was cut off."""
    made = Made(plan()).phases()
    for at in range(10):
        made.stream(at * 500, [at * 500 + 100 + 20 * token for token in range(5)])
    made.stream(12_000, [12_300, 12_340])
    made.stream(13_000, [13_300], "truncated", ended=14_000)
    return load(made.write(tmp_path_factory.mktemp("otlp") / "run"))


def test_each_histogram_by_hand(source: Source) -> None:
    """Counts, sums and buckets of the names that OpenTelemetry has, by phase and by error."""
    found = points(document(source))

    duration = found["gen_ai.client.operation.duration", "baseline", ""]
    assert [duration.count, duration.sum] == pytest.approx([10, 10 * 0.18])
    assert dict(zip(duration.explicit_bounds, duration.bucket_counts, strict=False))[0.32] == 10
    assert found["gen_ai.client.operation.duration", "wifi", "truncated"].sum == pytest.approx(1.0)
    first = found["gen_ai.client.operation.time_to_first_chunk", "wifi", ""]
    assert [first.count, first.min, first.max] == pytest.approx([2, 0.3, 0.3])
    between = found["gen_ai.client.operation.time_per_output_chunk", "baseline", ""]
    assert [between.count, between.sum] == pytest.approx([40, 40 * 0.02])
    assert found["gen_ai.client.token.usage", "baseline", ""].sum == 50
    assert all(sum(each.bucket_counts) == each.count for each in found.values())
    assert all(len(each.bucket_counts) == len(each.explicit_bounds) + 1 for each in found.values())
    assert {name for name, *_ in found} <= {each for each in vars(gen_ai_metrics).values() if isinstance(each, str)}


def test_a_value_on_a_boundary_is_below_it(tmp_path: Path) -> None:
    """As the data model says: greater than the bound before, and less than or equal to the next."""
    run = Made(plan()).phases().many(0, 1000, 100, pace=25).write(tmp_path / "run")

    point = points(document(load(run)))["gen_ai.client.operation.time_per_output_chunk", "baseline", ""]

    assert dict(zip(point.explicit_bounds, point.bucket_counts, strict=False))[0.025] == point.count == 40


def test_the_time_is_that_of_the_run(source: Source, tmp_path: Path) -> None:
    """From provenance.json; the end is later by the seconds that were measured."""
    run = Made(plan()).phases().many(0, 3000, 100).write(tmp_path / "run")
    made = dict.fromkeys(("chaoskit_commit", "file", "sha256", "commit", "is_modified"))
    made |= {"started": "2026-01-02T03:04:05+01:00", "time_zone": "CET", "chaoskit": "1", "python": "3", "kernel": "6"}
    (run / "provenance.json").write_text(json.dumps(made | {"libraries": {}}))
    result = load(run).runs[0].result
    assert result is not None

    point = points(document(load(run)))["gen_ai.client.operation.duration", "baseline", ""]

    assert point.start_time_unix_nano == 1767319445 * 1000 * MS
    assert point.time_unix_nano - point.start_time_unix_nano == pytest.approx(result.seconds * 1000 * MS, abs=MS)
    assert START not in (point.start_time_unix_nano, point.time_unix_nano)


def test_a_receiver_takes_it(source: Source, tmp_path: Path) -> None:
    """At /v1/metrics, as JSON."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/metrics"
    spans, exports = Log(tmp_path, Span), Log(tmp_path, Exports)
    intake = Intake(spans, "", CONVENTIONS, 10)
    stop, loop = asyncio.Event(), asyncio.new_event_loop()
    serving = threading.Thread(
        target=loop.run_until_complete, args=(receive({"gateway": listener}, intake, exports, stop),)
    )
    serving.start()

    answer = httpx.post(url, content=document(source), headers={"content-type": "application/json"})

    loop.call_soon_threadsafe(stop.set)
    serving.join()
    loop.close()
    for log in (spans, exports):
        log.close()
    assert (answer.status_code, answer.json()) == (200, {})


def test_a_hostile_run(hostile: Source) -> None:
    """It is one valid request with the histograms of any run."""
    assert {name for name, *_ in points(document(hostile))} == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.operation.time_per_output_chunk",
        "gen_ai.client.token.usage",
    }
