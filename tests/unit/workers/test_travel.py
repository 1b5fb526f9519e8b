"""What a cell needs travels, and its run directory comes back as it was."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from chaoskit.errors import RefusedError, SpecError
from chaoskit.workers import travel
from chaoskit.workers.cell import Cell
from chaoskit.workers.dask_task import CellTask, Machine, machine, mismatch, run_cell

FILE = "name: x\nworkload: {prompts: load/prompts.jsonl}\nstage: {hosts: {a: {command: [python3, serve.py, --x]}}}\n"


def test_the_files_that_an_experiment_names_travel(tmp_path: Path) -> None:
    """Those below its folder, also as a word of a command or of a value that is set; no others."""
    for name in ("load/prompts.jsonl", "serve.py", "other.py", "set.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "x.yaml").write_text(FILE)
    (tmp_path.parent / "outside.py").write_text("")

    cell = Cell(
        "a", tmp_path / "x.yaml", {"stage.hosts.a.command": ["python3", "set.py", "../outside.py", "/etc/hosts"]}
    )

    files = travel.packed(cell)
    assert sorted(files) == ["load/prompts.jsonl", "serve.py", "set.py", "x.yaml"]
    travel.unpack_files(files, tmp_path / "there")
    assert (tmp_path / "there" / "load" / "prompts.jsonl").read_text() == "load/prompts.jsonl"


def test_too_much_does_not_travel(tmp_path: Path) -> None:
    """It is told with its size."""
    (tmp_path / "x.yaml").write_text(FILE)
    (tmp_path / "serve.py").write_bytes(bytes(travel.MOST))

    with pytest.raises(SpecError, match=r"64 MiB, and at most 64 travel"):
        travel.packed(Cell("a", tmp_path / "x.yaml"))


def test_a_run_directory_comes_back(tmp_path: Path) -> None:
    """Every file of it; of one that was not made nothing."""
    (tmp_path / "run" / "hosts").mkdir(parents=True)
    (tmp_path / "run" / "hosts" / "log").write_bytes(b"\0\xff")

    travel.restore(travel.archive(tmp_path / "run"), tmp_path / "back")
    travel.restore(travel.archive(tmp_path / "none"), tmp_path / "none")

    assert (tmp_path / "back" / "hosts" / "log").read_bytes() == b"\0\xff"
    assert not (tmp_path / "none").exists()


def test_an_archive_writes_nowhere_else(tmp_path: Path) -> None:
    """Neither by a path, nor through a link; a damaged one is refused, too."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../escaped"))

    for packed in (file.getvalue(), b"no archive", file.getvalue()[:20]):
        with pytest.raises(RefusedError, match="did not come back whole"):
            travel.restore(packed, tmp_path / f"back-{len(packed)}")
    assert not (tmp_path / "escaped").exists()


def test_a_worker_with_another_version_or_kernel_runs_nothing(tmp_path: Path) -> None:
    """It says what to install."""
    here = machine(None)
    other = Machine("99.0", here.kernel)
    task = CellTask("batch", "a", "x.yaml", (), {}, None, other, {})

    found = run_cell(task)

    assert (found.code, found.archive) == (3, b"")
    assert "and 99.0 is expected: pip install chaoskit==99.0" in found.complaint
    assert "chaoskit kernel build" in mismatch(here, Machine(here.chaoskit, "0" * 64))
    assert mismatch(here, here) == ""
