"""What of a suite is known before anything runs: its command lines, its commands, and whom they obey."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from suites import write_experiment, write_suite

from chaoskit.errors import RefusedError, SpecError
from chaoskit.gameday.planned import check_suite, show_plan
from chaoskit.gameday.preparation import Place, check_commands, prepare
from chaoskit.spec.suite_load import load_suite


def test_each_run_has_the_words_that_repeat_it(tmp_path: Path) -> None:
    """Of `chaoskit run`: its variant, its values, its time, where labs run, and the options of all."""
    file = write_experiment(tmp_path, "one", length="3s")
    entry = "{file: one.yaml, set: {workload.max-concurrency: 3, objectives: [ttft_p50 < 1s]}, until-decided: 1m}"
    loaded = load_suite(write_suite(tmp_path, entry))

    (found,) = prepare(loaded.runs, Place(allowed=False, words=("--clock", "real"), every=("--report", "junit")))

    assert found.cell.words == (
        *(str(file), "--set", "workload.max-concurrency=3", "--set", 'objectives=["ttft_p50 < 1s"]'),
        *("--until-decided", "--max-time", "60s", "--report", "junit", "--clock", "real"),
    )
    assert not found.is_virtual


def test_a_time_that_decides_nothing_is_told_with_the_run(tmp_path: Path) -> None:
    """Before anything runs."""
    write_experiment(tmp_path, "one", length="30s")
    loaded = load_suite(write_suite(tmp_path, "{file: one.yaml, until-decided: 10s}"))

    with pytest.raises(SpecError, match=r"^one: --max-time 10s: one round of the timeline takes 60s"):
        prepare(loaded.runs, Place(allowed=False))


def test_a_program_that_is_not_installed_is_told_before_anything_runs(tmp_path: Path) -> None:
    """With the file and the command."""
    write_experiment(tmp_path, "one")
    loaded = load_suite(write_suite(tmp_path, "one.yaml", more="after: [[no-such-program, x]]\n"))

    with pytest.raises(RefusedError, match=r"gameday\.yaml: there is no program no-such-program"):
        check_commands(loaded, None)


def test_validate_warns_of_a_program_that_is_not_installed(tmp_path: Path) -> None:
    """Of an experiment's commands as of the suite's; the file may be for another machine."""
    write_experiment(tmp_path, "one")
    file = write_suite(tmp_path, "{file: one.yaml, before: [[no-such-program, x]]}")

    first, *others = check_suite(file)

    assert "ok, small, 1 run, " in first
    assert "  warning: there is no program no-such-program for [no-such-program, x] on this machine" in others


def test_the_plan_has_every_command_and_what_ends_the_suite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of the experiments too, as text and for programs."""
    write_experiment(tmp_path, "one")
    more = "abort: {broken: 2, errors: 3, unless: [cat, ready]}\nnotify: {run: [cat], on: [end, change]}\n"
    entry = "{file: one.yaml, before: [[echo, a b]], after: [[echo, c]]}"
    loaded = load_suite(write_suite(tmp_path, entry, more=more + "before: [[echo, d]]\nafter: [[echo, e]]\n"))

    show_plan(loaded, loaded.runs, Place(allowed=False))
    text = capsys.readouterr().out
    show_plan(loaded, loaded.runs, Place(allowed=False), as_json=True)
    told = json.loads(capsys.readouterr().out)

    for words in (
        "Before  echo d (at most 60s)",
        "Before one  echo 'a b' (at most 60s)",
        "After one  echo c (at most 60s)",
        "After  echo e (at most 60s)",
        "Abort  after 2 runs that did not end as expected",
        "Abort  after 3 runs that ended with an error",
        "Abort  unless cat ready (at most 60s) succeeds before each run",
        "Notify  cat (at most 30s), at the end and when the exit code so far changes",
    ):
        assert words in text
    assert told["runs"][0]["before"] == [{"run": ["echo", "a b"], "timeout": 60}]
    assert told["abort"] == {"broken": 2, "errors": 3, "unless": {"run": ["cat", "ready"], "timeout": 60}}
    assert told["notify"] == {"run": ["cat"], "timeout": 30, "on": ["end", "change"]}


def test_commands_of_a_file_that_others_can_write_are_not_run(tmp_path: Path) -> None:
    """The sentence has the command against it; a suite without commands needs none."""
    write_experiment(tmp_path, "one")
    plain = write_suite(tmp_path, "one.yaml")
    plain.chmod(0o666)
    check_commands(load_suite(plain), None)

    loaded = load_suite(write_suite(tmp_path, "one.yaml", more="before: [[sh, -c, exit]]\n"))

    with pytest.raises(RefusedError, match=r"are not run, because others could change them: .*; chmod go-w "):
        check_commands(loaded, None)
    loaded.file.chmod(0o644)
    check_commands(loaded, None)
