"""Tests `chaoskit doctor` with a real guest, and its exit code."""

from __future__ import annotations

import json
import subprocess

import warm


def doctor(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `chaoskit doctor` as a user does."""
    return warm.chaoskit("doctor", *words, limit=110)


def test_a_machine_with_a_guest_kernel_can_experiment() -> None:
    """Every feature of the guest is asked for in the guest, and the code is 0."""
    answer = doctor("--json")

    told = json.loads(answer.stdout)
    guest = {each["name"]: each for each in told["guest"]}
    assert answer.returncode == 0
    assert told["guest_can"]
    features = ("netem", "veth", "ifb", "clsact", "matchall", "flower", "u32")
    assert all(guest[name]["is_able"] for name in ("program", "memory", "boots", *features))


def test_without_a_guest_the_exit_code_depends_on_this_kernel() -> None:
    """A guest kernel that is none is one line with the remedy; the code then says what this kernel can."""
    told = json.loads(doctor("--json", "--kernel", "/bin/false").stdout)
    answer = doctor("--kernel", "/bin/false")

    assert answer.returncode == (0 if told["here_can"] else 3)
    assert "  no   guest: /bin/false" in answer.stdout
    assert "apt-get install user-mode-linux" in answer.stdout
