"""A sweep runs each cell once, whatever ends it meanwhile, and its table depends on the cells alone."""

from __future__ import annotations

import io
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sweeps import PATH, Played, write_experiment

from chaoskit.analysis.run_comparison.directories import find, read
from chaoskit.analysis.sweep_result import load_sweep
from chaoskit.clock import RealClock
from chaoskit.errors import SpecError
from chaoskit.report.sweep_documents import SWEEP_DOCUMENTS

_SECOND = 10**9
CELLS = ["delay=5ms,seed=1", "delay=5ms,seed=2", "delay=10ms,seed=1", "delay=10ms,seed=2"]


@pytest.fixture
def played(tmp_path: Path) -> Played:
    """Two delays, with two seeds each."""
    return Played(write_experiment(tmp_path), tmp_path / "out")


def begun(played: Played, name: str, tmp_path: Path) -> subprocess.Popen[bytes]:
    """The sweep as a process of its own, whose cell of this name waits in its middle."""
    (tmp_path / "wait").write_text(name)
    played.jobs = 1
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(("tests", os.environ.get("PYTHONPATH", "")))}
    process = subprocess.Popen(played.command_line(), env=environment, stdout=subprocess.DEVNULL)
    until(lambda: (played.out / name / "tokens.jsonl").exists())
    return process


