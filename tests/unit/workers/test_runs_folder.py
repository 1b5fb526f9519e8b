"""A folder of runs says why its document cannot be written, and leaves nothing behind where it never was."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaoskit.errors import RefusedError
from chaoskit.workers.runs_folder import RunsFolder

LOCK, DOCUMENT = "some.lock", "some.json"


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Writes beyond `size` bytes of any file fail, as on a full disk."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


@pytest.mark.parametrize("size", [0, 10, 30])
def test_a_folder_without_its_document_is_removed(tmp_path: Path, size: int) -> None:
    """Whether the lock, a file or the document is the first that has no room; the same command may be repeated."""
    out = tmp_path / "out"

    with (
        full_disk(size),
        pytest.raises(RefusedError, match=r"cannot write .*out"),
        RunsFolder.make(out, LOCK, {"copy": "x" * 20}) as held,
    ):
        held.write(DOCUMENT, "x" * 40, "go on with --resume")

    assert not out.exists()
    RunsFolder.make(out, LOCK).close()


def test_a_folder_with_its_document_stays(tmp_path: Path) -> None:
    """As it was before the write that failed, with what to type when there is room."""
    with RunsFolder.make(tmp_path / "out", LOCK) as held:
        held.write(DOCUMENT, "first", "go on with --resume")
        with full_disk(10), pytest.raises(RefusedError, match="then go on with --resume"):
            held.write(DOCUMENT, "x" * 40, "go on with --resume")

    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == [DOCUMENT, LOCK]
    assert (tmp_path / "out" / DOCUMENT).read_text() == "first"


def test_a_folder_that_is_removed_meanwhile_is_told(tmp_path: Path) -> None:
    """Space would not help."""
    with RunsFolder.make(tmp_path / "out", LOCK) as held:
        held.write(DOCUMENT, "first", "go on with --resume")
        shutil.rmtree(tmp_path / "out")

        with pytest.raises(RefusedError, match=r"its folder was removed meanwhile; give another --out$"):
            held.write(DOCUMENT, "second", "go on with --resume")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "No space left on device; free some space, then repeat it"),
        (errno.EDQUOT, "Disk quota exceeded; free some space, then repeat it"),
        (errno.EROFS, "Read-only file system; make it writable, then repeat it"),
    ],
)
def test_the_remedy_is_that_of_the_cause(tmp_path: Path, number: int, remedy: str) -> None:
    """What is full needs space, what is read-only does not."""
    with RunsFolder.make(tmp_path / "out", LOCK) as held:
        said = str(held.cannot_write(DOCUMENT, OSError(number, os.strerror(number)), "repeat it"))

    assert said == f"cannot write {tmp_path / 'out' / DOCUMENT}: {remedy}"
