"""Tests the package `chaoskit-kernel`: it is reproducible, needs what its tag promises, and chaoskit runs on it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import warm

from chaoskit.substrate import kernel_cache, kernel_source
from chaoskit.substrate.uml import GuestKernel

TOP = Path(__file__).parents[2]
FILE = """\
name: short
question: Is it the same kernel?
stage: {lab: edge}
workload: {request-rate: 5/s, output-tokens: 10}
faults:
  wifi: {link: client-router, direction: down, netem: {delay: 15ms, loss: 10%}}
timeline: [{baseline: 1s}, {wifi: 2s}]
"""
RECORDS = ("tokens.jsonl", "requests.jsonl", "tcp_info.jsonl", "phases.jsonl", "served.jsonl")


def pack(kernel: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Build the wheel of a kernel's folder."""
    words = [sys.executable, str(TOP / ".ci" / "kernel-wheel" / "build"), "--kernel", str(kernel), "--out", str(out)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(kernel: GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of our own kernel."""
    answer = pack(kernel.path.parent, tmp_path_factory.mktemp("wheel"))
    assert answer.returncode == 0, answer.stderr
    return Path(answer.stdout.strip())


@pytest.fixture
def copy(kernel: GuestKernel, tmp_path: Path) -> Path:
    """A copy of our kernel's folder, to change something in."""
    return Path(shutil.copytree(kernel.path.parent, tmp_path / kernel.path.parent.name))


def test_two_wheels_of_one_kernel_are_the_same_file(kernel: GuestKernel, wheel: Path, copy: Path) -> None:
    """Neither the folder, nor the time, nor the umask, nor the order of a directory shows in it."""
    for path in copy.iterdir():
        path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o060)
        os.utime(path, (1, 1))

    answer = pack(copy, copy.parent / "out")

    assert answer.returncode == 0, answer.stderr
    assert Path(answer.stdout.strip()).read_bytes() == wheel.read_bytes()


def test_all_that_the_licence_asks_for_is_in_it(kernel: GuestKernel, wheel: Path) -> None:
    """The licence's text, the patch, the configuration, and where the very source is to be had."""
    held = zipfile.ZipFile(wheel)
    texts = {Path(name).name: held.read(name) for name in held.namelist()}
    told = json.loads(texts["manifest.json"])
    record = kernel_source.read_record(kernel.path.parent)

    assert b"GNU GENERAL PUBLIC LICENSE" in texts["GPL-2.0"]
    assert texts["uml.patch"] == kernel_cache.PATCH.read_bytes()
    assert texts["uml.config"] == kernel_cache.CONFIG.read_bytes()
    assert all(words in texts["SOURCE.md"].decode() for words in (record.file, record.sha256, record.address))
    assert b"License-Expression: GPL-2.0-only" in texts["METADATA"]
    assert told["files"] == {name: hashlib.sha256(texts[name]).hexdigest() for name in told["files"]}
    assert set(told["files"]) == {"__init__.py", "linux", "config", "uml.config", "uml.patch", "SOURCE.md"}
    assert held.getinfo("chaoskit_kernel/linux").external_attr >> 16 & 0o777 == 0o755


def test_its_tag_is_true(wheel: Path) -> None:
    """readelf, as a second judge: the C library alone, and no symbol newer than GLIBC_2.34."""
    zipfile.ZipFile(wheel).extract("chaoskit_kernel/linux", wheel.parent)
    answer = subprocess.run(
        ["readelf", "--dynamic", "--version-info", "--wide", str(wheel.parent / "chaoskit_kernel" / "linux")],
        capture_output=True,
        text=True,
        check=True,
    )
    needed = [line for line in answer.stdout.splitlines() if "(NEEDED)" in line]
    versions = {word for word in answer.stdout.split() if word.startswith("GLIBC_")}

    assert wheel.name.endswith("-py3-none-manylinux_2_34_x86_64.whl")
    assert len(needed) == 1
    assert "[libc.so.6]" in needed[0]
    assert versions
    assert max(tuple(map(int, version[6:].split("."))) for version in versions) <= (2, 34)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda linux: linux.replace(b"GLIBC_2.34\0", b"GLIBC_2.38\0"), "GLIBC_2.38"),
        (lambda linux: linux.replace(b"\0libc.so.6\0", b"\0libz.so.6\0"), "libz.so.6"),
    ],
)
def test_a_program_that_needs_more_is_not_packed(copy: Path, change: object, says: str) -> None:
    """A newer symbol or another library ends the build of the wheel, and is named."""
    program = copy / "linux"
    assert callable(change)
    changed = change(program.read_bytes())
    assert changed != program.read_bytes()
    program.write_bytes(changed)

    answer = pack(copy, copy.parent / "out")

    assert answer.returncode == 3
    assert says in answer.stderr
    assert not (copy.parent / "out").exists()


def test_a_kernel_of_unknown_source_is_not_packed(copy: Path) -> None:
    """Nor one of another configuration: each is refused in one line."""
    told = json.loads((copy / "source.json").read_text())
    (copy / "source.json").write_text(json.dumps(told | {"package": "", "folder": "my-linux"}))
    private = pack(copy, copy.parent / "out")
    (copy / "source.json").unlink()
    unknown = pack(copy, copy.parent / "out")

    assert (private.returncode, unknown.returncode) == (3, 3)
    assert "not known to be public" in private.stderr
    assert "does not tell what its kernel was built from" in unknown.stderr


def test_an_experiment_runs_on_the_installed_kernel(kernel: GuestKernel, wheel: Path, tmp_path: Path) -> None:
    """With an empty cache, in a venv with both packages: in virtual time, to the records of the kernel built here."""
    venv, cache = tmp_path / "venv", tmp_path / "cache"
    hatch = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(hatch, cwd=TOP, check=True, capture_output=True)
    (program,) = tmp_path.glob("chaoskit-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", str(wheel), str(program)], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def chaoskit(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(venv / "bin" / "chaoskit"), *words]
        environment = os.environ | {"XDG_CACHE_HOME": str(cache), "COLUMNS": "200"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    lab = tmp_path / "short.yaml"
    lab.write_text(FILE)
    status = chaoskit("kernel", "status")
    run = chaoskit("run", str(lab), "--out", str(tmp_path / "packaged"))
    warm.chaoskit("run", str(lab), "--out", str(tmp_path / "built"), "--kernel", str(kernel.path))

    assert status.returncode == 0, status.stderr
    assert status.stdout.endswith(
        f"used: {site}/chaoskit_kernel/linux, from chaoskit-kernel {wheel.name.split('-')[1]}\n"
    )
    assert "in virtual time" in run.stdout + run.stderr
    assert f"(from chaoskit-kernel {wheel.name.split('-')[1]})" in run.stdout + run.stderr
    for name in RECORDS:
        assert (tmp_path / "packaged" / name).read_bytes() == (tmp_path / "built" / name).read_bytes(), name
