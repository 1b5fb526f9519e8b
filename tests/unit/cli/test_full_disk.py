"""Two runs in one second, and a disk that is full: nothing collides, and a verdict that was computed is shown."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from warm import chaoskit

from chaoskit.errors import RefusedError
from chaoskit.records import jsonl
from chaoskit.records.directory import create_next
from chaoskit.records.jsonl import Log
from chaoskit.records.model import Vitals


def test_two_runs_of_one_second_have_two_directories(tmp_path: Path) -> None:
    """The second gets a number; a named one is never written over."""
    places = [create_next(tmp_path / "runs" / "wifi-20300101T000000", {"a": "b"}) for _ in range(3)]

    assert len({place.resolve() for place in places}) == 3
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        "wifi-20300101T000000",
        "wifi-20300101T000000-2",
        "wifi-20300101T000000-3",
    ]


def closed(tmp_path: Path) -> Path:
    """An experiment of a second on a port that nobody listens at."""
    file = tmp_path / "x.yaml"
    file.write_text(
        "name: closed\nquestion: Is it there?\nstage: {target: 'http://127.0.0.1:9'}\n"
        "workload: {request-rate: 2/s}\ntimeline: [{baseline: 1s}]\nobjectives: [interruption_rate < 1%]\n"
    )
    return file


def test_a_verdict_counts_without_its_file(tmp_path: Path) -> None:
    """When result.json cannot be written, the result is shown, with its exit code, and a sentence says what lacks."""
    out = tmp_path / "run"
    blocker = "import chaoskit.report.result_json as r; r.NAME = 'no/such/result.json'"

    done = chaoskit("run", str(closed(tmp_path)), "--out", str(out), before=blocker)
    again = chaoskit("report", str(out))

    assert "records" in done.stdout.splitlines()[-4]
    assert "cannot write" in done.stderr
    assert f"chaoskit report {out}" in done.stderr
    assert done.returncode == again.returncode


def test_a_probe_whose_records_do_not_fit_says_so(tmp_path: Path) -> None:
    """The records end, the probe is refused with the file's name, and the directory can still be read."""
    out = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-m", "chaoskit", "serve", "--port", "0", "--token-interval", "1ms"],
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[0]
        small = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
        done = chaoskit("probe", url, "--out", str(out), "--max-concurrency", "4", before=small)
        server.kill()
    again = chaoskit("report", str(out))

    assert done.returncode == again.returncode == 3, done.stderr
    assert "File too large" in done.stderr
    assert f"cannot write {out}/" in done.stderr
    assert "REFUSED" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_line_that_does_not_fit_is_not_torn(tmp_path: Path) -> None:
    """What was written of it is taken back, so that the file can be read, whatever is appended later."""
    log = Log(tmp_path, Vitals)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    vitals = Vitals(at=1, open=0, started=0, ended=0, lag=0, cpu=0)
    log.add(vitals)
    log.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        log.add(vitals)
        with pytest.raises(RefusedError, match="File too large"):
            log.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.add(vitals)
    log.close()

    assert jsonl.read(tmp_path, Vitals) == [vitals] * 2
