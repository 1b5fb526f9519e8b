"""Tests `chaoskit restore` as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def restore(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What it says, with this state folder, in a network namespace of its own."""
    argv = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-m", "chaoskit", "restore", *words]
    return subprocess.run(argv, capture_output=True, text=True, env=os.environ | {"CHAOSKIT_STATE": str(state)})


def test_nothing_to_do_is_success(tmp_path: Path) -> None:
    """Exit code 0, and a sentence."""
    done = restore(tmp_path / "state")

    assert (done.returncode, done.stdout) == (0, "nothing to restore: chaoskit has changed nothing here\n"), done.stderr


def test_an_unknown_lease_is_the_authors_fault(tmp_path: Path) -> None:
    """Exit code 2, and what to type."""
    done = restore(tmp_path / "state", "nobody")

    assert done.returncode == 2
    assert "no lease 'nobody'" in done.stderr
    assert "chaoskit status" in done.stderr


def test_what_is_left_over_is_reported(tmp_path: Path) -> None:
    """Exit code 4, and each with its reason."""
    folder = tmp_path / "state" / "leases" / "torn"
    folder.mkdir(parents=True)
    (folder / "journal.jsonl").write_text("hello\n")

    done = restore(tmp_path / "state")

    assert done.returncode == 4
    assert "line 1 was not written by chaoskit" in done.stderr


def test_without_rights_it_says_sudo(tmp_path: Path) -> None:
    """Exit code 3, before anything else."""
    done = subprocess.run(
        ["unshare", "--user", sys.executable, "-m", "chaoskit", "restore"],
        capture_output=True,
        text=True,
        env=os.environ | {"CHAOSKIT_STATE": str(tmp_path)},
    )

    assert done.returncode == 3
    assert "sudo chaoskit restore" in done.stderr
