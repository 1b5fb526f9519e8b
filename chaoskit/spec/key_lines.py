"""Says where a key of an experiment stands in its file, for warnings about what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MATRIX = "matrix"
Keys = tuple[str | int, ...]


@dataclass(frozen=True)
class KeyLines:
    """The file and the line of each of its keys. All are equal: an experiment is what it says, wherever it stands."""

    file: str = field(default="", compare=False)
    lines: Mapping[Keys, int] = field(default_factory=dict, compare=False)

    def find(self, keys: Keys) -> str:
        """`FILE:LINE`; "" for a key that the file does not have."""
        return f"{self.file}:{self.lines[keys]}" if keys in self.lines else ""

    def varies(self, keys: Keys) -> bool:
        """Whether a matrix of the file varies something below these keys, or above them."""
        mine = tuple(map(str, keys))
        found = (tuple(str(each[1]).split(".")) for each in self.lines if len(each) == 2 and each[0] == MATRIX)
        return any(path[: len(mine)] == mine[: len(path)] for path in found)

    def place(self, keys: Keys, key: str | None = None) -> str:
        """`FILE:LINE` of the key below these, else of these; where the file has neither, the dotted path of these."""
        below = self.find((*keys, key)) if key is not None else ""
        return below or self.find(keys) or ".".join(map(str, keys))
