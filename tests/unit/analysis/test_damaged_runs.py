"""Run directories that a crash left incomplete."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from made_runs import Made, ns, plan

from chaoskit.analysis.analyse import analyse
from chaoskit.errors import SpecError
from chaoskit.records.host_records import ConnectionEnd, HostSocket, HostState, NamespaceCounters
from chaoskit.records.jsonl import FILES
from chaoskit.records.look_record import Look
from chaoskit.records.model import Event, Hop, Request, SocketRead, UnackedSample
from chaoskit.records.spans import Exports, ModelState, Span

OBJECTIVES = ["ttft_p95 < 800ms during wifi", "interruption_rate <= 1%", "ttft_p95 during wifi < 3x baseline"]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A run with a record of every kind."""
    run = Made(plan(OBJECTIVES)).phases().many(0, 30_000, 3000).vitals(30_000)
    run.stream(12_000, [12_100], "reset", ended=12_200, port=40_000)
    run.records.append(SocketRead(0, 9, ns(1000), ns(1000), ns(1000), 30, (Event("ping"),)))
    run.records.append(UnackedSample(0, ns(12_150), {"snd_mss": 1448, "retransmits": 2}))
    run.records.append(Hop(ns(10_000), "router", "wifi", 0, 1, 0, 0))
    run.records.append(ConnectionEnd(ns(11_999), "router", "to-client", "syn", "client", 40_000, "server", 8000))
    run.records.append(ConnectionEnd(ns(12_199), "router", "to-server", "rst", "server", 8000, "client", 40_000))
    run.records.append(HostState("server", ns(0), "ready"))
    run.records.append(Span("0" * 31 + "1", "0" * 15 + "2", None, "gateway", "chat", "workflow", ns(0), ns(900)))
    run.records.append(NamespaceCounters(ns(10_000), "client", "wifi", 0, {"TCPTimeouts": 1}, {}))
    run.records.append(Look(ns(28_000), 1, ("one",), (), ("two",)))
    run.records.append(Exports("gateway", ns(30_000), 3, 12))
    run.records.append(ModelState("model", ns(1000), 1, 0, 900, 412_000, ns(900), 0, 1000))
    run.records.append(HostSocket(ns(12_150), "client", 40_000, "server", 8000, {"state": 1, "last_data_recv": 50}))
    run.counters("wifi", 900, 100, 10_000, 20_000).handshakes(1000, [1] * 5).handshakes(11_000, [31] * 5)
    return run.served(0, 5, 5).write(tmp_path / "whole")


def test_every_file_may_be_missing(whole: Path, tmp_path: Path) -> None:
    """Without any single file, or with only one, there is a result."""
    names = sorted(path.name for path in whole.iterdir())
    assert len(names) == len(FILES) + 2
    for name in names:
        without, alone = tmp_path / f"no-{name}", tmp_path / f"only-{name}"
        shutil.copytree(whole, without)
        (without / name).unlink()
        alone.mkdir()
        shutil.copy(whole / name, alone / name)

        assert analyse(without).overall.started >= 0
        if name in ("plan.json", "requests.jsonl", "phases.jsonl"):
            assert analyse(alone).overall.started >= 0


def test_every_file_may_end_anywhere(whole: Path, tmp_path: Path) -> None:
    """Records cut off anywhere, in the middle of a line too, give a result."""
    for name in FILES.values():
        data = (whole / name).read_bytes()
        for cut in range(0, len(data), max(1, len(data) // 5)):
            torn = tmp_path / "torn"
            shutil.copytree(whole, torn)
            (torn / name).write_bytes(data[:cut])

            assert analyse(torn).seconds >= 0
            shutil.rmtree(torn)


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        (None, "requests.jsonl is missing: no stream can be counted"),
        (0, "requests.jsonl is cut: 11 streams of tokens.jsonl missing in it"),
        (5, "requests.jsonl is cut: 6 streams of tokens.jsonl missing in it"),
    ],
)
def test_requests_that_are_lost_are_named(whole: Path, left: int | None, reason: str) -> None:
    """A run that ended by itself has a request for each stream; where these are not there, nothing is decided."""
    path = whole / FILES[Request]
    lines = path.read_text().splitlines(keepends=True)
    path.unlink()
    if left is not None:
        path.write_text("".join(lines[:left]))

    result = analyse(whole)

    assert (result.outcome.verdict, result.outcome.reason) == ("undecided", reason)
    assert result.exit_code == 5


def test_a_path_beside_a_run_names_the_run(whole: Path, tmp_path: Path) -> None:
    """One of its files, the folder that it is in, the file that it was run from."""
    cases = {
        whole / "requests.jsonl": f"give its directory, {whole}",
        tmp_path: f"the latest one in {tmp_path} is {whole}",
        tmp_path / "x.yaml": f"an experiment file gets one by chaoskit run {tmp_path / 'x.yaml'}",
    }

    for path, advice in cases.items():
        with pytest.raises(SpecError, match=f"is no run directory: .*{re.escape(advice)}$"):
            analyse(path)


def test_the_latest_run_of_a_folder_is_that_which_began_last(whole: Path, tmp_path: Path) -> None:
    """A matrix is one, too; a report that was written into an older run since does not count."""
    newer = tmp_path / "matrix"
    newer.mkdir()
    (newer / "experiment.yaml").write_text("name: x\n")
    os.utime(newer, (1, 1))
    (whole / "report.html").write_text("")

    with pytest.raises(SpecError, match=f"; the latest one in {tmp_path} is {newer}$"):
        analyse(tmp_path)


@pytest.mark.parametrize(
    ("file", "kind"),
    [("sweep.json", "a sweep"), ("limit.json", "a search for a limit"), ("gameday.json", "a suite")],
)
def test_the_folder_of_several_runs_is_told_as_that(whole: Path, tmp_path: Path, file: str, kind: str) -> None:
    """With the command that shows it, and a run that is in it."""
    (tmp_path / file).write_text("{}")

    advice = (
        f"it is the folder of {kind}, which chaoskit report {tmp_path} shows; the latest one in {tmp_path} is {whole}"
    )
    with pytest.raises(SpecError, match=f"{re.escape(advice)}$"):
        analyse(tmp_path)


def test_a_torn_outcome_counts_as_killed(whole: Path) -> None:
    """An outcome that was cut off while it was written is ignored."""
    (whole / "outcome.json").write_text('{"how": "fini')

    assert analyse(whole).outcome.status == "interrupted"


def test_another_directory_is_refused(tmp_path: Path) -> None:
    """A directory without a plan and without requests is no run directory, and the error says so."""
    with pytest.raises(SpecError, match="no run directory"):
        analyse(tmp_path)


def test_the_same_records_give_the_same_result(whole: Path) -> None:
    """A result computed again is equal, to the last digit."""
    assert analyse(whole) == analyse(whole)
