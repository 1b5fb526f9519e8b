"""The public Python API: load a run, plan and run an experiment, analyse records.

`import chaoskit` offers these names, and imports what is behind one when it is first used. docs/api.md describes them
and says what stays as it is from one version to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaoskit.analysis import matrix
from chaoskit.analysis.analyse import analyse as analyse_run
from chaoskit.analysis.matrix import MatrixResult
from chaoskit.analysis.result import Result
from chaoskit.analysis.tables.run_tables import RunTables, load_tables
from chaoskit.conduct.planning import prepare
from chaoskit.errors import RefusedError, SpecError
from chaoskit.execution.experiment import run_experiment as run
from chaoskit.planning.model import Plan
from chaoskit.spec.matrix import load_variants

if TYPE_CHECKING:
    from chaoskit.report.plots.figures import Plot

__all__ = ["Result", "Run", "RunTables", "analyse", "load", "plan", "run"]


@dataclass(frozen=True)
class Run:
    """A run directory. What is asked for is computed from its records, once.

    The plots are matplotlib figures, which need `pip install 'chaoskit[plots]'`; a notebook shows them by itself.
    """

    path: Path

    @cached_property
    def result(self) -> Result:
        """Every number and verdict. Raises SpecError for damaged records."""
        return analyse_run(self.path)

    @cached_property
    def tables(self) -> RunTables:
        """Streams, tokens, stalls, phases, TCP, queues and hops, as numpy columns. Raises SpecError likewise."""
        return load_tables(self.path)

    def plot_first_tokens(self) -> Plot:
        """How first-token latencies are distributed, the phases side by side, with bands."""
        return _figures().first_tokens(self.tables, self.result.level)  # type: ignore[no-any-return]

    def plot_gaps(self) -> Plot:
        """How gaps between tokens are distributed, the phases side by side, with bands."""
        return _figures().gaps(self.tables, self.result.level)  # type: ignore[no-any-return]

    def plot_streams(self) -> Plot:
        """Each stream a row in time: its tokens, its stalls by cause, the faults."""
        return _figures().streams(self.tables)  # type: ignore[no-any-return]

    def plot_network(self) -> Plot:
        """What the kernel told in time: round trips, congestion windows, segments sent again, queues."""
        return _figures().network(self.tables)  # type: ignore[no-any-return]


def load(path: Path | str) -> Run:
    """The run in this directory; of a matrix, one variant's.

    Raises SpecError when it is no run directory.
    """
    folder = Path(path)
    if matrix.is_matrix_run(folder):
        variants = [variant.name for variant in matrix.load_matrix(folder).variants]
        raise SpecError(f"{folder} has a run directory for each variant: load({str(folder / variants[0])!r})")
    found = Run(folder)
    _ = found.result
    return found


def plan(path: Path | str, *, variant: str | None = None, overrides: Mapping[str, Any] | None = None) -> Plan:
    """Every change that a run of this experiment file would make, and when. Changes nothing.

    `overrides` replaces values of the file by their dotted paths. Raises SpecError for the file, or an option, and
    RefusedError where this machine cannot say it.
    """
    return prepare(load_variants(Path(path), overrides).named(variant).experiment)


def analyse(path: Path | str) -> Result | MatrixResult:
    """The result of a run directory, or of the folder of a matrix. Raises SpecError for damaged records."""
    folder = Path(path)
    return matrix.load_matrix(folder) if matrix.is_matrix_run(folder) else analyse_run(folder)


def _figures() -> Any:
    try:
        from chaoskit.report.plots import figures
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise RefusedError("plots need matplotlib: pip install 'chaoskit[plots]'") from None
    return figures
