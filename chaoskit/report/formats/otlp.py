"""Writes histograms as OTLP in JSON, with the GenAI names of OpenTelemetry for clients.

The file is one ExportMetricsServiceRequest: what a collector takes at `/v1/metrics`. Names and bucket boundaries are
those of semantic-conventions-genai v0.1.0 (status: development): of a client, because what a server's metrics say
(`gen_ai.server.*`) only the server knows. Each count is of this run alone (delta temporality).
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from chaoskit.analysis.provenance import load_provenance
from chaoskit.analysis.result import Result
from chaoskit.analysis.tables.run_tables import RunTables
from chaoskit.report.formats.source import Run, Source
from chaoskit.terminal import ascii_json, printable_begin

_DELTA = 1
_SECOND = 1e9
_MOST_TEXT = 1000  # characters
_DURATION = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_BETWEEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_TOKENS = tuple(4.0**power for power in range(14))
_PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "gemini": "gcp.gemini", "ollama": "ollama"}
_OPERATIONS = {"openai-completions": "text_completion", "ollama-generate": "text_completion"}

Attributes = dict[str, str | int]
Values = dict[tuple[tuple[str, str | int], ...], list[float]]


def write_all(sources: Sequence[Source], file: BinaryIO) -> None:
    """Write them as one export, a resource for each run."""
    resources = [_resource(source, run, run.result) for source in sources for run in source.runs if run.result]
    file.write(ascii_json(json.dumps({"resourceMetrics": resources}) + "\n").encode("ascii"))


def _resource(source: Source, run: Run, result: Result) -> dict[str, Any]:
    about: Attributes = {
        "service.name": "chaoskit",
        "service.version": result.chaoskit,
        "chaoskit.experiment": source.name,
        "chaoskit.verdict": result.outcome.verdict,
        "chaoskit.clock": result.clock,
    }
    if run.variant:
        about["chaoskit.variant"] = run.variant
    begin = _begin(run)
    times = {"startTimeUnixNano": str(begin), "timeUnixNano": str(begin + round(result.seconds * _SECOND))}
    metrics = list(_metrics(run.tables, _common(result), times))
    scope = {"scope": {"name": "chaoskit", "version": result.chaoskit}, "metrics": metrics}
    return {"resource": {"attributes": _written(about)}, "scopeMetrics": [scope]}


def _begin(run: Run) -> int:
    """When the run began, in Unix time; without that, when its last file was written: what has no time is dropped."""
    made, _ = load_provenance(run.path)
    if made is not None and made.started:
        try:
            return round(datetime.fromisoformat(made.started).timestamp() * _SECOND)
        except ValueError:  # of another version
            pass
    return run.path.stat().st_mtime_ns


def _common(result: Result) -> Attributes:
    """What all requests have in common."""
    protocol = (result.protocol or "").partition(" ")[0]
    found: Attributes = {"gen_ai.operation.name": _OPERATIONS.get(protocol, "chat")}
    found["gen_ai.provider.name"] = _PROVIDERS.get(protocol.partition("-")[0], protocol or "unknown")
    if result.model:
        found["gen_ai.request.model"] = result.model
    try:
        url = urlsplit(result.target)
        found |= {"server.address": url.hostname} if url.hostname else {}
        found |= {"server.port": url.port} if url.port else {}
    except ValueError:
        pass
    return found


def _metrics(tables: RunTables, common: Attributes, times: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Those that have a value."""
    streams, gaps = tables.streams, tables.tokens
    phases = streams["phase"].tolist()
    errors = ["" if each == "complete" else each for each in streams["completion"].tolist()]
    sent = streams["sent_ns"].tolist()
    ended, first = streams["end_ns"].tolist(), streams["first_token_ns"].tolist()
    names = tables.phases["phase"].tolist()
    of_gaps = [names[number] for number in gaps["gap_phase"].tolist()]
    tokens = streams["tokens"].tolist()
    found = {
        ("gen_ai.client.operation.duration", "s", _DURATION): _seconds(phases, sent, ended, errors),
        ("gen_ai.client.operation.time_to_first_chunk", "s", _FIRST): _seconds(phases, sent, first),
        ("gen_ai.client.operation.time_per_output_chunk", "s", _BETWEEN): _by_phase(
            (phase, "", {}, gap / _SECOND)
            for phase, gap in zip(of_gaps, gaps["gap_ns"].tolist(), strict=True)
            if gap is not None
        ),
        ("gen_ai.client.token.usage", "{token}", _TOKENS): _by_phase(
            (phase, error, {"gen_ai.token.type": "output"}, count)
            for phase, error, count in zip(phases, errors, tokens, strict=True)
        ),
    }
    for (name, unit, bounds), values in found.items():
        points = [_point(common | dict(key), each, bounds) | times for key, each in values.items()]
        if points:
            yield {
                "name": name,
                "unit": unit,
                "histogram": {"aggregationTemporality": _DELTA, "dataPoints": points},
            }


def _seconds(
    phases: list[str], begins: list[int | None], ends: list[int | None], errors: list[str] | None = None
) -> Values:
    told = errors or [""] * len(phases)
    return _by_phase(
        (phase, error, {}, (end - begin) / _SECOND)
        for phase, error, begin, end in zip(phases, told, begins, ends, strict=True)
        if begin is not None and end is not None
    )


def _by_phase(values: Iterable[tuple[str, str, Attributes, float]]) -> Values:
    """The values of each set of attributes."""
    found: Values = {}
    for phase, error, more, value in values:
        key = (("chaoskit.phase", phase), *((("error.type", error),) if error else ()), *more.items())
        found.setdefault(key, []).append(value)
    return found


def _point(attributes: Attributes, values: list[float], bounds: Sequence[float]) -> dict[str, Any]:
    """A bucket has what is at most its bound, and more than the one before."""
    ordered = sorted(values)
    below = [bisect_right(ordered, bound) for bound in bounds] + [len(ordered)]
    counts = [count - before for before, count in zip([0, *below], below, strict=False)]
    return {
        "attributes": _written(attributes),
        "count": str(len(ordered)),
        "sum": sum(ordered),
        "min": ordered[0],
        "max": ordered[-1],
        "bucketCounts": [str(count) for count in counts],
        "explicitBounds": list(bounds),
    }


def _written(attributes: Attributes) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": _text(value)}}
        for key, value in attributes.items()
    ]


def _text(value: str) -> str:
    return printable_begin(value, _MOST_TEXT)
