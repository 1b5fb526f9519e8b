"""Holds log-normal distributions of the lengths, in tokens, of prompts and answers in public traces.

| name                      | trace                                        | prompt: mean, p50, p95 | answer        |
|---------------------------|----------------------------------------------|------------------------|---------------|
| `azure-2023-conversation` | AzureLLMInferenceTrace_conv.csv, 19,366 rows | 1155, 1020, 4083       | 211, 129, 451 |
| `azure-2023-code`         | AzureLLMInferenceTrace_code.csv, 8,819 rows  | 2048, 1469, 7303       | 27.9, 13, 90  |

Both are of Azure/AzurePublicDataset (Microsoft, CC-BY-4.0; Patel et al., "Splitwise", ISCA 2024). A distribution here
has the mean and the standard deviation of the logarithms of its trace; prompts and answers are drawn independently,
because they do not go together there (correlation -0.11).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

BYTES_PER_TOKEN = 4
"""Of a prompt: what OpenAI's documentation gives for English text. Lengths of prompts in tokens are counted so."""
_Z99 = NormalDist().inv_cdf(0.99)


@dataclass(frozen=True)
class LogNormal:
    """A log-normal distribution: `mu` and `sigma` are the mean and the standard deviation of the logarithm."""

    mu: float
    sigma: float

    @property
    def median(self) -> float:
        """Its median."""
        return math.exp(self.mu)

    @property
    def p99(self) -> float:
        """Its 99th percentile."""
        return self.at(_Z99)

    @property
    def mean(self) -> float:
        """Its mean."""
        return math.exp(self.mu + self.sigma**2 / 2)

    def at(self, z: float) -> float:
        """The value at `z` standard deviations from the median of the logarithms."""
        return math.exp(self.mu + self.sigma * z)


@dataclass(frozen=True)
class TokenLengths:
    """The lengths of prompts and of answers, in tokens."""

    prompt: LogNormal
    output: LogNormal


TOKEN_LENGTHS = {
    "azure-2023-conversation": TokenLengths(LogNormal(6.63, 0.99), LogNormal(5.02, 0.86)),
    "azure-2023-code": TokenLengths(LogNormal(7.00, 1.36), LogNormal(2.79, 0.85)),
}
"""By name."""
