"""A short soak: every way to end a run, once, in the part of its life that is the hardest for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from soak.series import ROWS, series
from soak.trials import Part, SoakEnvironment, run_trial

TRIALS = {trial.row: trial for trial in reversed(list(series(seed=1, count=1)))}
PARTS: dict[str, Part] = {
    row.name: "in force" if row.what == "clock" or row.victim == "watchdog" else "setting" for row in ROWS
}
HAS_NAT = not Path("/proc/self/ns/ipc").exists()
"""Debian's guest kernel, which has those namespaces, has no NAT by nftables, and exec as root takes that."""


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoakEnvironment]:
    """Two interfaces, one of them furnished by somebody else; taken away again."""
    testbed = SoakEnvironment(tmp_path_factory.mktemp("soak"))
    try:
        yield testbed
    finally:
        testbed.close()


@pytest.mark.parametrize("row", [row.name for row in ROWS if HAS_NAT or row.command != "exec"])
def test_nothing_is_left_behind(testbed: SoakEnvironment, row: str) -> None:
    """However a run is ended: the interface, what others have on it, and all parameters are as they were."""
    trial = replace(TRIALS[row], part=PARTS[row])

    outcome = run_trial(testbed, trial)

    assert outcome.left == [], outcome.said
    assert outcome.identical
