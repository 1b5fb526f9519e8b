"""Holds the settings of an engine as plain data, under the names of vLLM's options."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from chaoskit.seed import source
from chaoskit.server.inference.profiles import StepTimes
from chaoskit.token_lengths import TOKEN_LENGTHS

Policy = Literal["fcfs", "priority"]
_Z99 = 2.3263478740408408  # the 99th percentile of the standard normal distribution
_AZURE = (
    "Azure LLM inference trace 2023 (Azure/AzurePublicDataset, CC-BY-4.0): a log-normal distribution with its moments"
)


@dataclass(frozen=True)
class Lengths:
    """Numbers of tokens from a log-normal distribution: `mu` and `sigma` of their logarithms, and the most of them."""

    mu: float
    sigma: float
    most: int
    source: str = ""

    @classmethod
    def of(cls, median: int, p99: int) -> Lengths:
        """With this median and 99th percentile, and no more than ten times that."""
        return cls(math.log(median), math.log(p99 / median) / _Z99, 10 * p99)

    def draw(self, seed: int, *names: str | int) -> int:
        """The number for these names, always the same."""
        z = source(seed, *names).gauss(0.0, 1.0)
        return max(1, min(self.most, round(math.exp(self.mu + self.sigma * z))))


PROMPT_LENGTHS: dict[str, Lengths] = {
    name: Lengths(each.prompt.mu, each.prompt.sigma, 8000, _AZURE) for name, each in TOKEN_LENGTHS.items()
}
"""Of prompts, by the names that files use."""
OUTPUT_LENGTHS: dict[str, Lengths] = {
    name: Lengths(each.output.mu, each.output.sigma, 2000, _AZURE) for name, each in TOKEN_LENGTHS.items()
}
"""Of answers."""


@dataclass(frozen=True)
class EngineSettings:
    """What an engine may put into a step, its KV cache in tokens, and its queue.

    `prompt` and `output` are lengths that it draws, or None: a prompt has the tokens that its text has, an answer as
    many as the request asks for. Without `max_waiting` nobody is refused.
    """

    steps: StepTimes
    kv_cache: int
    max_seqs: int = 256
    max_batched_tokens: int = 2048
    long_prefill_threshold: int = 0
    block: int = 16
    max_model_len: int = 131_072
    policy: Policy = "fcfs"
    max_waiting: int | None = None
    full_status: int = 503
    prompt: Lengths | None = None
    output: Lengths | None = None

    @property
    def blocks(self) -> int:
        """How many blocks the KV cache has."""
        return self.kv_cache // self.block

    @property
    def longest(self) -> int:
        """The most tokens of a prompt with its answer: what the model can take, and its KV cache holds."""
        return min(self.max_model_len, self.blocks * self.block)
