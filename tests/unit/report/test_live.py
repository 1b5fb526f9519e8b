"""The progress of a run on a terminal and in plain lines."""

from __future__ import annotations

import io
from pathlib import Path

from made_runs import MS, ns, plan
from rich.console import Console

from chaoskit.records.jsonl import FILES, to_line
from chaoskit.records.model import Phase, Record, Request, Vitals
from chaoskit.report.live import RunLine, RunProgress

WIFI, DRAIN = ("wifi", ("wifi",)), ("drain", ())


def write(run: Path, *records: Record) -> None:
    """As the processes of a run do."""
    for record in records:
        with (run / FILES[type(record)]).open("a") as file:
            file.write(to_line(record))


def phase(name: str, begin: float, until: float) -> Phase:
    """A phase."""
    return Phase(name, 0, (), ns(begin), ns(begin), ns(until))


def vitals(at: float, opened: int = 3, ended: int = 20) -> Vitals:
    """A line of vitals."""
    return Vitals(ns(at), opened, opened + ended, ended, 0, 0, 152 * MS)


def interrupted() -> Request:
    """A stream that was interrupted."""
    return Request(7, ns(0), ns(0), ns(10), "reset")


def console(file: io.StringIO, terminal: bool, width: int = 80) -> Console:
    """A screen."""
    return Console(file=file, width=width, force_terminal=terminal, color_system=None, legacy_windows=False)


def test_plain_lines_come_at_changes_and_every_ten_seconds(tmp_path: Path) -> None:
    """Without a terminal: a line at the start, at each phase, and every ten seconds of the run's own time."""
    seen = io.StringIO()
    with RunProgress(console(seen, terminal=False), [RunLine(plan(), tmp_path)]) as live:
        live.tick()
        live.tick()
        write(tmp_path, phase("baseline", 0, 10_000), vitals(500))
        live.tick()
        write(tmp_path, *(vitals(at) for at in range(1000, 9000, 500)))
        live.tick()
        write(tmp_path, interrupted(), phase("wifi", 10_000, 20_000), vitals(10_200, 12, 30))
        live.tick()
        write(tmp_path, vitals(20_200, 9, 40))
        live.tick()
        write(tmp_path, phase("recovery", 20_000, 30_000), phase("drain", 30_000, 35_000), vitals(31_000, 2, 70))
        live.tick()
        write(tmp_path, vitals(41_000, 0, 72))
        live.tick()

    assert [told.rstrip() for told in seen.getvalue().splitlines()] == [
        "starting",
        "baseline 1/3  0 s of 10 s, 30 s to go  3 open, 20 ended  TTFT 152 ms",
        "wifi 2/3  0 s of 10 s, 20 s to go  12 open, 30 ended, 1 interrupted  TTFT 152 ms",
        "wifi 2/3  10 s of 10 s, 10 s to go  9 open, 40 ended, 1 interrupted  TTFT 152 ms",
        "draining: open streams may take another 4 s  2 open, 70 ended, 1 interrupted  TTFT 152 ms",
        "draining: all streams have ended  0 open, 72 ended, 1 interrupted  TTFT 152 ms",
    ]


def test_a_terminal_has_one_line_that_changes(tmp_path: Path) -> None:
    """On a terminal the line is redrawn, fits the width, and is removed at the end."""
    seen = io.StringIO()
    with RunProgress(console(seen, terminal=True, width=50), [RunLine(plan(), tmp_path)]) as live:
        write(tmp_path, phase("baseline", 0, 10_000), vitals(4000))
        live.tick()
        write(tmp_path, vitals(5000, 99_999, 9_999_999))
        live.tick()

    text = seen.getvalue()
    assert "baseline 1/3  4 s of 10 s, 26 s to go  3 open" in text
    assert "baseline 1/3  5 s of 10 s, 25 s to go  99999 open…" in text
    assert text.count("\n") == 1  # at the end, when it goes
    assert "\x1b[2K" in text


def test_a_missing_directory_is_a_start(tmp_path: Path) -> None:
    """A missing directory is no error: the guest is still booting."""
    seen = io.StringIO()
    with RunProgress(console(seen, terminal=False), [RunLine(plan(), tmp_path / "later")]) as live:
        live.tick()

    assert seen.getvalue().strip() == "starting"


def test_a_torn_line_waits_for_its_rest(tmp_path: Path) -> None:
    """Half a line is not read until the other half is written."""
    seen = io.StringIO()
    whole = to_line(phase("baseline", 0, 10_000))
    with RunProgress(console(seen, terminal=False), [RunLine(plan(), tmp_path)]) as live:
        (tmp_path / FILES[Phase]).write_text(whole[:30])
        live.tick()
        (tmp_path / FILES[Phase]).write_text(whole)
        live.tick()

    assert [told.split()[0] for told in seen.getvalue().splitlines()] == ["starting", "baseline"]


def test_only_the_runs_own_stamps_count(tmp_path: Path) -> None:
    """The same records a year later by another clock show the same lines."""
    lines = []
    for shift in (0, 10**17):
        run, seen = tmp_path / str(shift), io.StringIO()
        run.mkdir()
        first = phase("baseline", shift / MS, shift / MS + 10_000)
        write(run, first, vitals(shift / MS + 2500))
        with RunProgress(console(seen, terminal=False), [RunLine(plan(), run)]) as live:
            live.tick()
        lines.append(seen.getvalue())

    assert lines[0] == lines[1]
    assert "2 s of 10 s" in lines[0]
