"""Requests with the lengths of the Azure trace, run through an engine, and what their users saw."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise

from chaoskit.seed import source
from chaoskit.server.inference.profiles import PROFILES
from chaoskit.server.inference.scheduler import Engine
from chaoskit.server.inference.sequence import Sequence
from chaoskit.server.inference.settings import OUTPUT_LENGTHS, PROMPT_LENGTHS, EngineSettings

SECOND = 10**9
A100 = PROFILES["llama-3-8b-a100"]
SETTINGS = EngineSettings(A100.steps, A100.kv_cache)
AZURE = "azure-2023-conversation"


@dataclass(frozen=True)
class Asked:
    """A request: when, and its tokens."""

    at: int
    prompt: int
    output: int
    priority: int = 0


@dataclass
class Seen:
    """What became of requests: their sequences, the stamps of their tokens, the steps, and the engine."""

    engine: Engine
    sequences: list[Sequence] = field(default_factory=list)
    tokens: dict[Sequence, list[int]] = field(default_factory=dict)
    end: int = 0
    peaks: dict[str, int] = field(default_factory=dict)

    def peak(self, queue: str) -> int:
        """The most requests that were `running` or `waiting`."""
        return self.peaks.get(queue, 0)

    @property
    def first_tokens(self) -> list[float]:
        """From arrival to first token, ms, sorted."""
        return sorted((self.tokens[each][0] - each.arrival) / 1e6 for each in self.sequences)

    @property
    def gaps(self) -> list[float]:
        """Between tokens, ms, sorted."""
        stamps = self.tokens.values()
        return sorted((b - a) / 1e6 for each in stamps for a, b in pairwise(each))

    @property
    def busy(self) -> float:
        """The share of time in which a step was computed."""
        return self.engine.busy / self.end


def azure(rate: float, seconds: float, seed: int = 1) -> list[Asked]:
    """Poisson arrivals with the lengths of Azure's conversations."""
    gaps = source(seed, "arrivals")
    times = accumulate(gaps.expovariate(rate) for _ in range(round(2 * rate * seconds) + 50))
    inside = [time for time in times if time < seconds]
    return [
        Asked(
            round(time * SECOND),
            PROMPT_LENGTHS[AZURE].draw(seed, "prompt", number),
            OUTPUT_LENGTHS[AZURE].draw(seed, "output", number),
        )
        for number, time in enumerate(inside)
    ]


def run(requests: list[Asked], settings: EngineSettings = SETTINGS, **changes: object) -> Seen:
    """Run these requests to their end."""
    engine = Engine(replace(settings, **changes))  # type: ignore[arg-type]  # by name
    seen, now, number = Seen(engine), 0, 0
    while True:
        while number < len(requests) and requests[number].at <= now:
            asked = requests[number]
            sequence = engine.arrive(asked.prompt, asked.output, asked.at, asked.priority)
            seen.sequences.append(sequence)
            seen.tokens[sequence] = []
            number += 1
        step = engine.step(now)
        if step is None:
            if number == len(requests):
                return seen
            now = requests[number].at
            continue
        now = seen.end = step.end
        for queue, members in (("running", engine.running), ("waiting", engine.waiting)):
            seen.peaks[queue] = max(seen.peak(queue), len(members))
        for sequence in step.tokens:
            seen.tokens[sequence].append(now)


def quantile(values: list[float], share: float) -> float:
    """Of sorted values."""
    return values[min(len(values) - 1, int(share * len(values)))]


def _seconds(ms: float) -> str:
    """Two digits."""
    return f"{ms / 1000:.{0 if ms > 9_950 else 1 if ms > 995 else 2}f}"


def load_row(rate: float) -> str:
    """A line of the table of loads in docs/tiers.md."""
    seen = run(azure(rate, 150))
    waits = "/".join(_seconds(quantile(seen.first_tokens, share)) for share in (0.5, 0.95))
    gaps = "/".join(f"{quantile(seen.gaps, share):.0f}" for share in (0.5, 0.95))
    return (
        f"| {rate:g} | {100 * seen.busy:.0f} % | {seen.peak('running')} | {seen.peak('waiting')} | {waits} | {gaps} |"
    )


def cache_row(kv_cache: int, max_seqs: int = 256) -> str:
    """A line of the table of KV caches there."""
    seen = run(azure(5, 150), kv_cache=kv_cache, max_seqs=max_seqs)
    cells = [
        f"{kv_cache // 1000}k" + (f", max-num-seqs {max_seqs}" if max_seqs != 256 else ""),
        str(seen.engine.preemptions),
        _seconds(quantile(seen.first_tokens, 0.5)),
        f"{quantile(seen.gaps, 0.5):.0f}",
        _seconds(seen.gaps[-1]),
        f"{100 * seen.busy:.0f} %",
    ]
    return f"| {' | '.join(cells)} |"
