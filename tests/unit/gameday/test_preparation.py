"""What of a suite is known before anything runs: its command lines, its commands, and whom they obey."""

from __future__ import annotations

from pathlib import Path

import pytest
from suites import write_experiment, write_suite

from chaoskit.errors import RefusedError, SpecError
from chaoskit.gameday.preparation import Place, check_commands, prepare
from chaoskit.spec.suite_load import load_suite


def test_each_run_has_the_words_that_repeat_it(tmp_path: Path) -> None:
    """Of `chaoskit run`: its variant, its values, its time, where labs run, and the options of all."""
    file = write_experiment(tmp_path, "one", length="3s")
    entry = "{file: one.yaml, set: {workload.max-concurrency: 3, objectives: [ttft_p50 < 1s]}, until-decided: 1m}"
    loaded = load_suite(write_suite(tmp_path, entry))

    (found,) = prepare(loaded.runs, Place(allowed=False, words=("--clock", "real"), every=("--report", "junit")))

    assert found.words == (
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
