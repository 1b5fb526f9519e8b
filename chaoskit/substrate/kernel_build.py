"""A guest kernel made from the distribution's source, with our configuration and our patch.

Rules: whatever ends a build, the cache holds whole kernels only, and each of them has booted and set a
netem before it was put there. What a killed build leaves is cleared by the next. One build at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from chaoskit import file_trust, programs
from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError
from chaoskit.kernel.features import FEATURES
from chaoskit.substrate import doctor, kernel_cache, uml

TOOLS = {
    "gcc": "gcc",
    "make": "make",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "patch": "patch",
    "xz": "xz-utils",
    "strip": "binutils",
    "setpriv": "util-linux",
}
"""What a build calls, and the Debian package of each."""
ROOM = 2_000_000_000  # bytes: source 1.6 GB, what is compiled from it 0.2 GB
FILES = 840  # that are compiled; only for the eye
LOCK, UNFINISHED = ".lock", ".building-"

Tell = Callable[[str], None]
Make = Callable[[Path], Path]

_LEASH = ("--pdeathsig", "TERM", "--")  # setpriv(1): a tool ends when we are killed
_SAME = {  # so that two builds are the same file (Documentation/kbuild/reproducible-builds.rst)
    "KBUILD_BUILD_USER": "chaoskit",
    "KBUILD_BUILD_HOST": "chaoskit",
    "KBUILD_BUILD_TIMESTAMP": "2026-01-01",
    "KBUILD_BUILD_VERSION": "1",
    "LC_ALL": "C",
}


def build(place: Path, tell: Tell) -> Path:
    """The kernel that this chaoskit wants, made from the installed source unless it is there already.

    Takes some ten minutes of one CPU; `tell` hears what goes on. Raises RefusedError with what to type.
    """
    if platform.machine() != "x86_64":
        raise RefusedError(f"cannot build a guest kernel here: {uml.remedy()}")
    version = kernel_cache.version()
    compiles = programs.find("gcc") is not None and _has_headers()
    if lacks := lacking(version is not None, programs.find, compiles):
        raise RefusedError(lacks)
    name = f"{version}-{kernel_cache.recipe()}"
    return store(place, name, ROOM, lambda room: _make(room, tell))


def lacking(has_source: bool, which: Callable[[str], object], has_headers: bool) -> str:
    """What a build needs and this machine has not, with the command that brings it; "" when it has all."""
    missing = {tool: package for tool, package in TOOLS.items() if not which(tool)}
    if not has_headers and "gcc" not in missing:
        missing["the C library's headers"] = "libc6-dev"
    if not has_source:
        missing[str(kernel_cache.SOURCE)] = kernel_cache.PACKAGE
    if not missing:
        return ""
    packages = set(missing.values()) | ({"libc6-dev"} if "gcc" in missing else set())
    return (
        f"cannot build a guest kernel without {', '.join(missing)}: sudo apt-get install {' '.join(sorted(packages))}"
    )


def store(place: Path, name: str, size: int, make: Make) -> Path:
    """The kernel `name` of the cache; when it is not there, what `make` leaves in the room it is given.

    The room is an empty directory with `size` bytes free, on the cache's own disk, and is gone afterwards.
    """
    if set(str(place)) & set(" :"):  # the kernel's Makefile refuses both
        raise RefusedError(f"a kernel cannot be built in {place}, for its space or colon: {_elsewhere()}")
    program = place / name / kernel_cache.PROGRAM
    if program.exists():
        return program
    try:
        _make_folder(place)
        if weakness := file_trust.weakness(place, os.geteuid()):
            raise RefusedError(
                f"a kernel in {place} would not be booted, for others could change it: {weakness.reason}; "
                f"{weakness.remedy or _elsewhere()}"
            )
        with _alone(place):
            room = _clear(place, size)
            try:
                made = make(room)
                _put(made, program)
            finally:
                shutil.rmtree(room, ignore_errors=True)
    except OSError as error:
        raise RefusedError(f"cannot build in {place}: {error.strerror or error}; {_elsewhere()}") from error
    return program


def _make_folder(place: Path) -> None:
    """With its parents; whatever the umask, nobody else can write them."""
    if not place.is_dir():
        _make_folder(place.parent)
        place.mkdir(mode=0o755, exist_ok=True)


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold the one lock of the cache, which goes with us however we end; or say who holds it."""
    with (place / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "another"
            raise RefusedError(
                f"process {holder} is building a guest kernel in {place}: wait for it, then chaoskit kernel status"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _clear(place: Path, size: int) -> Path:
    """An empty directory in the cache, once everything that killed builds left is gone."""
    for left in place.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)
    disk = os.statvfs(place)
    if disk.f_bavail * disk.f_frsize < size:
        raise RefusedError(f"less than {size / 1e9:.1f} GB are free in {place}, which a build needs: {_elsewhere()}")
    return Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=place))


