"""`chaoskit report RUNDIR`."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from pathlib import Path

import pytest
import warm
from made_runs import Made, plan
from typer.testing import CliRunner

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Result
from chaoskit.cli.app import app
from chaoskit.errors import RefusedError, SpecError
from chaoskit.records.directory import create
from chaoskit.report.formats.destinations import write_reports
from chaoskit.report.headline import headline


def run(tmp_path: Path, *objectives: str) -> Path:
    """A run directory."""
    made = Made(plan(objectives)).phases().many(0, 30_000, 100).counters("wifi", 900, 100, 10_000, 20_000)
    return made.write(tmp_path / "run")


@pytest.mark.parametrize(
    ("objective", "word", "code"),
    [
        ("ttft_p50 < 1s during baseline", "MET", 0),
        ("ttft_p50 < 1ms during baseline", "BROKEN", 1),
        ("ttft_p99 < 1s during baseline", "UNDECIDED", 5),
    ],
)
def test_the_verdict_is_printed_and_returned(tmp_path: Path, objective: str, word: str, code: int) -> None:
    """The last lines and the exit code agree."""
    told = CliRunner().invoke(app, ["report", str(run(tmp_path, objective))])

    assert told.exit_code == code
    assert word in told.stdout


def test_json_is_the_whole_result(tmp_path: Path) -> None:
    """Standard output has what result.json would have, headline included, and nothing else."""
    directory = run(tmp_path)

    told = CliRunner().invoke(app, ["report", str(directory), "--format", "json"])

    found = analyse(directory)
    assert Result.model_validate_json(told.stdout) == found.model_copy(update={"run": "", "headline": headline(found)})
    assert told.exit_code == 0


def test_another_directory_is_refused(tmp_path: Path) -> None:
    """It is refused with a sentence that names it."""
    told = CliRunner().invoke(app, ["report", str(tmp_path)])

    assert isinstance(told.exception, SpecError)
    assert str(tmp_path) in str(told.exception)


def test_several_runs_end_with_the_worst_exit_code(tmp_path: Path) -> None:
    """One after the other on a screen, a list in JSON."""
    met = run(tmp_path / "met", "ttft_p50 < 1s during baseline")
    broken = run(tmp_path / "broken", "ttft_p50 < 1ms during baseline")

    shown = CliRunner().invoke(app, ["report", str(broken), str(met)])
    told = CliRunner().invoke(app, ["report", str(broken), str(met), "--format", "json"])

    assert (shown.exit_code, told.exit_code) == (1, 1)
    assert shown.stdout.index("BROKEN") < shown.stdout.index("MET", shown.stdout.index("BROKEN  "))
    assert [each["outcome"]["verdict"] for each in json.loads(told.stdout)] == ["broken", "met"]


def test_a_run_that_is_given_twice(tmp_path: Path) -> None:
    """In metrics it would be one series with two values."""
    directory = run(tmp_path / "run")
    (tmp_path / "link").symlink_to(directory)

    told = CliRunner().invoke(app, ["report", str(directory), str(tmp_path / "link")])

    assert str(told.exception) == f"{tmp_path}/link is given twice; keep one"


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """It has the mode of any new file, its folder nothing else, and the verdict is said."""
    directory, there = run(tmp_path, "ttft_p50 < 1ms during baseline"), tmp_path / "there"
    there.mkdir()
    (there / "out").write_text("former")
    (there / "out").chmod(0o600)
    (there / "link").symlink_to(there / "out")

    done = warm.chaoskit("report", str(directory), "-o", str(there / "link"))

    assert done.returncode == 1
    assert done.stderr.startswith(f"{there}/link: BROKEN, ttft_p50 < 1ms during baseline is broken: ")
    assert (there / "link").read_text().splitlines()[-1].startswith("BROKEN")
    assert not (there / "link").is_symlink()
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((there / "link").stat().st_mode) == 0o666 & ~mask
    assert (there / "out").read_text() == "former"
    assert sorted(each.name for each in there.iterdir()) == ["link", "out"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "html"], r"\d+ kB would fill the terminal; write -o report.html, or page through it: \| less"),
        (["--format", "json"], r"\d+ kB would fill the terminal; write -o report.json, or .*"),
        (["--format", "perfetto"], "that is no text for a terminal; write -o trace.json.gz"),
        (["--format", "csv", "--table", "tokens"], r"\d+ kB would fill the terminal; write -o tokens.csv, or .*"),
        (["--format", "parquet", "--table", "tokens"], "that is no text for a terminal; write -o tokens.parquet"),
    ],
)
def test_a_terminal_is_not_filled(words: list[str], said: str, tmp_path: Path) -> None:
    """What nobody can read there is refused with what to type; a program that reads the output gets it."""
    directory, (ours, theirs) = run(tmp_path), os.openpty()

    with os.fdopen(theirs, "w") as terminal, os.fdopen(ours, "rb", 0):
        told = warm.chaoskit("report", str(directory), *words, stdout=terminal)

    assert told.returncode == 2
    assert re.fullmatch(f"chaoskit: {said}\n", told.stderr), told.stderr


def test_several_formats_are_files_of_a_folder(tmp_path: Path) -> None:
    """They have the names that they have in a run directory; without a folder a sentence says so."""
    directory, place = run(tmp_path), tmp_path / "place"
    words = ("report", str(directory), "--format", "json,html,csv")

    done, without, dashed = (warm.chaoskit(*words, *more) for more in (("-o", str(place)), (), ("-o", "-")))

    assert done.returncode == 0
    names = ["report.json", "report.html", "tables-csv"]
    assert done.stderr.splitlines() == [f"wrote {place / name}" for name in names]
    assert {each.name for each in place.iterdir()} == {*names}
    assert without.stderr == dashed.stderr == "chaoskit: 3 formats are as many files; write -o DIR\n"
    assert "is no folder, and several formats" in warm.chaoskit(*words, "-o", str(place / "report.json")).stderr
    of_several = warm.chaoskit(*words, "--table", "tokens", "-o", str(place))
    assert "--table: one table is of one format; write --format csv or" in of_several.stderr


def test_a_dash_is_standard_output(tmp_path: Path) -> None:
    """As without -o."""
    directory = run(tmp_path)

    told, dashed = (warm.chaoskit("report", str(directory), *words) for words in ([], ["-o", "-"]))

    assert told.stdout == dashed.stdout != ""


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("", "is a folder; write -o "),
        ("no/such/report.txt", "there is no folder"),
        ("fifo", "fifo is no file; write -o - for standard output"),
    ],
)
def test_what_can_be_no_file_is_refused(place: str, said: str, tmp_path: Path) -> None:
    """With one sentence, and nothing left behind."""
    directory = run(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    former = sorted(tmp_path.rglob("*"))

    told = CliRunner().invoke(app, ["report", str(directory), "-o", str(tmp_path / place)])

    assert isinstance(told.exception, SpecError)
    assert said in str(told.exception)
    assert sorted(tmp_path.rglob("*")) == former


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    """The machine's reason is in the sentence."""
    told = CliRunner().invoke(app, ["report", str(run(tmp_path)), "-o", "/proc/report.txt"])

    assert isinstance(told.exception, RefusedError)
    assert str(told.exception) == "cannot write /proc/report.txt: nothing can be made in /proc; give another -o"


