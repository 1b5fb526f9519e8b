"""Builds a guest kernel from source, with chaoskit's configuration and patch.

Rules: the cache holds complete kernels only, however a build ends, and each of them has booted and configured a netem
before. The next build removes what a killed one left. One build runs at a time. Whether version, patch and
configuration fit is known before anything is compiled.
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
from chaoskit.analysis.formatting import whole_seconds
from chaoskit.clock import Clock, RealClock
from chaoskit.errors import RefusedError
from chaoskit.kernel.features import FEATURES
from chaoskit.substrate import doctor, kernel_cache, kernel_program, kernel_source, uml
from chaoskit.substrate.kernel_source import Source

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
"""The tools of a build, and their Debian packages."""
OTHER_WAYS = (
    f"pip install 'chaoskit[kernel]', or chaoskit kernel build --source linux-{kernel_source.SERIES}.y.tar.xz"
    " with a tarball from kernel.org"
)
DISK_SPACE = 2_000_000_000  # bytes: source 1.6 GB, object files 0.2 GB
FILE_COUNT = 840  # compiled files, for the progress display
OTHER_SOURCE = f"take a newer {kernel_source.SERIES}.y"
_REPORTED = 40  # files between two reports
LOCK, UNFINISHED_PREFIX = ".lock", ".building-"

Report = Callable[[str], None]
Make = Callable[[Path], Path]

_SETPRIV = ("--pdeathsig", "TERM", "--")  # setpriv(1): SIGTERM when this process dies
_REPRODUCIBLE = {  # for reproducible builds (Documentation/kbuild/reproducible-builds.rst)
    "KBUILD_BUILD_USER": "chaoskit",
    "KBUILD_BUILD_HOST": "chaoskit",
    "KBUILD_BUILD_TIMESTAMP": "2026-01-01",
    "KBUILD_BUILD_VERSION": "1",
    "LC_ALL": "C",
}


def build(place: Path, report: Report, tarball: Path | None = None) -> Path:
    """The kernel for this version of chaoskit, built from a tarball or the installed source unless it is cached.

    Takes about ten minutes of one CPU; `report` gets the progress. Raises RefusedError with what to type.
    """
    if platform.machine() != "x86_64":
        raise RefusedError(f"cannot build a guest kernel here: {kernel_program.remedy()}")
    source = kernel_source.from_file(tarball) if tarball else kernel_source.installed()
    compiles = programs.find("gcc") is not None and _has_headers()
    if lacks := missing_tools(source is not None, programs.find, compiles):
        raise RefusedError(lacks)
    assert source is not None
    name = f"{source.version}-{kernel_cache.recipe()}"
    return build_into_cache(place, name, DISK_SPACE, lambda work: _compile(source, work, report))


def missing_tools(has_source: bool, which: Callable[[str], object], has_headers: bool) -> str:
    """What this machine lacks for a build, with the command to install it; "" if nothing."""
    missing = {tool: package for tool, package in TOOLS.items() if not which(tool)}
    if not has_headers and "gcc" not in missing:
        missing["the C library's headers"] = "libc6-dev"
    if not has_source:
        missing[str(kernel_source.TARBALL)] = kernel_source.PACKAGE
    if not missing:
        return ""
    packages = set(missing.values()) | ({"libc6-dev"} if "gcc" in missing else set())
    install = f"sudo apt-get install {' '.join(sorted(packages))}"
    elsewhere = "" if has_source else f"; where there is no such package, {OTHER_WAYS}"
    return f"cannot build a guest kernel without {', '.join(missing)}: {install}{elsewhere}"


def build_into_cache(place: Path, name: str, size: int, make: Make) -> Path:
    """The kernel `name` of the cache; if it is missing, `make` builds it in a work directory.

    The work directory is empty, on the disk of the cache, with `size` bytes free, and is removed afterwards. `make`
    returns the folder in it that holds the program and what goes with it.
    """
    if set(str(place)) & set(" :"):  # the kernel's Makefile refuses both
        raise RefusedError(
            f"a kernel cannot be built in {place}, because of its space or colon: {_use_another_folder()}"
        )
    program = place / name / kernel_cache.PROGRAM
    if program.exists():
        return program
    try:
        _make_folder(place)
        if weakness := file_trust.weakness(place, os.geteuid()):
            raise RefusedError(
                f"a kernel in {place} would not be booted, because other users could change it: {weakness.reason}; "
                f"{weakness.remedy or _use_another_folder()}"
            )
        with _locked(place):
            work = _work_directory(place, size)
            try:
                made = make(work)
                _install(made, program)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise RefusedError(f"cannot build in {place}: {error.strerror or error}; {_use_another_folder()}") from error
    return program


def _make_folder(place: Path) -> None:
    """Create it and its parents, not writable by other users, regardless of the umask."""
    if not place.is_dir():
        _make_folder(place.parent)
        place.mkdir(mode=0o755, exist_ok=True)


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Hold the lock of the cache, which the kernel releases when this process ends. Raises RefusedError if taken."""
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


