"""Tests the files that the host writes for a command in a guest's lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.conduct.kept_files import FileOptions
from chaoskit.conduct.user_command import Command
from chaoskit.plan.exec import compile_exec
from chaoskit.spec.load import parse
from chaoskit.substrate import uml
from chaoskit.substrate.exec import in_guest
from chaoskit.units import Size

PLAN_TO_STDOUT = """\
#!/bin/sh
case $1 in
--showconfig) echo CONFIG_UML=y; exit;;
--version) echo 6.12.0; exit;;
esac
for scratch; do :; done
folder=${scratch%/*}
cat "$folder/plan.json" >> "$folder/stdout"
touch "$scratch/ready"
printf '0   ' > "$scratch/exit"
"""

EXPERIMENT = """
name: accents
question: "Déjà vu, \N{RIGHT-TO-LEFT OVERRIDE}\N{GRINNING FACE}?"
stage: {lab: edge}
workload: {max-concurrency: 1}
timeline: [baseline: 1s]
"""


def test_the_plan_for_a_guest_is_ascii(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The plan file that a guest reads is ASCII JSON, like every other JSON that chaoskit writes."""
    kernel = tmp_path / "kernel"
    kernel.write_text(PLAN_TO_STDOUT)
    kernel.chmod(0o755)
    plan = compile_exec(parse(EXPERIMENT, "accents.yaml"))

    substrate = uml.Uml(uml.find(kernel), memory=Size.parse("1MiB"))
    code = in_guest(substrate, plan, Command(("true",), {}, None), FileOptions())

    written = capfdbinary.readouterr().out
    assert code == 0
    assert written.isascii()
    assert type(plan).model_validate_json(written) == plan
