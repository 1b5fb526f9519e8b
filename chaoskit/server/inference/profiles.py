"""Defines how long a step of an engine takes, and what was published of real models.

A step's time depends on the tokens in its batch: flat as long as reading the weights takes longer than computing, then
linear. Attention adds the time to read the KV cache of every sequence in the batch. Computing of attention is not in
the presets: it matters for prompts of many thousands of tokens.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

from chaoskit.units import Duration, counted

_MS = 10**6  # ns
_VIDUR = "microsoft/vidur 7d47513 (MIT), data/profiling/compute"


@dataclass(frozen=True)
class StepTimes:
    """The time of a step: by the tokens in its batch, and for every 1000 tokens of context that it reads.

    `points` are (tokens, ns), in order; between them and after the last one it is linear.
    """

    points: tuple[tuple[int, int], ...]
    context: Duration

    def of_tokens(self, tokens: int) -> int:
        """The time of a step with so many tokens and no context, ns."""
        points = self.points
        if tokens <= points[0][0] or len(points) == 1:
            return points[0][1]
        at = min(bisect_left(points, (tokens, 0)), len(points) - 1)
        (low, begin), (high, end) = points[at - 1], points[at]
        return begin + round((end - begin) * (tokens - low) / (high - low))

    def of_context(self, tokens: int) -> int:
        """What reading so many tokens of context adds, ns."""
        return round(tokens * self.context / 1000)

    def problem(self) -> str:
        """What is wrong with the points; empty where nothing is."""
        for (low, begin), (high, end) in pairwise(self.points):
            if high <= low or end < begin:
                return f"a step of {counted(high, 'token')} takes less time than one of {low}"
        return ""


@dataclass(frozen=True)
class Profile:
    """A model on its accelerators: times of steps, and how many tokens its KV cache holds."""

    steps: StepTimes
    kv_cache: int
    source: str


def _profile(milliseconds: dict[int, float], context: int, kv_cache: int, source: str) -> Profile:
    points = tuple((tokens, round(time * _MS)) for tokens, time in milliseconds.items())
    return Profile(StepTimes(points, Duration(context)), kv_cache, source)


PROFILES: dict[str, Profile] = {
    "llama-3-8b-a100": _profile(
        {1: 9.7, 32: 10.9, 64: 11.2, 128: 13.2, 256: 19.5, 512: 34.6, 1024: 75, 2048: 146, 4096: 274},
        context=65_536,  # 128 KiB for each token, at 2.0 TB/s
        kv_cache=412_000,  # (0.9 x 80 - 16 - 2) GB / 128 KiB
        source=f"{_VIDUR}/a100, Meta-Llama-3-8B, one GPU",
    ),
    "llama-3-70b-a100-tp4": _profile(
        {1: 24.9, 64: 26.9, 256: 51, 512: 90, 2048: 336, 4096: 635},
        context=40_960,  # 320 KiB on four GPUs
        kv_cache=424_000,  # (4 x 0.9 x 80 - 141 - 8) GB / 320 KiB
        source=f"{_VIDUR}/a100, Meta-Llama-3-70B, four GPUs",
    ),
    "llama-3-70b-a100-tp8": _profile(
        {1: 14.3, 128: 14.3, 4096: 354.7},
        context=20_480,
        kv_cache=1_278_000,
        source=f"{_VIDUR}/a100, Meta-Llama-3-70B, eight GPUs: its least time, and 86.6 us a token",
    ),
    "llama-2-7b-h100": _profile(
        {1: 5.6, 128: 5.6, 4096: 85.2},
        context=156_504,  # 512 KiB (no grouped queries) at 3.35 TB/s
        kv_cache=107_000,  # (0.9 x 80 - 13.5 - 2) GB / 512 KiB
        source=f"{_VIDUR}/h100, Llama-2-7b, one GPU: its least time, and 20.8 us a token",
    ),
    "llama-2-70b-h100-tp8": _profile(
        {1: 8.4, 128: 8.4, 4096: 117.1},
        context=12_227,
        kv_cache=1_288_000,
        source=f"{_VIDUR}/h100, Llama-2-70b, eight GPUs: its least time, and 28.6 us a token",
    ),
}
"""By the names that files use."""
