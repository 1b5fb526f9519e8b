"""Tests `chaoskit exec --out` in this kernel: an overlay as in a guest, and nothing stays mounted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

LAB = Path(__file__).parents[2] / "experiments" / "loss-first-token.yaml"
NOBODY = 65534
SCRIPT = "echo new > new; echo x > given/new; rm gone; cat kept; echo more >> kept"


@pytest.fixture
def place() -> Iterator[Path]:
    """A working directory in memory."""
    folder = Path(tempfile.mkdtemp(prefix="chaoskit-test-", dir="/run"))
    folder.chmod(0o755)
    (folder / "given").mkdir()
    for name in ("kept", "gone"):
        (folder / name).write_text("as it was\n")
    yield folder
    shutil.rmtree(folder)


def execute(place: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script in the lab, in this kernel."""
    words = [
        sys.executable,
        "-m",
        "chaoskit",
        "exec",
        str(LAB),
        "--substrate",
        "here",
        *options,
        "--",
        "sh",
        "-c",
        SCRIPT,
    ]
    return subprocess.run(
        words, cwd=place, env=os.environ | environment, capture_output=True, text=True, timeout=100, check=False
    )


def test_out_keeps_the_directory_as_it_was(place: Path) -> None:
    """Changed files are copied, deletions named; no mount and no folder is left."""
    before, temporary = Path("/proc/self/mounts").read_text(), set(Path(tempfile.gettempdir()).iterdir())

    answer = execute(place, "--out", "results")

    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "as it was\n"
    assert sorted(path.name for path in place.iterdir()) == ["given", "gone", "kept", "results"]
    assert (place / "kept").read_text() == "as it was\n"
    copies = {str(path.relative_to(place / "results")) for path in (place / "results").rglob("*") if path.is_file()}
    assert copies == {"new", "kept", "given/new"}
    assert "deleted by the command, and left alone in results: gone" in answer.stderr
    assert Path("/proc/self/mounts").read_text() == before
    assert set(Path(tempfile.gettempdir()).iterdir()) == temporary


def test_without_out_the_command_writes_the_directory_itself(place: Path) -> None:
    """As any command does; nothing is said about files."""
    answer = execute(place)

    assert sorted(path.name for path in place.iterdir()) == ["given", "kept", "new"]
    assert (place / "kept").read_text() == "as it was\nmore\n"
    assert len(answer.stderr.splitlines()) == 2


def test_under_sudo_the_copies_are_the_callers(place: Path) -> None:
    """The command and its files are the caller's, and --out is made with the caller's rights."""
    for path in (place, *place.rglob("*")):
        os.chown(path, NOBODY, NOBODY)

    answer = execute(place, "--out", "results", SUDO_UID=str(NOBODY), SUDO_GID=str(NOBODY))

    assert answer.returncode == 0, answer.stderr
    for path in (place / "results", *(place / "results").rglob("*")):
        assert path.stat().st_uid == NOBODY
    place.chmod(0o755)
    os.chown(place, 0, 0)
    refused = execute(place, "--out", "elsewhere", SUDO_UID=str(NOBODY), SUDO_GID=str(NOBODY))
    assert refused.returncode == 3
    assert "--out elsewhere cannot be written (Permission denied): give another directory" in refused.stderr
