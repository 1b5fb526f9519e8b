"""Tests that a guest kernel is executed only if other users cannot have replaced it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaoskit.errors import RefusedError
from chaoskit.substrate import kernel_cache, uml
from chaoskit.substrate.kernel_build import build_into_cache

KERNEL = """\
#!/bin/sh
touch {mark}
case $1 in
--showconfig) echo CONFIG_UML=y;;
--version) echo 6.12.0;;
esac
"""
STRANGER = 1234


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory whose parents nobody else can change."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def kernel(place: Path, *folders: str) -> Path:
    """A kernel in folders of the place, that leaves a mark when it is executed."""
    path = place.joinpath(*folders, "linux")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(KERNEL.format(mark=place / "mark"))
    path.chmod(0o755)
    return path


def test_a_kernel_of_our_own_is_executed(place: Path) -> None:
    """It answers what it is."""
    assert uml.find(kernel(place)).release == "6.12.0"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
@pytest.mark.parametrize("what", ["linux", "b", "a"])
def test_one_that_others_can_write_is_not(place: Path, what: str, mode: int) -> None:
    """Nor one in a directory that they can write, at any height; the message ends with what to type."""
    path = kernel(place, "a", "b")
    weak = {"linux": path, "b": path.parent, "a": path.parent.parent}[what]
    weak.chmod(mode)

    with pytest.raises(RefusedError, match=f"{path} is not booted.*{weak} can be written by .*; chmod go-w {weak}$"):
        uml.find(path)

    assert not (place / "mark").exists()
    subprocess.run(["chmod", "go-w", str(weak)], check=True)
    assert uml.find(path).release == "6.12.0"


def test_one_behind_a_link_is_judged_by_where_it_lies(place: Path) -> None:
    """Whatever the name is that it is called by."""
    path = kernel(place, "open")
    path.parent.chmod(0o777)
    (place / "link").symlink_to(path)

    with pytest.raises(RefusedError, match="open can be written by"):
        uml.find(place / "link")

    assert not (place / "mark").exists()


@pytest.mark.parametrize("what", ["linux", "folder"])
def test_one_that_another_user_owns_is_not(place: Path, what: str) -> None:
    """Nor one in his directory."""
    path = kernel(place, "folder")
    if os.geteuid() != 0:
        return  # only root can give a file away; for others test_trust says the same
    os.chown(path if what == "linux" else path.parent, STRANGER, STRANGER)

    with pytest.raises(RefusedError, match=f"is owned by user {STRANGER}; start chaoskit as that user"):
        uml.find(path)

    assert not (place / "mark").exists()


def test_the_cached_one_is_judged_as_any_other(place: Path) -> None:
    """What is booted by itself is refused by its name, and no other kernel is taken in its stead."""
    cache = place / "chaoskit" / "kernels"
    path = kernel(cache, f"6.12.117-1-{kernel_cache.recipe()}")
    cache.chmod(0o777)
    words = [sys.executable, "-m", "chaoskit", "kernel", "status"]

    answer = subprocess.run(
        words, env=os.environ | {"XDG_CACHE_HOME": str(place)}, capture_output=True, text=True, check=False
    )

    assert answer.returncode == 3
    assert f"{path} is not booted" in answer.stderr
    assert f"chmod go-w {cache}" in answer.stderr


def test_what_is_built_can_be_booted_whatever_the_umask(place: Path) -> None:
    """Nobody else can write the program, nor the directories that are made for it."""

    def make(room: Path) -> Path:
        return kernel(room, "kept").parent

    former = os.umask(0o000)
    try:
        program = build_into_cache(place / "cache" / "kernels", "6.12-0123456789ab", 0, make)
    finally:
        os.umask(former)

    assert uml.find(program).release == "6.12.0"


def test_nothing_is_built_where_it_would_not_be_booted(place: Path) -> None:
    """It is said before the ten minutes."""
    (place / "cache").mkdir()
    (place / "cache").chmod(0o777)

    with pytest.raises(
        RefusedError, match=f"{place}/cache can be written by group and others; chmod go-w {place}/cache"
    ):
        build_into_cache(place / "cache" / "kernels", "6.12-0123456789ab", 0, lambda room: room)
