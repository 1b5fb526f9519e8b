"""The tables of a search for a limit, as text without any markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.analysis.limits.limit_result import LimitEstimate, LimitResult, LimitSearch

DOSES = ("dose", "held", "broke", "by")
FRONTIER = ("at", "limit", "95 % interval", "runs", "breaks first")

Row = tuple[str, ...]


def dose_rows(search: LimitSearch) -> Iterator[Row]:
    """A row of `DOSES` for each dose, from the easy end: how many runs held and broke, and by which objectives."""
    places = sorted({run.place: run.dose for run in search.runs}.items())
    for place, dose in places:
        runs = [run for run in search.runs if run.place == place]
        held, broke = (sum(run.held is is_held for run in runs) for is_held in (True, False))
        causes = dict.fromkeys(text for run in runs for text in run.broken)
        without = [run.reason or run.state for run in runs if run.held is None]
        yield dose, str(held or ""), str(broke or ""), "; ".join([*causes, *_without_outcome(without)])


def _without_outcome(reasons: Sequence[str]) -> Iterator[str]:
    """A sentence for each kind of reason, with the details of its first run."""
    kinds = [reason.partition(": ")[0] for reason in reasons]
    for kind in dict.fromkeys(kinds):
        count = kinds.count(kind)
        which = "no outcome" if count == 1 else f"{count} runs without an outcome, the first"
        yield f"{which}: {reasons[kinds.index(kind)]}"


def frontier_rows(found: LimitResult) -> Iterator[Row]:
    """A row of `FRONTIER` for each search."""
    for search in found.searches:
        estimate, limit, enclosed = search.estimate, "", ""
        if estimate is not None:
            beyond = {"above": f"beyond {found.hard}", "below": f"before {found.easy}"}
            limit = beyond.get(estimate.where) or estimate.dose or ""
            enclosed = "" if estimate.where in beyond else interval(found, estimate)
        yield label(search), limit, enclosed, str(len(search.runs)), search.breaks_first or ""


def interval(found: LimitResult, estimate: LimitEstimate) -> str:
    """`2.3% to 2.9%`; an end beyond the range says so."""
    return f"{estimate.low or f'before {found.easy}'} to {estimate.high or f'beyond {found.hard}'}"


def label(search: LimitSearch) -> str:
    """The point of a frontier: `delay=40ms`; "" for a search alone."""
    return ", ".join(f"{path.rpartition('.')[2]}={value}" for path, value in search.at.items())
