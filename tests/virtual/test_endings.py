"""Every included experiment with objectives ends as its first comment says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from clocks import FILES

from chaoskit.analysis.analyse import analyse
from chaoskit.spec.matrix import load_variants
from chaoskit.spec.stage import LabStage
from chaoskit.substrate.uml import GuestKernel

JUDGED = [path for path in FILES if load_variants(path).each[0].experiment.objectives]
IN_A_LAB = [path for path in JUDGED if isinstance(load_variants(path).each[0].experiment.stage, LabStage)]
CODES = {"MET": 0, "BROKEN": 1}


def ending(path: Path) -> str:
    """The verdict that its comment names."""
    (word,) = re.findall(r"[Ii]t ends (MET|BROKEN)\b", path.read_text())
    return str(word)


@pytest.mark.parametrize("path", JUDGED, ids=lambda path: path.stem)
def test_the_comment_says_how_it_ends(path: Path) -> None:
    """One that breaks says that it does so on purpose."""
    assert (ending(path) == "BROKEN") == ("ends BROKEN on purpose" in path.read_text())


@pytest.mark.parametrize("path", IN_A_LAB, ids=lambda path: path.stem)
def test_it_ends_so(path: Path, kernel: GuestKernel, tmp_path: Path) -> None:
    """In virtual time the verdict and the exit code are those, and no objective is undecided."""
    variant = load_variants(path).each[-1]
    words = ["--variant", variant.name] if variant.name else []

    answer = subprocess.run(
        [
            *(sys.executable, "-m", "chaoskit", "run", str(path), *words),
            *("--clock", "virtual", "--kernel", str(kernel.path), "--out", str(tmp_path / "run")),
        ],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert answer.returncode == CODES[ending(path)], answer.stdout + answer.stderr
    found = [each.verdict for each in analyse(tmp_path / "run").objectives]
    assert "undecided" not in found
    assert ("broken" in found) == (ending(path) == "BROKEN")