def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    clock = RealClock()
    end = clock.now() + 60 * _SECOND
    while not condition():
        assert clock.now() < end, "it does not happen"
        clock.sleep_until(clock.now() + _SECOND // 50)


def table(played: Played, form: str = "csv") -> bytes:
    """The table of a sweep that has ended."""
    file = io.BytesIO()
    SWEEP_DOCUMENTS.formats[form].write(played.measured(load_sweep(played.out)), file)
    return file.getvalue()


def test_the_table_is_the_same_however_many_run_at_a_time(played: Played, tmp_path: Path) -> None:
    """Byte for byte; of each point over all its repeats, whose intervals are narrower than one's."""
    one = Played(played.file, tmp_path / "one", jobs=1)

    found, alone = played.play(), one.play()

    assert [(cell.name, cell.verdict) for cell in found.cells] == [
        (name, "met" if "seed=1" in name else "broken") for name in CELLS
    ]
    assert (found.status, found.exit_code, alone.exit_code) == ("finished", 0, 0)
    assert table(played) == table(one)
    (first, _) = played.measured(found).points
    assert (first.runs, first.verdicts) == (2, {"broken": 1, "met": 1})
    assert played.screen.getvalue().count("begins: ") == 4
    assert "4/4  delay=" in played.screen.getvalue()


def test_a_killed_sweep_goes_on_where_it_was(played: Played, tmp_path: Path) -> None:
    """After kill -9 nothing that ended runs twice, the half cell is run anew, and the table is that of one that ran."""
    process = begun(played, CELLS[1], tmp_path)

    process.kill()
    process.wait()

    until(lambda: load_sweep(played.out).status != "running")  # what its last cell holds until it has restored all
    killed = load_sweep(played.out)
    assert [cell.state for cell in killed.cells] == ["ended", "interrupted", "not-run", "not-run"]
    assert (killed.status, killed.exit_code) == ("interrupted", 130)
    (tmp_path / "wait").unlink()
    assert played.play(is_resumed=True).exit_code == 0
    assert sorted(played.ran) == sorted([*CELLS, CELLS[1]])
    assert (played.out / "interrupted.runs" / f"{CELLS[1]}-1").is_dir()
    whole = Played(played.file, tmp_path / "whole")
    whole.play()
    assert table(played) == table(whole)


def test_an_interruption_reaches_what_runs(played: Played, tmp_path: Path) -> None:
    """The rest is not run, and is when it goes on."""
    process = begun(played, CELLS[0], tmp_path)

    process.send_signal(signal.SIGINT)
    process.wait()

    found = load_sweep(played.out)
    assert [cell.state for cell in found.cells] == ["interrupted", *["not-run"] * 3]
    assert (found.detail, found.exit_code) == ("SIGINT", 130)


def test_a_cell_that_fails_stops_no_other(played: Played, tmp_path: Path) -> None:
    """The sweep says which and why, and its exit code is 5; its point is measured by the others until it goes on, which
    runs what failed anew, and nothing else.
    """
    (tmp_path / "fail").write_text(CELLS[0])

    found = played.play()

    assert [cell.verdict for cell in found.cells] == ["failed", "broken", "met", "broken"]
    assert (found.cells[0].reason, found.exit_code) == ("there is no kernel", 5)
    (first, second) = played.measured(found).points
    assert (first.runs, second.runs) == (1, 2)
    shown = table(played, "console").decode()
    assert "INCOMPLETE  all 4 cells ended, 1 of them failed" in shown
    assert "there is no kernel" in shown
    assert "go on       --resume --out " in shown
    (tmp_path / "fail").unlink()
    again = played.play(is_resumed=True)
    assert [cell.verdict for cell in again.cells] == ["met", "broken", "met", "broken"]
    assert (again.exit_code, sorted(played.ran)) == (0, sorted([*CELLS, CELLS[0]]))
    assert [point.runs for point in played.measured(again).points] == [2, 2]


def test_a_full_disk_is_told_before_the_rest_runs(played: Played) -> None:
    """By the size of the first cell; the sweep goes on when there is room."""
    played.jobs, played.free_disk = 1, lambda: 10_000

    found = played.play()

    assert [cell.state for cell in found.cells] == ["ended", *["not-run"] * 3]
    assert (found.status, found.exit_code) == ("stopped", 3)
    assert "3 more cells of" in found.detail
    assert "--keep results, and repeat the command with --resume" in found.detail
    played.free_disk = lambda: 1 << 50
    assert played.play(is_resumed=True).exit_code == 0
    assert played.ran == CELLS


def test_a_cell_that_cannot_be_started_stops_the_sweep(played: Played, tmp_path: Path) -> None:
    """Such as on workers that are lost; what ended by then counts, and the rest is run when it goes on."""
    (tmp_path / "refuse").write_text(CELLS[2])
    played.jobs = 1

    found = played.play()

    assert [cell.state for cell in found.cells] == ["ended", "ended", "not-run", "not-run"]
    assert (found.status, found.exit_code) == ("stopped", 3)
    assert found.detail == f"there is no process left; then repeat the command with --out {played.out} --resume"
    (tmp_path / "refuse").unlink()
    assert played.play(is_resumed=True).exit_code == 0
    assert played.ran == CELLS


def test_results_alone_have_the_same_table(played: Played, tmp_path: Path) -> None:
    """The records are gone when their point is measured."""
    small = Played(played.file, tmp_path / "small", keep="results")

    played.play()
    small.play()

    assert table(small) == table(played)
    kept = sorted(each.name for each in (small.out / CELLS[0]).iterdir())
    assert kept == ["outcome.json", "plan.json", "result.json"]


def test_records_stay_until_a_point_is_whole(played: Played, tmp_path: Path) -> None:
    """The cell that failed is run anew, and its point measured over all repeats."""
    played.keep = "results"
    (tmp_path / "fail").write_text(CELLS[1])

    played.play()
    (tmp_path / "fail").unlink()
    played.play(is_resumed=True)

    whole = Played(played.file, tmp_path / "whole")
    whole.play()
    assert table(played) == table(whole)
    assert not (played.out / CELLS[0] / "tokens.jsonl").exists()


def test_a_point_without_its_records_does_not_grow(played: Played) -> None:
    """Its numbers would be those of the new runs alone; other points may be added."""
    played.keep = "results"
    played.play()
    former = table(played)

    played.repeats = 3
    with pytest.raises(SpecError, match=r"the records of delay=5ms,seed=1 are gone, as --keep results asked"):
        played.play(is_resumed=True)

    assert table(played) == former
    played.repeats, played.varied = 2, (f"{PATH}=5ms,10ms,20ms",)
    assert [point.runs for point in played.measured(played.play(is_resumed=True)).points] == [2, 2, 2]


def test_a_sweep_grows(played: Played) -> None:
    """More values and more repeats run what is new; less is refused, for its cells would be lost."""
    played.play()

    played.repeats, played.varied = 3, (f"{PATH}=5ms,10ms,20ms",)
    found = played.play(is_resumed=True)

    assert len(found.cells) == 9
    assert len(played.ran) == len(set(played.ran)) == 9
    assert [point.runs for point in played.measured(found).points] == [3, 3, 3]
    played.repeats = 1
    with pytest.raises(SpecError, match=r"out has delay=5ms,seed=2, which is none of these cells"):
        played.play(is_resumed=True)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_file_that_changes_meanwhile_stops_the_sweep(played: Played, tmp_path: Path, is_there: bool) -> None:
    """Nothing of another file stands in its table."""
    played.jobs = 1
    played.free_disk = lambda: played.file.write_text("name: x") and 1 << 50 if is_there else _gone(played.file)

    found = played.play()

    assert [cell.state for cell in found.cells] == ["ended", *["not-run"] * 3]
    assert "is another now" in found.detail
    assert found.exit_code == 3


def _gone(file: Path) -> int:
    file.unlink(missing_ok=True)
    return 1 << 50


def test_another_file_is_another_sweep(played: Played) -> None:
    """Its cells would stand in one table with those of the former one."""
    played.play()
    played.file.write_text(played.file.read_text().replace("output-tokens: 5", "output-tokens: 6"))

    with pytest.raises(SpecError, match="is another now"):
        played.play(is_resumed=True)


def test_without_values_it_repeats_the_file(played: Played) -> None:
    """With other seeds."""
    played.varied = ()

    found = played.play()

    assert played.ran == ["seed=1", "seed=2"] or played.ran == ["seed=2", "seed=1"]
    assert [point.runs for point in played.measured(found).points] == [2]
    assert b"ttft_p50" in table(played)


@pytest.mark.parametrize("form", sorted(SWEEP_DOCUMENTS.formats))
def test_every_format_is_harmless(played: Played, tmp_path: Path, form: str) -> None:
    """Whatever a run complained of; and the same sweep gives the same bytes."""
    played.repeats, played.varied = 1, ()
    found = played.play()
    hostile = "\x1b[31m</script><b>&\u202e=1"
    cells = tuple(cell.model_copy(update={"reason": hostile, "code": 3}) for cell in found.cells)
    made = played.measured(found).model_copy(
        update={"sweep": found.model_copy(update={"cells": cells, "name": hostile, "question": hostile})}
    )
    first, second = io.BytesIO(), io.BytesIO()

    SWEEP_DOCUMENTS.formats[form].write(made, first)
    SWEEP_DOCUMENTS.formats[form].write(made, second)

    assert first.getvalue() == second.getvalue()
    if SWEEP_DOCUMENTS.formats[form].is_text:
        assert not {"\x1b", "\u202e"} & set(first.getvalue().decode())
    if form in ("html", "svg", "markdown"):
        assert b"<b>" not in first.getvalue()


def test_a_sweep_is_compared_with_nothing_and_a_cell_of_it_is_named(played: Played) -> None:
    """It is not taken for the runs of a matrix, whose file it has beside them."""
    played.play()

    with pytest.raises(SpecError, match=r"out is no run directory: .*; the latest one in .*out is .*/delay="):
        read([find([played.out])], lambda *_: None)


def test_markdown_has_the_verdicts_and_the_numbers_of_the_table(played: Played) -> None:
    """The same as the terminal shows, in cells."""
    played.play()

    lines, shown = table(played, "markdown").decode().splitlines(), table(played, "console").decode()

    assert lines[0] == "## ✅ FINISHED small"
    assert lines[lines.index("| delay | met | broken |") + 2] == "| 5ms | 1 | 1 |"
    first = lines[lines.index("<details><summary>TTFT p50</summary>") + 4]
    assert first.startswith("| 5ms | ")
    assert [cell.strip() in shown for cell in first.strip("|").split("|")] == [True] * 4


def test_a_format_that_a_sweep_does_not_have_is_told_with_those_it_has() -> None:
    """Those of runs would be refused one after the other."""
    with pytest.raises(SpecError, match="'pdf' is no format of a report; there are console, json, markdown, csv"):
        SWEEP_DOCUMENTS.chosen(["pdf"])
    with pytest.raises(SpecError, match="did you mean markdown"):
        SWEEP_DOCUMENTS.chosen(["md"])


def test_values_that_change_nothing_are_refused(played: Played) -> None:
    """Such as those of a fault that no phase uses: each point would look as if it had no effect."""
    played.file.write_text(
        played.file.read_text().replace("{wifi: 2s}", "{recovery: 2s}").replace("during wifi", "during recovery")
    )

    with pytest.raises(SpecError, match=f"^{PATH}: all of these values give the same run; chaoskit validate "):
        played.play()


def test_too_many_runs_are_refused_before_the_first(played: Played) -> None:
    """With how many they would be."""
    played.repeats = 9000

    with pytest.raises(
        SpecError, match="--repeats 9000 of 2 combinations are 18000 runs, and at most 10000 are allowed"
    ):
        played.play()

    assert not played.out.exists()
