"""A current directory full of traps: nothing of it is loaded in a guest, where the command is root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from poison import poison

EXPERIMENT = """\
name: short
question: Does a trap spring?
stage: {lab: edge}
workload: {request-rate: 5/s, output-tokens: 5}
timeline: [{baseline: 1s}]
"""
SAFE = "import sys; sys.path = [place for place in sys.path if place not in ('', '.', sys.argv[1])]; del sys.argv[1]; "
MAIN = SAFE + "from chaoskit.cli.main import main; main()"


@pytest.mark.parametrize(
    "words",
    [
        "run FILE --substrate uml --clock virtual --out OUT",
        "exec FILE --substrate uml -- true",
        "doctor",
    ],
    ids=lambda words: words.split()[0],
)
def test_a_guest_loads_nothing_from_the_current_directory(words: str, tmp_path: Path) -> None:
    """Of modules, Python's own or others, and of tools; what PYTHONPATH and PATH say of it does not matter, be it with
    empty or relative entries."""
    trap = poison(tmp_path / "trap", tmp_path / "out" / "mark")
    (tmp_path / "short.yaml").write_text(EXPERIMENT)
    argv = [
        each.replace("FILE", str(tmp_path / "short.yaml")).replace("OUT", str(tmp_path / "out"))
        for each in words.split()
    ]
    search = ":.:trap"
    paths = {"PYTHONPATH": search, "PATH": f"{search}:{os.environ['PATH']}"}

    answer = subprocess.run(
        [sys.executable, "-I", "-c", MAIN, str(trap), *argv],
        cwd=trap,
        env=os.environ | paths,
        capture_output=True,
        text=True,
        check=False,
    )

    assert not (tmp_path / "out" / "mark").exists(), (tmp_path / "out" / "mark").read_text()
    assert answer.returncode in ((0, 1, 5) if "run" in words.split() else (0,)), answer.stdout + answer.stderr
