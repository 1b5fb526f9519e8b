"""Tests which tarballs a kernel is built from, and the record of that."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from chaoskit.errors import RefusedError, SpecError
from chaoskit.substrate import kernel_source
from chaoskit.substrate.kernel_build import prepare
from chaoskit.substrate.kernel_source import Source, from_file

COMPRESS: dict[str, Callable[[bytes], bytes]] = {".xz": lzma.compress, ".gz": gzip.compress, ".bz2": bz2.compress}
MAKEFILE = "# SPDX\nVERSION = 6\nPATCHLEVEL = {minor}\nSUBLEVEL = {patch}\nEXTRAVERSION ={more}\nNAME = Baby\n"


def tarball(path: Path, folder: str = "linux-6.12.57", makefile: str = MAKEFILE, **numbers: object) -> Path:
    """A tarball as kernel.org makes them, with a file before the Makefile and one in a folder that has one, too."""
    text = makefile.format(**{"minor": 12, "patch": 57, "more": ""} | numbers).encode()
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as made:
        for name, body in (("COPYING", b"GPL"), ("Documentation/Makefile", b"VERSION = 1"), ("Makefile", text)):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(body)
            made.addfile(entry, io.BytesIO(body))
    path.write_bytes(COMPRESS[path.suffix](whole.getvalue()))
    return path


@pytest.mark.parametrize("kind", ["xz", "gz", "bz2"])
def test_a_tarball_of_kernel_org(tmp_path: Path, kind: str) -> None:
    """Its version is that of its Makefile, whatever the file is called, and its public address is known."""
    path = tarball(tmp_path / f"downloaded.tar.{kind}")

    source = from_file(path)
    kernel_source.write_record(source, tmp_path)
    record = kernel_source.read_record(tmp_path)

    assert source == Source("6.12.57", path, "linux-6.12.57")
    assert record.is_public
    assert record.address == "https://cdn.kernel.org/pub/linux/kernel/v6.x/linux-6.12.57.tar.xz"
    told = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout
    assert record.sha256 == told.split()[0]


def test_the_first_of_a_series_and_a_tarball_of_nobody_known(tmp_path: Path) -> None:
    """kernel.org calls 6.12.0 6.12; a tarball with another top folder has no public address."""
    first = from_file(tarball(tmp_path / "a.tar.gz", "linux-6.12", patch=0))
    own = from_file(tarball(tmp_path / "b.tar.gz", "my-linux"))

    kernel_source.write_record(first, tmp_path)
    assert kernel_source.read_record(tmp_path).is_public
    kernel_source.write_record(own, tmp_path)
    assert not kernel_source.read_record(tmp_path).is_public


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ({"minor": 11, "patch": 3}, "this is Linux 6.11.3, and chaoskit's patch is for 6.12; give it linux-6.12.y.tar"),
        ({"minor": 120, "patch": 3}, "this is Linux 6.120.3, and chaoskit's patch is for 6.12"),
        ({"patch": "x"}, "not the source of Linux"),
        ({"makefile": "all:\n"}, "not the source of Linux"),
    ],
)
def test_another_series_and_no_linux(tmp_path: Path, numbers: dict[str, object], says: str) -> None:
    """Both are refused by the Makefile, with what to give instead."""
    path = tarball(tmp_path / "source.tar.xz", **numbers)  # type: ignore[arg-type]

    with pytest.raises(SpecError, match=says):
        from_file(path)


def test_what_is_no_tarball(tmp_path: Path) -> None:
    """A folder, a missing file, a file of something else and one that breaks off: one sentence each."""
    whole = tarball(tmp_path / "whole.tar.xz").read_bytes()
    (tmp_path / "text").write_text("hello")
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"hello" * 500))
    (tmp_path / "half.tar.xz").write_bytes(whole[: len(whole) // 2])

    for name, says in (
        ("", "it is not a tarball"),
        ("missing.tar.xz", "there is no such file"),
        ("text", "not a tarball that can be read"),
        ("text.gz", "not a tarball that can be read"),
        ("half.tar.xz", "not a tarball that can be read|not the source of Linux, or not all of it"),
    ):
        with pytest.raises(SpecError, match=says):
            from_file(tmp_path / name)


def test_a_tarball_that_others_can_write_is_not_built(tmp_path: Path) -> None:
    """What is built is executed."""
    path = tarball(tmp_path / "source.tar.xz")
    path.chmod(0o666)

    with pytest.raises(RefusedError, match=f"source.tar.xz can be written by .*; chmod go-w {path}"):
        from_file(path)


def test_a_patch_that_does_not_fit_is_said_before_anything_is_compiled(tmp_path: Path) -> None:
    """The message names the version, what the patch stumbled over, and which source to take."""
    (tmp_path / "arch" / "um").mkdir(parents=True)
    (tmp_path / "arch" / "um" / "Kconfig").write_text("config UML\n\tbool\n")

    with pytest.raises(RefusedError, match=r"patch does not fit Linux 6\.12\.1, take a newer 6\.12\.y: (?s:.)*ignored"):
        prepare(tmp_path, "6.12.1")


def test_options_that_a_source_does_not_know_are_named() -> None:
    """An option that is asked for and missing is dropped, or asked to be off and on; one that is off may be missing."""
    asked = ["# a comment", "CONFIG_A=y", "CONFIG_B=y", 'CONFIG_C="x"', "CONFIG_D=n", "CONFIG_E=n"]
    built = ["CONFIG_A=y", "# CONFIG_B is not set", 'CONFIG_C="x"', "CONFIG_D=y", "# CONFIG_E is not set"]

    assert kernel_source.dropped_options(asked, built) == ["CONFIG_B=y", "CONFIG_D=n"]


def test_versions_are_ordered_by_number() -> None:
    """6.12.9 is older than 6.12.10, and Debian's second revision newer than its first."""
    falling = ["6.12.117-2", "6.12.117-1~deb12u1", "6.12.10", "6.12.9"]

    assert sorted(falling, key=kernel_source.order) == falling[::-1]


@pytest.mark.parametrize("text", [None, "", "{}", '{"version": 1, "more": 2}', "[1]"])
def test_a_kernel_without_a_record(tmp_path: Path, text: str | None) -> None:
    """What nobody wrote down cannot be told, and the message says how to have it written."""
    if text is not None:
        (tmp_path / kernel_source.RECORD).write_text(text)

    with pytest.raises(RefusedError, match="chaoskit kernel remove && chaoskit kernel build"):
        kernel_source.read_record(tmp_path)


def test_the_command_says_it_in_one_line(tmp_path: Path) -> None:
    """Exit code 2, and nothing is made in the cache."""
    path = tarball(tmp_path / "linux-6.1.tar.xz", "linux-6.1", minor=1, patch=0)
    words = [sys.executable, "-m", "chaoskit", "kernel", "build", "--source", str(path)]

    answer = subprocess.run(
        words, capture_output=True, text=True, check=False, env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    )

    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert "this is Linux 6.1.0" in answer.stderr
    assert not (tmp_path / "cache").exists()
