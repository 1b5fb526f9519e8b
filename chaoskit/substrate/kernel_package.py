"""Finds the guest kernel of the package `chaoskit-kernel`, and checks that it is unchanged.

The package is found as an import finds it, and nothing of it is imported. Its manifest names the kernel's recipe (see
`kernel_cache`), its source, and the SHA-256 of each file.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from chaoskit.errors import RefusedError
from chaoskit.substrate import kernel_cache

PACKAGE, MODULE, MANIFEST = "chaoskit-kernel", "chaoskit_kernel", "manifest.json"
REINSTALL = f"pip install --force-reinstall --no-deps {PACKAGE}"


@dataclass(frozen=True)
class PackagedKernel:
    """A kernel in a package: its program, the package's version, its source's version, recipe, and SHA-256."""

    path: Path
    package_version: str
    version: str
    recipe: str
    sha256: str

    @property
    def is_current(self) -> bool:
        """Whether it was built with the configuration and patch of this version of chaoskit."""
        return self.recipe == kernel_cache.recipe()

    @property
    def state(self) -> str:
        """Whether it is made for this chaoskit."""
        return "made for this chaoskit" if self.is_current else "made for another chaoskit, and not used by this one"

    @property
    def name(self) -> str:
        """The package and its version."""
        return f"{PACKAGE} {self.package_version}"

    def check(self) -> None:
        """Raises RefusedError if the program is not the one that was packed."""
        try:
            with self.path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise RefusedError(f"cannot read {self.path}: {error.strerror}; {REINSTALL}") from error
        if found != self.sha256:
            raise RefusedError(f"{self.path} is not the program that {self.name} was packed with: {REINSTALL}")


def packaged_kernel() -> PackagedKernel | None:
    """The installed package's kernel, of whatever recipe; None if there is none. RefusedError if it is damaged."""
    spec = importlib.util.find_spec(MODULE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    try:
        told = json.loads((folder / MANIFEST).read_text())
        return PackagedKernel(
            path=folder / kernel_cache.PROGRAM,
            package_version=str(told["package_version"]),
            version=str(told["source"]["version"]),
            recipe=str(told["recipe"]),
            sha256=str(told["files"][kernel_cache.PROGRAM]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"{folder} is not a whole {PACKAGE}: {REINSTALL}") from error
