"""Shows what the looks of a run found that was to end when its objectives are decided."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from chaoskit.analysis.formatting import format_level, whole_seconds
from chaoskit.analysis.look_results import LookResult, UntilDecided
from chaoskit.analysis.result import Result
from chaoskit.report.styles import styled
from chaoskit.units import counted

_NS = 10**9


def title(result: Result, until: UntilDecided) -> str:
    """`Looked 3 times of at most 9: intervals at 98.9 %`."""
    times = {1: "once", 2: "twice"}.get(until.made, f"{until.made} times")
    return f"Looked {times} of at most {until.most}: intervals at {format_level((1 - result.level) / 2)}"


def rows(result: Result, until: UntilDecided) -> Iterator[tuple[Text, Text]]:
    """What each look found, and why the run ended."""
    for each in until.looks:
        undecided = f": {'; '.join(each.undecided)}" if each.undecided else ""
        at = whole_seconds(round(each.at_s * _NS))
        yield styled(f"round {each.round}", "dim"), styled(f"at {at}: {_counts(each)}{undecided}")
    if why := _why_it_ended(result, until):
        yield styled("end", "dim"), styled(why)


def _counts(each: LookResult) -> str:
    counts = (("met", each.met), ("broken", each.broken), ("undecided", each.undecided))
    return ", ".join(f"{len(texts)} {word}" for word, texts in counts if texts)


def _why_it_ended(result: Result, until: UntilDecided) -> str:
    if until.is_out_of_time:
        return f"the time was up after {counted(until.rounds, 'round')}; the result is the last look"
    if until.looks and not until.looks[-1].undecided and result.outcome.verdict == "undecided":
        return "all was decided at the last look, and is not with the streams that ended after it; run it again"
    return ""
