"""The pytest plugin: tests from experiment files, and fixtures for experiments and labs.

Rules: pytest imports this module at each start of everybody who has chaoskit installed, so it imports nothing but
pytest, which is there; all else is imported when an experiment file or a fixture is found.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaoskit.pytest_plugin.built_labs import BuildLab
    from chaoskit.pytest_plugin.fixtures import RunExperiment

_MARK = "chaoskit: a test that chaoskit makes of an objective of an experiment file."
_UNDECIDED = ("fail", "skip", "xfail")
_GROUP = "xdist_group(name): tests of one group run in the same worker (pytest-xdist, --dist loadgroup)."


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("chaoskit", "experiments of chaoskit")
    group.addoption(
        "--chaoskit-clock", choices=("auto", "real", "virtual"), help="Clock of the experiments: as of chaoskit run."
    )
    group.addoption("--chaoskit-kernel", metavar="PATH", help="User-Mode Linux kernel for their guests.")
    group.addoption(
        "--chaoskit-out", metavar="DIR", help="Keep the run directories in DIR. Default: below pytest's base temporary."
    )
    group.addoption(
        "--chaoskit-interfaces",
        action="store_true",
        help="Run experiments on real interfaces, too. Default: they are skipped.",
    )
    parser.addini(
        "chaoskit_files",
        "Names of experiment files: patterns; one with a slash is for the path below the root directory.",
        type="args",
        default=["*.yaml", "*.yml"],
    )
    parser.addini("chaoskit_undecided", "What an undecided objective is: fail, skip or xfail.", default="fail")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers. Raises UsageError for values of the ini file that make no sense."""
    config.addinivalue_line("markers", _MARK)
    if not config.pluginmanager.hasplugin("xdist"):
        config.addinivalue_line("markers", _GROUP)
    undecided = config.getini("chaoskit_undecided")
    if undecided not in _UNDECIDED:
        raise pytest.UsageError(f"chaoskit_undecided is {undecided!r}; write one of {', '.join(_UNDECIDED)}")
    try:
        config.getini("chaoskit_files")
    except (pytest.UsageError, ValueError) as error:
        raise pytest.UsageError(f"chaoskit_files: {error}; write patterns, such as chaoskit_files = *.yaml") from None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect an experiment file, and a suite file that is named on the command line."""
    if file_path.suffix not in (".yaml", ".yml"):
        return None
    from chaoskit.pytest_plugin.recognition import is_experiment, is_named, is_suite

    if not is_named(file_path, parent.config.getini("chaoskit_files"), parent.config.rootpath):
        return None
    if parent.session.isinitpath(file_path) and is_suite(file_path):
        from chaoskit.pytest_plugin.suites import SuiteFile

        return SuiteFile.from_parent(parent, path=file_path)
    if not is_experiment(file_path):
        return None
    from chaoskit.pytest_plugin.collection import ExperimentFile

    return ExperimentFile.from_parent(parent, path=file_path)


@pytest.fixture
def chaoskit_run(request: pytest.FixtureRequest) -> RunExperiment:
    """Run an experiment file: `chaoskit_run("experiments/gate.yaml", clock="virtual").exit_code`."""
    from chaoskit.pytest_plugin.fixtures import runner

    return runner(request)


@pytest.fixture
def chaoskit_lab(request: pytest.FixtureRequest) -> Iterator[BuildLab]:
    """Build a lab behind a fault until the end of the test: `chaoskit_lab("experiments/gate.yaml", "wifi").url`."""
    from chaoskit.pytest_plugin.built_labs import builder

    yield from builder(request)
