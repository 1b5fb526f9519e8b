"""Defines the result of a suite: `gameday.json` is exactly this, and every report is made from it.

Rules: a run counts by what was expected of it: `broken` where `broken` is expected is no failure, and `met` is one. The
exit code of the suite is its worst: not restored, then a crash of chaoskit, interrupted, an error, broken, undecided or
not run; `fail_on` takes failures out of it, but never what was not restored.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, computed_field, model_validator

from chaoskit import __version__
from chaoskit.analysis.matrix import worst_exit_code
from chaoskit.errors import EXIT_SOFTWARE, EXIT_UNDECIDED, NotRestoredError, RefusedError, SpecError
from chaoskit.folder import display_path
from chaoskit.records.directory import is_locked
from chaoskit.records.untrusted_files import damage_error, parse_json, read_document
from chaoskit.terminal import ascii_json
from chaoskit.units import counted

SUMMARY, LOCK = "gameday.json", "gameday.lock"
EXIT_BROKEN = 1
_COMPUTED = ("exit_code", "is_as_expected")

State = Literal["waiting", "running", "ended", "interrupted", "not-run", "not-selected"]
Outcome = Literal["met", "measured", "broken", "undecided", "error"]
SuiteStatus = Literal["running", "finished", "aborted", "interrupted"]
Failure = Literal["broken", "undecided", "error", "not-run"]

_OUTCOMES: Mapping[int, Outcome] = {0: "met", EXIT_BROKEN: "broken", EXIT_UNDECIDED: "undecided"}
_ALWAYS = (NotRestoredError.exit_code, 130, 143)  # whatever `fail_on` says


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_computed(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if key not in _COMPUTED} if isinstance(data, dict) else data


class SuiteRunResult(_Frozen):
    """One run of a suite. `code` is what `chaoskit run` returned for it; `directory` is below the suite's folder."""

    name: str
    file: str
    variant: str | None = None
    owner: str = ""
    hypothesis: str = Field(default="", description="What should hold; empty: the suite does not say.")
    question: str = Field(default="", description="That of the experiment.")
    expect: Literal["met", "broken"] = "met"
    state: State = "waiting"
    code: int | None = Field(default=None, description="The exit code of the run itself; null: it has not ended.")
    is_judged: bool = Field(default=True, description="Whether its experiment has objectives.")
    reason: str = Field(default="", description="The first reason for its verdict, or why it has none.")
    directory: str = Field(default="", description="Its run directory, or its matrix's; empty: there is none.")
    planned_s: float = Field(default=0.0, description="The time of its timeline, or its longest one.")
    started: str = Field(default="", description="Date and time, UTC; empty: it has not begun.")
    seconds: float = Field(default=0.0, description="How long it took, by the clock on the wall.")

    @property
    def outcome(self) -> Outcome | None:
        """What its exit code means; None before its end."""
        if self.state != "ended" or self.code is None:
            return None
        found = _OUTCOMES.get(self.code, "error")
        return "measured" if found == "met" and not self.is_judged else found

    @property
    def failure(self) -> Failure | None:
        """What is not as expected; None when all is, or while it may still be."""
        if self.state in ("interrupted", "not-run"):
            return "not-run"
        match self.outcome:
            case "broken" if self.expect == "met":
                return "broken"
            case "met" | "measured" if self.expect == "broken":
                return "broken"
            case "undecided":
                return "undecided"
            case "error":
                return "error"
        return None

    @computed_field  # type: ignore[prop-decorator]  # of pydantic, which documents it so
    @property
    def is_as_expected(self) -> bool | None:
        """Whether it ended as expected; None: it has not ended, or was not selected."""
        return None if self.state in ("waiting", "running", "not-selected") else self.failure is None

    def exit_code(self, fail_on: tuple[Failure, ...]) -> int:
        """What it adds to the suite's exit code."""
        match self.failure:
            case None:
                return 0
            case "error":
                code = _error_code(self.code)
                return code if "error" in fail_on or code in _ALWAYS else 0
            case "broken":
                return EXIT_BROKEN if "broken" in fail_on else 0
            case other:
                return EXIT_UNDECIDED if other in fail_on else 0


def _error_code(code: int | None) -> int:
    """An invalid file, which was valid before, counts as what cannot be run; an unknown code as a crash."""
    known = (NotRestoredError.exit_code, EXIT_SOFTWARE, 130, 143, RefusedError.exit_code)
    return code if code in known else RefusedError.exit_code if code == SpecError.exit_code else EXIT_SOFTWARE


