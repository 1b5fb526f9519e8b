"""The variants of a matrix side by side, from the folder that holds a run directory for each.

Such a folder has `experiment.yaml` with the matrix, `outcome.json` with how it went as a whole, and no plan of its
own. Rules: a variant that was not run, or whose records cannot be read, is a row all the same and says why; the
exit code of all is that of the worst: something not put back, then a mistake of ours, interrupted, refused, broken,
undecided.
"""

from __future__ import annotations

from collections.abc import Collection
from os.path import lexists
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from chaoskit import __version__
from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.load import how_it_went
from chaoskit.analysis.result import How, Result
from chaoskit.errors import EXIT_SOFTWARE, ChaoskitError, NotRestoredError, SpecError
from chaoskit.folder import display_path
from chaoskit.records.directory import EXPERIMENT, PLAN
from chaoskit.records.untrusted_files import damage_error, read_whole
from chaoskit.spec.matrix import Variant, Variants, parse_variants

UNDECIDED = 5
_WORST_FIRST = (4, EXIT_SOFTWARE, 143, 130, 3, 1, UNDECIDED)


class Row(BaseModel):
    """One variant: what it has of each axis, and what it found, or why nothing is known of it.

    `is_new`: it was not run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    values: tuple[str, ...]
    result: Result | None
    missing: str = ""
    is_new: bool = False

    @property
    def how(self) -> How | None:
        """How it went, if anything is known of it."""
        return self.result.outcome.how if self.result else None


class MatrixResult(BaseModel):
    """All variants of one file, in the matrix's order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    chaoskit: str
    name: str
    question: str
    run: str = Field(default="", exclude=True, description="Where it lies; not part of what it is.")
    how: How
    detail: str
    axes: tuple[str, ...]
    variants: tuple[Row, ...]

    @property
    def results(self) -> tuple[Result, ...]:
        """What is known."""
        return tuple(row.result for row in self.variants if row.result is not None)

    @property
    def exit_code(self) -> int:
        """What the command line returns for all of them."""
        codes = {result.exit_code for result in self.results}
        if self.how == "dirty":
            codes.add(NotRestoredError.exit_code)
        if self.how == "crashed":
            codes.add(EXIT_SOFTWARE)
        if self.how == "interrupted":
            codes.add(143 if self.detail == "SIGTERM" else 130)
        if len(self.results) < len(self.variants):
            codes.add(UNDECIDED)
        return worst(codes)


def worst(codes: Collection[int]) -> int:
    """The exit code that stands for several."""
    return next((code for code in _WORST_FIRST if code in codes), 0)


def is_of_a_matrix(run: Path) -> bool:
    """Whether this folder holds a run directory for each variant, and is none itself."""
    return lexists(run / EXPERIMENT) and not lexists(run / PLAN)


def gather(run: Path) -> MatrixResult:
    """What the variants in this folder found. Raises SpecError when it is none of a matrix."""
    path = run / EXPERIMENT
    try:
        told = parse_variants((read_whole(path) or b"").decode(), str(path))
    except UnicodeDecodeError as error:
        raise damage_error(path, f"byte {error.start} is not UTF-8") from None
    if not told.axes:
        raise SpecError(f"{run} is no run directory: it has no {PLAN}, and its {EXPERIMENT} no matrix")
    return beside(told, run, tuple(row(variant, run) for variant in told.each))


def row(variant: Variant, run: Path) -> Row:
    """What this variant found."""
    folder = run / variant.name
    if not lexists(folder / PLAN):
        return Row(name=variant.name, values=variant.values, result=None, is_new=True)
    try:
        return Row(name=variant.name, values=variant.values, result=analyse(folder))
    except ChaoskitError as error:
        return Row(name=variant.name, values=variant.values, result=None, missing=str(error))


def beside(told: Variants, run: Path, rows: tuple[Row, ...]) -> MatrixResult:
    """These rows, with how it went as a whole."""
    how, detail = how_it_went(run, is_experiment=True)
    first = told.each[0].experiment
    return MatrixResult(
        chaoskit=__version__,
        name=first.name,
        question=first.question,
        run=str(display_path(run)),
        how=how,
        detail=detail,
        axes=told.axes,
        variants=rows,
    )
