"""Renders the result of a suite: a row for each run, and what did not end as expected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from chaoskit.analysis.formatting import whole_seconds
from chaoskit.analysis.suite_result import SuiteResult, SuiteRunResult
from chaoskit.errors import EXIT_SOFTWARE
from chaoskit.report.console import print_sections, section, two_columns
from chaoskit.report.styles import VERDICT_STYLES, safe, styled
from chaoskit.report.table import plain_table
from chaoskit.units import counted

_NS = 10**9
_HEADLINES = {
    0: "PASSED",
    1: "BROKEN",
    3: "ERROR",
    4: "DIRTY",
    5: "UNDECIDED",
    EXIT_SOFTWARE: "CRASHED",
    130: "INTERRUPTED",
    143: "INTERRUPTED",
}
_STYLES = {0: VERDICT_STYLES["met"], 1: VERDICT_STYLES["broken"], 4: "bold red", EXIT_SOFTWARE: "bold red"}
_ERRORS = {
    2: "invalid file",
    3: "error",
    4: "not restored",
    EXIT_SOFTWARE: "crashed",
    130: "interrupted",
    143: "interrupted",
}
_STATES = {
    "waiting": "waiting",
    "running": "running",
    "interrupted": "interrupted",
    "not-run": "not run",
    "not-selected": "not selected",
}


def render(suite: SuiteResult, console: Console) -> None:
    """Print all runs."""
    print_sections([*_parts(suite)], console)


def run_line(run: SuiteRunResult) -> Text:
    """A run that has just ended: its name, its outcome, how long it took."""
    line = Text().append(f"{safe(run.name)}  ")
    line.append_text(outcome(run))
    line.append(f"  {whole_seconds(round(run.seconds * _NS))}", "dim") if run.seconds else None
    return line.append(f"  {safe(why(run))}" if run.failure is not None and run.reason else "")


def outcome(run: SuiteRunResult) -> Text:
    """The outcome of a run in words, and whether it was expected."""
    words = outcome_words(run)
    if run.is_as_expected is None:
        return Text(words, "dim")
    if run.failure is None:
        return Text(words, "green")
    return Text(words, "bold red" if run.failure in ("broken", "error") else "bold magenta")


def outcome_words(run: SuiteRunResult) -> str:
    """The same without a style: `broken, as expected`, or `met, and broken is expected`."""
    if run.outcome is None:
        return _STATES[run.state]
    if run.outcome == "error":
        return _ERRORS.get(run.code or 0, "crashed")
    if run.expect == "broken":
        return f"{run.outcome}, as expected" if run.failure is None else f"{run.outcome}, and broken is expected"
    return run.outcome


def summary(suite: SuiteResult) -> str:
    """How many runs ended how: `1 of 3 runs not as expected: 1 broken; 2 as expected: 2 met`; which command failed."""
    selected = [run for run in suite.runs if run.state != "not-selected"]
    failed, count = suite.failures(), len(selected)
    ended = [run for run in selected if run.is_as_expected is not None]
    good = [run for run in ended if run.failure is None]
    if len(ended) < count:
        parts = [f"{len(ended)} of {counted(count, 'run')} ended: {_counts(selected)}"]
    elif failed:
        parts = [f"{len(failed)} of {counted(count, 'run')} not as expected: {_counts(failed)}"]
        parts += [f"{len(good)} as expected: {_counts(good)}"] if good else []
    else:
        begin = f"all {count} runs as expected" if count > 1 else "the run ended as expected"
        parts = [f"{begin}: {_counts(good)}"]
    parts += [f"{left} not selected"] if (left := len(suite.runs) - count) else []
    line = "; ".join(parts) + (f" ({suite.detail})" if suite.detail else "")
    if not suite.errors:
        return line
    others = f", and {len(suite.errors) - 1} more" if suite.errors[1:] else ""
    return f"{line}. A command of the suite failed: {suite.errors[0]}{others}"


def why(run: SuiteRunResult) -> str:
    """Why it did not end as expected, in words that stand alone."""
    if run.expect == "broken" and run.outcome == "met":
        met = f"every objective is met: {run.reason}" if run.reason else "every objective is met"
        return f"it was expected to be broken, and {met}; if the weakness is gone, remove expect: broken"
    return run.reason


def purpose(run: SuiteRunResult) -> tuple[str, str]:
    """What a run is for, and what that is: `expected` where the suite says what should hold, else the `question`."""
    return ("expected", run.hypothesis) if run.hypothesis else ("question", run.question)


def headline(suite: SuiteResult) -> str:
    """The verdict of the suite in one word."""
    return "RUNNING" if suite.status == "running" else _HEADLINES.get(suite.exit_code, "CRASHED")


def _counts(runs: Sequence[SuiteRunResult]) -> str:
    words = [_word(run) for run in runs]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(sorted(words)))


def _word(run: SuiteRunResult) -> str:
    if run.expect == "broken" and run.outcome == "met":
        return "met where broken is expected"
    return run.outcome if run.outcome not in (None, "error") else outcome_words(run)


def _parts(suite: SuiteResult) -> Iterator[RenderableType]:
    title = styled(suite.name, "bold").append(f"  {counted(len(suite.runs), 'run')}", "not bold dim")
    yield title.append(f", owner {safe(suite.owner)}" if suite.owner else "", "not bold dim")
    table = plain_table()
    for header in ("run", "outcome"):
        table.add_column(header, header_style="dim", overflow="fold")
    table.add_column("took", header_style="dim", justify="right", no_wrap=True)
    for run in suite.runs:
        table.add_row(styled(run.name), outcome(run), whole_seconds(round(run.seconds * _NS)) if run.seconds else "")
    yield Padding(table, (0, 0, 0, 2))
    if suite.failures():
        yield section("Not as expected", Group(*(each for run in suite.failures() for each in _failure(suite, run))))
    if suite.errors:
        yield section("Commands that failed", Padding(Text("\n".join(map(safe, suite.errors))), (0, 0, 0, 2)))
    rows: list[tuple[RenderableType, RenderableType]] = []
    if suite.folder:
        rows.append((Text("records", style="dim"), styled(suite.folder)))
    word = Text(headline(suite), style=_STYLES.get(suite.exit_code, "bold magenta"))
    yield two_columns([*rows, (word, styled(summary(suite)))], indent=0)


def _failure(suite: SuiteResult, run: SuiteRunResult) -> Iterator[RenderableType]:
    """What a person needs who is told of it."""
    yield styled(f"  {run.name}", "bold").append(": ", "not bold").append_text(outcome(run))
    told = (
        ("why", why(run)),
        purpose(run),
        ("owner", run.owner),
        ("records", str(Path(suite.folder) / run.directory) if run.directory else ""),
    )
    rows = [(styled(word, "dim"), styled(text)) for word, text in told if text]
    if rows:
        yield two_columns(rows, indent=4)
