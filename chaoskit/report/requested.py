"""Says in a few words what a workload asks: arrivals, prompts, tokens, workflows, users."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.spec.multiple import shown
from chaoskit.spec.workload import Workload
from chaoskit.units import counted


def requested(work: Workload, about: str = "") -> str:
    """`5/s open loop (about 300 streams), 1kB prompts, 100 tokens`; `about` follows the arrivals of an open loop."""
    return ", ".join((_arrivals(work, about), *_lengths(work), *_who(work)))


def _arrivals(work: Workload, about: str) -> str:
    if work.trace is not None:
        speed = "" if work.trace.speed == 1 else f" at {shown(work.trace.speed)}"
        return f"the requests of {work.trace.file}{speed}{about}"
    if work.request_rate is None:
        return f"{counted(work.max_concurrency or 0, 'stream')} at a time"
    clients = "" if work.clients is None else f" from {counted(work.clients.count, 'client')}"
    day = "" if work.diurnal is None else f", from trough to peak {shown(work.diurnal.peak_to_trough)}"
    return f"{work.request_rate} open loop{clients}{day}{about}"


def _lengths(work: Workload) -> Iterator[str]:
    if work.trace is None:
        yield _prompts(work)
        yield _tokens(work)


def _tokens(work: Workload) -> str:
    """`100 tokens`, `200 tokens (p99 1000)`."""
    tokens = work.output_tokens
    if isinstance(tokens, int):
        return counted(tokens, "token")
    return f"{counted(tokens.median, 'token')} (p99 {tokens.p99})"


def _prompts(work: Workload) -> str:
    drawn = f"{work.prompt_size} prompts" if work.prompts is None else f"the prompts of {work.prompts}"
    return f"{drawn} in conversations of {work.turns}" if work.turns > 1 else drawn


def _who(work: Workload) -> Iterator[str]:
    if work.demand:
        yield " and ".join(f"{each.share} {name}" for name, each in work.demand.items())
    if (retry := work.users.retry) is not None:
        yield f"{retry.share} of the users ask again after {retry.patience}, {counted(retry.times, 'time')} at most"
