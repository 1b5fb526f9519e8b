"""Sums up how much the requests of a workload ask, over its workflows or the rows of its trace."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist

from chaoskit.spec.asking import PromptSizes, TokenCounts
from chaoskit.spec.replay import read_rows
from chaoskit.spec.workload import Workload
from chaoskit.token_lengths import BYTES_PER_TOKEN
from chaoskit.units import Share, Size


def mean_tokens(work: Workload) -> float:
    """How many tokens requests ask for on average."""
    if work.trace is not None:
        asked = read_rows(work.trace).output
        return sum(asked) / len(asked)
    counts = [(weight, each.output_tokens) for weight, each in _parts(work)]
    whole = sum(weight for weight, _ in counts)
    return sum(weight * (each.mean if isinstance(each, TokenCounts) else each) for weight, each in counts) / whole


def mean_prompt(work: Workload) -> float:
    """How many bytes prompts have on average; 0 for those of a file, which are not looked at."""
    if work.trace is not None:
        asked = read_rows(work.trace).prompt
        return BYTES_PER_TOKEN * sum(asked) / len(asked)
    sizes = [(weight, 0 if each.prompts is not None else each.prompt_size) for weight, each in _parts(work)]
    whole = sum(weight for weight, _ in sizes)
    return sum(weight * (each.mean if isinstance(each, PromptSizes) else each) for weight, each in sizes) / whole


def late_tokens(work: Workload) -> int:
    """What no more than 1 of 100 requests exceeds."""
    return _tokens(work, 0.99)


def most_tokens(work: Workload) -> int:
    """What no more than 1 of 10,000 requests exceeds."""
    return _tokens(work, 0.9999)


def largest_prompt(work: Workload) -> Size:
    """What next to no prompt exceeds."""
    if work.trace is not None:
        return Size(max(read_rows(work.trace).prompt) * BYTES_PER_TOKEN)
    sizes = (each.prompt_size for _, each in _parts(work))
    return max(size.p99 if isinstance(size, PromptSizes) else size for size in sizes)


def _tokens(work: Workload, quantile: float) -> int:
    """What no more than this quantile leaves over exceeds, in any workflow."""
    if work.trace is not None:
        asked = sorted(read_rows(work.trace).output)
        return asked[min(len(asked) - 1, int(quantile * len(asked)))]
    counts = (each.output_tokens for _, each in _parts(work))
    z = NormalDist().inv_cdf(quantile)
    return max(each.at(z) if isinstance(each, TokenCounts) else each for each in counts)


def _parts(work: Workload) -> Iterator[tuple[float, Workload]]:
    """The workload of each workflow, weighted by the requests that it sends."""
    if not work.demand:
        yield 1.0, work
    for name, each in work.demand.items():
        own = work.of(name)
        yield each.share / Share.largest * own.turns, own
