"""Says what a code host shows beside the lines of an experiment file: what broke, what is undecided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from chaoskit.report.formats.source import Run, Source
from chaoskit.report.headline import headline, what_broke, word
from chaoskit.report.objective_lines import objective_lines
from chaoskit.terminal import printable_begin

Severity = Literal["error", "warning", "notice"]
_MOST = 1000  # characters


class Annotation(NamedTuple):
    """One of them, on one line of printable text. `line` is 1 where the file has no line for it."""

    severity: Severity
    file: str
    line: int
    title: str
    message: str


def annotate(sources: Sequence[Source]) -> list[Annotation]:
    """The errors first: a code host shows only the first few."""
    found = [each for source in sources for run in source.runs for each in _of_run(source, run)]
    order: tuple[Severity, ...] = ("error", "warning", "notice")
    return sorted(found, key=lambda each: order.index(each.severity))


def _of_run(source: Source, run: Run) -> Iterator[Annotation]:
    name = f"{source.title} {run.variant}" if run.variant else source.title
    result = run.result
    if result is None:
        is_left = run.missing == "not run"
        yield _made("warning" if is_left else "error", source, 1, f"NOT RUN: {name}" if is_left else name, run.missing)
        return
    if result.outcome.status != "finished" or result.internal_error:
        yield _made("error", source, 1, f"{word(result)}: {name}", result.internal_error or headline(result))
    lines = objective_lines(source.file_text)
    judged = [*result.objectives, *(each for other in result.workloads for each in other.objectives)]
    for each in judged:
        line = lines.get(each.text, 1)
        if each.verdict == "broken":
            yield _made("error", source, line, f"BROKEN: {name}", what_broke(result, each))
        elif each.verdict == "undecided":
            yield _made("warning", source, line, f"UNDECIDED: {name}", f"{each.text}: {each.reason}")
    if result.exit_code == 0:
        yield _made("notice", source, 1, f"{word(result)}: {name}", headline(result))


def _made(severity: Severity, source: Source, line: int, title: str, message: str) -> Annotation:
    return Annotation(severity, _text(source.file), line, _text(title), _text(message))


def _text(text: str) -> str:
    return printable_begin(text, _MOST)
