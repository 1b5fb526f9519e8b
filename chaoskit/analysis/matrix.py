"""Combines the results of a matrix's variants, each in a run directory of its own.

The matrix's folder has `experiment.yaml` with the matrix, `outcome.json` with the status of the whole, and no plan.
Rules: a variant that was not run, or whose records cannot be read, has an entry that says why; the exit code of the
matrix is its worst: not put back, then a crash of chaoskit, interrupted, refused, broken, undecided.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from os.path import lexists
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chaoskit import __version__
from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.load import read_outcome
from chaoskit.analysis.result import Result, RunStatus
from chaoskit.analysis.sweep_result import is_sweep_folder
from chaoskit.errors import EXIT_SOFTWARE, EXIT_UNDECIDED, ChaoskitError, NotRestoredError, SpecError
from chaoskit.folder import display_path
from chaoskit.records.directory import EXPERIMENT, OUTCOME, PLAN
from chaoskit.records.untrusted_files import damage_error, read_whole
from chaoskit.spec.matrix import Variant, Variants, parse_variants

_WORST_FIRST = (4, EXIT_SOFTWARE, 143, 130, 3, 1, EXIT_UNDECIDED)


class VariantResult(BaseModel):
    """One variant: its value on each axis and its result, or why it has none: an `error`, or `is_not_run`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    values: tuple[str, ...]
    result: Result | None
    error: str = ""
    is_not_run: bool = False

    @property
    def status(self) -> RunStatus | None:
        """How the variant's run ended; None without a result."""
        return self.result.outcome.status if self.result else None


class MatrixResult(BaseModel):
    """All variants of one file, in the matrix's order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    chaoskit: str
    name: str
    question: str
    headline: str = Field(default="", description="What happened over all variants; written into files only.")
    run: str = Field(default="", exclude=True, description="The matrix's folder; not part of the file.")
    status: RunStatus
    detail: str
    axes: tuple[str, ...]
    variants: tuple[VariantResult, ...]

    @property
    def results(self) -> tuple[Result, ...]:
        """The results of the variants that have one."""
        return tuple(result.result for result in self.variants if result.result is not None)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:  # all of it would fill a screen many times
        yield from {"name": self.name, "run": self.run, "status": self.status, "exit_code": self.exit_code}.items()
        yield "variants", [each.name for each in self.variants]

    @property
    def exit_code(self) -> int:
        """What the command line returns for the whole matrix."""
        codes = {result.exit_code for result in self.results}
        if self.status == "dirty":
            codes.add(NotRestoredError.exit_code)
        if self.status == "crashed":
            codes.add(EXIT_SOFTWARE)
        if self.status == "interrupted":
            codes.add(143 if self.detail == "SIGTERM" else 130)
        if self.status == "running" or len(self.results) < len(self.variants):
            codes.add(EXIT_UNDECIDED)
        return worst_exit_code(codes)


def worst_exit_code(codes: Collection[int]) -> int:
    """The worst of several exit codes."""
    return next((code for code in _WORST_FIRST if code in codes), 0)


def is_matrix_run(run: Path) -> bool:
    """Whether this folder holds a run directory for each variant, and is not one itself, nor that of a sweep."""
    return lexists(run / EXPERIMENT) and not lexists(run / PLAN) and not is_sweep_folder(run)


def load_matrix(run: Path) -> MatrixResult:
    """The results of the variants in this folder. Raises SpecError when it is not the folder of a matrix."""
    path = run / EXPERIMENT
    try:
        matrix = parse_variants((read_whole(path) or b"").decode(), str(path))
    except UnicodeDecodeError as error:
        raise damage_error(path, f"byte {error.start} is not UTF-8") from None
    if not matrix.axes:
        raise SpecError(f"{run} is no run directory: it has no {PLAN}, and its {EXPERIMENT} no matrix")
    if not lexists(run / OUTCOME) and not any(lexists(run / variant.name) for variant in matrix.each):
        raise SpecError(f"{run} is no run directory: {path} was not run in it; chaoskit run {path} does that")
    return combine(matrix, run, tuple(variant_result(variant, run) for variant in matrix.each))


def variant_result(variant: Variant, run: Path) -> VariantResult:
    """The result of this variant, or why it has none."""
    folder = run / variant.name
    if not lexists(folder / PLAN):
        return VariantResult(name=variant.name, values=variant.values, result=None, is_not_run=True)
    try:
        return VariantResult(name=variant.name, values=variant.values, result=analyse(folder))
    except ChaoskitError as error:
        return VariantResult(name=variant.name, values=variant.values, result=None, error=str(error))


def combine(matrix: Variants, run: Path, results: tuple[VariantResult, ...]) -> MatrixResult:
    """The result of the whole matrix from those of its variants."""
    status, detail = read_outcome(run, is_experiment=True)
    first = matrix.each[0].experiment
    return MatrixResult(
        chaoskit=__version__,
        name=first.name,
        question=first.question,
        run=str(display_path(run)),
        status=status,
        detail=detail,
        axes=matrix.axes,
        variants=results,
    )
