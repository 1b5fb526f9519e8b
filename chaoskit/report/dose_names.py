"""Names what a dotted path of an experiment file is, for sentences: `burst loss`, `delay`, `MTU`."""

from __future__ import annotations

from collections.abc import Mapping

_NAMES: Mapping[tuple[str, ...], str] = {
    ("gemodel", "p"): "burst loss",
    ("netem", "loss"): "loss",
    ("loss", "share"): "loss",
    ("netem", "delay"): "delay",
    ("netem", "jitter"): "jitter",
    ("netem", "rate"): "rate",
    ("netem", "reorder"): "reordering",
    ("netem", "duplicate"): "duplication",
    ("netem", "corrupt"): "corruption",
    ("mtu",): "MTU",
    ("workload", "request-rate"): "request rate",
    ("workload", "max-concurrency"): "streams at a time",
    ("workload", "prompt-size"): "prompt",
    ("workload", "output-tokens"): "output tokens",
}
"""By the last keys of the path. The `p` of tc's gemodel is the probability that a burst of loss begins at a packet."""


def dose_name(path: str) -> str:
    """What the path is: a word that stands behind a dose, or the last keys of the path."""
    keys = tuple(path.split("."))
    for length in (2, 1):
        if (found := _NAMES.get(keys[-length:])) is not None:
            return found
    return ".".join(keys[-2:]) if keys[-1].isdecimal() else keys[-1]
