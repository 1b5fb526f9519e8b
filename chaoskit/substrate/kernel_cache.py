"""Manages the cache of guest kernels that chaoskit has built.

Each has its directory, `<version of the source>-<recipe>/linux`; the recipe is a hash of chaoskit's configuration and
patch. A kernel of another recipe is only booted on request (`--kernel`), because it may lack features. Beside the
program lie its configuration, the record of its source, and its licence.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from chaoskit.errors import RefusedError
from chaoskit.substrate import kernel_source

CONFIG = Path(__file__).with_name("uml.config")
PATCH = Path(__file__).with_name("uml.patch")
PROGRAM = "linux"
BUILT_CONFIG = "config"
GENERATION = 2
"""The number of the configuration and the patch, which begins the version of the package `chaoskit-kernel`: count it up
when a change of one of the two is released."""


@dataclass(frozen=True)
class CachedKernel:
    """A kernel in the cache: its program, source version and recipe."""

    path: Path
    version: str
    recipe: str

    @property
    def is_current(self) -> bool:
        """Whether it was built with the configuration and patch of this version of chaoskit."""
        return self.recipe == recipe()

    def state(self, source: str | None) -> str:
        """Whether a build would produce the same kernel; `source` is the installed version of the source, if any."""
        if not self.is_current:
            return "and from another configuration than this chaoskit's: chaoskit kernel build"
        if source is None or kernel_source.order(source) <= kernel_source.order(self.version):
            return "what this chaoskit builds"
        return f"while {source} is installed: chaoskit kernel build"


def cache() -> Path:
    """The directory of the cache (XDG Base Directory Specification)."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path(os.path.expanduser("~/.cache"))) / "chaoskit" / "kernels"  # noqa: PTH111  a user without a home is no error here


def recipe() -> str:
    """Twelve hex digits that change with the configuration or the patch."""
    return digest(CONFIG.read_bytes(), PATCH.read_bytes())


def key() -> str:
    """A name for what a CI may keep of this cache: it changes with all that a kernel built here depends on."""
    return f"chaoskit-kernel-{GENERATION}-{recipe()}-{platform.machine()}-{''.join(platform.libc_ver()) or 'libc'}"


def digest(*parts: bytes) -> str:
    """A hash of the parts and their lengths, so that moving a boundary changes it."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()[:12]


def cached_kernels(place: Path) -> list[CachedKernel]:
    """Every kernel in the cache, the newest first; none in one that this user must not read."""
    programs: list[Path] = []
    with contextlib.suppress(PermissionError):
        programs = sorted(place.glob(f"[!.]*-*/{PROGRAM}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    names = [path.parent.name.rpartition("-") for path in programs]
    return [CachedKernel(path, version, made_by) for path, (version, _, made_by) in zip(programs, names, strict=True)]


def newest(place: Path) -> CachedKernel | None:
    """The newest with the current recipe, from any source version."""
    return next((each for each in cached_kernels(place) if each.is_current), None)


def absence(place: Path) -> str:
    """Why `newest` finds nothing, and what to type about it."""
    if others := cached_kernels(place):
        return f"{others[0].path} was built with another configuration than this chaoskit's: chaoskit kernel build"
    return f"no kernel built in {place}: pip install 'chaoskit[kernel]', or chaoskit kernel build"


def remove(place: Path) -> list[Path]:
    """Delete every kernel in the cache, and return their paths. Running guests are not affected."""
    programs = [each.path for each in cached_kernels(place)]
    for program in programs:
        try:
            shutil.rmtree(program.parent)
        except OSError as error:
            raise RefusedError(f"cannot delete {program}: {error.strerror}; sudo rm -r {program.parent}") from error
    return programs
