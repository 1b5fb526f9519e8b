"""Makes tests of experiment files: a variant of a matrix is a collector, an objective is a test.

| what the run found        | what its tests are                                                                |
|---------------------------|-----------------------------------------------------------------------------------|
| an objective met          | passed                                                                            |
| an objective broken       | failed, with one sentence                                                         |
| an objective undecided    | as the ini option `chaoskit_undecided` says: failed, skipped or xfailed; not passed |
| no result, or a run that  | errors, all of them: refused, interrupted, crashed, not restored                  |
| did not go as it should   |                                                                                   |

Rules: nothing runs while tests are collected; an experiment runs once, when its first test is set up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chaoskit.errors import VERDICTS, SpecError
from chaoskit.pytest_plugin.session import Session
from chaoskit.pytest_plugin.shared_runs import NoResult, Wanted
from chaoskit.spec.matrix import Variant, load_variants
from chaoskit.spec.stage import InterfaceStage
from chaoskit.terminal import printable_lines

if TYPE_CHECKING:
    from chaoskit.analysis.result import ObjectiveResult, Result

_NO_OBJECTIVES = "measured"


class BrokenObjective(Exception):
    """An objective is broken. The message says why, in one or two lines."""


class UndecidedObjective(Exception):
    """An objective is undecided. The message says why, in one or two lines."""


@dataclass(frozen=True)
class Place:
    """Which objective of an experiment: of its own, or of another workload of its lab. `line` is its own in the file.

    Without a number: the run as a whole.
    """

    number: int | None
    text: str
    line: int | None
    workload: str = ""

    @property
    def name(self) -> str:
        """As a test is named."""
        return f"{self.workload}: {self.text}" if self.workload else self.text

    def found_in(self, result: Result) -> ObjectiveResult | None:
        """Its verdict; None for the run as a whole."""
        if self.number is None:
            return None
        mine = (each.objectives for each in result.workloads if each.name == self.workload)
        objectives = next(mine, ()) if self.workload else result.objectives
        return objectives[self.number]


class ExperimentFile(pytest.File):
    """An experiment file."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Its objectives, or its variants. The file is read, and nothing is run."""
        try:
            variants = load_variants(self.path)
        except SpecError as error:
            raise self.CollectError(printable_lines(str(error))) from None
        for variant in variants.each:
            if variant.name:
                yield VariantCollector.from_parent(self, name=variant.name, variant=variant)
            else:
                yield from _tests(self, variant)


class VariantCollector(pytest.Collector):
    """A variant of the matrix of a file."""

    def __init__(self, *, variant: Variant, **options: Any) -> None:
        super().__init__(**options)
        self._variant = variant

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Its objectives."""
        return _tests(self, self._variant)


def _tests(parent: pytest.Collector, variant: Variant) -> Iterator[ObjectiveTest]:
    wanted = Wanted(parent.path, variant.name, Session.of(parent.config).run_options)
    is_real = isinstance(variant.experiment.stage, InterfaceStage)
    for place in _places(variant):
        yield ObjectiveTest.from_parent(parent, name=place.name, place=place, wanted=wanted, is_real=is_real)


def _places(variant: Variant) -> list[Place]:
    experiment, lines = variant.experiment, variant.experiment.key_lines.lines
    found = [
        Place(number, each.text, lines.get(("objectives", number))) for number, each in enumerate(experiment.objectives)
    ]
    for name, workload in experiment.workloads.items():
        found += [
            Place(number, each.text, lines.get(("workloads", name, "objectives", number)), name)
            for number, each in enumerate(workload.objectives)
        ]
    return found or [Place(None, _NO_OBJECTIVES, lines.get(("name",)))]


class SharedTest(pytest.Item):
    """A test whose run other tests share. `is_real`: it is on a real interface."""

    def __init__(self, *, wanted: Wanted, is_real: bool, **options: Any) -> None:
        super().__init__(**options)
        self.wanted = wanted
        self.is_real = is_real
        self.add_marker("chaoskit")
        self.add_marker(pytest.mark.xdist_group(f"{self.path}::{wanted.variant}"))

    def skip_real(self) -> None:
        """Skip it if it is on a real interface, and those were not asked for."""
        if self.is_real and not Session.of(self.config).may_use_interfaces:
            pytest.skip("it puts faults on a real interface of this machine: give --chaoskit-interfaces")

    def judge(self, verdict: str, sentence: str) -> None:
        """Fail, or skip what is undecided. Raises BrokenObjective and UndecidedObjective."""
        if verdict == "broken":
            raise BrokenObjective(sentence)
        match Session.of(self.config).undecided:
            case "skip":
                pytest.skip(_one_line(sentence))
            case "xfail":
                pytest.xfail(_one_line(sentence))
        raise UndecidedObjective(sentence)

    def told(self, sentence: str) -> str:
        """The sentence, with where the file is."""
        return printable_lines(f"{sentence}\n  {self.path}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """A sentence, where it is the run's; a traceback, where it is a mistake."""
        if isinstance(excinfo.value, BrokenObjective | UndecidedObjective):
            return self.told(str(excinfo.value))
        return super().repr_failure(excinfo, style)


class ObjectiveTest(SharedTest):
    """An objective as a test. All tests of an experiment share its run."""

    def __init__(self, *, place: Place, **options: Any) -> None:
        super().__init__(**options)
        self._place = place
        self._result: Result | None = None

    def setup(self) -> None:
        """Have the experiment run, unless it has. What it cannot do is an error of the test, in one sentence."""
        self.skip_real()
        try:
            result = Session.of(self.config).runs.result(self.wanted)
        except NoResult as error:
            pytest.fail(self.told(str(error)), pytrace=False)
        self._result = result
        self.user_properties += [
            ("chaoskit_run", result.run),
            ("chaoskit_verdict", result.outcome.verdict),
            ("chaoskit_exit_code", str(result.exit_code)),
            ("chaoskit_clock", result.clock),
            ("chaoskit_seed", str(result.seed)),
        ]
        if result.exit_code not in VERDICTS:
            detail = result.internal_error or result.outcome.detail or result.outcome.reason
            pytest.fail(self.told(f"{result.outcome.status}: {detail}"), pytrace=False)

    def runtest(self) -> None:
        """Judge it."""
        assert self._result is not None, "it was set up"
        verdict, reason = _verdict(self._result, self._place.found_in(self._result))
        self.user_properties.append(("chaoskit_objective", verdict))
        if verdict not in ("met", "none"):
            self.judge(verdict, f"{verdict}: {self._place.name}\n  {reason}")

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The line of the objective in its file."""
        line = self._place.line
        return self.path, None if line is None else line - 1, self.name

    def told(self, sentence: str) -> str:
        """The sentence, with where the records are, and where the objective stands."""
        kept = "" if self._result is None else f"\n  records: chaoskit report {self._result.run}"
        line = "" if self._place.line is None else f":{self._place.line}"
        return printable_lines(f"{sentence}{kept}\n  {self.path}{line}")


def _verdict(result: Result, found: ObjectiveResult | None) -> tuple[str, str]:
    """The verdict with its reason. Nothing is met in a run that decided nothing."""
    outcome = result.outcome
    if found is None:
        return outcome.verdict, outcome.reason
    judged = [*result.objectives, *(each for other in result.workloads for each in other.objectives)]
    is_explained = any(each.verdict == "undecided" for each in judged)
    if found.verdict == "met" and outcome.verdict == "undecided" and not is_explained:
        return "undecided", outcome.reason
    return found.verdict, found.reason


def _one_line(sentence: str) -> str:
    return "; ".join(line.strip() for line in sentence.splitlines())
