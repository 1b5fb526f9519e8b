"""Says in words what the value at a dotted path is: `2% burst loss`, on an axis `wifi: burst loss, %`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

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
_OWNERS = ("faults", "workloads", "hosts")
"""Keys before the name of what has the value."""


def dose_words(path: str, dose: str) -> str:
    """The dose, and what it is."""
    name = _name(path)
    return f"an {name} of {dose}" if name == "MTU" else f"{dose} {name}"


def axis_words(path: str, unit: str = "") -> str:
    """What an axis of doses shows, and in which unit: whose value it is, `wifi: burst loss, %`."""
    keys = path.split(".")
    owner = next((f"{name}: " for key, name in pairwise(keys[:-1]) if key in _OWNERS), "")
    return f"{owner}{_name(path)}{f', {unit}' if unit else ''}"


def _name(path: str) -> str:
    """By the last keys of the path where it has no words of its own."""
    keys = tuple(path.split("."))
    for length in (2, 1):
        if (found := _NAMES.get(keys[-length:])) is not None:
            return found
    return ".".join(keys[-2:]) if keys[-1].isdecimal() else keys[-1]
