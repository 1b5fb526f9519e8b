"""Disks that fill up and folders that cannot be written: one sentence, the right exit code, nothing left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import warm

from chaoskit.substrate import kernel_cache

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "loss-first-token.yaml"
MOUNT = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("size", ["96k", "160k"])
def test_a_disk_that_fills_up_ends_the_run(size: str, tmp_path: Path) -> None:
    """Whether it fills while the lab is built or while records are written: exit 3, and the reason in words."""
    script = (
        f"mount -t tmpfs -o size={size} none {tmp_path} && "
        f"{sys.executable} -m chaoskit run {EXPERIMENT} --substrate uml --clock real --out {tmp_path}/run"
    )

    answer = subprocess.run([*MOUNT, "sh", "-c", script], capture_output=True, text=True, check=False)

    assert answer.returncode == 3, answer.stdout + answer.stderr
    assert "No space left on device" in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stdout + answer.stderr


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A run directory below a file is no run directory."""
    (tmp_path / "file").write_text("")

    answer = warm.chaoskit("run", str(EXPERIMENT), "--out", str(tmp_path / "file" / "run"))

    assert answer.returncode == 3
    assert "another --out" in answer.stderr


def test_a_kernel_on_a_disk_without_programs_is_named(tmp_path: Path) -> None:
    """On a filesystem mounted noexec nothing can be executed: the message says so, and where to go."""
    script = (
        f"mount -t tmpfs -o noexec none {tmp_path} && cp $(command -v linux.uml) {tmp_path}/linux && "
        f"{sys.executable} -m chaoskit exec {EXPERIMENT} --kernel {tmp_path}/linux -- true"
    )

    answer = subprocess.run([*MOUNT, "sh", "-c", script], capture_output=True, text=True, check=False)

    assert answer.returncode == 3, answer.stdout + answer.stderr
    assert f"{tmp_path}/linux lies on a filesystem that is mounted noexec" in answer.stderr
    assert "XDG_CACHE_HOME=/an/executable/folder chaoskit kernel build" in answer.stderr


@pytest.mark.parametrize(
    "words", ["doctor", "kernel status", f"run {EXPERIMENT}", f"run {EXPERIMENT} --substrate here --clock real"]
)
def test_a_chroot_without_proc_is_told_to_mount_it(words: str, tmp_path: Path) -> None:
    """Every command that needs it says so in one line."""
    kernel = tmp_path / "cache" / "chaoskit" / "kernels" / f"6.12.1-{kernel_cache.recipe()}" / "linux"
    kernel.parent.mkdir(parents=True)
    kernel.write_text("#!/bin/sh\n")
    kernel.chmod(0o755)
    script = f"mount -t tmpfs none /proc && exec {sys.executable} -m chaoskit {words}"

    answer = subprocess.run(
        [*MOUNT, "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
    )

    assert answer.returncode == 3, answer.stdout + answer.stderr
    assert "/proc is not mounted" in answer.stderr
    assert answer.stderr.endswith("mount -t proc proc /proc\n")
    assert answer.stderr.count("\n") == 1
