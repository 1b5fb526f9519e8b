"""Ctrl-C between the program's start and its work, within the work, and after it."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """\
import os, signal, sys
from chaoskit import keyboard_interrupt
def ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)
keyboard_interrupt.handle()
{before}
from chaoskit import terminal
from chaoskit.cli.main import run_program
{between}
code = run_program(lambda: ({within}, 0)[1])
{after}
sys.exit(code)
"""
INTERRUPTED = (130, "chaoskit: interrupted\n")
NOTHING_LEFT = (0, "")


@pytest.mark.parametrize(
    ("place", "end"),
    [
        pytest.param({"before": "ctrl_c()"}, INTERRUPTED, id="before imports"),
        pytest.param({"between": "ctrl_c()"}, INTERRUPTED, id="between imports and work"),
        pytest.param({"between": "ctrl_c(); ctrl_c(); ctrl_c()"}, INTERRUPTED, id="three times"),
        pytest.param({"within": "ctrl_c()"}, INTERRUPTED, id="within the work"),
        pytest.param(
            {"between": "said = terminal.complain; terminal.complain = lambda text: (ctrl_c(), said(text))"}
            | {"within": "ctrl_c()"},
            INTERRUPTED,
            id="while it is said",
        ),
        pytest.param({"after": "ctrl_c()"}, NOTHING_LEFT, id="after the work"),
    ],
)
def test_a_ctrl_c_ends_in_one_line(place: dict[str, str], end: tuple[int, str]) -> None:
    """Nowhere a traceback, and none is lost while there is something to interrupt."""
    program = PROGRAM.format(**{"before": "", "between": "", "within": "None", "after": ""} | place)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == end
