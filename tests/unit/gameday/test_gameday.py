"""A suite runs to its end, counts by what was expected, ends early when told so, and goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from suites import Played, write_experiment, write_suite

from chaoskit.analysis.suite_result import SuiteResult, load_suite_result
from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError, SpecError
from chaoskit.report.screen import Screen
from chaoskit.report.suite import render


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., Played]:
    """A suite of these entries; the experiments that it names are written."""

    def make(*entries: str, more: str = "") -> Played:
        for name in ("met-0", "broken-1", "undecided-5", "refused-3", "slow-0", "slower-0", "crash-70", "gone"):
            write_experiment(tmp_path, name)
        return Played(write_suite(tmp_path, *entries, more=more), tmp_path / "out")

    return make


def states(found: SuiteResult) -> dict[str, str]:
    """The outcome, or the state, of each run."""
    return {run.name: run.outcome or run.state for run in found.runs}


@pytest.mark.parametrize(
    ("entries", "more", "code"),
    [
        (["met-0.yaml"], "", 0),
        (["broken-1.yaml"], "", 1),
        (["undecided-5.yaml"], "", 5),
        (["refused-3.yaml"], "", 3),
        (["crash-70.yaml"], "", 70),
        (["{file: broken-1.yaml, expect: broken}"], "", 0),
        (["{file: met-0.yaml, expect: broken}"], "", 1),
        (["{file: undecided-5.yaml, expect: broken}"], "", 5),
        (["undecided-5.yaml", "broken-1.yaml", "refused-3.yaml", "met-0.yaml"], "", 3),
        (["undecided-5.yaml", "broken-1.yaml"], "fail-on: [broken]\n", 1),
        (["undecided-5.yaml", "refused-3.yaml"], "fail-on: [broken]\n", 0),
    ],
)
def test_the_exit_code_is_the_worst_by_what_was_expected(
    suite: Callable[..., Played], entries: list[str], more: str, code: int
) -> None:
    """A known weakness that is suddenly gone fails, too; and the file says the same as the result."""
    played = suite(*entries, more=more)

    found = played.play()

    assert found.exit_code == code
    assert load_suite_result(played.out).exit_code == code
    assert json.loads((played.out / "gameday.json").read_text())["exit_code"] == code


def test_each_run_has_its_directory_its_reason_and_a_line(suite: Callable[..., Played]) -> None:
    """The reason is that of the verdict, or what the run complained about."""
    played = suite("broken-1.yaml", "refused-3.yaml")

    found = played.play()

    assert [run.reason for run in found.runs] == ["broken-1 is broken", "refused-3 cannot run"]
    assert (played.out / "broken-1" / "result.json").is_file()
    assert "1/2  broken-1  broken" in played.screen.getvalue()
    assert "begins: refused-3, planned 4 s" in played.screen.getvalue()


def test_the_summary_fits_eighty_columns(suite: Callable[..., Played], tmp_path: Path) -> None:
    """With what a person needs who has to act: why, what was expected, whose it is, where the records are."""
    suite("{file: broken-1.yaml, owner: the transport team, hypothesis: It holds.}", "met-0.yaml").play()
    shown = tmp_path / "shown"

    with shown.open("w") as file:
        render(load_suite_result(tmp_path / "out"), Screen(file, 80))

    text = shown.read_text()
    for words in (
        "why       broken-1 is broken",
        "expected  It holds.",
        "owner     the transport team",
        "BROKEN   1 of 2",
    ):
        assert words in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("entries", "more", "kept"),
    [
        (["broken-1.yaml", "met-0.yaml"], "abort: {broken: 1}\n", {"broken-1": "broken", "met-0": "not-run"}),
        (["refused-3.yaml", "met-0.yaml"], "abort: {errors: 1}\n", {"refused-3": "error", "met-0": "not-run"}),
        (["met-0.yaml"], "abort: {unless: [sh, -c, exit 3]}\n", {"met-0": "not-run"}),
        (["met-0.yaml"], "abort: {unless: [sh, -c, exit 0]}\n", {"met-0": "met"}),
        (["met-0.yaml"], "before: [[sh, -c, exit 3]]\n", {"met-0": "not-run"}),
    ],
)
def test_a_condition_ends_the_suite_and_names_what_was_not_run(
    suite: Callable[..., Played], entries: list[str], more: str, kept: dict[str, str]
) -> None:
    """The commands after it run all the same."""
    played = suite(*entries, more=more + "after: [[sh, -c, touch after]]\n")

    found = played.play()

    assert states(found) == kept
    assert all(run.reason for run in found.runs if run.state == "not-run")
    assert (played.file.parent / "after").exists()


def test_what_does_not_fit_into_the_budget_is_not_run(suite: Callable[..., Played]) -> None:
    """A run that is under way when the budget is used up is interrupted, and counts as not run."""
    played = suite("slow-0.yaml", "met-0.yaml")
    folder = played.file.parent
    write_experiment(folder, "long-0", length="1m")
    write_experiment(folder, "slow-0", length="1s")
    write_suite(folder, "long-0.yaml", "slow-0.yaml", "met-0.yaml", more="budget: 6s\n")

    found = played.play()

    assert states(found) == {"long-0": "not-run", "slow-0": "interrupted", "met-0": "not-run"}
    assert found.runs[1].reason == "interrupted, because the budget of 6 s was used up"
    assert found.exit_code == 5
    said = played.screen.getvalue()
    assert [f"{number}/3  {name}" in said for number, name in enumerate(("long-0", "slow-0", "met-0"), 1)] == [True] * 3
    assert "4/3" not in said


def test_commands_know_the_run_and_its_end(suite: Callable[..., Played]) -> None:
    """By variables; those after a run also where one before it failed."""
    say = "[sh, -c, 'echo $CHAOSKIT_SUITE $CHAOSKIT_RUN $CHAOSKIT_OUTCOME $CHAOSKIT_EXIT_CODE >> said']"
    entry = f"{{file: broken-1.yaml, before: [{say}], after: [{say}]}}"
    fails = f"{{file: met-0.yaml, before: [[sh, -c, exit 7], {say}], after: [{say}]}}"
    played = suite(entry, fails, more=f"before: [{say}]\nafter: [{say}]\n")

    found = played.play()

    said = (played.file.parent / "said").read_text().splitlines()
    assert said == ["small", "small broken-1", "small broken-1 broken 1", "small met-0 error 3", "small 3"]
    assert found.runs[1].reason == "before: sh -c 'exit 7': ended with 7; its output is in commands.log"


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("{run: [sleep, 60], timeout: 1s}", "sleep 60: did not end within 1s"),
        ("[./nothing]", "nothing: there is no program"),
        ("[./gameday.yaml]", "cannot be executed: chmod +x"),
        ("[sh, -c, 'kill -9 $$']", "was ended by SIGKILL"),
    ],
)
def test_a_command_that_fails_is_an_error_with_a_sentence(
    suite: Callable[..., Played], command: str, sentence: str
) -> None:
    """One that hangs, that is not there, that cannot be run, that is killed."""
    found = suite("met-0.yaml", more=f"after: [{command}]\n").play()

    assert found.exit_code == 3
    assert sentence in found.errors[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be made to run another's program")
def test_root_runs_no_program_that_others_can_write(suite: Callable[..., Played]) -> None:
    """It is named, with the command against it."""
    played = suite("met-0.yaml", more="after: [[./hook]]\n")
    hook = played.file.parent / "hook"
    hook.write_text("#!/bin/sh\ntouch obeyed\n")
    hook.chmod(0o777)

    found = played.play()

    assert "others could change it" in found.errors[0]
    assert "chmod go-w" in found.errors[0]
    assert not (played.file.parent / "obeyed").exists()


def test_a_notification_gets_the_summary(suite: Callable[..., Played]) -> None:
    """At the end, and when the exit code so far changes; its failure is none of the suite."""
    notify = "notify: {run: [sh, -c, 'cat >> $CHAOSKIT_EVENT; exit 1'], on: [end, change]}\n"
    played = suite("met-0.yaml", "undecided-5.yaml", "broken-1.yaml", more=notify)

    found = played.play()

    decoder, text, codes = json.JSONDecoder(), (played.file.parent / "change").read_text(), []
    while text.strip():
        told, end = decoder.raw_decode(text.lstrip())
        codes.append(told["exit_code"])
        text = text.lstrip()[end:]
    assert codes == [5, 1]
    assert json.loads((played.file.parent / "end").read_text())["status"] == "finished"
    assert (found.exit_code, found.errors) == (1, ())


def test_what_has_a_verdict_is_not_run_again(suite: Callable[..., Played]) -> None:
    """An error has decided nothing, so that it is repeated; what was interrupted is kept aside."""
    played = suite("met-0.yaml", "refused-3.yaml", "slow-0.yaml")
    with at_begin(played, "slow-0", lambda: os.kill(os.getpid(), signal.SIGTERM)):
        first = played.play()
    marker = played.out / "met-0" / "marker"
    marker.touch()
    assert states(first) == {"met-0": "met", "refused-3": "error", "slow-0": "interrupted"}
    (played.file.parent / "hurry").touch()

    again = Played(played.file, played.out).play(is_resumed=True)

    assert states(again) == {"met-0": "met", "refused-3": "error", "slow-0": "met"}
    assert marker.exists()
    assert sorted(path.name for path in (played.out / "interrupted.runs").iterdir()) == ["refused-3-1", "slow-0-1"]
    assert again.seconds > first.seconds


def test_what_is_not_selected_is_named_and_has_not_passed(suite: Callable[..., Played]) -> None:
    """A later part runs it; what failed before is still a failure, and is not shown as a run of now."""
    played = suite("met-0.yaml", "refused-3.yaml", "{file: broken-1.yaml, expect: broken}")

    first = played.play(only=["refused-3"])
    second = played.play(is_resumed=True, only=["broken-1"])
    third = Played(played.file, played.out).play(is_resumed=True)

    assert states(first) == {"met-0": "not-selected", "refused-3": "error", "broken-1": "not-selected"}
    assert states(second) == {"met-0": "not-selected", "refused-3": "error", "broken-1": "broken"}
    assert states(third) == {"met-0": "met", "refused-3": "error", "broken-1": "broken"}
    assert second.exit_code == 3
    assert second.runs[0].is_as_expected is None
    assert "met-0" not in played.screen.getvalue()


def test_another_suite_is_not_resumed(suite: Callable[..., Played]) -> None:
    """Nor one whose experiments have changed."""
    played = suite("met-0.yaml")
    played.play()
    write_experiment(played.file.parent, "met-0", delay="6ms")

    with pytest.raises(SpecError, match=r"is of .*gameday.yaml, and that or an experiment of it is another now"):
        played.play(is_resumed=True)


def test_a_folder_is_used_by_one_at_a_time(suite: Callable[..., Played]) -> None:
    """The second one is told who has it; a folder with another suite's runs is not written over."""
    played = suite("slow-0.yaml")
    owner = another_process(played)
    until((played.out / "slow-0" / "begun").exists)

    with pytest.raises(RefusedError, match=f"is in use by process {owner.pid}"):
        played.play(is_resumed=True)
    with pytest.raises(SpecError, match="is the folder of a suite: --resume goes on with it"):
        played.play()

    assert load_suite_result(played.out).status == "running"
    owner.kill()
    owner.wait()


