"""Selects the program of a guest kernel: the one asked for, chaoskit's own, or the distribution's.

| asked for | selected                                                                                      |
|-----------|-----------------------------------------------------------------------------------------------|
| a path    | it                                                                                            |
| nothing   | chaoskit's own, built here (`kernel_cache`) or packaged (`kernel_package`): the newer source, |
|           | or the one built here if both are of the same; `linux.uml` on PATH if there is neither        |

Rules: a program is executed only if root or this user owns it, and no other user could have replaced it; a packaged
one, only if it is the one that was packed. What is selected is taken or refused, never replaced by another. One that
was made with another configuration or patch than this chaoskit's is taken only by its path.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from chaoskit import file_trust, programs
from chaoskit.errors import RefusedError
from chaoskit.substrate import kernel_cache, kernel_package, kernel_source

DISTRIBUTIONS = "linux.uml"
_OWNER = "start chaoskit as that user (a guest needs no root), or give --kernel your own copy"


@dataclass(frozen=True)
class OwnKernel:
    """A kernel of chaoskit's own, and where it comes from, in words; `package` if it is that one's."""

    path: Path
    origin: str
    package: kernel_package.PackagedKernel | None = None


def find(path: Path | None) -> tuple[Path, str]:
    """The program, and where it comes from if it is chaoskit's own. Raises RefusedError."""
    own = own_kernel() if path is None else None
    named = path or (own.path if own else None)
    found = programs.find(str(named or DISTRIBUTIONS))
    if found is None:
        raise RefusedError(_absence_of(named))
    if weakness := file_trust.weakness(Path(found), os.geteuid()):
        raise RefusedError(
            f"{found} is not booted, other users could have changed it: {weakness.reason}; {weakness.remedy or _OWNER}"
        )
    if own and own.package:
        own.package.check()
    return Path(found), own.origin if own else ""


def own_kernel() -> OwnKernel | None:
    """The newer one of the cache's kernel and the package's; None if neither fits. RefusedError: a damaged package."""
    built, packaged = kernel_cache.newest(kernel_cache.cache()), kernel_package.packaged_kernel()
    if packaged and packaged.is_current and (built is None or _is_newer(packaged.version, built.version)):
        return OwnKernel(packaged.path, f"from {packaged.name}", packaged)
    return OwnKernel(built.path, "built here") if built else None


def own_absence() -> str:
    """Why there is no kernel of chaoskit's own, and what to type about it."""
    packaged = kernel_package.packaged_kernel()
    if packaged and not packaged.is_current:
        return (
            f"{packaged.name} was built with another configuration than this chaoskit's: "
            f"pip install --upgrade 'chaoskit[kernel]', or chaoskit kernel build"
        )
    return kernel_cache.absence(kernel_cache.cache())


def ask(kernel: Path, question: str) -> str:
    """What a kernel's program answers to an option. Raises RefusedError if it does not."""
    try:
        answer = subprocess.run([str(kernel), question], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise RefusedError(f"{kernel} does not answer as a guest kernel does: {_replacement(kernel)}") from error
    return answer.stdout.strip()


def remedy() -> str:
    """What to type for a guest kernel; User-Mode Linux exists for x86 only."""
    if platform.machine() in ("x86_64", "i686"):
        return "sudo apt-get install user-mode-linux"
    return f"User-Mode Linux is not for {platform.machine()}; use a virtual machine, cd vagrant && vagrant up"


def _is_newer(version: str, than: str) -> bool:
    return kernel_source.order(version) > kernel_source.order(than)


def _absence_of(path: Path | None) -> str:
    """Why there is no program at a path, or no `linux.uml`."""
    if path is None:
        return f"there is no guest kernel, {DISTRIBUTIONS} is not on PATH, and {own_absence()}; {remedy()}"
    if not path.is_file():
        return f"there is no guest kernel, {path} is not a program; {remedy()}"
    if os.statvfs(path).f_flag & os.ST_NOEXEC:
        return (
            f"{path} lies on a filesystem that is mounted noexec, where no program can be executed: install chaoskit "
            "on another one, or XDG_CACHE_HOME=/an/executable/folder chaoskit kernel build"
        )
    return f"{path} is not a program, it is not executable: chmod +x {shlex.quote(str(path))}"


def _replacement(kernel: Path) -> str:
    """What to type if a kernel does not work: what chaoskit built can be built again, a package be installed again."""
    if kernel.is_relative_to(kernel_cache.cache()):
        return "chaoskit kernel remove && chaoskit kernel build"
    return kernel_package.REINSTALL if kernel.parent.name == kernel_package.MODULE else remedy()
