"""Tests kernel builds without the compiler: missing tools, concurrent builds, interrupted builds."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from chaoskit.errors import RefusedError
from chaoskit.substrate import kernel_cache, kernel_source
from chaoskit.substrate.kernel_build import OTHER_WAYS, TOOLS, build_into_cache, missing_tools, run

NAME = "6.12.117-0123456789ab"
BUILD = """
import sys
from pathlib import Path
from chaoskit.substrate.kernel_build import build_into_cache
def make(room):
    (room / "half").write_text("made")
    print(room, flush=True)
    sys.stdin.read()
build_into_cache(Path(sys.argv[1]), sys.argv[2], 0, make)
"""


def make(room: Path) -> Path:
    """A build that leaves litter and a program."""
    (room / "source").mkdir()
    (room / "source" / "main.o").touch()
    (room / "kept").mkdir()
    (room / "kept" / "linux").write_text("whole")
    (room / "kept" / "config").write_text("CONFIG_UML=y\n")
    return room / "kept"


def elsewhere(place: Path) -> subprocess.Popen[str]:
    """Another process, in the midst of a build."""
    words = [sys.executable, "-c", BUILD, str(place), NAME]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def visible(place: Path) -> list[str]:
    """What a cache holds but for its lock."""
    return sorted(path.name for path in place.iterdir() if path.name != ".lock")


def test_a_machine_that_has_all_lacks_nothing() -> None:
    """With the source, the tools and the headers there is nothing to say."""
    assert missing_tools(True, lambda tool: tool, True) == ""


@pytest.mark.parametrize("tool", TOOLS)
def test_a_missing_tool_is_named_with_its_package(tool: str) -> None:
    """Each tool alone is named, and the command installs its package and no other, with gcc the headers too."""
    said = missing_tools(True, lambda name: name != tool, True)

    packages = ["gcc", "libc6-dev"] if tool == "gcc" else [TOOLS[tool]]
    assert said == f"cannot build a guest kernel without {tool}: sudo apt-get install {' '.join(packages)}"


def test_missing_source_and_headers_are_named() -> None:
    """All missing packages are reported at once, in one command."""
    assert missing_tools(False, lambda tool: tool, False) == (
        f"cannot build a guest kernel without the C library's headers, {kernel_source.TARBALL}: "
        f"sudo apt-get install libc6-dev linux-source-6.12; where there is no such package, {OTHER_WAYS}"
    )
    assert (
        ": sudo apt-get install bc binutils bison flex gcc libc6-dev linux-source-6.12 make patch util-linux xz-utils; "
    ) in missing_tools(False, lambda _: None, False)


def test_only_the_finished_kernel_remains(tmp_path: Path) -> None:
    """The program is in the cache by its name, the room it was made in is gone, and it is not made twice."""
    place = tmp_path / "new" / "cache"

    program = build_into_cache(place, NAME, 0, make)

    assert program == place / NAME / "linux"
    assert program.read_text() == "whole"
    assert sorted((path.name, path.stat().st_mode & 0o777) for path in program.parent.iterdir()) == [
        ("config", 0o644),
        ("linux", 0o755),
    ]
    assert visible(place) == [NAME]
    assert build_into_cache(place, NAME, 0, lambda _: pytest.fail("made again")) == program


@pytest.mark.parametrize(
    ("end", "seen", "says"),
    [
        (RefusedError("gcc said no"), RefusedError, "gcc said no"),
        (OSError(28, "No space left on device"), RefusedError, "No space left on device; export XDG_CACHE_HOME="),
        (KeyboardInterrupt("^C"), KeyboardInterrupt, "C"),
    ],
)
def test_a_build_that_breaks_leaves_nothing(
    tmp_path: Path, end: BaseException, seen: type[BaseException], says: str
) -> None:
    """Whatever ends it, the cache is as it was, and the next build goes through."""

    def broken(room: Path) -> Path:
        make(room)
        raise end

    with pytest.raises(seen, match=says):
        build_into_cache(tmp_path, NAME, 0, broken)

    assert visible(tmp_path) == []
    assert build_into_cache(tmp_path, NAME, 0, make).exists()


def test_the_next_build_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    """After kill -9 the unfinished build is not used as a kernel, and the next build removes it."""
    with elsewhere(tmp_path) as other:
        assert other.stdout is not None
        room = Path(other.stdout.readline().strip())
        other.kill()

    assert (room / "half").exists()
    assert kernel_cache.cached_kernels(tmp_path) == []
    build_into_cache(tmp_path, NAME, 0, make)
    assert visible(tmp_path) == [NAME]


def test_a_concurrent_build_is_refused_with_the_process_of_the_first(tmp_path: Path) -> None:
    """The second one reports the process of the first, and does not disturb it."""
    with elsewhere(tmp_path) as other:
        assert other.stdout is not None
        room = Path(other.stdout.readline().strip())

        with pytest.raises(RefusedError, match=f"process {other.pid} is building .*: wait for it, then chaoskit"):
            build_into_cache(tmp_path, NAME, 0, make)

        assert (room / "half").exists()
        other.kill()
    assert build_into_cache(tmp_path, NAME, 0, make).exists()


def test_a_full_disk_is_reported_before_the_build(tmp_path: Path) -> None:
    """The room that a build needs is asked for up front."""
    with pytest.raises(RefusedError, match=r"less than 1152921504.6 GB free .*: export XDG_CACHE_HOME="):
        build_into_cache(tmp_path, NAME, 2**60, lambda _: pytest.fail("begun"))

    assert visible(tmp_path) == []


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    """It is refused by its name, with the way to another place."""
    (tmp_path / "home").touch()

    with pytest.raises(RefusedError, match=f"cannot build in {tmp_path}/home/.cache: .*; export XDG_CACHE_HOME="):
        build_into_cache(tmp_path / "home" / ".cache", NAME, 0, make)


@pytest.mark.parametrize("name", ["my cache", "my:cache"])
def test_a_place_that_the_kernels_makefile_refuses(tmp_path: Path, name: str) -> None:
    """A space or a colon in the path is refused at once, not by a make ten seconds later."""
    with pytest.raises(RefusedError, match="space or colon"):
        build_into_cache(tmp_path / name, NAME, 0, make)


def test_a_failing_tool_is_reported_with_the_end_of_its_output(tmp_path: Path) -> None:
    """Its name, exit code and output, stdout and stderr, are in the message."""
    with pytest.raises(RefusedError, match=r"sh failed with 7:\n    one\n    two$"):
        run(tmp_path, "sh", "-c", "echo one; echo two >&2; exit 7")


def test_a_tool_gets_no_flags_of_a_surrounding_make(tmp_path: Path) -> None:
    """Of our environment it gets PATH; builder, host and date are fixed, so that two builds are the same file."""
    heard: list[str] = []

    run(tmp_path, "env", on_line=heard.append)

    told = dict(line.rstrip("\n").split("=", 1) for line in heard)
    assert told.keys() - {"PWD"} == {
        "PATH",
        "TMPDIR",
        "LC_ALL",
        "KBUILD_BUILD_USER",
        "KBUILD_BUILD_HOST",
        "KBUILD_BUILD_TIMESTAMP",
        "KBUILD_BUILD_VERSION",
    }


def test_a_tool_ends_when_the_build_is_killed(tmp_path: Path) -> None:
    """kill -9 of the build ends the make that it started."""
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom chaoskit.substrate.kernel_build import run\n"
        "run(Path(sys.argv[1]), 'sh', '-c', 'echo $$; exec sleep 100', on_line=lambda x: print(x, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as builder:
        assert builder.stdout is not None
        tool = int(builder.stdout.readline())
        gone = os.pidfd_open(tool)
        builder.kill()

    try:
        assert select.select([gone], [], [], 10)[0]
    finally:
        os.close(gone)