def _work_directory(place: Path, size: int) -> Path:
    """Remove what killed builds left, and create an empty work directory in the cache."""
    for left in place.glob(f"{UNFINISHED_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)
    disk = os.statvfs(place)
    if disk.f_bavail * disk.f_frsize < size:
        raise RefusedError(
            f"less than {size / 1e9:.1f} GB free in {place}, too little for a build: {_use_another_folder()}"
        )
    return Path(tempfile.mkdtemp(prefix=UNFINISHED_PREFIX, dir=place))


def _install(made: Path, program: Path) -> None:
    """Move the folder of a finished program into the cache atomically."""
    for path, mode in ((made, 0o755), *((path, 0o644) for path in made.iterdir()), (made / program.name, 0o755)):
        path.chmod(mode)
    for path in made.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    made.rename(program.parent)


def _compile(source: Source, work: Path, report: Report) -> Path:
    """Unpack, patch, configure, compile, strip and boot the kernel. Returns the folder with all that is kept of it."""
    tree, kept = work / "source", work / "kept"
    tree.mkdir()
    kept.mkdir()
    report(f"unpacking {source.file}, Linux {source.version}")
    run(tree, "tar", "--extract", "--no-same-owner", "--strip-components=1", f"--file={source.file}")
    prepare(tree, source.version)
    run(tree, "make", "ARCH=um", f"--jobs={len(os.sched_getaffinity(0))}", on_line=CompileProgress(report, RealClock()))
    program = kept / kernel_cache.PROGRAM
    run(tree, "strip", "linux", f"--output-file={program}")
    report("booting it and configuring a netem")
    _boot_test(program)
    shutil.copyfile(tree / ".config", kept / kernel_cache.BUILT_CONFIG)
    for licence in kernel_source.LICENCES:
        shutil.copyfile(tree / licence, kept / Path(licence).name)
    kernel_source.write_record(source, kept)
    return kept


class CompileProgress:
    """Counts the files that make compiles by its lines, and reports now and then how long the rest takes."""

    def __init__(self, report: Report, clock: Clock) -> None:
        self._report, self._clock = report, clock
        self._count, self._begun = 0, clock.now()

    def __call__(self, line: str) -> None:
        """A line of make."""
        if not line.startswith("  CC "):
            return
        self._count += 1
        if self._count % _REPORTED == 0:
            left = max(0, FILE_COUNT - self._count) * (self._clock.now() - self._begun) // self._count
            to_go = f", about {whole_seconds(left)} to go" if left else ""
            self._report(f"compiled {self._count} of about {FILE_COUNT} files{to_go}")


def prepare(tree: Path, version: str) -> None:
    """Patch and configure an unpacked source. Raises RefusedError if one of the two does not fit it."""
    try:
        run(tree, "patch", "--strip=1", "--batch", "--forward", f"--input={kernel_cache.PATCH}")
    except RefusedError as error:
        raise RefusedError(f"chaoskit's patch does not fit Linux {version}, {OTHER_SOURCE}: {error}") from error
    run(tree, "make", "ARCH=um", "allnoconfig", f"KCONFIG_ALLCONFIG={kernel_cache.CONFIG}")
    asked, built = kernel_cache.CONFIG.read_text().splitlines(), (tree / ".config").read_text().splitlines()
    if dropped := kernel_source.dropped_options(asked, built):
        raise RefusedError(f"Linux {version} cannot be configured with {', '.join(dropped)}, {OTHER_SOURCE}")


def _boot_test(program: Path) -> None:
    """Boot it and check every feature, including a seeded netem. Raises RefusedError."""
    facts = doctor.survey_guest(uml.Uml(uml.find(program)), RealClock())
    if without := facts.lacks(frozenset(FEATURES)):
        said = "; ".join(facts.missing.get(feature, feature) for feature in without)
        raise RefusedError(f"the built kernel lacks features: {said}")


def run(folder: Path, *words: str, on_line: Callable[[str], object] = str) -> None:
    """Run a tool, and pass each line of its output on. Raises RefusedError with its last lines if it fails.

    Of the environment it gets only PATH, so that the flags of a surrounding make do not reach it.
    """
    environment = {"PATH": programs.tool_path(os.environ), "TMPDIR": str(folder)} | _REPRODUCIBLE
    last: deque[str] = deque(maxlen=12)
    process = subprocess.Popen(
        [*programs.tool("setpriv"), *_SETPRIV, *words],
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
            on_line(line)
        code = process.wait()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
    if code != 0:
        said = "".join(f"\n    {line}" for line in last)
        raise RefusedError(f"the guest kernel could not be built; {words[0]} failed with {code}:{said}")


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


def _use_another_folder() -> str:
    return "export XDG_CACHE_HOME=/a/roomy/folder && chaoskit kernel build"
