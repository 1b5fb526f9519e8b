"""Tests what a command may write, and how its changed files are found, copied and told."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from chaoskit.conduct import changes
from chaoskit.conduct.changes import Changes, copy_files, find_changes
from chaoskit.conduct.kept_files import FileOptions, OutFolder, collected, report
from chaoskit.conduct.workspace import Collected
from chaoskit.errors import RefusedError, SpecError


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder on a disk: one in /dev/shm, where the tests' own may lie, is not the user's to give to a guest."""
    with TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


@contextmanager
def opened(*paths: Path) -> Iterator[list[int]]:
    """Descriptors of these directories."""
    descriptors = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in paths]
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    """Changed files of every kind."""
    place = tmp_path / "upper"
    for folder in ("new/deep", "empty", "same"):
        (place / folder).mkdir(parents=True)
    (place / "out.xml").write_text("<xml/>")
    (place / "new" / "deep" / "file").write_bytes(bytes(3_000_000))
    (place / "tool").write_text("#!/bin/sh\n")
    (place / "tool").chmod(0o4751)
    (place / "same" / "as").write_text("it was")
    (place / "link").symlink_to("/etc/passwd")
    (place / "way").symlink_to("/etc")
    os.mkfifo(place / "pipe")
    return place


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where they are copied to."""
    place = tmp_path / "target"
    place.mkdir()
    return place


def test_what_differs_from_the_lower_directory_is_a_change(upper: Path, tmp_path: Path) -> None:
    """Equal files are none, whatever their times; another mode or content is one."""
    lower = tmp_path / "lower"
    (lower / "same").mkdir(parents=True)
    (lower / "same" / "as").write_text("it was")
    (lower / "out.xml").write_text("<XML/>")
    (lower / "tool").write_text("#!/bin/sh\n")
    with opened(upper, lower) as (new, old):
        found = find_changes(new, old)

    assert sorted(found.changed) == ["empty/", "link", "new/deep/file", "out.xml", "pipe", "tool", "way"]
    assert found.deleted == ()


def test_all_of_a_tree_is_copied_with_modes_and_without_rights(upper: Path, target: Path) -> None:
    """Files whole, links as links, a pipe not at all and by its name, no set-user-ID bit."""
    with opened(upper, target) as (source, into):
        found = find_changes(source, None)
        failed = copy_files(found.changed, source, into)

    assert failed == ["pipe: neither a file, a directory nor a symbolic link"]
    assert (target / "new" / "deep" / "file").read_bytes() == bytes(3_000_000)
    assert stat.S_IMODE((target / "tool").stat().st_mode) == 0o751
    assert (target / "link").readlink() == Path("/etc/passwd")
    assert (target / "way").readlink() == Path("/etc")
    assert (target / "empty").is_dir()
    assert not list(target.rglob(".chaoskit*"))


def test_a_link_in_the_target_is_replaced_and_never_followed(upper: Path, target: Path, tmp_path: Path) -> None:
    """Neither for a file of that name, nor for a directory on the way."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("as it was")
    (target / "out.xml").symlink_to(elsewhere / "file")
    (target / "new").symlink_to(elsewhere)
    (target / ".chaoskit-copy").symlink_to(elsewhere / "file")
    with opened(upper, target) as (source, into):
        failed = copy_files(("out.xml", "new/deep/file"), source, into)

    assert (target / "out.xml").read_text() == "<xml/>"
    assert not (target / "out.xml").is_symlink()
    assert [each.split(":")[0] for each in failed] == ["new/deep/file"]
    assert [path.name for path in elsewhere.iterdir()] == ["file"]
    assert (elsewhere / "file").read_text() == "as it was"


def test_what_is_in_the_way_is_named_and_the_rest_is_copied(upper: Path, target: Path) -> None:
    """A directory where a file should be; what else is in the target stays."""
    (target / "out.xml").mkdir()
    (target / "other").write_text("stays")
    with opened(upper, target) as (source, into):
        failed = copy_files(("out.xml", "tool"), source, into)

    assert failed == ["out.xml: Is a directory"]
    assert sorted(path.name for path in target.iterdir()) == ["other", "out.xml", "tool"]


