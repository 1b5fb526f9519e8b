"""Names causes with their shares.

One rule for every line that does, so that no two of them contradict each other. What has less than a fiftieth is not
named. The largest comes first, and of the network what it did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.result import StallAttribution

LEAST = 0.02
"""The least share that is named."""
OWNERS = {
    "network": "the network",
    "server": "the server",
    "client": "this client",
    "between": "held back in between",
    "unknown": "unknown",
}
KIND = "the network ("
"""How the names begin of what the network did: `the network (loss)`."""


def named(times: Mapping[str, float], words: Mapping[str, str] = OWNERS) -> list[tuple[str, str]]:
    """Each cause that is named, in words, and its share; of all of these times."""
    total = sum(times.values())
    largest_first = sorted(times.items(), key=lambda item: -item[1])
    return [
        (words.get(name, name), format_value(time / total, "share"))
        for name, time in largest_first
        if time > 0 and time >= LEAST * total
    ]


def stall_times(every: Iterable[StallAttribution]) -> dict[str, float]:
    """The time of stalls by cause, ms; the network's by what it did, as far as that is known."""
    times: dict[str, float] = {}
    for found in every:
        kinds = {f"{KIND}{kind})": time for kind, time in found.network_kinds.items()}
        rest = max(0.0, found.network_ms - sum(kinds.values()))
        others = {"server": found.server_ms, "between": found.between_ms, "client": found.client_ms}
        for name, time in {**kinds, "network": rest, **others, "unknown": found.unknown_ms}.items():
            times[name] = times.get(name, 0.0) + time
    return times
