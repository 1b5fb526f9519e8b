"""A suite file that is named on the command line is tested as it expects."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import EXPERIMENT

from chaoskit.analysis.suite_result import SuiteResult, SuiteRunResult, as_json

pytest_plugins = ("pytester",)

NOTES = """\
import json
from chaoskit.pytest_plugin.session import Session

def pytest_collection_finish(session):
    shared = Session.of(session.config).runs.shared
    shared.mkdir(parents=True, exist_ok=True)
    for item in session.items:
        (shared / f"{item.wanted.key}.json").write_text(json.dumps({"code": 1, "run": FOLDER}))
"""
ENDS = {"good": (0, "met"), "weak": (1, "broken"), "mended": (0, "broken"), "worse": (1, "met"), "short": (5, "met")}
"""The exit code of each run, and what was expected of it."""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a suite of six runs, the last of which was refused; it is known how they ended."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    folder = pytester.mkdir("experiments")
    text = EXPERIMENT.format(
        workload="", netem="{delay: 30ms}", more="", timeline="[{baseline: 10s}]", objectives="['ttft_p50 < 1s']"
    )
    (folder / "made.yaml").write_text(text)
    ends = {**ENDS, "refused": (3, "met")}
    entries = "".join(f"  - {{file: made.yaml, name: {name}, expect: {ends[name][1]}}}\n" for name in ends)
    (folder / "gameday.yaml").write_text(f"name: weekly\nexperiments:\n{entries}")
    runs = tuple(
        SuiteRunResult(name=name, file="made.yaml", expect=expect, state="ended", code=code, reason=f"why {name}")
        for name, (code, expect) in ends.items()
    )
    found = SuiteResult(
        name="weekly",
        file="gameday.yaml",
        fingerprint="",
        status="finished",
        started="",
        fail_on=("broken",),
        runs=runs,
    )
    made = pytester.mkdir("made")
    (made / "gameday.json").write_text(as_json(found))
    pytester.makeconftest(NOTES.replace("FOLDER", repr(str(made))))
    return folder / "gameday.yaml"


def test_each_run_is_a_test_of_what_is_expected(pytester: pytest.Pytester, suite: Path) -> None:
    """A known weakness passes while it is broken, and fails when it is suddenly met; what was refused is an error."""
    done = pytester.runpytest_subprocess("-p", "chaoskit.pytest_plugin", "--strict-markers", str(suite))

    out = done.stdout.str()
    assert done.parseoutcomes() == {"passed": 2, "failed": 3, "errors": 1}
    assert "met, and expected to be broken: mended\n  why mended\n" in out
    assert "broken, and expected to be met: worse" in out
    assert "undecided, and expected to be met: short" in out
    assert "error: why refused" in out
    assert "Traceback" not in out


def test_a_folder_has_experiments_and_no_suite(pytester: pytest.Pytester, suite: Path) -> None:
    """In a folder the suite is passed over, so that no experiment runs twice."""
    done = pytester.runpytest_subprocess("-p", "chaoskit.pytest_plugin", "--collect-only", "-q", str(suite.parent))

    assert "experiments/made.yaml::ttft_p50 < 1s" in done.stdout.str()
    assert "gameday" not in done.stdout.str()