def test_a_full_disk_leaves_the_former_file(tmp_path: Path) -> None:
    """A limit of the size of files stands for a full disk."""
    directory, out = run(tmp_path), tmp_path / "out.json"
    out.write_text("former")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"

    done = warm.chaoskit("report", str(directory), "--format", "json", "-o", str(out), before=limit)

    assert done.returncode == RefusedError.exit_code
    assert done.stderr == f"chaoskit: cannot write {out}: {os.strerror(errno.EFBIG)}; give another -o\n"
    assert out.read_text() == "former"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.json", "run"]


def test_a_run_that_has_not_ended(tmp_path: Path) -> None:
    """The console shows what was measured until now, without a verdict; a format that is kept waits for the end."""
    made = run(tmp_path, "ttft_p50 < 1s during baseline")
    going = create(tmp_path / "going", {})  # locked as long as this process lives
    (going / "outcome.json").write_text(json.dumps({"how": "interrupted", "detail": "killed before"}))
    for name in ("plan.json", "phases.jsonl", "requests.jsonl", "tokens.jsonl"):
        (going / name).write_bytes((made / name).read_bytes())
    (made / "outcome.json").write_text(json.dumps({"how": "interrupted", "detail": "killed before"}))

    shown, killed = (CliRunner().invoke(app, ["report", str(tmp_path / name)]) for name in ("going", "run"))
    told = CliRunner().invoke(app, ["report", str(tmp_path / "going"), "--format", "json"])

    assert (shown.exit_code, killed.exit_code) == (5, 130)
    assert shown.stdout.splitlines()[-1].startswith("RUNNING  after 30 s; so far: met")
    assert isinstance(told.exception, RefusedError)
    assert str(told.exception).startswith(f"{tmp_path}/going has not ended yet; wait for it, or see what it measured")


def test_a_report_that_cannot_be_written_loses_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The others are written, and a sentence says which is not."""
    directory = run(tmp_path)
    (directory / "report.txt").mkdir()

    write_reports(["console", "json"], directory, analyse(directory))

    assert Result.model_validate_json((directory / "report.json").read_text()).name == "made-by-hand"
    assert capfd.readouterr().err.startswith("chaoskit: no report.txt: ")
