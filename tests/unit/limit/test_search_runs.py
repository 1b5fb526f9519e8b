"""A search makes the runs that it needs, ends as it should in every case, and goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO, StringIO
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from made_limits import BREAKS, EXPERIMENT, PATH, REFUSED, Behaviour, breaks_beyond, holds_outside, prepared, search
from rich.console import Console

from chaoskit.analysis.limits.limit_result import LimitResult, LimitRun, load_limit
from chaoskit.analysis.limits.outcomes import RunOutcome
from chaoskit.errors import SpecError
from chaoskit.limit.limit_command import first_summary, going_on
from chaoskit.limit.limit_options import asked_of
from chaoskit.limit.prepared_search import Budget
from chaoskit.report.limit_console import gate, sentence
from chaoskit.report.limit_documents import LIMIT_DOCUMENTS
from chaoskit.report.limit_progress import LimitProgress
from chaoskit.units import Duration
from chaoskit.workers.cell import Cell

UNUSED = EXPERIMENT.replace("{wifi: 5s}", "{recovery: 5s}").replace("during wifi", "during recovery")
"""Its fault is in no phase."""


def said(found: LimitResult) -> str:
    """The sentence of its first search."""
    return sentence(found, found.searches[0])


def test_the_limit_is_found_and_told_in_a_sentence(tmp_path: Path) -> None:
    """With its interval and what breaks first; the file says the same."""
    done = search(tmp_path, breaks_beyond(2.6))

    assert done.found.exit_code == 0
    assert said(done.found).startswith("holds up to 2.6% loss (")
    assert said(done.found).endswith("; breaks first on stalls per minute")
    assert len(done.found.runs) <= 30
    assert load_limit(tmp_path / "out").searches == done.found.searches


def test_repeats_have_other_seeds(tmp_path: Path) -> None:
    """In virtual time a run with the same seed would tell nothing new."""
    done = search(tmp_path, breaks_beyond(2.6))

    seeds = [cell.seed for cell in done.workers.started]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(
    ("limit", "words", "code"),
    [
        (50.0, "holds up to 20% loss at least", 0),
        (-1.0, f"is broken already at 0% loss, by {BREAKS}", 1),
    ],
)
def test_a_limit_beyond_the_range_says_on_which_side(tmp_path: Path, limit: float, words: str, code: int) -> None:
    """The exit code is that of an objective where the easy end is broken."""
    done = search(tmp_path, breaks_beyond(limit))

    assert (said(done.found), done.found.exit_code) == (words, code)
    assert len(done.found.runs) <= 12


@pytest.mark.parametrize(("at_least", "code"), [("1%", 0), ("6%", 1), ("2.6%", 5), ("20%", 1)])
def test_a_gate_is_met_broken_or_undecided(tmp_path: Path, at_least: str, code: int) -> None:
    """By the interval: undecided where it encloses the dose."""
    done = search(tmp_path, breaks_beyond(2.6), request=prepared(tmp_path, at_least=at_least))

    assert done.found.exit_code == code
    case = Xml.fromstring(document(done.found, "junit")).find("testsuite/testcase")
    assert case is not None
    assert [each.tag for each in case] == {0: ["system-out"], 1: ["failure"], 5: ["skipped"]}[code]
    assert json.loads(document(done.found, "json"))["exit_code"] == code


@pytest.mark.parametrize(
    ("behaviour", "budget", "words"),
    [
        (lambda *_: RunOutcome(None, why="the client was too slow"), Budget(40), "no run has an outcome yet"),
        (breaks_beyond(2.6), Budget(4), "the interval encloses it; give a larger budget"),
    ],
)
def test_an_undecided_gate_says_why(tmp_path: Path, behaviour: Behaviour, budget: Budget, words: str) -> None:
    """In the sentence, and the exit code, the verdict in JSON and the case in JUnit agree."""
    done = search(tmp_path, behaviour, budget, prepared(tmp_path, at_least="2%"))

    (only,) = done.found.searches
    assert (done.found.exit_code, only.verdict) == (5, "undecided")
    assert f"--at-least 2%: undecided, for {words}" in document(done.found, "junit").decode()
    assert b"<skipped" in document(done.found, "junit")


def test_a_limit_that_is_not_monotone_is_undecided(tmp_path: Path) -> None:
    """What holds again at the hard end is noticed and told; so is a gate, whatever the interval is."""
    done = search(tmp_path, holds_outside(2.6, 18), request=prepared(tmp_path, at_least="1%"))

    (only,) = done.found.searches
    assert said(done.found).startswith("holds up to 2.6% loss (")
    assert said(done.found).endswith("it is not monotone: it held again at harder doses than some that broke it")
    assert (only.verdict, done.found.exit_code) == ("undecided", 5)
    assert gate(done.found, only).endswith(
        "undecided, for it is not monotone; look at the whole range with chaoskit sweep"
    )


def test_ends_that_are_exchanged_are_noticed(tmp_path: Path) -> None:
    """What holds at the hard end and breaks at the easy one."""
    done = search(tmp_path, holds_outside(-1, 12))

    assert done.found.exit_code == 5
    assert said(done.found).startswith("is broken already at 0% loss")
    assert said(done.found).endswith("if 20% loss is the easy end, exchange the ends of the range")


def test_an_interruption_is_an_error_in_junit(tmp_path: Path) -> None:
    """Its exit code is no verdict, even where the gate was met by then."""
    done = search(tmp_path, breaks_beyond(2.6), request=prepared(tmp_path, at_least="1%"))
    interrupted = done.found.model_copy(update={"status": "interrupted", "detail": "SIGTERM"})

    suite = Xml.fromstring(document(interrupted, "junit")).find("testsuite")

    assert suite is not None
    assert (suite.get("errors"), suite.get("tests"), interrupted.exit_code) == ("1", "2", 143)


def document(found: LimitResult, name: str) -> bytes:
    """It in this format."""
    file = BytesIO()
    LIMIT_DOCUMENTS.formats[name].write(found, file)
    return file.getvalue()


def fails(code: int) -> Behaviour:
    """Every run but the first fails."""
    return lambda _, cell: RunOutcome(True) if cell.name == "run-001" else code


@pytest.mark.parametrize(("code", "most"), [(3, 5), (70, 5), (4, 3)])
def test_runs_that_fail_end_the_search(tmp_path: Path, code: int, most: int) -> None:
    """After three of them, or one that left something changed; their exit code is that of the search."""
    done = search(tmp_path, fails(code))

    assert (done.found.status, done.found.detail, done.found.exit_code) == ("stopped", REFUSED, code)
    assert len(done.workers.started) <= most


def test_a_run_that_cannot_be_started_ends_the_search(tmp_path: Path) -> None:
    """Such as on workers that are lost; the other run of its batch counts."""
    done = search(tmp_path, breaks_beyond(2.6), refuses="run-004")

    assert (done.found.status, done.found.detail, done.found.exit_code) == ("stopped", REFUSED, 3)
    assert [run.state for run in done.found.runs] == ["ended", "ended", "ended", "interrupted"]


def test_what_failed_is_run_anew_when_the_search_goes_on(tmp_path: Path) -> None:
    """As after a full disk: with its dose and its seed, and without the failures before."""
    request = prepared(tmp_path)
    first = search(tmp_path, fails(3), request=request)
    failed = [run for run in first.found.runs if run.has_failed]

    second = search(tmp_path, breaks_beyond(2.6), request=request, former=going_on(load_limit(tmp_path / "out")))

    assert second.found.exit_code == 0
    assert [(cell.name, cell.seed) for cell in second.workers.started[: len(failed)]] == [
        (run.name, run.seed) for run in failed
    ]
    assert all(run.has_outcome for run in second.found.runs)
    assert len(failed) == 3


def test_a_single_failure_is_no_outcome(tmp_path: Path) -> None:
    """The search goes on, and finds the limit."""
    holds = breaks_beyond(2.6)

    done = search(tmp_path, lambda dose, cell: 3 if cell.name == "run-004" else holds(dose, cell))

    assert done.found.exit_code == 0
    assert [run.held for run in done.found.runs if run.name == "run-004"] == [None]


def test_runs_without_an_outcome_are_repeated_and_then_given_up(tmp_path: Path) -> None:
    """Undecided for a reason that no search removes, such as a client that is too slow."""
    done = search(tmp_path, lambda *_: RunOutcome(None, why="the client was too slow"))

    assert done.found.exit_code == 5
    assert "runs in a row have no outcome: the client was too slow" in done.found.searches[0].ended
    assert b"go on" not in document(load_limit(tmp_path / "out"), "console")
    assert len(done.workers.started) <= 6


@pytest.mark.parametrize(
    ("budget", "most", "words"),
    [
        (Budget(5), 5, "5 runs, the most that --max-runs allows"),
        (Budget(40, max_requests=200), 5, "of --max-requests 200 are left"),
        (Budget(40, max_time=Duration(5 * 10**9)), 0, "a run takes 10 s, and 5 s of --max-time are left"),
    ],
)
def test_no_run_begins_beyond_the_budget(tmp_path: Path, budget: Budget, most: int, words: str) -> None:
    """What is known by then is told, as not as precise as asked."""
    done = search(tmp_path, breaks_beyond(2.6), budget)

    assert len(done.workers.started) <= most
    assert words.replace("5s", "4s") in done.found.searches[0].ended.replace("5s", "4s")
    assert done.found.exit_code == 5
    assert b"larger budget" in document(load_limit(tmp_path / "out"), "console")


def test_a_search_goes_on_where_it_was(tmp_path: Path) -> None:
    """With the runs that it would have made: nothing is run twice."""
    whole = search(tmp_path / "one", breaks_beyond(2.6), request=prepared(made(tmp_path / "one"))).found
    request = prepared(made(tmp_path / "two"))
    first = search(tmp_path / "two", breaks_beyond(2.6), Budget(6), request)

    second = search(tmp_path / "two", breaks_beyond(2.6), request=request, former=first.found)

    assert [(run.name, run.dose, run.held) for run in second.found.runs] == [
        (run.name, run.dose, run.held) for run in whole.runs
    ]
    assert len(first.workers.started) + len(second.workers.started) == len(whole.runs)


def made(folder: Path) -> Path:
    """This folder, made."""
    folder.mkdir()
    return folder


def test_a_frontier_has_a_limit_at_each_value(tmp_path: Path) -> None:
    """And a sentence that names the value."""
    request = prepared(tmp_path, vary=["faults.wifi.netem.delay=20ms,80ms"], at_least="4%")

    def behaviour(dose: float, cell: Cell) -> RunOutcome:
        limit = {"20ms": 6.0, "80ms": 2.0}[cell.overrides["faults.wifi.netem.delay"]]
        return RunOutcome(dose <= limit, () if dose <= limit else (BREAKS,))

    done = search(tmp_path, behaviour, request=request)

    assert [each.at for each in done.found.searches] == [
        {"faults.wifi.netem.delay": "20ms"},
        {"faults.wifi.netem.delay": "80ms"},
    ]
    sentences = [sentence(done.found, each) for each in done.found.searches]
    assert "holds up to 6% loss at 20ms delay" in sentences[0]
    assert "holds up to 2% loss at 80ms delay" in sentences[1]
    shown = document(done.found, "console").decode()
    assert "delay=20ms: --at-least 4%: met" in shown
    assert "delay=80ms: --at-least 4%: broken" in shown


def test_progress_is_a_line_for_each_run(tmp_path: Path) -> None:
    """With its dose, its outcome, and what is known by then."""
    done = search(tmp_path, breaks_beyond(2.6))

    lines = done.said.splitlines()
    assert len(lines) == len(done.found.runs)
    assert "so far" in lines[-1]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda file: asked_of(file, [], ("0%", "1%"), "5%", [], None, None), "none is without values"),
        (lambda file: asked_of(file, ["a", "b"], ("0%", "1%"), "5%", [], None, None), "2 paths are without values"),
        (lambda file: asked_of(file, ["a"], ("0%", "1%"), "5ms", [], None, None), "--precision"),
        (lambda file: asked_of(file, ["a"], ("0%", "1%"), "80%", [], None, None), "out of bounds"),
        (lambda file: prepared(file.parent, hard="120%"), f"^--vary {PATH} --to 120%: '120%' is too large"),
        (
            lambda file: prepared(file.parent, vary=[f"{PATH}=1%"]),
            f"--vary {PATH} replaces what --vary {PATH}=... gives",
        ),
        (
            lambda file: prepared(file.parent, UNUSED),
            "20% is the same as one at 0%",
        ),
        (lambda file: prepared(file.parent, vary=["seed=1,2"]), "each run of a search has a seed of its own"),
        (
            lambda file: prepared(file.parent, vary=["faults.wifi.netem.delay=x"]),
            "^--vary faults.wifi.netem.delay: 'x' ",
        ),
        (lambda file: prepared(file.parent, at_least="40%"), "not between"),
        (lambda file: prepared(file.parent, vary=["faults.lte.netem.delay=1ms"]), "lte"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, ask: Callable[[Path], object], words: str) -> None:
    """Before anything runs, with what to write."""
    with pytest.raises(SpecError, match=words):
        ask(tmp_path / "small.yaml")


@pytest.mark.parametrize(("left", "told"), [(None, "30 runs to go, 30 s"), (7 * 10**9, "30 runs to go, 7 s")])
def test_what_is_to_go_is_within_the_time_allowed(tmp_path: Path, left: int | None, told: str) -> None:
    """Two runs at a time, which take two seconds each."""
    seen, found = StringIO(), first_summary(prepared(tmp_path), 2)
    ended = LimitRun(name="run-001", dose="1%", place=0.05, seed=1, state="ended", seconds=2.0, held=True)
    found = found.model_copy(update={"searches": (found.searches[0].model_copy(update={"runs": (ended,)}),)})

    with LimitProgress(31, Console(file=seen, width=100, force_terminal=True, color_system=None)) as progress:
        progress.tick(found, found.searches[0], {"run-002": 10**9}, left)

    assert f"at most {told}" in seen.getvalue()
