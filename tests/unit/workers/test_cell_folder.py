"""A cell's folder is removed with it, and what a killed worker left by the next one; never one that is in use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from chaoskit.workers.cell_folder import PREFIX, cell_folder

HOLDER = """\
import os, sys
from pathlib import Path
from chaoskit.workers.cell_folder import cell_folder
with cell_folder(Path(sys.argv[1])) as (place, lock):
    (place / "records").write_text("some")
    print(place, flush=True)
    sys.stdin.read()
    os._exit(9)
"""


def test_a_folder_ends_with_its_cell(tmp_path: Path) -> None:
    """With all that is in it."""
    with cell_folder(tmp_path) as (place, _):
        (place / "file").write_text("")

    assert not list(tmp_path.iterdir())


def test_only_what_nobody_uses_is_removed(tmp_path: Path) -> None:
    """A worker's folder stays as long as it lives, and goes with the next cell after it was killed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(elsewhere)
    words = [sys.executable, "-c", HOLDER, str(tmp_path)]
    holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    held = Path(holder.stdout.readline().strip())

    with cell_folder(tmp_path):
        stayed = (held / "records").exists()
    holder.communicate()
    with cell_folder(tmp_path):
        pass

    assert stayed
    assert not held.exists()
    assert elsewhere.is_dir()
