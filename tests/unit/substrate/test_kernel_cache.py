"""Tests the cache of guest kernels: its contents, the one to boot, the state of the others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from warm import chaoskit

from chaoskit.substrate import kernel_cache

TOP = Path(__file__).parents[3]
OLD, NEW = "6.12.117-1~deb12u1", "6.12.118-1"


def keep(place: Path, version: str, recipe: str, age: int = 0) -> Path:
    """Put a kernel into a cache, made `age` seconds after the epoch."""
    program = place / f"{version}-{recipe}" / "linux"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    os.utime(program, (age, age))
    return program


def status(**environment: str) -> subprocess.CompletedProcess[str]:
    """Ask for it as a user does."""
    return chaoskit("kernel", "status", environment=environment)


def test_the_recipe_tells_configurations_and_patches_apart() -> None:
    """A byte that changes, or moves from one part to the other, gives another recipe."""
    told = {
        kernel_cache.digest(b"CONFIG_A=y", b"patch"),
        kernel_cache.digest(b"CONFIG_A=n", b"patch"),
        kernel_cache.digest(b"CONFIG_A=y", b"patches"),
        kernel_cache.digest(b"CONFIG_A=yp", b"atch"),
    }

    assert len(told) == 4
    assert kernel_cache.recipe() == kernel_cache.digest(
        kernel_cache.CONFIG.read_bytes(), kernel_cache.PATCH.read_bytes()
    )


def test_the_newest_kernel_of_our_recipe_is_booted(tmp_path: Path) -> None:
    """A newer one of another recipe is passed over, and what a killed build left is no kernel."""
    keep(tmp_path, OLD, kernel_cache.recipe(), age=1)
    ours = keep(tmp_path, NEW, kernel_cache.recipe(), age=2)
    foreign = keep(tmp_path, NEW, "0123456789ab", age=3)
    keep(tmp_path, ".building", "x7k2")

    newest = kernel_cache.newest(tmp_path)
    assert newest is not None
    assert newest.path == ours
    assert [each.path for each in kernel_cache.cached_kernels(tmp_path)][:2] == [foreign, ours]
    assert len(kernel_cache.cached_kernels(tmp_path)) == 3


@pytest.mark.parametrize(
    ("recipe", "source", "says"),
    [
        (kernel_cache.recipe(), OLD, "what this chaoskit builds"),
        (kernel_cache.recipe(), None, "what this chaoskit builds"),
        (kernel_cache.recipe(), "6.12.99", "what this chaoskit builds"),
        (kernel_cache.recipe(), NEW, f"{NEW} is installed: chaoskit kernel build"),
        ("0123456789ab", OLD, "another configuration than this chaoskit's: chaoskit kernel build"),
    ],
)
def test_standing(tmp_path: Path, recipe: str, source: str | None, says: str) -> None:
    """A kernel's version is that of its source, and it is said whether a build would give another one now."""
    keep(tmp_path, OLD, recipe)

    (only,) = kernel_cache.cached_kernels(tmp_path)

    assert only.version == OLD
    assert says in only.state(source)


def test_an_empty_cache_and_one_of_another_recipe_differ(tmp_path: Path) -> None:
    """Both sentences end in the command that mends it; the second names the kernel that does not do."""
    empty = kernel_cache.absence(tmp_path / "missing")
    foreign = keep(tmp_path, OLD, "0123456789ab")

    assert kernel_cache.newest(tmp_path) is None
    assert empty == f"no kernel built in {tmp_path}/missing: pip install 'chaoskit[kernel]', or chaoskit kernel build"
    assert kernel_cache.absence(tmp_path).startswith(f"{foreign} was built with another configuration")
    assert kernel_cache.absence(tmp_path).endswith(": chaoskit kernel build")


def test_all_are_deleted_and_nothing_else(tmp_path: Path) -> None:
    """Removing takes every kernel, ours or not, and leaves the lock and a build under way alone."""
    mine, foreign = keep(tmp_path, OLD, kernel_cache.recipe(), age=2), keep(tmp_path, OLD, "0123456789ab", age=1)
    under_way = keep(tmp_path, ".building", "x7k2")
    (tmp_path / ".lock").touch()

    assert kernel_cache.remove(tmp_path) == [mine, foreign]

    assert sorted(tmp_path.iterdir()) == [under_way.parent, tmp_path / ".lock"]
    assert kernel_cache.remove(tmp_path) == []


@pytest.mark.parametrize("xdg", ["", "relative/cache"])
def test_the_cache_lies_in_the_home(tmp_path: Path, xdg: str) -> None:
    """Without XDG_CACHE_HOME, or with a relative one, it is ~/.cache, as the XDG specification wants it."""
    answer = status(HOME=str(tmp_path), XDG_CACHE_HOME=xdg)

    assert answer.returncode == 3
    assert f"no kernel built in {tmp_path}/.cache/chaoskit/kernels: pip install" in answer.stderr


def test_a_ci_is_told_what_to_keep(tmp_path: Path) -> None:
    """The key names what a kernel built here depends on, one word; the folder is the cache's; both as KEY=VALUE."""
    answer = chaoskit("kernel", "cache", environment={"XDG_CACHE_HOME": str(tmp_path)})

    assert answer.returncode == 0, answer.stderr
    told = dict(line.split("=", 1) for line in answer.stdout.splitlines())
    assert list(told) == ["key", "path"]
    assert kernel_cache.recipe() in told["key"]
    assert re.fullmatch(r"[\w.-]+", told["key"])
    assert told["path"] == str(tmp_path / "chaoskit" / "kernels")


def test_a_kernel_that_does_not_run_is_named_with_its_remedy(tmp_path: Path) -> None:
    """A program in the cache that is no kernel is neither passed over nor booted."""
    path = keep(tmp_path / "chaoskit" / "kernels", OLD, kernel_cache.recipe())
    path.write_text("#!/bin/sh\nexit 1\n")

    answer = status(XDG_CACHE_HOME=str(tmp_path))

    assert answer.returncode == 3
    assert str(path) in answer.stderr
    assert "chaoskit kernel remove && chaoskit kernel build" in answer.stderr


def test_the_wheel_holds_what_a_build_needs(tmp_path: Path) -> None:
    """Configuration and patch are package data."""
    words = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(words, cwd=TOP, check=True, capture_output=True)

    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())

    assert {str(path.relative_to(TOP)) for path in (kernel_cache.CONFIG, kernel_cache.PATCH)} <= held
