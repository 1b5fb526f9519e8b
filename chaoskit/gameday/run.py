"""Runs the prepared runs of a suite to their end, an interruption, or a condition that ends it early.

Rules: the summary is written after every change; runs in virtual time share the processors, every other run is alone;
runs begin in their order. A signal interrupts what runs, which restores everything; then the commands at the end of the
suite run, and the summary says what was not.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chaoskit import programs
from chaoskit.analysis.suite_result import (
    State,
    SuiteResult,
    SuiteRunResult,
    SuiteStatus,
    as_json,
    ended,
    interruption,
    read_reason,
)
from chaoskit.clock import Clock, wall
from chaoskit.conduct.sudo_caller import Caller
from chaoskit.errors import VERDICTS, RefusedError
from chaoskit.execution.interrupts import InterruptHandler
from chaoskit.gameday.folder import GamedayFolder
from chaoskit.gameday.hooks import CommandRunner
from chaoskit.gameday.preparation import PreparedRun
from chaoskit.gameday.schedule import Condition, abort_reason, may_begin, shortage
from chaoskit.report.runs_progress import Pace, RunsProgress
from chaoskit.report.suite import run_line
from chaoskit.spec.suite import Event, SuiteCommand
from chaoskit.spec.suite_load import LoadedSuite, SuiteRun
from chaoskit.terminal import complain
from chaoskit.workers.cell import EndedCell, Workers

_NOTHING_RUN: tuple[SuiteStatus, str] = "aborted", "a command before the first run failed"
_INTERRUPTED = (130, 137, 143)  # by SIGINT, SIGKILL, SIGTERM
_TICK = 100_000_000  # ns
_NS = 10**9


@dataclass(frozen=True)
class Surroundings:
    """What a suite runs with. `user` is whom its commands run as."""

    folder: GamedayFolder
    workers: Workers
    user: Caller | None
    clock: Clock
    interrupts: InterruptHandler
    progress: RunsProgress


def first_summary(loaded: LoadedSuite, prepared: Iterable[PreparedRun], former: SuiteResult | None) -> SuiteResult:
    """The summary before the first run, with every run of the suite: what is not prepared was not selected.

    What ended with a verdict in a `former` part stays, the rest of what was selected waits.
    """
    selected = {each.name: each for each in prepared}
    before = {run.name: run for run in former.runs} if former is not None else {}
    suite = loaded.suite
    return SuiteResult(
        name=suite.name,
        owner=suite.owner or "",
        file=str(loaded.file),
        fingerprint=loaded.fingerprint,
        started=former.started if former is not None else wall(),
        seconds=former.seconds if former is not None else 0.0,
        fail_on=suite.fail_on,
        runs=tuple(_first_row(run, selected.get(run.name), before.get(run.name)) for run in loaded.runs),
    )


def _first_row(run: SuiteRun, selected: PreparedRun | None, before: SuiteRunResult | None) -> SuiteRunResult:
    if selected is not None:
        return before if before is not None and _is_kept(before) else _row(run, "waiting", selected.is_judged)
    if before is None or before.state in ("waiting", "not-run"):
        return _row(run, "not-selected")
    return before.model_copy(update={"state": "interrupted"}) if before.state == "running" else before


def _is_kept(run: SuiteRunResult) -> bool:
    """Whether a resumed suite does not run it again: an error has decided nothing."""
    return run.outcome is not None and run.outcome != "error"


def _row(run: SuiteRun, state: State, is_judged: bool = True) -> SuiteRunResult:
    return SuiteRunResult(
        name=run.name,
        file=str(run.file),
        variant=run.variant,
        owner=run.owner,
        hypothesis=run.hypothesis,
        question=run.question,
        expect=run.expect,
        state=state,
        is_judged=is_judged,
        planned_s=run.length / _NS,
    )


class Gameday:
    """One call of `chaoskit gameday`."""

    def __init__(
        self, loaded: LoadedSuite, prepared: Iterable[PreparedRun], summary: SuiteResult, around: Surroundings
    ) -> None:
        self._loaded, self._suite, self._around = loaded, loaded.suite, around
        self._prepared = {each.name: each for each in prepared}
        self._rows = {run.name: run for run in summary.runs}
        self._summary = summary
        self._waiting = [self._prepared[run.name] for run in summary.runs if run.state == "waiting"]
        self._untold = {each.name for each in self._waiting}  # whose end was not shown yet
        self._workers = around.workers
        self._errors: list[str] = []
        self._begun = around.clock.now()
        self._before, self._exit_code = summary.seconds, summary.exit_code
        directory = loaded.file.absolute().parent
        self._commands = CommandRunner(
            directory, around.folder.folder, around.user, around.clock, around.interrupts, self._tick
        )

    def run(self) -> SuiteResult:
        """Run it. Returns the summary of its end.

        Raises RefusedError when the summary cannot be written; nothing runs any more then.
        """
        around = self._around
        around.interrupts.forward_to(self._workers)
        try:
            self._write()
            why = self._failure(self._suite.before)
            if why:
                self._errors.append(f"before: {why}")
            status, detail = self._to_the_end() if not why else _NOTHING_RUN
            if failed := self._failure(self._suite.after, CHAOSKIT_EXIT_CODE=str(self._current().exit_code)):
                self._errors.append(f"after: {failed}")
            if around.interrupts.received is not None:
                status, detail = "interrupted", around.interrupts.received.name
            self._summary = ended(self._current(), status, detail)
            around.folder.write_summary(self._summary)
            for run in self._summary.runs:
                self._show_end(run)
        finally:
            around.interrupts.forward_to(None)
            self._workers.close()
        self._notify("end")
        return self._summary

    def _to_the_end(self) -> tuple[SuiteStatus, str]:
        """Begin and await runs until none is left, or something ends the suite. Returns how it ended."""
        why = ""
        while self._workers.running() or (self._waiting and not why):
            if self._around.interrupts.received is not None:
                why = why or "interrupted"
            why = why or abort_reason(self._suite.abort, self._condition())
            if not why and self._waiting:
                why = self._begin_next()
            self._end_late()
            self._tick()
            for each in self._workers.ended(_TICK):
                self._take_in(each)
        return ("aborted", why) if why else ("finished", "")

    def _begin_next(self) -> str:
        """Begin the next run, if it may begin now. Returns why the suite is ended, or ""."""
        prepared = self._waiting[0]
        if not may_begin(prepared.is_virtual, self._running(), self._workers.slots):
            return ""
        left = None if self._suite.budget is None else self._suite.budget - self._elapsed()
        if missing := shortage(prepared, left, self._suite.budget):
            self._waiting.pop(0)
            self._set(prepared.name, state="not-run", reason=missing)
            self._show_end(self._rows[prepared.name])
            return ""
        if self._suite.abort.unless is not None:
            if failed := self._commands.run(self._suite.abort.unless, self._variables()):
                return f"the condition failed: {failed}"
            if self._around.interrupts.received is not None:
                return ""
        self._waiting.pop(0)
        self._begin(prepared)
        return ""

    def _begin(self, prepared: PreparedRun) -> None:
        name, folder = prepared.name, self._around.folder
        folder.set_aside(name)
        self._around.progress.begin(name, prepared.run.length)
        self._set(name, state="running", started=wall(), directory=name, code=None, reason="")
        if failed := self._failure(prepared.run.before, prepared):
            self._finish(prepared, RefusedError.exit_code, f"before: {failed}", 0.0)
            return
        try:
            self._workers.start(prepared.cell)
        except RefusedError as error:
            self._finish(prepared, error.exit_code, str(error), 0.0)

    def _end_late(self) -> None:
        """Interrupt what runs when the budget is used up."""
        if self._suite.budget is not None and self._elapsed() > self._suite.budget:
            self._workers.stop(f"interrupted, because the budget of {self._suite.budget.spaced()} was used up")

    def _take_in(self, end: EndedCell) -> None:
        """Record how a run has ended."""
        received, name = self._around.interrupts.received, end.cell.name
        if end.code in _INTERRUPTED and (end.why or received is not None):
            reason = end.why or (interruption(received.name) if received is not None else "")
            self._set(name, state="interrupted", reason=reason, seconds=end.seconds)
            self._show_end(self._rows[name])
            return
        found = read_reason(end.directory)
        reason = found if end.code in VERDICTS and found else end.complaint or found
        self._finish(self._prepared[name], end.code, reason, end.seconds)

    def _finish(self, prepared: PreparedRun, code: int, reason: str, seconds: float) -> None:
        """Record the end of a run, after its commands."""
        has_records = (self._around.folder.path / prepared.name).is_dir()
        ended = {"code": code, "reason": reason, "seconds": seconds, "directory": prepared.name if has_records else ""}
        done = self._rows[prepared.name].model_copy(update={"state": "ended", **ended})
        failed = self._failure(prepared.run.after, prepared, done)
        if failed and code in VERDICTS:
            done = done.model_copy(update={"code": RefusedError.exit_code, "reason": f"after: {failed}"})
        elif failed:
            done = done.model_copy(update={"reason": f"{reason}; after: {failed}"})
        self._rows[prepared.name] = done
        self._write()
        self._show_end(done)
        code = self._current().exit_code
        if code != self._exit_code:
            self._exit_code = code
            self._notify("change")

    def _show_end(self, run: SuiteRunResult) -> None:
        """Show that a run has ended, or will not begin: once."""
        if run.name in self._untold:
            self._untold.remove(run.name)
            self._around.progress.end(run_line(run))

    def _failure(
        self,
        commands: Iterable[SuiteCommand],
        prepared: PreparedRun | None = None,
        done: SuiteRunResult | None = None,
        **more: str,
    ) -> str:
        """Run these commands until one fails. Returns why it failed, or ""."""
        variables = {**self._variables(prepared, done), **more}
        failures = (self._commands.run(each, variables) for each in commands)
        return next(filter(None, failures), "")

    def _variables(self, prepared: PreparedRun | None = None, done: SuiteRunResult | None = None) -> dict[str, str]:
        found = {"CHAOSKIT_SUITE": self._suite.name, "CHAOSKIT_GAMEDAY": str(self._around.folder.path)}
        if prepared is not None:
            found |= {
                "CHAOSKIT_RUN": prepared.name,
                "CHAOSKIT_RUN_DIRECTORY": str(self._around.folder.path / prepared.name),
                "CHAOSKIT_EXPECT": prepared.run.expect,
                "CHAOSKIT_OWNER": prepared.run.owner,
            }
        if done is not None:
            found |= {"CHAOSKIT_EXIT_CODE": str(done.code), "CHAOSKIT_OUTCOME": done.outcome or ""}
        return found

    def _notify(self, event: Event) -> None:
        """Tell it, if that is asked for. A failure of the command is no failure of the suite."""
        command = self._suite.notify
        if command is None or event not in command.on:
            return
        variables = {**self._variables(), "CHAOSKIT_EVENT": event}
        if failed := self._commands.run(command, variables, as_json(self._current())):
            complain(f"not notified: {failed}")

    def _set(self, name: str, **changed: Any) -> None:
        self._rows[name] = self._rows[name].model_copy(update=changed)
        self._write()

    def _current(self) -> SuiteResult:
        now = {"seconds": self._before + self._elapsed() / _NS, "errors": tuple(self._errors)}
        return self._summary.model_copy(update={**now, "runs": tuple(self._rows.values())})

    def _write(self) -> None:
        self._around.folder.write_summary(self._current())

    def _elapsed(self) -> int:
        return self._around.clock.now() - self._begun

    def _running(self) -> list[bool]:
        """Whether each run under way is in virtual time."""
        return [self._prepared[name].is_virtual for name in self._workers.running()]

    def _condition(self) -> Condition:
        failures = [run.failure for run in self._rows.values()]
        return Condition(failures.count("broken"), failures.count("error"))

    def _tick(self) -> None:
        running = self._workers.running()
        self._around.progress.tick([(name, self._pace(run, running.get(name))) for name, run in self._rows.items()])

    def _pace(self, run: SuiteRunResult, for_ns: int | None) -> Pace:
        prepared = self._prepared.get(run.name)
        elapsed = for_ns if for_ns is not None else round(run.seconds * _NS)
        return Pace(round(run.planned_s * _NS), elapsed, prepared is None or prepared.is_virtual, run.state)


def restore_interrupted(prepared: Iterable[PreparedRun], former: SuiteResult) -> None:
    """Restore what a killed run on a real interface may have left. Raises RefusedError where that fails."""
    names = {run.name for run in former.runs if run.state in ("interrupted", "running")}
    options = {each: None for one in prepared if one.name in names for each in one.namespaces}
    for option in options:
        _restore(option)


def _restore(option: str) -> None:
    done = subprocess.run(
        [*programs.python("chaoskit", "restore", *option.split())], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RefusedError(f"what an interrupted run left was not restored: {done.stderr.strip()}")