def test_a_killed_suite_goes_on(suite: Callable[..., Played]) -> None:
    """Its run is interrupted and repeated; until that one has ended, the new suite waits."""
    played = suite("met-0.yaml", "slow-0.yaml")
    owner = another_process(played)
    until((played.out / "slow-0" / "begun").exists)
    owner.kill()
    owner.wait()

    until(lambda: load_suite_result(played.out).status == "interrupted")
    killed = load_suite_result(played.out)
    (played.file.parent / "hurry").touch()
    again = played.play(is_resumed=True)

    assert (killed.detail, killed.exit_code) == ("killed", 130)
    assert states(killed) == {"met-0": "met", "slow-0": "interrupted"}
    assert killed.runs[1].reason == "the suite was killed"
    assert states(again) == {"met-0": "met", "slow-0": "met"}
    assert (played.out / "interrupted.runs" / "slow-0-1").is_dir()


def another_process(played: Played) -> subprocess.Popen[bytes]:
    """A process that runs the suite."""
    program = f"from pathlib import Path\nfrom suites import Played\nPlayed(Path({str(played.file)!r}), "
    program += f"Path({str(played.out)!r})).play()"
    tests = Path(__file__).parents[2]
    return subprocess.Popen([sys.executable, "-c", program], cwd=tests)


