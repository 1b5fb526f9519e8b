"""Makes tests of a suite file: each of its runs is a test, which passes if it ended as expected.

The suite runs as a whole, by `chaoskit gameday`, with its commands, order and budget: once, when the first of its
selected tests begins, and with the selected runs alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from chaoskit.errors import ChaoskitError, SpecError
from chaoskit.pytest_plugin.collection import SharedTest
from chaoskit.pytest_plugin.session import Session
from chaoskit.pytest_plugin.shared_runs import NoResult, Wanted
from chaoskit.spec.stage import InterfaceStage
from chaoskit.spec.suite_load import load_suite
from chaoskit.terminal import printable_lines

if TYPE_CHECKING:
    from chaoskit.analysis.suite_result import SuiteRunResult


class SuiteFile(pytest.File):
    """A suite file."""

    def collect(self) -> Iterable[pytest.Item]:
        """Its runs. The files are read, and nothing is run."""
        try:
            loaded = load_suite(self.path)
        except SpecError as error:
            raise self.CollectError(printable_lines(str(error))) from None
        options = Session.of(self.config).run_options
        wanted = Wanted(self.path, options=("--quiet", *options), command="gameday")
        for run in loaded.runs:
            is_real = any(isinstance(each.experiment.stage, InterfaceStage) for each in run.variants.each)
            yield SuiteTest.from_parent(self, name=run.name, wanted=wanted, is_real=is_real, count=len(loaded.runs))


class SuiteTest(SharedTest):
    """A run of a suite of `count` as a test."""

    def __init__(self, *, count: int, **options: Any) -> None:
        super().__init__(**options)
        self._count = count
        self._found: SuiteRunResult | None = None

    def setup(self) -> None:
        """Have the suite run, unless it has. A run that could not be made is an error of its test."""
        self.skip_real()
        session = Session.of(self.config)
        only = tuple(word for name in self._selected(session) for word in ("--only", name))
        wanted = replace(self.wanted, options=(*self.wanted.options, *only))
        try:
            suite = session.runs.suite(wanted)
        except (NoResult, ChaoskitError) as error:
            pytest.fail(self.told(str(error)), pytrace=False)
        self._found = found = next(run for run in suite.runs if run.name == self.name)
        self.user_properties += [
            ("chaoskit_run", f"{suite.folder}/{found.directory}" if found.directory else ""),
            ("chaoskit_verdict", found.outcome or found.state),
            ("chaoskit_expected", found.expect),
        ]
        if found.failure in ("error", "not-run"):
            reason = found.reason or suite.detail or "; ".join(suite.errors)
            pytest.fail(self.told(f"{found.outcome or found.state}: {reason}"), pytrace=False)

    def runtest(self) -> None:
        """Compare its outcome with what the suite expects."""
        assert self._found is not None, "it was set up"
        failure, outcome = self._found.failure, self._found.outcome
        if failure is not None:
            sentence = f"{outcome}, and expected to be {self._found.expect}: {self.name}\n  {self._found.reason}"
            self.judge(failure, sentence)

    def _selected(self, session: Session) -> Iterator[str]:
        """The runs of this suite that are tested, without those that are skipped; none if that is all."""
        mine = [each for each in self.session.items if isinstance(each, SuiteTest) and each.path == self.path]
        chosen = [each.name for each in mine if not each.is_real or session.may_use_interfaces]
        yield from sorted(chosen) if len(chosen) < self._count else ()
