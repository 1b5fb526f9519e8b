"""The trace obeys the Trace Event Format, as Perfetto's importer reads it, and has every token and stall."""

from __future__ import annotations

import gzip
import io
import json
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hostile_text import HOSTILE, hostile_run
from made_runs import Made, ns, write_with_workload
from made_spans import chain_run
from random_runs import random_run

from chaoskit.analysis.tables.run_tables import load_tables
from chaoskit.records.host_records import HostSocket
from chaoskit.report.formats.perfetto import write
from chaoskit.report.formats.source import load

KEYS = {
    "X": {"pid", "tid", "name", "args", "ts", "dur"},
    "i": {"pid", "tid", "name", "ts", "s"},
    "C": {"pid", "tid", "name", "args", "ts"},
    "M": {"pid", "tid", "name", "args"},
    "b": {"pid", "tid", "name", "cat", "id", "args", "ts"},
    "e": {"pid", "tid", "name", "cat", "id", "ts"},
}
"""The fields that an event of each kind needs (Trace Event Format, "Event Descriptions")."""


def trace(run: Path) -> list[dict[str, Any]]:
    """The events of a run's trace; numbers exactly as they are written."""
    file = io.BytesIO()
    write(load(run), file)
    text = gzip.decompress(file.getvalue()).decode("ascii")
    found: list[dict[str, Any]] = json.loads(text, parse_float=Decimal)["traceEvents"]
    return found


def mistakes(events: list[dict[str, Any]]) -> Iterator[object]:
    """What is wrong with a trace: fields, names, slices that overlap, hops that do not end."""
    names: dict[tuple[str, int], set[int]] = defaultdict(set)
    tracks: dict[int, list[tuple[Decimal, Decimal]]] = defaultdict(list)
    begun: dict[object, Decimal] = {}
    named = {event["tid"] for event in events if event["ph"] == "M"}
    for event in events:
        if KEYS[event["ph"]] - event.keys() or event.get("ts", 0) < 0 or event.get("dur", 0) < 0:
            yield event
        names["tid", event["tid"]].add(event["pid"])
        match event["ph"]:
            case "X":
                tracks[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
            case "b":
                begun[event["cat"], event["id"]] = event["ts"]
            case "e" if begun.pop((event["cat"], event["id"])) > event["ts"]:
                yield event
            case "C" if not all(isinstance(value, int) for value in event["args"].values()):
                yield event
        if event["ph"] in "Xi" and event["tid"] not in named:
            yield "no name", event
    yield from (key for key, processes in names.items() if len(processes) > 1)  # Perfetto looks names up by the thread
    yield from begun
    for slices in tracks.values():
        open_ends: list[Decimal] = []
        for begin, end in sorted(slices, key=lambda pair: (pair[0], -pair[1])):
            while open_ends and open_ends[-1] <= begin:
                open_ends.pop()
            if open_ends and end > open_ends[-1]:
                yield "overlap", begin, end, open_ends[-1]
            open_ends.append(end)


@pytest.mark.parametrize("seed", range(8))
def test_a_trace_is_well_formed(tmp_path: Path, seed: int) -> None:
    """Every event has its fields, slices lie inside one another, no number names two things."""
    run = random_run(seed, streams=30).write(tmp_path / "run")

    events = trace(run)

    assert list(mistakes(events)) == []


def test_nothing_is_left_out(tmp_path: Path) -> None:
    """Each token is an instant, each stall a slice with its cause, each sample of TCP there, to the nanosecond."""
    run = random_run(3, streams=30).write(tmp_path / "run")
    tables = load_tables(run)

    events = trace(run)

    begin = next(event["ts"] for event in events if "settings" in event.get("args", {}))
    tokens = sorted((event["ts"] - begin) * 1000 for event in events if event["name"].startswith("token "))
    assert tokens == sorted(tables.tokens["at_ns"].tolist())
    stalls = [event for event in events if event["name"].startswith("stall: ")]
    assert sorted(event["args"]["cause"] for event in stalls) == sorted(tables.stalls["cause"].tolist())
    assert {event["args"]["sentence"] for event in stalls} == set(tables.stalls["sentence"])
    samples = [event for event in events if event["name"].startswith("TCP ") and event["ph"] == "i"]
    known = set(tables.streams["stream"].tolist())
    assert len(samples) == sum(stream in known for stream in tables.tcp["stream"].tolist())
    phases = [event["name"] for event in events if event["ph"] == "X" and "settings" in event["args"]]
    assert set(tables.phases["phase"]) <= set(phases)


def test_hops_and_counters(tmp_path: Path) -> None:
    """A hop is an asynchronous slice of its host; queues and the sockets of hosts are counters."""
    made = chain_run().counters("wifi", 90, 10, 10_000, 20_000, qlen=3)
    made.records.append(HostSocket(ns(700), "model", 80, "client", 4000, {"rtt": 31_000, "snd_cwnd": 12}))

    events = trace(made.write(tmp_path / "run"))

    assert list(mistakes(events)) == []
    counters = {(event["name"], *event["args"].items()) for event in events if event["ph"] == "C"}
    assert (":80 to client:4000", ("cwnd", 12)) in counters
    assert ("router to-client qdisc", ("drops", 11)) in counters
    assert {event["cat"] for event in events if event["ph"] == "b"} >= {"retrieval", "model"}


def test_what_came_before_the_run_began(tmp_path: Path) -> None:
    """No time is negative: all move."""
    made = Made().phases()
    made.stream(-50, [100, 120])

    events = trace(made.write(tmp_path / "run"))

    assert list(mistakes(events)) == []
    assert min(event["ts"] for event in events if "ts" in event) == 0


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    """There is no date in it."""
    source = load(random_run(1).write(tmp_path / "run"))
    one, other = io.BytesIO(), io.BytesIO()

    write(source, one)
    write(source, other)

    assert one.getvalue() == other.getvalue()


@pytest.mark.parametrize("text", [HOSTILE[name] for name in ("script", "ansi", "lines", "nul", "surrogates", "bidi")])
def test_hostile_texts(tmp_path: Path, text: str) -> None:
    """Whatever a server said, the trace is well formed, and shows it on one line."""
    events = trace(hostile_run(tmp_path / "run", text))

    assert list(mistakes(events)) == []
    details = [event["args"]["detail"] for event in events if "detail" in event.get("args", {})]
    assert details
    assert all(detail.isprintable() for detail in details)


def test_other_workloads_are_groups_of_tracks(tmp_path: Path) -> None:
    """The streams of another client of the lab."""
    events = trace(write_with_workload(tmp_path / "run"))

    names = [event["args"]["name"] for event in events if event["name"] == "process_name"]
    assert list(mistakes(events)) == []
    assert {"streams", "upload: streams"} <= set(names)