@contextmanager
def at_begin(played: Played, run: str, act: Callable[[], None]) -> Iterator[None]:
    """Act once this run has begun."""

    def wait() -> None:
        until((played.out / run / "begun").exists)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    thread.join()


def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    clock = RealClock()
    end = clock.now() + 60 * 10**9
    while not condition():
        assert clock.now() < end, "it does not happen"
        clock.sleep_until(clock.now() + 20_000_000)


def test_a_signal_interrupts_what_runs(suite: Callable[..., Played]) -> None:
    """The commands at the end run; the exit code is that of the signal; what was not run is named."""
    played = suite("slow-0.yaml", "met-0.yaml", more="after: [[sh, -c, touch after]]\n")

    with at_begin(played, "slow-0", lambda: os.kill(os.getpid(), signal.SIGTERM)):
        found = played.play()

    assert (found.status, found.detail, found.exit_code) == ("interrupted", "SIGTERM", 143)
    assert states(found) == {"slow-0": "interrupted", "met-0": "not-run"}
    assert {run.reason for run in found.runs} == {"the suite was interrupted by SIGTERM"}
    assert (played.file.parent / "after").exists()


def test_a_run_that_cannot_be_started_is_an_error(suite: Callable[..., Played]) -> None:
    """The others go on, and the commands after it and after the suite are run."""
    after = "after: [[sh, -c, 'echo $CHAOSKIT_RUN >> said']]"
    played = suite(f"{{file: gone.yaml, {after}}}", "met-0.yaml", more=f"{after}\n")

    found = played.play()

    assert states(found) == {"gone": "error", "met-0": "met"}
    assert (found.status, found.exit_code) == ("finished", 3)
    assert found.runs[0].reason == "gone cannot be started"
    assert (played.file.parent / "said").read_text().split() == ["gone"]
    assert (played.file.parent / "said").read_text().endswith("\n\n")


def test_a_full_disk_ends_the_suite_with_a_sentence(suite: Callable[..., Played]) -> None:
    """Nothing runs any more; the old summary stays whole."""
    played = suite("met-0.yaml", "broken-1.yaml", more="before: [[sh, -c, 'mkdir out/gameday.json.new']]\n")

    with pytest.raises(RefusedError, match=r"cannot write .*gameday.json: .*--resume"):
        played.play()

    assert json.loads((played.out / "gameday.json").read_text())["status"] == "running"
