"""Defines what a report is made from: a run directory, its result, and how to repeat the run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from chaoskit.analysis import matrix
from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.matrix import MatrixResult
from chaoskit.analysis.result import Result
from chaoskit.analysis.tables.run_tables import RunTables, load_tables
from chaoskit.errors import ChaoskitError
from chaoskit.folder import display_path, telling_names
from chaoskit.planning.probe_plan import load_probe_plan
from chaoskit.records.directory import EXPERIMENT, PROBE, is_running
from chaoskit.records.untrusted_files import read_whole
from chaoskit.spec.overrides import is_made_of_another, settings_in
from chaoskit.terminal import printable


@dataclass(frozen=True)
class Run:
    """One run of a source: the whole of it, or a variant of a matrix. Without a result `missing` says why."""

    variant: str
    path: Path
    result: Result | None
    missing: str = ""

    @cached_property
    def tables(self) -> RunTables:
        """Its records as numpy columns. Raises SpecError for damaged ones."""
        return load_tables(self.path)


@dataclass(frozen=True)
class Source:
    """A run directory, or that of a matrix, and what was found in it.

    `command` repeats the run; `file` is its experiment file and `experiment_text` what was run. A probe has none.
    `file_text` is what that file says: the same, or what a matrix or --set made it of; None where it cannot be read.
    `label` tells it from others in the same report; "" where it is alone.
    """

    path: Path
    found: Result | MatrixResult
    command: str
    file: str = ""
    experiment_text: str | None = None
    file_text: str | None = None
    label: str = ""

    @property
    def runs(self) -> tuple[Run, ...]:
        """The run, or each variant in the matrix's order.

        The tables of a run are read once for all formats; those of many variants would not fit into memory together.
        """
        if isinstance(self.found, Result):
            return (self._run,)
        return tuple(
            Run(each.name, self.path / each.name, each.result, "not run" if each.is_not_run else each.error)
            for each in self.found.variants
        )

    @cached_property
    def _run(self) -> Run:
        return Run("", self.path, self.found if isinstance(self.found, Result) else None)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return (self.found.outcome.status if isinstance(self.found, Result) else self.found.status) == "running"

    @property
    def name(self) -> str:
        """That of the experiment."""
        return self.found.name

    @property
    def title(self) -> str:
        """The same with the label, where there is one: `loss-first-token (runs/before)`."""
        return f"{self.name} ({self.label})" if self.label else self.name


def labelled(sources: Sequence[Source]) -> list[Source]:
    """The same with labels that tell them apart, where there are several."""
    if len(sources) < 2:
        return list(sources)
    names = telling_names([display_path(source.path) for source in sources])
    return [replace(source, label=name) for source, name in zip(sources, names, strict=True)]


def load(path: Path) -> Source:
    """What is in this directory. A run whose processes live still is `running`.

    Raises SpecError when it is no run directory, or holds a damaged record.
    """
    if matrix.is_matrix_run(path):
        whole = matrix.load_matrix(path)
        is_alive = whole.status == "interrupted" and is_running(path)
        return of(path, whole.model_copy(update={"status": "running", "detail": ""}) if is_alive else whole)
    found = analyse(path)
    if found.outcome.status == "interrupted" and is_running(path):
        now = found.outcome.model_copy(update={"status": "running", "detail": ""})
        found = found.model_copy(update={"outcome": now})
    return of(path, found)


def of(path: Path, found: Result | MatrixResult) -> Source:
    """The same where the result was computed already."""
    file = read_whole(path / EXPERIMENT)
    text = None if file is None else file.decode(errors="backslashreplace")
    copy, given = str(display_path(path) / EXPERIMENT), _given(found)
    is_made = text is not None and is_made_of_another(text)
    settings = settings_in(text) if text is not None else ()
    repeated = given if given and (settings or not is_made) else copy
    command = _command(path, found, repeated, settings if repeated == given else ())
    return Source(path, found, command, given or copy, text, _text_of(given) if given and is_made else text)


def _first(found: Result | MatrixResult) -> Result | None:
    return found if isinstance(found, Result) else next(iter(found.results), None)


def _given(found: Result | MatrixResult) -> str | None:
    """The experiment file as it was given; None where that is not known."""
    first = _first(found)
    return first.provenance.file if first is not None and first.provenance is not None else None


def _text_of(file: str) -> str | None:
    """What the file says now; None where it is gone, or cannot be read."""
    try:
        content = read_whole(Path(file))
    except (ChaoskitError, OSError):
        return None
    return None if content is None else content.decode(errors="backslashreplace")


def _command(path: Path, found: Result | MatrixResult, file: str, settings: Sequence[str]) -> str:
    """What to type to repeat it."""
    first = _first(found)
    probe = load_probe_plan(path)
    if probe is not None:
        words = ["chaoskit", "probe", probe.url, "--requests", str(probe.requests), "--seed", str(probe.seed)]
        words += [word for each in probe.objectives for word in ("--objective", each.text)]
        return _line(words) + f"  # {PROBE} has the other options"
    words = ["chaoskit", "run", file, *(word for each in settings for word in ("--set", each))]
    if first is not None and first.clock == "virtual":
        words += ["--clock", "virtual"]
    if first is not None and first.until_decided is not None:
        words += ["--until-decided"]
    return _line(words)


def _line(words: list[str]) -> str:
    return printable(shlex.join(words))