class SuiteResult(_Frozen):
    """All runs of a suite, in the order in which they begin."""

    schema_version: Literal[1] = 1
    chaoskit: str = __version__
    name: str
    owner: str = ""
    file: str
    fingerprint: str = Field(description="Of the suite file and its experiments: only the same suite is resumed.")
    folder: str = Field(default="", exclude=True, description="The suite's folder; not part of the file.")
    status: SuiteStatus = "running"
    detail: str = ""
    started: str
    seconds: float = 0.0
    fail_on: tuple[Failure, ...]
    errors: tuple[str, ...] = Field(default=(), description="Commands of the suite that failed, a sentence each.")
    runs: tuple[SuiteRunResult, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def exit_code(self) -> int:
        """What the command line returns."""
        codes = {run.exit_code(self.fail_on) for run in self.runs}
        if self.errors and "error" in self.fail_on:
            codes.add(RefusedError.exit_code)
        if self.status == "interrupted":
            codes.add(143 if self.detail == "SIGTERM" else 130)
        return worst_exit_code(codes)

    def failures(self) -> tuple[SuiteRunResult, ...]:
        """The runs that did not end as expected."""
        return tuple(run for run in self.runs if run.failure is not None)


def is_suite_folder(path: Path) -> bool:
    """Whether this folder is that of a suite."""
    return (path / SUMMARY).is_file()


def load_suite_result(path: Path) -> SuiteResult:
    """The summary in this folder. Raises SpecError when there is none, or it is damaged."""
    file = path / SUMMARY
    text = read_document(file)
    if text is None:
        raise SpecError(f"{path} is no folder of a suite: it has no {SUMMARY}; chaoskit gameday FILE makes one")
    try:
        found = SuiteResult.model_validate(parse_json(text))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        if first["loc"] == ("schema_version",):
            raise SpecError(f"{file}: another schema than this chaoskit's; use the chaoskit that wrote it") from None
        raise damage_error(file, f"{where}: {first['msg']}") from None
    if found.status == "running" and not is_locked(path / LOCK):
        found = ended(found, "interrupted", "killed")
    return found.model_copy(update={"folder": str(display_path(path))})


def as_json(found: SuiteResult) -> str:
    """The text of the summary."""
    return ascii_json(found.model_dump_json(indent=1)) + "\n"


def ended(suite: SuiteResult, status: SuiteStatus, detail: str) -> SuiteResult:
    """The same at its end: what has not begun by then is not run, and what runs was interrupted."""
    states: dict[State, State] = {"waiting": "not-run", "running": "interrupted"}
    why = interruption(detail) if status == "interrupted" else detail
    runs = tuple(
        run.model_copy(update={"state": states[run.state], "reason": run.reason or why}) if run.state in states else run
        for run in suite.runs
    )
    return suite.model_copy(update={"status": status, "detail": detail, "runs": runs})


def interruption(how: str) -> str:
    """Why a run has no verdict where its suite was interrupted by this signal, or killed."""
    return "the suite was killed" if how == "killed" else f"the suite was interrupted by {how}"


def read_reason(run: Path) -> str:
    """The reason for the verdict of a run directory, from `result.json`; "" where there is none.

    Of a matrix the reason of the worst variant, with its name.
    """
    own = _outcome(run)
    if own is not None:
        return own[1]
    found = {each.name: outcome for each in _variants(run) if (outcome := _outcome(each)) is not None}
    for verdict in ("broken", "undecided", "met", "none"):
        if (first := next((name for name, (said, _) in found.items() if said == verdict), None)) is not None:
            count = sum(said == verdict for said, _ in found.values())
            return f"{count} of {counted(len(found), 'variant')}, {first}: {found[first][1]}"
    return ""


def read_headline(run: Path) -> str:
    """The headline of a run directory, from `result.json`; "" where there is none, as of a matrix."""
    found = _result(run).get("headline")
    return found if isinstance(found, str) else ""


def _variants(run: Path) -> list[Path]:
    try:
        return sorted(each for each in run.iterdir() if each.is_dir())
    except OSError:
        return []


def _outcome(run: Path) -> tuple[str, str] | None:
    """The verdict and its reason."""
    outcome = _result(run).get("outcome")
    if not isinstance(outcome, dict):
        return None
    words = [outcome.get(key) for key in ("verdict", "reason", "status", "detail")]
    if not all(isinstance(word, str) for word in words):
        return None
    verdict, reason, status, detail = map(str, words)
    return (verdict, reason) if status == "finished" else (status, detail or reason)


def _result(run: Path) -> dict[str, Any]:
    """What `result.json` says; nothing where it is missing or damaged."""
    try:
        text = read_document(run / "result.json")
        found = {} if text is None else parse_json(text)
    except (SpecError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
