"""Compares runs: reads them, refuses what is not comparable, and judges every change."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from chaoskit import __version__
from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.run_comparison.changes import UNCHANGED, Pair
from chaoskit.analysis.run_comparison.differences import differences, remarks, unfinished
from chaoskit.analysis.run_comparison.directories import Group, Tell, find, labelled, read, require_different
from chaoskit.analysis.run_comparison.family import tails, weights
from chaoskit.analysis.run_comparison.measured import MeasuredRun
from chaoskit.analysis.run_comparison.pairs import pairs
from chaoskit.analysis.run_comparison.repeats import Runs, counted_once, repeats, require_no_copies, shared
from chaoskit.analysis.run_comparison.request import Request
from chaoskit.analysis.run_comparison.result import (
    Candidate,
    ComparisonVerdict,
    Difference,
    DifferenceKind,
    MetricChange,
    RunComparison,
)
from chaoskit.analysis.run_comparison.sides import Side, Sides
from chaoskit.errors import SpecError
from chaoskit.spec.metrics import METRICS
from chaoskit.spec.tolerances import Tolerances
from chaoskit.units import counted

_MOST_FIELDS = 12  # of a refusal
_MOST_NAMED = 3  # changes in a sentence
_LATENCIES = ("ttft_p95", "ttft_p50")


def _tell_nobody(_what: str, _done: int, _total: int) -> None:
    pass


def compare_runs(request: Request, tell: Tell = _tell_nobody) -> RunComparison:
    """The comparison. Raises SpecError for what is no run directory, and what is not comparable."""
    groups = [find(paths) for paths in request.groups]
    require_different(groups)
    _require_one_kind(groups)
    groups = labelled(groups)
    every = read(groups, tell)
    require_no_copies(every)
    reference = every[0]
    accepted = [_accepted(reference, runs, request.despite) for runs in every[1:]]
    of_reference = _of_reference(reference, request.despite)
    counted_twice = [tuple(repeats(runs)) for runs in every]
    every = [counted_once(runs) for runs in every]
    reference = every[0]
    sides = [_sides(runs) for runs in every]
    listed = [list(pairs(sides[0], other, request.tolerances)) for other in sides[1:]]
    judged, count = _judged(listed)
    return RunComparison(
        chaoskit=__version__,
        name=reference[0][1].spec.name,
        reference_name=groups[0].name,
        reference=tuple(run.about for _, run in reference),
        tolerances=request.tolerance_texts,
        judged=count,
        stall_threshold_ms=reference[0][1].stall_threshold_ms,
        remarks=(
            *(each.sentence for each in of_reference),
            *groups[0].not_run,
            *counted_twice[0],
            *_unlike(reference),
        ),
        candidates=tuple(
            _candidate(
                group,
                runs,
                differences,
                changes,
                (*_missing(sides[0], side, groups[0].name, group.name), *group.not_run),
                (*twice, *_unlike(runs), *_told(reference, runs), *shared(reference, runs)),
                is_whole="experiment" not in request.despite,
                judged=sum(pair.can_differ for pair in compared),
                is_same=all(side[name].has_records_of(sides[0][name]) for name in side if name in sides[0]),
            )
            for group, runs, side, differences, compared, changes, twice in zip(
                groups[1:], every[1:], sides[1:], accepted, listed, judged, counted_twice[1:], strict=True
            )
        ),
    )


def _require_one_kind(groups: Sequence[Group]) -> None:
    kinds = {group.is_matrix for group in groups}
    if len(kinds) > 1:
        matrix = next(group for group in groups if group.is_matrix)
        single = next(group for group in groups if not group.is_matrix)
        first = next(folder.path for folder in matrix.folders if folder.variant)
        raise SpecError(
            f"{matrix.name} is a matrix, and {single.name} a single run; compare it with one of the variants: "
            f"chaoskit compare {single.given[0]} {first}"
        )


def _of_reference(reference: Runs, despite: Collection[DifferenceKind]) -> tuple[Difference, ...]:
    """What its runs differ in from the first of their variant, and those that did not end. Raises SpecError."""
    first = _first_of_each(reference)
    found = [
        each for variant, run in reference if run is not first[variant] for each in differences(first[variant], run)
    ]
    ended = [each for run in first.values() for each in unfinished(run)]
    return _checked((*ended, *found), despite)


def _accepted(reference: Runs, runs: Runs, despite: Collection[DifferenceKind]) -> tuple[Difference, ...]:
    """What its runs differ in from those of the reference, each once. Raises SpecError unless all was accepted."""
    first = _first_of_each(reference)
    found = [each for variant, run in runs if variant in first for each in differences(first[variant], run)]
    return _checked(found, despite)


def _first_of_each(runs: Runs) -> dict[str, MeasuredRun]:
    return dict(reversed(runs))


def _checked(found: Iterable[Difference], despite: Collection[DifferenceKind]) -> tuple[Difference, ...]:
    each = tuple(dict.fromkeys(found))
    refused = [one for one in each if one.kind not in despite]
    if refused:
        lines = [line for one in refused for line in _lines(one)]
        kinds = ",".join(dict.fromkeys(one.kind for one in refused))
        raise SpecError(
            "\n".join([f"these runs are not comparable; to compare them all the same: --despite {kinds}", *lines])
        )
    return each


def _lines(one: Difference) -> Iterator[str]:
    yield f"{one.kind}: {one.sentence}"
    for change in one.fields[:_MOST_FIELDS]:
        yield f"  {change.field}: {change.reference or '(nothing)'} -> {change.value or '(nothing)'}"
    if len(one.fields) > _MOST_FIELDS:
        yield f"  and {counted(len(one.fields) - _MOST_FIELDS, 'more key')}"


def _sides(runs: Runs) -> Sides:
    variants: dict[str, list[MeasuredRun]] = {}
    for variant, run in runs:
        variants.setdefault(variant, []).append(run)
    return {variant: Side(those) for variant, those in variants.items()}


def _judged(candidates: Sequence[Sequence[Pair]]) -> tuple[list[tuple[MetricChange, ...]], int]:
    """The changes of each candidate, and how many share one error."""
    family = [pair for each in candidates for pair in each if pair.can_differ]
    shares = weights([pair for pair in family if pair.is_named], [pair for pair in family if not pair.is_named])
    parts = tails(shares, lambda pair, part: pair.differs(part))
    return [tuple(pair.judged(parts.get(pair, 1.0)) for pair in each) for each in candidates], len(family)


def _unlike(runs: Runs) -> Iterator[str]:
    """That runs of one side differ from one another more than their streams tell."""
    first = _first_of_each(runs)
    others = [(variant, run) for variant, run in runs if run is not first[variant]]
    found, _ = _judged(
        [
            list(pairs({variant: Side([first[variant]])}, {variant: Side([run])}, Tolerances()))
            for variant, run in others
        ]
    )
    for (variant, run), changes in zip(others, found, strict=True):
        if shown := [each for each in changes if each.verdict in ("regressed", "improved", "changed")]:
            yield (
                f"{run.name} differs from {first[variant].name} on the same side: {in_words(shown[0])}; "
                "intervals do not tell how runs differ, so take more runs of each"
            )


def _told(reference: Runs, runs: Runs) -> Iterator[str]:
    first = _first_of_each(reference)
    yield from (each for variant, run in runs if variant in first for each in remarks(first[variant], run))


def _candidate(
    group: Group,
    runs: Runs,
    accepted: tuple[Difference, ...],
    changes: tuple[MetricChange, ...],
    missing: tuple[str, ...],
    told: Iterable[str],
    is_whole: bool,
    judged: int,
    is_same: bool,
) -> Candidate:
    """The result of one side. `is_whole`: what only one side has is no part of an accepted difference.

    `judged`: how many of its changes could be; `is_same`: its records are those of the reference.
    """
    verdict, reason = _verdict(changes, missing if is_whole else (), judged, is_same)
    return Candidate(
        name=group.name,
        runs=tuple(run.about for _, run in runs),
        differences=accepted,
        remarks=tuple(dict.fromkeys((*missing, *told))),
        changes=changes,
        verdict=verdict,
        reason=reason,
    )


def _missing(reference: Sides, sides: Sides, base: str, name: str) -> Iterator[str]:
    """Variants, workloads and phases that only one side has."""
    yield from _only("variant", reference, sides, base, name)
    for variant in (each for each in reference if each in sides):
        ours, theirs = reference[variant], sides[variant]
        yield from _only("workload", ours.workloads, theirs.workloads, base, name)
        for workload in (each for each in ours.workloads if each in theirs.workloads):
            yield from _only("phase", ours.phases(workload), theirs.phases(workload), base, name)


def _only(noun: str, ours: Collection[str], theirs: Collection[str], base: str, name: str) -> Iterator[str]:
    yield from (f"{noun} {each} is in {base} only" for each in ours if each not in theirs)
    yield from (f"{noun} {each} is in {name} only" for each in theirs if each not in ours)


def _verdict(
    changes: Sequence[MetricChange], missing: Sequence[str], judged: int, is_same: bool
) -> tuple[ComparisonVerdict, str]:
    """Of all changes: the worst of what objectives and tolerances name, and of what is shown anywhere."""
    by: Mapping[str, list[MetricChange]] = {
        verdict: [each for each in changes if each.verdict == verdict]
        for verdict in ("regressed", "improved", "undecided", "no-worse")
    }
    if by["regressed"]:
        worst = sorted(by["regressed"], key=lambda each: not each.is_named)
        more = f", and {len(worst) - _MOST_NAMED} more" if len(worst) > _MOST_NAMED else ""
        return "regressed", f"{', '.join(map(in_words, worst[:_MOST_NAMED]))}{more}"
    is_named = any(each.is_named for each in changes)
    undecided = [each for each in by["undecided"] if each.is_named or not is_named]
    if undecided:
        return "undecided", f"{of_what(undecided[0])}: {undecided[0].reason}"
    if not changes:
        return "undecided", "no phase of both has a metric in common"
    if missing:
        return "undecided", missing[0]
    if is_same:
        return "not-shown", UNCHANGED
    if not judged or not any(
        math.isfinite(each.difference.low or 0) for each in changes if each.difference.value is not None
    ):
        return "undecided", "too few streams to show any change"
    if any(each.margin and (each.is_named or not is_named) for each in changes):
        return "no-worse", f"{counted(len(by['no-worse']), 'comparison')} no worse than the tolerance"
    return "not-shown", f"none of {counted(judged, 'comparison')} shows one{_at_worst(changes)}{_too_small(changes)}"


def of_what(change: MetricChange) -> str:
    """`ttft_p95 during wifi for premium, of batch, delay=80ms`."""
    during = f" during {change.phase}" if change.phase else " of the whole run"
    population = f" {change.population}" if change.population else ""
    more = "".join(f", {each}" for each in (change.workload, change.variant) if each)
    return f"{change.metric}{during}{population}{more}"


def in_words(change: MetricChange) -> str:
    """`ttft_p95 during wifi 310 ms → 480 ms`."""
    values = (format_value(each, change.unit) for each in (change.reference, change.value))
    return f"{of_what(change)} {' → '.join(values)}"


def _at_worst(changes: Sequence[MetricChange]) -> str:
    """How much worse the most important latency may be all the same."""
    for listed in (
        [each for each in changes if each.is_named],
        *([each for each in changes if each.metric == metric] for metric in _LATENCIES),
    ):
        known = [(worse, each) for each in listed if (worse := _most_worse(each)) is not None]
        if known:
            worse, change = max(known, key=lambda pair: pair[0])
            return f"; {of_what(change)} may still be {100 * worse:.2g} % worse" if worse > 0 else ""
    return ""


def _too_small(changes: Sequence[MetricChange]) -> str:
    """How many could not tell any change, for want of streams."""
    small = sum(each.verdict == "not-shown" and each.streams_needed is not None for each in changes)
    return f"; {counted(small, 'other')} {'needs' if small == 1 else 'need'} more streams" if small else ""


def _most_worse(change: MetricChange) -> float | None:
    """By the interval of the ratio, as a share of the reference; None where that has no end."""
    low, high = change.ratio.low, change.ratio.high
    if change.ratio.value is None or low is None or high is None or math.isinf(high):
        return None
    return 1 - low if METRICS[change.metric].more_is_better else high - 1
