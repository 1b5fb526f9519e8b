"""Reads configuration files of a lab's hosts: regular files of a bounded size, as the host sees them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from chaoskit.errors import SpecError

_MAX_BYTES, _MAX_MATCHES = 1 << 20, 100


class ConfigFiles:
    """The files of one host: relative paths are of the experiment's folder, absolute ones of its root."""

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        self._folder = folder
        self._root = root

    def read(self, path: str) -> str:
        """The text of this file. Raises SpecError."""
        try:
            fd = os.open(self._place(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            with os.fdopen(fd, "rb") as file:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise SpecError(f"{path}: is no regular file")
                raw = file.read(_MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is no path"
            raise SpecError(f"{path}: {reason}") from None
        if len(raw) > _MAX_BYTES:
            raise SpecError(f"{path}: longer than 1 MiB")
        return raw.decode(errors="replace")

    def matching(self, pattern: str) -> tuple[str, ...]:
        """The paths of the files that match a shell pattern, as the pattern begins, sorted; at most a hundred."""
        place = self._place(pattern)
        folder, name = place.parent, place.name
        if not any(mark in str(place) for mark in "*?["):
            return (pattern,) if place.is_file() else ()
        try:
            found = sorted(each for each in folder.glob(name) if each.is_file()) if _is_plain(folder) else []
        except (OSError, ValueError):
            found = []
        beside = pattern.rpartition("/")[0]
        return tuple(f"{beside}/{each.name}" if beside else each.name for each in found[:_MAX_MATCHES])

    def _place(self, path: str) -> Path:
        if not path.startswith("/"):
            return self._folder / path
        return Path(path) if self._root is None else self._root / path.lstrip("/")


def _is_plain(folder: Path) -> bool:
    return not any(mark in str(folder) for mark in "*?[")
