"""Puts a comparison of runs into words, for every format that people read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from chaoskit.analysis.formatting import (
    ANYTHING,
    NO_VALUE,
    about,
    format_change,
    format_change_interval,
    format_interval,
    format_value,
)
from chaoskit.analysis.result import Unit
from chaoskit.analysis.run_comparison.result import (
    ChangeVerdict,
    ComparedRun,
    ComparisonVerdict,
    MetricChange,
    RunComparison,
)
from chaoskit.analysis.summaries import IntervalEstimate
from chaoskit.spec.metrics import HEADLINES
from chaoskit.units import counted

NOT_SHOWN: ChangeVerdict = "not-shown"
SHOWN: tuple[ChangeVerdict, ...] = ("regressed", "improved", "changed")
"""The verdicts of changes beyond chance."""
_HEADLINES: dict[ComparisonVerdict, str] = {
    "regressed": "REGRESSED",
    "undecided": "UNDECIDED",
    "no-worse": "NO WORSE",
    "not-shown": "NO REGRESSION SHOWN",
}
_SHORT = 12  # characters of a commit
_MOST_NAMES = 4


def headline(verdict: ComparisonVerdict) -> str:
    """The verdict in a word or two."""
    return _HEADLINES[verdict]


def label(change: MetricChange) -> str:
    """What the metric is called in a table, and whose it is where not everybody's."""
    return f"{HEADLINES.get(change.metric, change.metric)} {change.population}".strip()


def place(change: MetricChange) -> str:
    """The variant, the workload and the phase."""
    return ", ".join(filter(None, (change.variant, change.workload, change.phase or "whole run")))


def verdict_in_words(change: MetricChange) -> str:
    """`no worse than 5%` of what is so within its margin; `needs 470` streams of what too few cannot tell."""
    if change.verdict == NOT_SHOWN and change.streams_needed is not None:
        return f"needs {about(change.streams_needed, 'stream').split()[1]}"
    return f"no worse than {change.margin}" if change.verdict == "no-worse" else change.verdict.replace("-", " ")


def change_in_words(change: MetricChange, is_ratio: bool | None = None) -> str:
    """The change with its interval, as the verdict sees it: a ratio where the margin is a share of the reference."""
    if is_ratio is None:
        is_ratio = change.margin.endswith("%") and change.ratio.value is not None
    if is_ratio:
        return ratio_in_words(change)
    found = change.difference
    if found.value is None:
        return NO_VALUE
    value = (
        format_value(found.value, change.unit) if math.isinf(found.value) else format_change(found.value, change.unit)
    )
    return _marked(change, value) + _interval(found, change.unit)


def ratio_in_words(change: MetricChange) -> str:
    """The ratio with its interval."""
    if change.ratio.value is None:
        return NO_VALUE
    return _marked(change, format_value(change.ratio.value, "ratio")) + _interval(change.ratio, "ratio")


def _marked(change: MetricChange, text: str) -> str:
    is_shown = change.verdict in (*SHOWN, "no-worse")
    return text if is_shown or text in (NO_VALUE, "never", "∞") else f"≈{text}"


def in_order(changes: Iterable[MetricChange]) -> list[MetricChange]:
    """What can be told first: the changes without any interval come last."""
    return sorted(changes, key=lambda each: each.verdict == NOT_SHOWN and _is_open(each))


def _is_open(change: MetricChange) -> bool:
    """Whether there is no interval of the change, or one that excludes nothing."""
    low, high = change.difference.low, change.difference.high
    return low is None or high is None or (math.isinf(low) and math.isinf(high))


def _interval(found: IntervalEstimate, unit: Unit) -> str:
    """In parentheses; nothing where it excludes nothing: then the verdict says how many streams it needs."""
    if found.low is None or found.high is None or found.low == found.high:
        return ""
    is_ratio = unit == "ratio"
    text = (format_interval if is_ratio else format_change_interval)(found.low, found.high, unit)
    return f" ({text})" if text not in ("", ANYTHING) else ""


def made_with(runs: Sequence[ComparedRun]) -> str:
    """When and with what the runs of a side were made, as far as all are alike."""
    parts = [counted(len(runs), "run")] if len(runs) > 1 else []
    started = sorted(each.started for each in runs if each.started)
    if started:
        parts.append(started[0][:16].replace("T", " "))
    for noun, found in (
        ("commit", {(each.commit or "")[:_SHORT] for each in runs}),
        ("chaoskit", {each.chaoskit or "" for each in runs}),
        ("seed", {"" if each.seed is None else str(each.seed) for each in runs}),
    ):
        if len(found) == 1 and (value := found.pop()):
            parts.append(f"{noun} {value}")
    return ", ".join(parts)


def is_silent(change: MetricChange) -> bool:
    """Whether its verdict is left out of a table: nothing is shown, and no number of streams is named."""
    return change.verdict == NOT_SHOWN and change.streams_needed is None


def judged_in_words(found: RunComparison) -> str:
    """How sure the verdicts are, of so many comparisons at once."""
    if not found.judged:
        return "nothing could be judged"
    changes = [each for candidate in found.candidates for each in candidate.changes]
    levels = {each.level for each in changes if each.verdict != "no-worse" and not _is_open(each)}
    ends = [min(levels), max(levels)] if levels else []
    told = " to ".join(dict.fromkeys(f"{100 * level:.5g} %" for level in ends))
    intervals = f": intervals at {told}" if told else ""
    return (
        f"{counted(found.judged, 'comparison')} at once{intervals}, so that runs without a difference show any "
        f"in {100 * found.error:.0f} % at most"
    )


def needs_in_words(found: RunComparison) -> str:
    """What `needs 470` means; "" where nothing needs more streams."""
    changes = [each for candidate in found.candidates for each in candidate.changes]
    is_any = any(each.verdict == NOT_SHOWN and each.streams_needed is not None for each in changes)
    return "needs N: so many streams on each side before a change can be told" if is_any else ""


def names_in_words(found: RunComparison) -> str:
    """What objectives and tolerances name; "" where nothing does."""
    changes = [each for candidate in found.candidates for each in candidate.changes if each.is_named]
    names = list(dict.fromkeys(f"{each.metric}{f' during {each.phase}' if each.phase else ''}" for each in changes))
    if not names:
        return ""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"named by objectives or tolerances: {', '.join(names[:_MOST_NAMES])}{more}"
