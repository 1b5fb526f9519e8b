"""Reads the run directories of one side: single runs, or matrices with variants of one name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chaoskit.analysis.matrix import is_matrix_run
from chaoskit.analysis.run_comparison.measured import MeasuredRun, measure
from chaoskit.errors import SpecError
from chaoskit.folder import display_path, telling_names
from chaoskit.records.directory import EXPERIMENT, PLAN
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import SocketRead
from chaoskit.records.untrusted_files import damage_error, read_whole
from chaoskit.spec.matrix import parse_variants
from chaoskit.units import counted

Tell = Callable[[str, int, int], None]
"""Is told the run that is read now, and how many bytes of how many are done."""


@dataclass(frozen=True)
class RunFolder:
    """One run to read: its variant, "" for a run without a matrix."""

    variant: str
    path: Path

    @property
    def size(self) -> int:
        """How many bytes there are to read, about."""
        try:
            return (self.path / FILES[SocketRead]).stat().st_size
        except OSError:
            return 0


@dataclass(frozen=True)
class Group:
    """The directories of one side, as they were given, and the runs in them."""

    given: tuple[Path, ...]
    folders: tuple[RunFolder, ...]
    not_run: tuple[str, ...]
    label: str = ""

    @property
    def name(self) -> str:
        """What reports call it: its first directory, by its `label` where several sides are compared."""
        first, *more = (str(display_path(path)) for path in self.given)
        return f"{self.label or first} and {counted(len(more), 'more run')}" if more else self.label or first

    @property
    def is_matrix(self) -> bool:
        """Whether its runs are variants."""
        return any(folder.variant for folder in self.folders)


def find(given: Sequence[Path]) -> Group:
    """The runs in these directories. Raises SpecError where one is none, or all are not of one kind."""
    folders: list[RunFolder] = []
    not_run: list[str] = []
    for path in given:
        if not is_matrix_run(path):
            folders.append(RunFolder("", path))
            continue
        names = _variants(path)
        found = [name for name in names if (path / name / PLAN).exists()]
        not_run += [f"{name} was not run in {display_path(path)}" for name in names if name not in found]
        folders += [RunFolder(name, path / name) for name in found]
        if not found:
            raise SpecError(
                f"{display_path(path)}: no variant of this matrix was run; chaoskit report {path} tells more"
            )
    return Group(tuple(given), tuple(folders), tuple(not_run))


def labelled(groups: Sequence[Group]) -> list[Group]:
    """The same with labels that tell them apart."""
    names = telling_names([display_path(group.given[0]) for group in groups])
    return [replace(group, label=name) for group, name in zip(groups, names, strict=True)]


def _variants(path: Path) -> list[str]:
    file = path / EXPERIMENT
    try:
        matrix = parse_variants((read_whole(file) or b"").decode(), str(file))
    except UnicodeDecodeError as error:
        raise damage_error(file, f"byte {error.start} is not UTF-8") from None
    if not matrix.axes:
        raise SpecError(f"{path} is no run directory: it has no {PLAN}, and its {EXPERIMENT} no matrix")
    return [variant.name for variant in matrix.each]


def require_different(groups: Iterable[Group]) -> None:
    """Raises SpecError where one directory is given twice."""
    seen: list[Path] = []
    for path in (path for group in groups for path in group.given):
        if any(_is_same(path, other) for other in seen):
            raise SpecError(f"{display_path(path)} is given twice: a run compared with itself says nothing")
        seen.append(path)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121
    except OSError:
        return False


def read(groups: Sequence[Group], tell: Tell) -> list[list[tuple[str, MeasuredRun]]]:
    """The runs of each group, each with its variant. Raises SpecError."""
    every = [folder for group in groups for folder in group.folders]
    total, done = sum(folder.size for folder in every), 0
    found: list[list[tuple[str, MeasuredRun]]] = []
    for group in groups:
        runs: list[tuple[str, MeasuredRun]] = []
        for folder in group.folders:
            tell(str(display_path(folder.path)), done, total)
            runs.append((folder.variant, measure(folder.path)))
            done += folder.size
        found.append(runs)
    tell("", total, total)
    return found
