"""The state of the machine is part of a result; what anybody may have written in its place is told."""

from __future__ import annotations

import io
import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from made_runs import Made

from chaoskit.analysis.analyse import analyse
from chaoskit.conduct.machine_file import MachineFile
from chaoskit.kernel.machine_state import OWN
from chaoskit.report import console
from chaoskit.report.screen import Screen


def run_of(folder: Path) -> Path:
    """A run without a file of its machine."""
    made = Made()
    made.phases()
    made.stream(0, [100, 200])
    return made.write(folder / "run")


class Here:
    """A kernel with one namespace."""

    def inside(self, place: str) -> AbstractContextManager[None]:
        """Where we are."""
        assert place == ""
        return nullcontext()


def test_a_machine_is_in_the_result(tmp_path: Path) -> None:
    """Its sysctls as the kernel has them, the offloads of the link, and how busy it was."""
    run = run_of(tmp_path)
    file = MachineFile(run)
    file.add_state(Here(), (), "lo")
    file.add_end()
    file.write()

    result = analyse(run)

    machine = result.machine
    assert machine is not None
    for name in OWN:
        told = Path("/proc/sys", name.replace(".", "/")).read_text().split()
        assert machine.sysctls[name].split() == told
    assert (machine.link, set(machine.offloads)) == ("lo", {"tso", "gso", "gro"})
    assert (len(machine.load), machine.steal is not None) == (2, True)
    shown = io.StringIO()
    console.render(result, Screen(shown, 200))
    assert f"processors, load {machine.load[0]:.1f}" in shown.getvalue().replace("processor,", "processors,")


@pytest.mark.parametrize("state", [7, {}, {"processors": "many"}, {"sysctls": {str(n): "" for n in range(100)}}])
def test_what_is_no_state_is_told(tmp_path: Path, state: object) -> None:
    """And the run is reported without it."""
    run = run_of(tmp_path)
    (run / "machine.json").write_text(json.dumps({"clock": "real", "kernel": "6.1", "state": state}))

    result = analyse(run)

    assert (result.machine, result.kernel) == (None, "6.1")
    assert any("the machine's state is unknown" in each for each in result.warnings)
