"""Tests what the host gives a guest for a command in its lab."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chaoskit.conduct.kept_files import FileOptions
from chaoskit.conduct.lab_setup import LabSetup
from chaoskit.conduct.user_command import Command
from chaoskit.errors import RefusedError
from chaoskit.planning.exec import compile_exec
from chaoskit.spec.load import load
from chaoskit.substrate import uml
from chaoskit.substrate.exec import in_guest
from chaoskit.units import Size

LAB = Path(__file__).parents[3] / "experiments" / "loss-first-token.yaml"
LAB_TO_STDOUT = """\
#!/bin/sh
case $1 in
--showconfig) echo CONFIG_UML=y; exit;;
--version) echo 6.12.0; exit;;
esac
for scratch; do :; done
folder=${scratch%/*}
cat "$folder/lab" >> "$folder/stdout"
touch "$scratch/ready"
printf '0   ' > "$scratch/exit"
"""


def test_a_guest_gets_the_lab_of_the_plan_and_its_fault(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """All knobs and settings of the stage and the fault, the server's script, and the URL arrive unchanged."""
    kernel = tmp_path / "kernel"
    kernel.write_text(LAB_TO_STDOUT)
    kernel.chmod(0o755)
    plan = compile_exec(load(LAB), ["wifi"])

    substrate = uml.Uml(uml.find(kernel), memory=Size.parse("1MiB"))
    code = in_guest(substrate, plan, Command(("true",), {}, None), FileOptions())

    setup = LabSetup.unpickled(capfdbinary.readouterr().out, {})
    assert code == 0
    assert setup == LabSetup.of(plan)
    assert setup.stage == tuple((change.knob, change.setting) for change in plan.stage)
    assert [setting for _, setting in setup.phase] == [change.setting for change in plan.phases[0].changes]
    assert setup.target == plan.target


def test_a_working_directory_that_a_guest_does_not_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is started, with what to type."""
    kernel = tmp_path / "kernel"
    kernel.write_text(LAB_TO_STDOUT)
    kernel.chmod(0o755)
    substrate = uml.Uml(uml.find(kernel), memory=Size.parse("1MiB"))
    monkeypatch.chdir("/run")

    with pytest.raises(RefusedError, match=r"a guest has its own /run, .*: cd to another"):
        in_guest(substrate, compile_exec(load(LAB)), Command(("true",), {}, None), FileOptions())


def test_a_command_in_a_guest_loads_no_library_of_plans() -> None:
    """Which would take as long as all the rest, inside a guest."""
    program = "import sys, chaoskit.cli.guest_exec, chaoskit.conduct.lab_client; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert {"pydantic", "yaml", "numpy", "httpx", "rich"}.isdisjoint(loaded)
