"""Defines the result of a comparison of runs, which is its JSON, and what reports are made from.

Rules are those of `analysis/result`: a missing value is null with the reason beside it, and so is what has no end.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field

from chaoskit.analysis.finite_json import FiniteJson
from chaoskit.analysis.result import RunStatus, Unit
from chaoskit.analysis.summaries import IntervalEstimate

SCHEMA: Literal[1] = 1
ChangeVerdict = Literal["regressed", "improved", "changed", "no-worse", "undecided", "not-shown"]
ComparisonVerdict = Literal["regressed", "undecided", "no-worse", "not-shown"]
DifferenceKind = Literal["experiment", "clock", "kernel", "protocol", "target", "unfinished"]
EXIT_CODES: dict[ComparisonVerdict, int] = {"regressed": 1, "undecided": 5, "no-worse": 0, "not-shown": 0}


class _Documented(FiniteJson):
    model_config = ConfigDict(use_attribute_docstrings=True)


class ComparedRun(_Documented):
    """One run that is compared: where it is, and what it was made with, as far as that is known."""

    why_missing: ClassVar = dict.fromkeys(
        ("started", "chaoskit", "chaoskit_commit", "commit", "seed"), "it is not recorded of this run"
    )

    run: str
    """The run directory."""
    status: RunStatus
    """How it ended."""
    started: str | None
    """Date and time of its start."""
    chaoskit: str | None
    """The version of chaoskit that made it."""
    chaoskit_commit: str | None
    """The commit of chaoskit, where it was a checkout."""
    commit: str | None
    """The git commit of the repository with the experiment file."""
    seed: int | None
    """Its seed; a number."""


class FieldChange(_Documented):
    """A key of the experiment, or of a probe's question, that differs."""

    why_missing: ClassVar = {"reference": "it is not there", "value": "it is not there"}

    field: str
    """Its dotted path."""
    reference: str | None
    """What it is in the reference."""
    value: str | None
    """What it is in the other run."""


class Difference(_Documented):
    """Something that makes two runs hard to compare. It is refused unless `--despite` names its kind."""

    kind: DifferenceKind
    """What `--despite` names."""
    sentence: str
    """What was different."""
    fields: tuple[FieldChange, ...] = ()
    """The keys that differ, of an experiment or a probe."""


class MetricChange(_Documented):
    """One metric in one phase of both sides, its change, and the verdict on it."""

    why_missing: ClassVar = {
        "value": "see reason",
        "reference": "see reason",
        "streams_needed": "it is decided, or no feasible number of streams decides it: see reason",
    }

    variant: str
    """The variant of a matrix; empty for runs without one."""
    workload: str
    """The workload of a lab; empty for the measured one."""
    population: str
    """Which requests it is about, as objectives write it; empty for all."""
    phase: str
    """The phase; empty for the whole run without its warm-up."""
    metric: str
    """The metric, as objectives name it."""
    unit: Unit
    """The unit of the values, the difference and its interval."""
    reference: float | None
    """The metric of the reference, in `unit`."""
    value: float | None
    """The metric of the candidate, in `unit`."""
    difference: IntervalEstimate
    """value − reference, with its interval at `level`."""
    ratio: IntervalEstimate
    """value / reference, with its interval at `level`."""
    level: float
    """How sure the intervals of this line are, a share of 1."""
    margin: str
    """How much worse is tolerated; empty without a tolerance."""
    is_named: bool
    """Whether an objective or a tolerance names it."""
    verdict: ChangeVerdict
    """What the intervals say."""
    reason: str
    """Why it is undecided, not shown, or changed without being an improvement; empty otherwise."""
    streams: int
    """Streams that the candidate's value is of, a number."""
    streams_reference: int
    """Streams that the reference's value is of, a number."""
    streams_needed: int | None
    """About how many streams of each side would decide it, if they behaved as these did; a number."""


class Candidate(_Documented):
    """One side that is compared with the reference: one run, or several that are pooled."""

    name: str
    """What it is called in reports."""
    runs: tuple[ComparedRun, ...]
    """Its runs; of a matrix those of all variants."""
    differences: tuple[Difference, ...]
    """What was different and accepted."""
    remarks: tuple[str, ...]
    """What else is different, missing, or limits the comparison."""
    changes: tuple[MetricChange, ...]
    """Every compared metric."""
    verdict: ComparisonVerdict
    """The worst of its changes."""
    reason: str
    """Why, in a sentence."""


class RunComparison(_Documented):
    """The result of `chaoskit compare`."""

    schema_version: Literal[1] = SCHEMA
    """The version of this form; a number."""
    chaoskit: str
    """The version of chaoskit that compared."""
    name: str
    """The experiment's name."""
    reference_name: str
    """What the reference is called in reports."""
    reference: tuple[ComparedRun, ...]
    """Its runs."""
    tolerances: tuple[str, ...]
    """As they were given."""
    judged: int
    """Changes that share the error of 5 %, a number."""
    error: float = Field(default=0.05)
    """How often runs without a difference show any change by chance, at the most; a share of 1."""
    stall_threshold_ms: float
    """A longer gap between two tokens is a stall, ms."""
    remarks: tuple[str, ...]
    """What limits the reference itself."""
    candidates: tuple[Candidate, ...]
    """The sides that were compared with the reference."""

    @property
    def verdict(self) -> ComparisonVerdict:
        """The worst of all candidates."""
        return min((each.verdict for each in self.candidates), key=tuple(EXIT_CODES).index)

    @property
    def exit_code(self) -> int:
        """What the command line returns."""
        return EXIT_CODES[self.verdict]