def _put(made: Path, program: Path) -> None:
    """Move a finished program into the cache, all at once."""
    fresh = made.parent / "whole"
    fresh.mkdir(mode=0o755)
    made.chmod(0o755)
    made = made.rename(fresh / program.name)
    with made.open("rb") as file:
        os.fsync(file.fileno())
    fresh.rename(program.parent)


def _make(room: Path, tell: Tell) -> Path:
    """Unpack, patch, configure, compile, strip, and try; the program."""
    tree = room / "source"
    tree.mkdir()
    tell(f"unpacking {kernel_cache.SOURCE}")
    run(tree, "tar", "--extract", "--no-same-owner", "--strip-components=1", f"--file={kernel_cache.SOURCE}")
    run(tree, "patch", "--strip=1", f"--input={kernel_cache.PATCH}")
    run(tree, "make", "ARCH=um", "allnoconfig", f"KCONFIG_ALLCONFIG={kernel_cache.CONFIG}")
    compiled = 0

    def count(line: str) -> None:
        nonlocal compiled
        compiled += line.startswith("  CC ")
        if line.startswith("  CC ") and compiled % 40 == 0:
            tell(f"compiled {compiled} of about {FILES} files")

    run(tree, "make", "ARCH=um", f"--jobs={len(os.sched_getaffinity(0))}", heard=count)
    program = room / kernel_cache.PROGRAM
    run(tree, "strip", "linux", f"--output-file={program}")
    tell("booting it, and setting a netem")
    _try(program)
    return program


def _try(program: Path) -> None:
    """Boot it and ask it for every feature, a seeded netem among them. Raises RefusedError."""
    facts = doctor.ask(uml.Uml(uml.find(program)), RealClock())
    if without := facts.lacks(frozenset(FEATURES)):
        said = "; ".join(facts.missing.get(feature, feature) for feature in without)
        raise RefusedError(f"the kernel that was built cannot do all it should: {said}")


def run(folder: Path, *words: str, heard: Callable[[str], object] = str) -> None:
    """Run a tool to its end, passing on each line that it says. RefusedError, with its last words, when it fails.

    It gets nothing of our environment but PATH: the flags of a surrounding make are not for it.
    """
    environment = {"PATH": programs.tool_path(os.environ), "TMPDIR": str(folder)} | _SAME
    last: deque[str] = deque(maxlen=12)
    process = subprocess.Popen(
        [*programs.tool("setpriv"), *_LEASH, *words],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            last.append(line.rstrip())
            heard(line)
        code = process.wait()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
    if code != 0:
        said = "".join(f"\n    {line}" for line in last)
        raise RefusedError(f"the guest kernel could not be built; {words[0]} failed with {code}, and said:{said}")


def _has_headers() -> bool:
    """Whether a C program that includes the C library's headers compiles here."""
    trial = subprocess.run(
        [*programs.tool("gcc"), "-fsyntax-only", "-x", "c", "-"],
        input=b"#include <stdio.h>\n",
        capture_output=True,
        check=False,
        env=os.environ | {"PATH": programs.tool_path(os.environ)},
    )
    return trial.returncode == 0


def _elsewhere() -> str:
    return "export XDG_CACHE_HOME=/a/roomy/folder && chaoskit kernel build"
