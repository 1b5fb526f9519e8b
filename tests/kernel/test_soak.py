"""A short soak: ways to end a run, each once, in the part of its life that is the hardest for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from soak.series import series
from soak.trials import Part, SoakEnvironment, run_trial

TRIALS = {trial.row: trial for trial in reversed(list(series(seed=1, count=1)))}
PARTS: dict[str, Part] = {
    "inject: kill -9 of the conductor": "setting",
    "inject: kill -9 of the watchdog": "in force",
    "inject: SIGTERM to the watchdog": "in force",
    "inject: SIGSTOP of the watchdog, past its lease": "in force",
    "inject: the disk is full": "setting",
    "inject: the interface vanishes": "setting",
    "inject: kill -9 of both, then of three restores": "setting",
    "inject, a stranger's leases: kill -9 of both, then restore": "setting",
    "two namespaces, two interfaces: kill -9 of one's both, then restore": "setting",
    "exec: kill -9 of both, then restore": "setting",
}
"""The rows that no other test proves by one command or by its parts: signals are test_inject's, clocks and frozen
owners test_watchdog's, squatted locks test_hostile_state's, runs test_interface_stage's, exec test_exec's."""


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoakEnvironment]:
    """Two interfaces, one of them furnished by somebody else; taken away again."""
    testbed = SoakEnvironment(tmp_path_factory.mktemp("soak"))
    try:
        yield testbed
    finally:
        testbed.close()


@pytest.mark.parametrize("row", PARTS)
def test_nothing_is_left_behind(testbed: SoakEnvironment, row: str) -> None:
    """However a run is ended: the interface, what others have on it, and all parameters are as they were."""
    trial = replace(TRIALS[row], part=PARTS[row])

    outcome = run_trial(testbed, trial)

    assert outcome.left == [], outcome.said
    assert outcome.identical
