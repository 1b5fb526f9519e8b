"""A command of chaoskit that another program started ends with it, and says in one sentence what was wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaoskit import child_command
from chaoskit.child_command import Ended

OWNER = """\
import sys
from chaoskit import child_command
child = child_command.start("serve", "--port", "0")
print(child.pid, flush=True)
child.wait()
"""


def test_what_was_wrong_is_one_sentence() -> None:
    """The sentence of a command that refused is that of standard error, without the program's name."""
    ended = child_command.run("validate", "/nowhere.yaml")

    assert ended.code == 2
    assert ended.out == ""
    assert ended.sentence.startswith("/nowhere.yaml: No such file or directory; ")


@pytest.mark.parametrize(
    ("err", "sentence"),
    [
        ("chaoskit: one\nchaoskit: two: a\n  b\n", "two: a\n  b"),
        ("warning: x\nlast words\n", "last words"),
        ("", "chaoskit ended with exit code 9"),
    ],
)
def test_the_last_complaint_counts(err: str, sentence: str) -> None:
    """Its further lines belong to it; without one the last line counts, and without any the exit code."""
    assert Ended(9, "", err).sentence == sentence


def test_it_reads_what_it_is_given() -> None:
    """Standard input is what the caller gives, and nothing else."""
    ended = child_command.run("inject", "-", "--dry-run", given="up: delay 10ms\neverything: yes\n")

    assert ended.code == 2
    assert "for: missing" in ended.sentence


def test_it_ends_when_its_caller_is_killed() -> None:
    """kill -9 of the caller ends the command within seconds."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    child = int(owner.stdout.readline())
    os.kill(owner.pid, signal.SIGKILL)
    owner.communicate()

    deadline = time.monotonic() + 20
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not _runs(child)


def test_an_interrupted_caller_waits_for_its_end() -> None:
    """`stop` ends a command as SIGTERM does, and waits for it."""
    child = child_command.start("serve", "--port", "0")

    child_command.stop(child)

    assert child.returncode in (143, -signal.SIGTERM)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
