"""Gives tests a function that runs an experiment, in a process of its own, and returns its result.

A process of its own, because a run may enter network namespaces and handles signals, and neither is the test's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from chaoskit.pytest_plugin.session import Session
from chaoskit.pytest_plugin.shared_runs import Wanted

if TYPE_CHECKING:
    from chaoskit.analysis.result import Result


class RunExperiment(Protocol):
    """What the fixture `chaoskit_run` is."""

    def __call__(
        self,
        path: str | Path,
        *,
        variant: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        clock: str | None = None,
        kernel: str | Path | None = None,
        until_decided: str | None = None,
    ) -> Result:
        """Run the experiment file at this path, from the root directory, and return its result, whatever its verdict.

        The options are those of `chaoskit run`, and by default those of pytest; `overrides` has values by their dotted
        paths. Raises NoResult, with one sentence, if it could not be run.
        """


def runner(request: pytest.FixtureRequest) -> RunExperiment:
    """The function for a test; the run directories are in the test's properties."""
    session = Session.of(request.config)

    def run(path: str | Path, **options: Any) -> Result:
        __tracebackhide__ = True
        result = session.runs.run_alone(_wanted(request.config.rootpath / path, session.run_options, **options))
        request.node.user_properties.append(("chaoskit_run", result.run))
        return result

    return run


def _wanted(
    path: Path,
    usual: tuple[str, ...],
    variant: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    clock: str | None = None,
    kernel: str | Path | None = None,
    until_decided: str | None = None,
) -> Wanted:
    more = [*(("--clock", clock) if clock else ()), *(("--kernel", str(kernel)) if kernel else ())]
    more += ["--until-decided", "--max-time", until_decided] if until_decided else []
    for key, value in (overrides or {}).items():
        more += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
    return Wanted(path, variant or "", (*usual, *more))
