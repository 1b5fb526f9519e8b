"""Our own guest kernels: where they are kept, and which of them is the one that this chaoskit would build.

One directory for each, `<version of the source>-<recipe>/linux`; the recipe is a hash of everything of ours
that goes into it. A kernel of another recipe is never booted by itself: it may lack what the plan relies on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from chaoskit import programs
from chaoskit.errors import RefusedError

PACKAGE = "linux-source-6.12"
SOURCE = Path("/usr/src", f"{PACKAGE}.tar.xz")
CONFIG = Path(__file__).with_name("uml.config")
PATCH = Path(__file__).with_name("uml.patch")
PROGRAM = "linux"


@dataclass(frozen=True)
class Kept:
    """A kernel in the cache: its program, and what it was made from."""

    path: Path
    version: str
    recipe: str

    @property
    def is_ours(self) -> bool:
        """Whether this chaoskit's configuration and patch went into it."""
        return self.recipe == recipe()

    def standing(self, source: str | None) -> str:
        """Whether a build would make just this one now; `source` is the version that is installed, if any."""
        if not self.is_ours:
            return "and from another configuration than this chaoskit's: chaoskit kernel build"
        if source in (None, self.version):
            return "what this chaoskit builds"
        return f"while {source} is installed: chaoskit kernel build"


def cache() -> Path:
    """Where kernels are kept: in the user's cache directory (XDG Base Directory Specification)."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path(os.path.expanduser("~/.cache"))) / "chaoskit" / "kernels"  # noqa: PTH111  a user without a home is no error here


def recipe() -> str:
    """Twelve hex digits that change when our configuration or our patch does."""
    return digest(CONFIG.read_bytes(), PATCH.read_bytes())


def digest(*parts: bytes) -> str:
    """A hash that tells apart even parts that only together are the same bytes."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()[:12]


def version() -> str | None:
    """The version of the source package that is installed here, or None."""
    if not SOURCE.exists():
        return None
    try:
        words = [*programs.tool("dpkg-query"), "--show", "--showformat=${Version}", PACKAGE]
        answer = subprocess.run(words, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout


def kept(place: Path) -> list[Kept]:
    """Every kernel in the cache, the newest first."""
    programs = sorted(place.glob(f"[!.]*-*/{PROGRAM}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    names = [path.parent.name.rpartition("-") for path in programs]
    return [Kept(path, version, made_by) for path, (version, _, made_by) in zip(programs, names, strict=True)]


def newest(place: Path) -> Path | None:
    """The kernel to boot: the newest of our recipe, from whatever source."""
    return next((each.path for each in kept(place) if each.is_ours), None)


def absence(place: Path) -> str:
    """Why `newest` finds nothing, and what to type about it."""
    if others := kept(place):
        return f"{others[0].path} was made from another configuration than this chaoskit's: chaoskit kernel build"
    return f"no kernel of our own in {place}: chaoskit kernel build"


def remove(place: Path) -> list[Path]:
    """Delete every kernel in the cache; which they were. Guests that run keep theirs until they end."""
    programs = [each.path for each in kept(place)]
    for program in programs:
        try:
            shutil.rmtree(program.parent)
        except OSError as error:
            raise RefusedError(f"cannot delete {program}: {error.strerror}; sudo rm -r {program.parent}") from error
    return programs
