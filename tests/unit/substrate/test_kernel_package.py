"""Tests the kernel of an installed package: when it is selected, how it is checked, what is said about it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaoskit.substrate import kernel_cache

KERNEL = """\
#!/bin/sh
case $1 in
--showconfig) echo CONFIG_UML=y;;
--version) echo {release};;
esac
"""
OLD, NEW = "6.12.117-1~deb12u1", "6.12.118-1"
FOREIGN = "0123456789ab"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory whose parents nobody else can change, for a cache and for what pip installs."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def install(place: Path, version: str, recipe: str) -> Path:
    """What pip would unpack, with a program that answers as a kernel does."""
    folder = place / "site" / "chaoskit_kernel"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('imported')\n")
    path = folder / "linux"
    path.write_text(KERNEL.format(release=f"{version}-packaged"))
    path.chmod(0o755)
    told = {
        "package_version": "1.6.12.117.1",
        "recipe": recipe,
        "source": {"version": version},
        "files": {"linux": hashlib.sha256(path.read_bytes()).hexdigest()},
    }
    (folder / "manifest.json").write_text(json.dumps(told))
    return path


def build(place: Path, version: str, recipe: str) -> Path:
    """What `chaoskit kernel build` would leave."""
    path = place / "cache" / "chaoskit" / "kernels" / f"{version}-{recipe}" / "linux"
    path.parent.mkdir(parents=True)
    path.write_text(KERNEL.format(release=f"{version}-built"))
    path.chmod(0o755)
    return path


def chaoskit(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What a user types, with this cache and what is installed here."""
    environment = os.environ | {"XDG_CACHE_HOME": str(place / "cache"), "PYTHONPATH": str(place / "site")}
    command = [sys.executable, "-P", "-m", "chaoskit", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


OURS = kernel_cache.recipe()


@pytest.mark.parametrize(
    ("built", "packaged", "used"),
    [
        (None, (OLD, OURS), "from chaoskit-kernel 1.6.12.117.1"),
        ((OLD, OURS), (OLD, OURS), "built here"),
        ((NEW, OURS), (OLD, OURS), "built here"),
        ((OLD, OURS), (NEW, OURS), "from chaoskit-kernel 1.6.12.117.1"),
        ((OLD, OURS), (NEW, FOREIGN), "built here"),
        ((NEW, FOREIGN), (OLD, OURS), "from chaoskit-kernel 1.6.12.117.1"),
    ],
)
def test_the_newer_one_that_fits_is_used(
    place: Path, built: tuple[str, str] | None, packaged: tuple[str, str], used: str
) -> None:
    """Both are listed, the one that is used is named with its origin, and nothing of the package is imported."""
    paths = [install(place, *packaged)] + ([build(place, *built)] if built else [])

    answer = chaoskit(place, "kernel", "status")

    assert answer.returncode == 0, answer.stderr
    assert all(f"{path}\n" in answer.stdout for path in paths)
    assert answer.stdout.splitlines()[-1].endswith(used)


def test_a_package_for_another_chaoskit_is_not_used(place: Path) -> None:
    """It is listed as such, and the message says how to get the one that fits."""
    install(place, NEW, FOREIGN)

    answer = chaoskit(place, "kernel", "status")

    assert answer.returncode == 3
    assert "made for another chaoskit" in answer.stdout
    assert "by its configuration it lacks namespaces, veth, netem" in answer.stdout
    assert "pids-cgroup\n" in answer.stdout
    assert "pip install --upgrade 'chaoskit[kernel]', or chaoskit kernel build" in answer.stderr


def test_removing_leaves_what_pip_installed(place: Path) -> None:
    """`kernel remove` deletes what was built here only, and says what deletes the other."""
    packaged, built = install(place, OLD, OURS), build(place, OLD, OURS)

    answer = chaoskit(place, "kernel", "remove")

    assert answer.returncode == 0
    assert answer.stdout == (f"deleted {built}\nchaoskit-kernel 1.6.12.117.1 stays: pip uninstall chaoskit-kernel\n")
    assert packaged.exists()
    assert not built.exists()


def test_a_program_that_was_changed_is_not_executed(place: Path) -> None:
    """One byte more, and it is refused by its name, with the command that brings the right one."""
    path = install(place, OLD, OURS)
    with path.open("a") as file:
        file.write(f"touch {place}/mark\n")

    answer = chaoskit(place, "kernel", "status")

    assert answer.returncode == 3
    assert f"{path} is not the program that chaoskit-kernel 1.6.12.117.1 was packed with: pip install" in answer.stderr
    assert not (place / "mark").exists()


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"files": 3}'])
def test_a_package_that_is_not_whole(place: Path, text: str | None) -> None:
    """Without its manifest it is refused in one line; a doctor tells it as a finding."""
    manifest = install(place, OLD, OURS).with_name("manifest.json")
    manifest.unlink() if text is None else manifest.write_text(text)

    answer = chaoskit(place, "kernel", "status")

    assert answer.returncode == 3
    assert answer.stderr.count("\n") == 1
    assert "is not a whole chaoskit-kernel: pip install --force-reinstall --no-deps chaoskit-kernel" in answer.stderr


def test_one_without_its_executable_bit(place: Path) -> None:
    """It is said, with the command that gives it back."""
    path = install(place, OLD, OURS)
    path.chmod(0o644)

    answer = chaoskit(place, "kernel", "status")

    assert answer.returncode == 3
    assert f"{path} is not a program, it is not executable: chmod +x {path}" in answer.stderr


def test_one_that_others_can_write_is_not_executed(place: Path) -> None:
    """All that is to be changed is in one command, as after an installation with the umask 002."""
    path = install(place, OLD, OURS)
    weak = [path.parent.parent, path.parent, path]
    for each in weak:
        each.chmod(0o775)

    answer = chaoskit(place, "kernel", "status")

    assert answer.returncode == 3
    assert f"{weak[0]} can be written by group" in answer.stderr
    command = answer.stderr.rpartition("; ")[2].split()
    assert command == ["chmod", "go-w", *map(str, weak)]
    subprocess.run(command, check=True)
    assert chaoskit(place, "kernel", "status").returncode == 0
