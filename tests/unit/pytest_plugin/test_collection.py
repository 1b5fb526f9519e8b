"""Experiment files are tests of pytest: one for each objective, as pytest's own users see them.

The runs were made by hand; the notes that workers leave each other say where they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from made_runs import EXPERIMENT, Made, plan

pytest_plugins = ("pytester",)

MET, BROKEN, UNDECIDED = "ttft_p50 < 5s during wifi", "ttft_p50 < 1ms during wifi", "ttft_p99 < 5s during wifi"
ALONE = ("-p", "no:cacheprovider", "-p", "chaoskit.pytest_plugin", "--strict-markers")
OBJECTIVES = (MET, BROKEN, UNDECIDED)
NOTES = """\
import json
from chaoskit.pytest_plugin.session import Session

def pytest_collection_finish(session):
    shared = Session.of(session.config).runs.shared
    shared.mkdir(parents=True, exist_ok=True)
    for item in session.items:
        if item.get_closest_marker("chaoskit"):
            (shared / f"{item.wanted.key}.json").write_text(json.dumps(NOTE))
"""


@pytest.fixture(autouse=True)
def only_this_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest loads no other plugin, which would take seconds."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def written(
    pytester: pytest.Pytester, note: dict[str, object], objectives: Sequence[str] = OBJECTIVES, **keys: str
) -> None:
    """A repository with one experiment, of whose run this is known; `keys` are more keys of its file."""
    folder = pytester.mkdir("experiments")
    text = EXPERIMENT.format(
        workload="",
        netem="{delay: 30ms}",
        more="",
        timeline="[{baseline: 10s}, {wifi: 10s}]",
        objectives=list(objectives),
    )
    (folder / "made.yaml").write_text(text + "".join(f"{key}: {value}\n" for key, value in keys.items()))
    pytester.makeconftest(NOTES.replace("NOTE", repr(note)))


def made_run(place: Path) -> Path:
    """A run directory with thirty streams of 100 ms in each phase."""
    made = Made(plan(OBJECTIVES, netem="{delay: 30ms}", timeline="[{baseline: 10s}, {wifi: 10s}]")).phases()
    made.many(0, 20_000, 333).vitals(20_000)
    made.handshakes(0, [0.1] * 30).handshakes(10_000, [30.1] * 30)
    return made.write(place / "run")


def outcomes(pytester: pytest.Pytester, *words: str) -> tuple[dict[str, int], str]:
    """Run pytest there, in a process of its own, and give back its counts and what it wrote."""
    done = pytester.runpytest_subprocess(*ALONE, *words)
    return done.parseoutcomes(), done.stdout.str()


def test_each_objective_is_a_test(pytester: pytest.Pytester) -> None:
    """An objective that is met passes; one that is broken or undecided fails with its sentence and no traceback."""
    run = made_run(pytester.path)
    written(pytester, {"code": 1, "run": str(run)})

    counts, out = outcomes(pytester, "experiments", "--junitxml=junit.xml")

    assert counts == {"passed": 1, "failed": 2}
    assert f"broken: {BROKEN}\n  100 ms over 31 streams" in out
    assert f"undecided: {UNDECIDED}\n" in out
    assert re.search(rf"^  records: chaoskit report {re.escape(str(run))}$", out, re.MULTILINE)
    assert re.search(r"^  /.*/experiments/made\.yaml:\d+$", out, re.MULTILINE)
    assert "Traceback" not in out
    assert ".py:" not in out
    xml = (pytester.path / "junit.xml").read_text()
    assert f'<property name="chaoskit_run" value="{run}" />' in xml
    assert xml.count('<property name="chaoskit_objective" value="met" />') == 1


@pytest.mark.parametrize(("how", "name"), [("skip", "skipped"), ("xfail", "xfailed")])
def test_undecided_is_what_the_repository_says_and_never_passed(pytester: pytest.Pytester, how: str, name: str) -> None:
    """With `chaoskit_undecided` an undecided objective is skipped or xfailed, with its reason."""
    written(pytester, {"code": 1, "run": str(made_run(pytester.path))})
    pytester.makeini(f"[pytest]\nchaoskit_undecided = {how}\n")

    counts, out = outcomes(pytester, "-rsx", "experiments")

    assert counts == {"passed": 1, "failed": 1, name: 1}
    assert re.search(rf"undecided: {re.escape(UNDECIDED)}; 100 ms over ", " ".join(out.split()))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("chaoskit_undecided = skp", "chaoskit_undecided is 'skp'; write one of fail, skip, xfail"),
        (
            "chaoskit_files = 'a b",
            "chaoskit_files: No closing quotation; write patterns, such as chaoskit_files = *.yaml",
        ),
    ],
)
def test_a_wrong_option_is_one_sentence(pytester: pytest.Pytester, line: str, said: str) -> None:
    """It is told before anything is collected, with what to write."""
    written(pytester, {})
    pytester.makeini(f"[pytest]\n{line}\n")

    done = pytester.runpytest_subprocess(*ALONE, "experiments/made.yaml")

    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert done.stdout.str() == ""
    assert done.stderr.str() == f"ERROR: {said}\n"


def test_a_run_that_could_not_be_made_is_an_error_of_each_test(pytester: pytest.Pytester) -> None:
    """An experiment that was refused has no failed objectives: each of its tests is an error, with the sentence."""
    written(pytester, {"code": 3, "sentence": "this machine cannot: \x1b[31mdo this"})

    counts, out = outcomes(pytester, "experiments")

    assert counts == {"errors": 3}
    assert "this machine cannot: \\x1b[31mdo this" in out
    assert "Traceback" not in out


def test_a_run_that_was_interrupted_is_an_error(pytester: pytest.Pytester) -> None:
    """What a run found before it was interrupted is no verdict."""
    run = made_run(pytester.path)
    (run / "outcome.json").write_text('{"how": "interrupted", "detail": "SIGTERM"}')
    written(pytester, {"code": 143, "run": str(run)})

    counts, out = outcomes(pytester, "experiments", "-k", "p50")

    assert counts == {"errors": 2, "deselected": 1}
    assert "interrupted: SIGTERM" in out


def test_selection_is_pytests(pytester: pytest.Pytester) -> None:
    """`-k` selects by the words of an objective, `-m chaoskit` all of them, and no marker is unknown."""
    written(pytester, {"code": 1, "run": str(made_run(pytester.path))})
    pytester.makepyfile("def test_of_python(): pass")

    by_word, _ = outcomes(pytester, "-k", "5s and p50")
    by_mark, _ = outcomes(pytester, "-m", "not chaoskit")

    assert by_word == {"passed": 1, "deselected": 3}
    assert by_mark == {"passed": 1, "deselected": 3}


def test_nothing_runs_while_tests_are_listed(pytester: pytest.Pytester) -> None:
    """`--collect-only` lists objectives and variants, and makes no run, although none was made before."""
    written(pytester, {}, matrix="{seed: [1, 2]}")

    done = pytester.runpytest_subprocess(*ALONE, "--collect-only", "-q", "--chaoskit-out", "out", "experiments")

    assert f"experiments/made.yaml::seed=2::{BROKEN}" in done.stdout.str()
    assert done.ret == 0
    assert not (pytester.path / "out").exists()


def test_a_real_interface_is_used_only_when_asked(pytester: pytest.Pytester) -> None:
    """An experiment on a real interface is skipped, with the option that runs it."""
    pytester.mkdir("experiments").joinpath("mine.yaml").write_text(
        "name: mine\nquestion: Why?\nstage: {target: 'http://127.0.0.1:1'}\nworkload: {request-rate: 1/s}\n"
        "timeline: [{baseline: 5s}]\n"
    )

    counts, out = outcomes(pytester, "-rs", "experiments")

    assert counts == {"skipped": 1}
    assert "give --chaoskit-interfaces" in out


def test_a_file_with_a_mistake_is_one_sentence(pytester: pytest.Pytester) -> None:
    """A mistake in a file is an error of collection, with file and line, and keeps no other file from being tested."""
    written(pytester, {"code": 1, "run": str(made_run(pytester.path))}, objectives=[MET])
    wrong = pytester.path / "experiments" / "wrong.yaml"
    wrong.write_text("name: wrong\nquestion: Why?\nstage: {lab: edge}\nworklod: {}\ntimeline: [{baseline: 5s}]\n")

    counts, out = outcomes(pytester, "--continue-on-collection-errors", "experiments")

    assert counts == {"passed": 1, "errors": 1}
    assert f"{wrong}:4: worklod: unknown key; did you mean workload?" in out
    assert "Traceback" not in out


def test_other_files_are_chosen_by_pattern(pytester: pytest.Pytester) -> None:
    """`chaoskit_files` says which files are looked at; an empty one switches the collection off."""
    written(pytester, {})
    pytester.makeini("[pytest]\nchaoskit_files = chaos/*.yaml\n")

    done = pytester.runpytest_subprocess(*ALONE, "--collect-only")

    assert done.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_what_a_fixture_cannot_do_is_one_sentence(pytester: pytest.Pytester) -> None:
    """A mistake in a call of a fixture fails its test with the command's sentence, and nothing else."""
    written(pytester, {})
    pytester.makepyfile(
        "def test_lab(chaoskit_lab): chaoskit_lab('experiments/made.yaml', fault='wfi')\n"
        "def test_run(chaoskit_run): chaoskit_run('experiments/mad.yaml', clock='virtual')\n"
    )

    counts, out = outcomes(pytester, "-m", "not chaoskit")

    assert counts == {"failed": 2, "deselected": 3}
    assert "NoResult: --fault: 'wfi' is no fault of made-by-hand; did you mean --fault wifi?" in out
    assert "did you mean " in out
    assert "No such file or directory" in out
