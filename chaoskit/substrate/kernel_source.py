"""Finds the source of a guest kernel: the distribution's package, or a tarball from kernel.org.

Rules: chaoskit's patch is for one series of Linux, and no other is built. What a kernel was built from is recorded
beside it, because its licence (GPL-2.0) asks that the source of exactly this program can be had.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import re
import subprocess
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from chaoskit import file_trust, programs
from chaoskit.errors import RefusedError, SpecError

SERIES = "6.12"
PACKAGE = f"linux-source-{SERIES}"
TARBALL = Path("/usr/src", f"{PACKAGE}.tar.xz")
RECORD = "source.json"
LICENCES = ("COPYING", "LICENSES/preferred/GPL-2.0", "LICENSES/exceptions/Linux-syscall-note")
"""Files of the source that go with every kernel built from it."""

_MOST_ENTRIES, _MOST_BYTES = 40_000, 10**9  # of a tarball, searched for its Makefile: the ten thousandth, at 100 MB
_MAKEFILE_SIZE = 1_000_000  # bytes
_NUMBERS = ("VERSION", "PATCHLEVEL", "SUBLEVEL")


@dataclass(frozen=True)
class Source:
    """What a kernel is built from: its version, the tarball, its top folder, Debian's source package, or ""."""

    version: str
    file: Path
    folder: str
    package: str = ""


@dataclass(frozen=True)
class Record:
    """What a kernel was built from: as `Source`, with the tarball's name and SHA-256."""

    version: str
    file: str
    folder: str
    package: str
    sha256: str

    @property
    def linux(self) -> str:
        """Linux's own part of the version: "6.12.117"."""
        return re.split("[-~]", self.version)[0]

    @property
    def is_public(self) -> bool:
        """Whether `address` says where the tarball can be had."""
        return bool(self.package) or self.folder == f"linux-{_file_version(self.version)}"

    @property
    def address(self) -> str:
        """Where the public keeps it: Debian's archive of all packages, or kernel.org."""
        if self.package:
            return f"https://snapshot.debian.org/package/{self.package}/{self.version}/"
        return f"https://cdn.kernel.org/pub/linux/kernel/v6.x/{self.folder}.tar.xz"


def installed() -> Source | None:
    """The source that the distribution's package installed, or None."""
    if not TARBALL.exists():
        return None
    try:
        words = [*programs.tool("dpkg-query"), "--show", "--showformat=${Version} ${source:Package}", PACKAGE]
        answer = subprocess.run(words, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    version, _, package = answer.stdout.partition(" ")
    return Source(version, TARBALL, PACKAGE, package)


def from_file(path: Path) -> Source:
    """The source in a tarball. SpecError if it is none, or of another series; RefusedError if others can change it."""
    if not path.is_file():
        why = "it is not a tarball" if path.exists() else "there is no such file"
        raise SpecError(f"--source {path}: {why}; {_advice()}")
    if weakness := file_trust.weakness(path, os.geteuid()):
        raise RefusedError(
            f"{path} is not built, because other users could change it: {weakness.reason}; "
            f"{weakness.remedy or 'make a copy of your own'}"
        )
    try:
        folder, makefile = _makefile(path)
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
        raise SpecError(f"--source {path}: not a tarball that can be read ({error}); {_advice()}") from error
    version = release(makefile)
    if not version:
        raise SpecError(f"--source {path}: not the source of Linux, or not all of it; {_advice()}")
    if not version.startswith(f"{SERIES}.") and version != SERIES:
        raise SpecError(f"--source {path}: this is Linux {version}, and chaoskit's patch is for {SERIES}; {_advice()}")
    return Source(version, path.resolve(), folder)


def release(makefile: str) -> str:
    """The version that the top Makefile of Linux gives: "6.12.57"; "" if it gives none."""
    found: dict[str, str] = dict(re.findall(r"^(\w+) *= *(\S*) *$", makefile, re.MULTILINE))
    if not all(found.get(name, "").isdigit() for name in _NUMBERS):
        return ""
    return ".".join(found[name] for name in _NUMBERS) + found.get("EXTRAVERSION", "")


def order(version: str) -> tuple[int, ...]:
    """Sorts versions: Linux's numbers, then the revision of Debian's package."""
    return tuple(map(int, re.findall(r"\d+", version.partition("~")[0])))


def write_record(source: Source, folder: Path) -> None:
    """Record the source beside a kernel that was built from it."""
    with source.file.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    record = Record(source.version, source.file.name, source.folder, source.package, digest)
    (folder / RECORD).write_text(json.dumps(asdict(record), indent=1) + "\n")


def read_record(folder: Path) -> Record:
    """What was recorded beside a kernel. Raises RefusedError."""
    try:
        return Record(**json.loads((folder / RECORD).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise RefusedError(
            f"{folder} does not tell what its kernel was built from: chaoskit kernel remove && chaoskit kernel build"
        ) from error


def dropped_options(asked: Iterable[str], built: Iterable[str]) -> list[str]:
    """Lines of a configuration that are not in the one that was made from it; what is off has no line there."""
    lines = set(built)
    return [
        line
        for line in asked
        if line.startswith("CONFIG_")
        and (line.removesuffix("=n") + "=y" in lines if line.endswith("=n") else line not in lines)
    ]


def _makefile(path: Path) -> tuple[str, str]:
    """The name of the top folder, and the text of the Makefile in it; ("", "") if there is none."""
    with tarfile.open(path, "r|*") as tarball:
        passed = 0
        for count, entry in enumerate(tarball):
            folder, _, name = entry.name.removeprefix("./").partition("/")
            if name == "Makefile" and entry.isfile() and entry.size <= _MAKEFILE_SIZE:
                file = tarball.extractfile(entry)
                return folder, file.read().decode(errors="replace") if file else ""
            passed += entry.size
            if count > _MOST_ENTRIES or passed > _MOST_BYTES:
                break
    return "", ""


def _file_version(version: str) -> str:
    """Linux's own part of a version, as kernel.org writes it: 6.12 is the first of its series."""
    return re.sub(r"^(\d+\.\d+)\.0$", r"\1", version)


def _advice() -> str:
    return f"give it linux-{SERIES}.y.tar.xz from kernel.org"
