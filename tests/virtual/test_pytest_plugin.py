"""The example repository's own tests, as a user runs them: by pytest, in parallel, in virtual time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from chaoskit.analysis.analyse import analyse
from chaoskit.substrate import uml

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "pytest-repository"


@pytest.fixture(scope="module")
def place(kernel: uml.GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, whose tests two workers have run, each test wherever there was room."""
    place = tmp_path_factory.mktemp("example") / "repository"
    shutil.copytree(EXAMPLE, place)
    words = ["-p", "no:cacheprovider", "-n", "2", "--dist", "load", "--junitxml", "junit.xml"]
    words += ["--chaoskit-clock=virtual", f"--chaoskit-kernel={kernel.path}", "--chaoskit-out=runs"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=280,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
    )
    (place / "out").write_text(done.stdout)
    assert done.returncode == 0, done.stdout
    return place


def test_all_of_it_passes_and_each_experiment_runs_once(place: Path) -> None:
    """Two workers share one run of an experiment with two objectives; a fixture's run is its own."""
    cases = {case.get("name"): case for case in ElementTree.parse(place / "junit.xml").getroot().iter("testcase")}
    runs = {
        name: {each.get("value") for each in case.iter("property") if each.get("name") == "chaoskit_run"}
        for name, case in cases.items()
    }

    one, other = runs["ttft_p50 during wifi < 2x baseline"], runs["interruption_rate <= 10%"]
    assert one == other
    assert len(one) == 1
    assert sorted(each.name for each in (place / "runs").iterdir()) == ["wifi", "wifi-2"]
    assert analyse(place / "runs" / "wifi").clock == "virtual"
