"""Run directories are pinned by a descriptor, owned by one user, and created with fixed modes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from warm import chaoskit

from chaoskit.engine.journal import Journal
from chaoskit.errors import RefusedError
from chaoskit.folder import Folder, descriptor, display_path
from chaoskit.knobs import Knob, Sysctl
from chaoskit.records.directory import conclude, create
from chaoskit.records.jsonl import Log
from chaoskit.records.model import Phase


def test_a_renamed_run_directory_is_still_written_to(tmp_path: Path) -> None:
    """Records, journal and outcome go into the directory that was created, even after it was renamed."""
    run = create(tmp_path / "runs" / "one", {"plan.json": "{}"})
    (tmp_path / "runs").rename(tmp_path / "away")
    (tmp_path / "runs").symlink_to("/nowhere")

    log = Log(run, Phase)
    log.add(Phase("baseline", 0, (), 1, 2, 3))
    log.close()
    with Journal.at(run) as journal:
        journal.intend(Knob("sysctl", "", "a"), Sysctl("0"), Sysctl("1"))
    conclude(run, "finished", "")

    names = {path.name for path in (tmp_path / "away" / "one").iterdir()}
    assert names == {"plan.json", "outcome.json", "phases.jsonl", "journal.jsonl"}
    assert display_path(run / "x") == tmp_path / "away" / "one" / "x"


def test_a_child_reaches_it_by_an_inherited_descriptor(tmp_path: Path) -> None:
    """The path is valid in a child process that inherits the descriptor."""
    run = create(tmp_path / "one", {"plan.json": "here"})
    held = descriptor(run)
    assert held is not None
    (tmp_path / "one").rename(tmp_path / "two")

    seen = subprocess.run(["cat", run / "plan.json"], capture_output=True, pass_fds=(held,), check=True)

    assert seen.stdout == b"here"


def test_its_path_is_displayed_as_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to the current directory if it is inside; any other path is displayed unchanged."""
    monkeypatch.chdir(tmp_path)

    assert display_path(create(Path("runs/one"), {})) == Path("runs/one")
    assert display_path(Path("runs/two")) == Path("runs/two")
    assert descriptor(Path("runs/two")) is None


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_others_may_read_and_not_write(tmp_path: Path, umask: int) -> None:
    """0755 and 0644, whatever the umask, its parents as well."""
    former = os.umask(umask)
    try:
        create(tmp_path / "runs" / "deep" / "one", {"plan.json": "{}"})
    finally:
        os.umask(former)

    made = [tmp_path / "runs", *(tmp_path / "runs").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in made if path.is_dir()} == {0o755}
    assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {0o644}


def test_write_permission_of_others_is_removed(tmp_path: Path) -> None:
    """An own empty directory is used, and other users lose write permission."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)

    create(tmp_path / "out", {})

    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    """It is refused, and its target stays empty."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(RefusedError, match="give another --out"):
        create(tmp_path / "link", {})

    assert list((tmp_path / "real").iterdir()) == []


@pytest.mark.parametrize("command", [("probe", "http://127.0.0.1:9", "--requests", "1", "--out")])
def test_the_command_line_sets_the_umask(tmp_path: Path, command: tuple[str, ...]) -> None:
    """With a umask of 0 nobody else can write any record."""
    chaoskit(*command, str(tmp_path / "out"), before="import os; os.umask(0)")

    files = list((tmp_path / "out").iterdir())
    assert len(files) > 1
    assert {path.stat().st_mode & 0o777 for path in files} == {0o644}


def test_files_are_created_exclusively(tmp_path: Path) -> None:
    """An existing file, or a link in its place, is never written."""
    (tmp_path / "victim").write_text("whole")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    with Folder.open(tmp_path) as folder:
        for name in ("victim", "link"):
            with pytest.raises(FileExistsError):
                folder.create(name)

        folder.replace("link", b"new")

    assert (tmp_path / "victim").read_text() == "whole"
    assert (tmp_path / "link").read_text() == "new"
