"""The tables of a run say the same as its result, row by row."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from damage import damage
from made_runs import MS, Made, ns, plan, write_with_workload
from made_spans import chain_run
from random_runs import random_run

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.tables.run_tables import load_tables
from chaoskit.analysis.tables.table import Column, Table, TableSchema
from chaoskit.analysis.tables.table_columns import SCHEMAS
from chaoskit.errors import SpecError
from chaoskit.records.host_records import HostSocket
from chaoskit.records.model import Counters

SEEDS = range(8)
CAUSES = ("server", "network", "client", "between", "unknown")


def test_a_stream_by_hand(tmp_path: Path) -> None:
    """Stamps count from the begin of the run; a gap stands in the row of the token that it begins with."""
    made = Made().phases()
    made.stream(12_000, [12_100, 12_150, 12_700], traffic_class="gold", port=4000)

    tables = load_tables(made.write(tmp_path / "run"))

    row = dict(zip(tables.streams.names, next(tables.streams.rows()), strict=True))
    assert (row["stream"], row["phase"], row["ttft_phase"], row["completion"]) == (0, "wifi", "wifi", "complete")
    assert (row["scheduled_ns"], row["ttft_ns"], row["end_ns"]) == (12_000 * MS, 100 * MS, 12_700 * MS)
    assert (row["events"], row["bytes"], row["stalls"], row["traffic_class"]) == (3, 300, 1, "gold")
    assert row["retry_of"] is None
    assert tables.tokens["at_ns"].tolist() == [12_100 * MS, 12_150 * MS, 12_700 * MS]
    assert tables.tokens["gap_ns"].tolist() == [50 * MS, 550 * MS, None]
    assert tables.tokens["number"].tolist() == [1, 2, 3]
    assert tables.phases["phase"][tables.tokens["gap_phase"]].tolist() == ["wifi"] * 3
    assert tables.stalls["stalled_ns"].tolist() == [350 * MS]
    assert tables.stalls["token"].tolist() == [2]


def test_phases_by_hand(tmp_path: Path) -> None:
    """The faults of a phase are gone when the next one is ready; those of the last one never."""
    tables = load_tables(Made(plan(timeline="[{baseline: 10s}, {wifi: 10s}]")).phases(settling=40).write(tmp_path))

    assert tables.phases["phase"].tolist() == ["baseline", "wifi"]
    assert tables.phases["faults"].tolist() == ["", "wifi"]
    assert tables.phases["ready_ns"].tolist() == [40 * MS, 10_040 * MS]
    assert tables.phases["cleared_ns"].tolist() == [10_040 * MS, None]
    assert tables.phases["is_reference"].tolist() == [True, False]
    assert "loss 10%" in tables.phases["settings"][1]


def test_tcp_and_queues_by_hand(tmp_path: Path) -> None:
    """What a host's socket did not tell lacks; counters of records are no queues."""
    made = Made().phases().counters("wifi", 90, 10, 10_000, 20_000, qlen=3).handshakes(500, [31])
    made.records.append(HostSocket(ns(700), "model", 80, "client", 4000, {"rtt": 31_000, "snd_cwnd": 12}))
    made.records.append(Counters(ns(800), "", "records", "wifi", 0, 1, 0, 0, 0, 0, 0, "sockets"))

    tables = load_tables(made.write(tmp_path))

    assert tables.tcp["seen_by"].tolist() == ["client", "model"]
    assert tables.tcp["rtt_us"].tolist() == [31_000, 31_000]
    assert tables.tcp["cwnd"].tolist() == [None, 12]
    assert tables.queues["drops"].tolist() == [1, 11]
    assert tables.queues["queued"].tolist() == [0, 3]


def test_hops_name_their_stream(tmp_path: Path) -> None:
    """A span of a request's trace has its number, and begins where the request does or later."""
    tables = load_tables(chain_run().write(tmp_path))

    assert len(tables.hops) > 3
    assert set(tables.hops["stream"].tolist()) <= set(tables.streams["stream"].tolist())
    traces = dict(zip(tables.streams["stream"].tolist(), tables.streams["trace"], strict=True))
    assert [traces[stream] for stream in tables.hops["stream"].tolist()] == tables.hops["trace"].tolist()


@pytest.mark.parametrize("seed", SEEDS)
def test_stalls_add_up_to_the_result(tmp_path: Path, seed: int) -> None:
    """The stalls of each phase, and their time by cause, are those of its result."""
    run = random_run(seed, streams=30).write(tmp_path / "run")

    stalls, result = load_tables(run).stalls, analyse(run)

    for phase in result.phases:
        here = stalls["phase"] == phase.name
        assert phase.stall_attribution.stalls == here.sum()
        for cause in CAUSES:
            told = getattr(phase.stall_attribution, f"{cause}_ms")
            assert stalls[f"{cause}_ns"][here].sum() / MS == pytest.approx(told)


