"""Whether a program did what a process fault asked, by the changes of state that were recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from made_runs import Made, ns

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import FidelityCheck
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.model import Plan
from chaoskit.records.host_records import HostState
from chaoskit.spec.load import parse

TEXT = """\
name: hangs
question: Does it hang?
stage: {{lab: edge}}
workload: {{request-rate: 10/s, output-tokens: 5}}
faults: {{hang: {{host: server, process: {state}}}}}
timeline: [{{baseline: 10s}}, {{hang: 10s}}, {{recovery: 10s}}]
seed: 42
"""


def plan(state: str) -> Plan:
    """The plan of an experiment whose second phase has this state."""
    return compile_plan(parse(TEXT.format(state=state), "made.yaml"))


def check(folder: Path, asked: str, *states: HostState) -> FidelityCheck:
    """The check of a run with these states."""
    made = Made(plan(asked)).phases()
    made.records += [HostState("server", 0, "ready"), *states]
    (found,) = (each for each in analyse(made.write(folder / "run")).fidelity if each.kind == "process")
    return found


@pytest.mark.parametrize("asked", ["paused", "killed", "refusing"])
def test_the_state_that_was_asked_for(tmp_path: Path, asked: Literal["paused", "killed", "refusing"]) -> None:
    """It is achieved, and says how long after the phase began."""
    found = check(tmp_path, asked, HostState("server", ns(10_004), asked), HostState("server", ns(20_000), "running"))

    assert (found.where, found.verdict) == ("the program of the server", "achieved")
    assert found.remark == "4 ms after the phase began"


def test_a_state_of_another_host_does_not_count(tmp_path: Path) -> None:
    """The server was never paused."""
    found = check(tmp_path, "paused", HostState("gateway", ns(10_004), "paused"))

    assert (found.verdict, found.remark, found.measured) == ("not-achieved", "it was ready", None)


def test_a_program_that_ended_by_itself(tmp_path: Path) -> None:
    """It was not paused any more."""
    states = (HostState("server", ns(10_004), "paused"), HostState("server", ns(11_000), "ended", 1))

    assert check(tmp_path, "paused", *states).remark == "it was ended"


def test_a_program_that_is_started_again_within_its_phase(tmp_path: Path) -> None:
    """It was killed in the time before, and the remark says when it was ready again."""
    states = (HostState("server", ns(10_004), "killed"), HostState("server", ns(14_000), "running"))
    again = HostState("server", ns(15_200), "ready")

    found = check(tmp_path, "killed, restart-after: 4s", *states, again)

    assert (found.verdict, found.measured) == ("achieved", 4)
    assert found.remark == "4 ms after the phase began, and ready again after 5.2 s"


def test_a_program_that_is_never_started_again(tmp_path: Path) -> None:
    """It is checked in the phases behind its own as well."""
    made = Made(plan("killed, restart-after: never")).phases()
    made.records += [HostState("server", 0, "ready"), HostState("server", ns(10_004), "killed")]

    found = [each for each in analyse(made.write(tmp_path / "run")).fidelity if each.kind == "process"]

    assert [(each.phase, each.verdict) for each in found] == [("hang", "achieved"), ("recovery", "achieved")]
    assert found[1].remark == "from the phase before on"