def test_the_size_of_all_copies_is_bounded(upper: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond it is named."""
    monkeypatch.setattr(changes, "MOST_BYTES", 1_000_000)
    with opened(upper, target) as (source, into):
        failed = copy_files(("out.xml", "new/deep/file", "tool"), source, into)

    assert [path.name for path in target.iterdir()] == ["out.xml"]
    assert failed == ["new/deep/file and what follows: more than 0 GiB"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/", "belongs to the system"),
        ("/etc", "belongs to the system"),
        ("/usr/local/lib", "belongs to the system"),
        ("/home", "belongs to the system"),
        ("/tmp", "give a directory in it"),
        ("no-such", "No such file or directory; mkdir no-such"),
        ("file", "is no directory"),
        ("link", "belongs to the system"),
        ("others", "is owned by user 65534"),
    ],
)
def test_what_is_not_the_users_own_is_not_writable(
    path: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence says whose it is and what to give instead."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/usr")
    (tmp_path / "others").mkdir()
    if os.geteuid() == 0:
        os.chown(tmp_path / "others", 65534, 65534)
    elif path == "others":
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        says = "is owned by user"

    with pytest.raises(SpecError, match=rf"--writable .*{says}"):
        FileOptions(writable=(Path(path),)).checked(tmp_path)


def test_own_directories_become_real_paths_and_out_needs_something_to_copy(tmp_path: Path) -> None:
    """A link to one is the one; with the working directory itself writable, nothing is left to copy."""
    (tmp_path / "own").mkdir()
    (tmp_path / "link").symlink_to("own")

    checked = FileOptions(tmp_path / "out", (tmp_path / "link",)).checked(tmp_path)

    assert checked.writable == (tmp_path / "own",)
    for options, where in (((tmp_path,), tmp_path / "own"), ((), Path("/"))):
        with pytest.raises(SpecError, match="--out copies what changes in the working directory"):
            FileOptions(tmp_path / "out", options).checked(where)


def test_a_directory_that_cannot_be_made_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """By its name and the reason."""
    (tmp_path / "file").touch()

    with pytest.raises(RefusedError, match=r"--out .*file cannot be written \(File exists\)"):
        OutFolder(tmp_path / "file", None)


@pytest.mark.parametrize("found", [None, [], {}, {"changed": [1], "deleted": [], "failed": [], "is_full": False}, "x"])
def test_a_damaged_list_of_a_guest_is_refused(found: object) -> None:
    """A guest is not trusted."""
    with pytest.raises(RefusedError, match="damaged"):
        collected(found)


def test_the_user_is_told_in_one_line_what_became_of_the_files() -> None:
    """How many, some of them, and what to type to keep them; nothing where nothing changed."""
    several = Collected(changed=(".cache/a", "b.xml", "c", "d", "e/__pycache__/x"))

    assert report(Collected(), None) == report(Collected(deleted=("a",)), None) == []
    assert report(Collected(changed=("out.xml",)), None) == [
        "1 changed file (out.xml) was thrown away; to keep it: --out DIR, or --writable ."
    ]
    assert report(several, None) == [
        "5 changed files (b.xml, c, d and 2 more) were thrown away; to keep them: --out DIR, or --writable ."
    ]
    assert report(Collected(changed=("a", "new/")), Path("r")) == [
        "1 changed file (a) and 1 empty directory (new/) were copied to r"
    ]
    assert report(Collected(changed=("new/",)), Path("r")) == ["1 empty directory (new/) was copied to r"]
    assert report(several, Path("results")) == ["5 changed files (b.xml, c, d and 2 more) were copied to results"]
    assert report(Collected(deleted=("a",), failed=("p: no",), is_full=True), Path("r")) == [
        "deleted by the command, and left alone in r: a",
        "not copied: p: no",
        "there was no more room in memory for changed files: --writable . writes to the directory itself",
    ]


def test_nothing_is_changed_where_nothing_was_written(tmp_path: Path) -> None:
    """An empty overlay has no changes."""
    with opened(tmp_path) as (folder,):
        assert find_changes(folder, folder) == Changes()
