"""Says a dose of a dotted path in words: `2% burst loss`, `80ms delay`, `an MTU of 1400`."""

from __future__ import annotations

from collections.abc import Mapping

_WORDS: Mapping[tuple[str, ...], str] = {
    ("gemodel", "p"): "{} burst loss",
    ("netem", "loss"): "{} loss",
    ("loss", "share"): "{} loss",
    ("netem", "delay"): "{} delay",
    ("netem", "jitter"): "{} jitter",
    ("netem", "rate"): "{} rate",
    ("netem", "reorder"): "{} reordering",
    ("netem", "duplicate"): "{} duplication",
    ("netem", "corrupt"): "{} corruption",
    ("mtu",): "an MTU of {}",
    ("workload", "request-rate"): "{} request rate",
    ("workload", "max-concurrency"): "{} streams at a time",
    ("workload", "prompt-size"): "{} prompt",
    ("workload", "output-tokens"): "{} output tokens",
}
"""By the last keys of the path. The `p` of tc's gemodel is the probability that a burst of loss begins at a packet."""


def dose_words(path: str, dose: str) -> str:
    """The dose, and what it is: by the last keys of the path where it has no words of its own."""
    keys = tuple(path.split("."))
    for length in (2, 1):
        if (found := _WORDS.get(keys[-length:])) is not None:
            return found.format(dose)
    return f"{dose} {'.'.join(keys[-2:]) if keys[-1].isdecimal() else keys[-1]}"
