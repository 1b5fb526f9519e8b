"""Every included experiment with objectives ends as its first comment says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clocks import FILES

from chaoskit.analysis.analyse import analyse
from chaoskit.spec.matrix import load_variants
from chaoskit.spec.stage import EdgeStage

JUDGED = [path for path in FILES if load_variants(path).each[0].experiment.objectives]
IN_A_LAB = [path for path in JUDGED if isinstance(load_variants(path).each[0].experiment.stage, EdgeStage)]
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
def test_it_ends_so(path: Path, shipped: Callable[[Path], Any]) -> None:
    """In virtual time the verdict and the exit code are those, and no objective is undecided."""
    run = shipped(path)

    assert run.code == CODES[ending(path)], run.out + run.err
    found = [each.verdict for each in analyse(run.directory).objectives]
    assert "undecided" not in found
    assert ("broken" in found) == (ending(path) == "BROKEN")