@pytest.mark.parametrize("seed", SEEDS)
def test_gaps_and_streams_add_up_to_the_result(tmp_path: Path, seed: int) -> None:
    """Gaps, stalls, interruptions and first tokens of each phase are as many as in its result, and as long."""
    run = random_run(seed, streams=30).write(tmp_path / "run")

    tables, result = load_tables(run), analyse(run)
    streams, tokens = tables.streams, tables.tokens
    of_gap = tables.phases["phase"][tokens["gap_phase"]]
    is_gap = ~np.ma.getmaskarray(tokens["gap_ns"])

    for phase in result.phases:
        here = (of_gap == phase.name) & is_gap
        own = streams["phase"] == phase.name
        causes = [cause for cause in streams["interruption_cause"][own] if cause]
        assert here.sum() == phase.metrics.gaps
        assert tokens["is_stall"][here].sum() == phase.metrics.stalls
        assert tokens["gap_ns"][here].sum() / MS == pytest.approx(phase.metrics.streaming_ms)
        assert len(causes) == phase.metrics.interrupted
        assert {cause: causes.count(cause) for cause in causes} == phase.interruption_causes
        assert own.sum() == phase.metrics.started
        ttft = streams["ttft_ns"][streams["ttft_phase"] == phase.name].filled(-1)
        assert len(ttft) == phase.metrics.ttft.count
        if len(ttft) and (ttft >= 0).all():
            assert ttft.max() / MS == pytest.approx(phase.metrics.ttft.max_ms)


@pytest.mark.parametrize("seed", SEEDS)
def test_stalls_of_a_stream_are_its_rows(tmp_path: Path, seed: int) -> None:
    """The count and the time in `streams` are those of the rows of `stalls`."""
    tables = load_tables(random_run(seed, streams=30).write(tmp_path / "run"))

    found: dict[int, list[int]] = defaultdict(list)
    for stream, time in zip(tables.stalls["stream"].tolist(), tables.stalls["stalled_ns"].tolist(), strict=True):
        found[stream].append(time)
    numbers = tables.streams["stream"].tolist()
    assert tables.streams["stalls"].tolist() == [len(found[number]) for number in numbers]
    assert tables.streams["stalled_ns"].tolist() == [sum(found[number]) for number in numbers]


def test_a_run_without_anything(tmp_path: Path) -> None:
    """A run that was killed before its first phase has empty tables, with all their columns."""
    tables = load_tables(Made(outcome=None).write(tmp_path))

    assert [len(table) for table in tables] == [0] * len(SCHEMAS)
    assert [table.names for table in tables] == [tuple(column.name for column in each.columns) for each in SCHEMAS]


@pytest.mark.parametrize("seed", range(24))
def test_damaged_runs(tmp_path: Path, seed: int) -> None:
    """Whatever stands in the files: tables, or one error that names it."""
    run = random_run(seed % 4, streams=6).write(tmp_path / "run")
    damage(run, seed)

    try:
        tables = load_tables(run)
    except SpecError:
        return

    assert all(len(column) == len(table) for table in tables for column in table.columns.values())


def test_names_tell_units() -> None:
    """A column of ns, us or bytes says so in its name; a table has no name twice."""
    for schema in SCHEMAS:
        names = [column.name for column in schema.columns]
        assert len(set(names)) == len(names)
        for column in schema.columns:
            if column.unit in ("ns", "us", "bytes"):
                assert column.unit in column.name or column.name in ("snd_mss", "pmtu"), column
            assert column.meaning.endswith(".")


def test_a_table_needs_every_column() -> None:
    """One that is missing, or that nobody declared, is a mistake."""
    schema = TableSchema("x", "Row.", (Column("a", "int64", "", "A."),))

    with pytest.raises(KeyError):
        Table.of(schema, {"a": [1], "b": [2]})


def test_pandas(tmp_path: Path) -> None:
    """A data frame has the table's columns; what lacks is NA, and a number stays one."""
    tables = load_tables(random_run(3, streams=30).write(tmp_path / "run"))

    for table in tables:
        frame = table.to_pandas()
        assert tuple(frame.columns) == table.names
        assert len(frame) == len(table)
    frame = tables.tokens.to_pandas()
    assert frame.gap_ns.isna().sum() == np.ma.getmaskarray(tables.tokens["gap_ns"]).sum() > 0
    assert frame.gap_ns.dtype == "Int64"
    assert frame.gap_ns.sum() == tables.tokens["gap_ns"].sum()


def test_rows_do_not_depend_on_the_order_of_lines(tmp_path: Path) -> None:
    """Requests end in any order: `streams` is by number, `tokens` by stream."""
    run = random_run(5, streams=20).write(tmp_path / "run")
    before = load_tables(run)
    lines = (run / "requests.jsonl").read_text().splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    (run / "requests.jsonl").write_text("".join(lines))

    after = load_tables(run)

    assert list(after.streams.rows()) == list(before.streams.rows())
    assert list(after.stalls.rows()) == list(before.stalls.rows())


def test_other_workloads_have_tables_of_their_own(tmp_path: Path) -> None:
    """Streams, tokens and stalls are theirs; the rest is the run's."""
    tables = load_tables(write_with_workload(tmp_path))

    other = tables.workloads["upload"]
    assert tables.streams["stream"].tolist() == [0, 1]
    assert other.streams["stream"].tolist() == [1000]
    assert (len(tables.stalls), other.stalls["phase"].tolist()) == (0, ["wifi"])
    assert other.phases is tables.phases
    assert other.origin_ns == tables.origin_ns
