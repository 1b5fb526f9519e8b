"""Shows a probe's progress and its result, and says on standard error what went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chaoskit.cli.history_option import open_history
from chaoskit.execution.interrupts import say_if_interrupted
from chaoskit.terminal import complain, say_json

if TYPE_CHECKING:
    from chaoskit.analysis.result import Result
    from chaoskit.conduct.probe_only import ProbeOnly
    from chaoskit.spec.workload import Workload


def measure_and_show(probe: ProbeOnly, out: Path | None, as_document: bool, history: Path | None) -> int:
    """Measure, with the records in `out`, add the result to the history, and show it. Returns the exit code."""
    from chaoskit.report.probe_progress import ProbeProgress

    kept = open_history(history)
    with ProbeProgress(probe.all_requests) as progress:
        result = probe.measure(out, progress.show, kept.keep if kept is not None else None)
    show(result, probe.workload, as_document)
    if kept is not None:
        kept.tell()
    return result.exit_code


def show(result: Result, workload: Workload, as_document: bool) -> None:
    """As a JSON document or on the screen. A probe that was stopped before its first token is only a sentence."""
    from chaoskit.report import console
    from chaoskit.report.screen import Screen
    from chaoskit.report.vllm_keys import as_json

    was_refused = result.outcome.status == "refused"
    if result.overall.tokens or not was_refused:
        if as_document:
            say_json(as_json(result, workload))
        else:
            console.render(result, Screen())
    if was_refused:
        complain(result.outcome.detail)
    is_shown = not as_document and Screen().file.isatty()
    say_if_interrupted(result.outcome.status, Path(result.run) if result.run else None, is_shown)
    if result.internal_error:
        complain(result.internal_error)
