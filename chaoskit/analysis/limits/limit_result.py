"""Defines the result of a search for a limit: `limit.json` is exactly this.

Every report is made from it. The exit code is that of objectives: 0 where the limit is known, or is at least the dose
that was asked for; 1 where a run at the easy end breaks already, or the limit is below what was asked for; 5 where that
is not decided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, computed_field, model_validator

from chaoskit import __version__
from chaoskit.analysis.limits.search import Where
from chaoskit.analysis.matrix import worst_exit_code
from chaoskit.errors import EXIT_UNDECIDED, VERDICTS, SpecError
from chaoskit.records.directory import is_locked
from chaoskit.records.untrusted_files import damage_error, parse_json, read_document
from chaoskit.terminal import ascii_json

SUMMARY, LOCK = "limit.json", "limit.lock"
EXIT_BROKEN = 1
_COMPUTED = ("exit_code",)

State = Literal["running", "ended", "interrupted"]
Status = Literal["running", "finished", "stopped", "interrupted"]
Verdict = Literal["met", "broken", "undecided"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_computed(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if key not in _COMPUTED} if isinstance(data, dict) else data


class LimitRun(_Frozen):
    """One run. `place` is its dose on the scale from 0, the easy end, to 1, the hard one."""

    name: str = Field(description="Its run directory, below the folder.")
    dose: str
    place: float
    seed: int
    state: State = "running"
    code: int | None = Field(default=None, description="The exit code of the run itself; null: it has not ended.")
    held: bool | None = Field(default=None, description="Whether every objective held; null: it has no outcome.")
    broken: tuple[str, ...] = Field(default=(), description="The objectives that did not hold.")
    reason: str = Field(default="", description="Why it has no outcome.")
    round_trip_ms: float | None = Field(default=None, description="The median TCP handshake under a fault.")
    requests: int = Field(default=0, description="How many its measured workload sent.")
    seconds: float = 0.0

    @property
    def has_outcome(self) -> bool:
        """Whether the search learns from it."""
        return self.state == "ended" and self.held is not None

    @property
    def has_failed(self) -> bool:
        """Whether it came to no verdict at all."""
        return self.state == "ended" and self.code not in VERDICTS


class LimitEstimate(_Frozen):
    """The limit as far as it is known. An end of the interval is null where it lies beyond the range."""

    where: Where = Field(description="inside the range, above or below it, or open: not known as precisely as asked.")
    dose: str | None = Field(description="The limit; null where it lies beyond the range.")
    low: str | None
    high: str | None
    low_place: float = Field(description="The interval's easy end on the scale of the range; may be below 0.")
    high_place: float = Field(description="Its hard end; may be above 1.")
    is_reversed: bool = Field(default=False, description="Whether it held again at a harder dose than one that broke.")


class LimitSearch(_Frozen):
    """A search with these values at other paths: none, or one of a frontier."""

    at: dict[str, str] = {}
    runs: tuple[LimitRun, ...] = ()
    estimate: LimitEstimate | None = None
    ended: str = Field(default="", description="Why it ended before the limit was known as precisely as asked.")
    verdict: Verdict | None = Field(default=None, description="Whether it holds at the dose that was asked for.")

    @property
    def breaks_first(self) -> str | None:
        """The objective that was broken most often in runs near the limit; None where none was broken."""
        broken = [run for run in self.runs if run.held is False]
        if not broken or self.estimate is None:
            return None
        middle = (self.estimate.low_place + self.estimate.high_place) / 2
        nearest = sorted(broken, key=lambda run: abs(run.place - middle))[: max(5, len(broken) // 2)]
        return Counter(text for run in nearest for text in run.broken).most_common(1)[0][0]

    @property
    def exit_code(self) -> int:
        """What this search adds to the exit code."""
        if self.verdict is not None:
            return {"met": 0, "broken": EXIT_BROKEN, "undecided": EXIT_UNDECIDED}[self.verdict]
        if self.estimate is None or self.estimate.is_reversed:
            return EXIT_UNDECIDED
        return {"below": EXIT_BROKEN, "open": EXIT_UNDECIDED, "inside": 0, "above": 0}[self.estimate.where]


class LimitResult(_Frozen):
    """A search, or several ones along a frontier. `easy` and `hard` are the ends of the range as given."""

    schema_version: Literal[1] = 1
    chaoskit: str = __version__
    name: str
    question: str = ""
    file: str
    fingerprint: str = Field(description="Of the file and all that was asked: only the same search is resumed.")
    folder: str = Field(default="", exclude=True, description="Not part of the file.")
    path: str
    easy: str
    hard: str
    goes_down: bool = Field(default=False, description="Whether a smaller value is harder.")
    precision: float = Field(description="The width of the interval that was asked for, as a part of the range.")
    slots: int = Field(description="Runs at a time; which doses are tried follows from it.")
    at_least: str | None = None
    warnings: tuple[str, ...] = Field(default=(), description="Of the experiment file, before the first run.")
    status: Status = "running"
    detail: str = ""
    error_code: int | None = Field(default=None, description="The exit code of the runs that failed, if they ended it.")
    started: str
    seconds: float = 0.0
    searches: tuple[LimitSearch, ...]

    @computed_field  # type: ignore[prop-decorator]  # of pydantic, which documents it so
    @property
    def exit_code(self) -> int:
        """What the command line returns."""
        if self.status == "interrupted":
            return 143 if self.detail == "SIGTERM" else 130
        if self.status == "running":
            return EXIT_UNDECIDED
        codes = {each.exit_code for each in self.searches}
        return worst_exit_code(codes | ({self.error_code} if self.error_code is not None else set()))

    @property
    def runs(self) -> tuple[LimitRun, ...]:
        """Those of all searches."""
        return tuple(run for each in self.searches for run in each.runs)


def load_limit(path: Path) -> LimitResult:
    """The result in this folder. Raises SpecError when there is none, or it is damaged."""
    file = path / SUMMARY
    text = read_document(file)
    if text is None:
        raise SpecError(f"{path} is no folder of a search: it has no {SUMMARY}; chaoskit limit FILE makes one")
    try:
        found = LimitResult.model_validate(parse_json(text))
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("schema_version",):
            raise SpecError(f"{file}: another schema than this chaoskit's; use the chaoskit that wrote it") from None
        raise damage_error(file, f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from None
    if found.status == "running" and not is_locked(path / LOCK):
        found = found.model_copy(update={"status": "interrupted", "detail": "killed"})
    return found.model_copy(update={"folder": str(path)})


def is_limit_folder(path: Path) -> bool:
    """Whether this folder is that of a search."""
    return (path / SUMMARY).is_file()


def as_json(found: LimitResult) -> str:
    """The text of the file."""
    return ascii_json(found.model_dump_json(indent=1)) + "\n"


def verdict_of(estimate: LimitEstimate, at_least: float) -> Verdict:
    """Whether the limit is at least the dose at this place, by the interval; undecided where it is not monotone."""
    if estimate.is_reversed:
        return "undecided"
    if estimate.low_place >= at_least or estimate.where == "above":
        return "met"
    return "broken" if estimate.high_place < at_least or estimate.where == "below" else "undecided"


def seconds_of_a_run(runs: Sequence[LimitRun]) -> float | None:
    """How long one takes, by those that have ended; None before the first."""
    ended = [run.seconds for run in runs if run.state == "ended" and run.seconds]
    return sum(ended) / len(ended) if ended else None
