"""Compares what a load needs of the client with what its machine allows: open files, ports, memory.

| need           | estimate                                                                                        |
|----------------|-------------------------------------------------------------------------------------------------|
| open streams   | `max-concurrency`; in an open loop rate x duration of a stream, and three standard deviations,  |
|                | at the busiest time of its phases, its day or its trace; users who ask again wait all the time  |
| open files     | a socket for each, and those of the client itself                                               |
| local ports    | a port for each, and for each that was closed within TIME_WAIT, where connections are not kept  |
| memory         | a stream and three copies of its prompt: text, JSON and the request                             |

An unknown server is taken to stream 20 tokens/s after a second. What a closed loop needs is certain, and refused where
it is not there; the rest is a warning, because a faster server needs less.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from chaoskit.facts import ClientLimits
from chaoskit.spec.demand_curve import ALWAYS, DemandCurve, Surges
from chaoskit.spec.replay import read_rows
from chaoskit.spec.server import Server
from chaoskit.spec.sizes import largest_prompt, mean_tokens
from chaoskit.spec.workload import Workload
from chaoskit.units import counted

_SECOND = 10**9
_OWN_FILES = 64  # of the client itself: records, event loop, resolver
_COPIES = 3
_STREAM = 200_000  # bytes of an open stream: sockets, buffers, parsers; measured: 150 kB with TLS
_GUEST = 256 * 2**20  # bytes that a guest of 512 MiB has for the client
_FIRST_TOKEN, _TOKEN = 1.0, 0.05  # s, of an unknown server


@dataclass(frozen=True)
class ClientLoad:
    """How many streams are open at a time, and how many connections are made a second."""

    streams: int
    connections: float
    is_certain: bool
    processes: int = 1

    @classmethod
    def of(
        cls,
        workload: Workload,
        server: Server | None,
        requests: int | None = None,
        processes: int = 1,
        surges: Surges = ALWAYS,
    ) -> ClientLoad:
        """Of a workload against this server (None: unknown) with so many requests at the most, from these processes."""
        tokens = mean_tokens(workload)
        if server is None or not server.is_scripted:
            duration = _FIRST_TOKEN + tokens * _TOKEN
        else:
            duration = server.first_token.median.seconds + tokens * server.token_interval.seconds
        is_closed = workload.max_concurrency is not None
        again = 1.0
        if (retry := workload.users.retry) is not None:
            again += retry.share.fraction * retry.times
            duration = max(duration, retry.share.fraction * (1 + retry.times) * retry.patience.seconds)
        if workload.is_open_loop:
            rate = most_per_second(workload, surges)
            mean = rate * duration
            streams, rate = math.ceil(mean + 3 * math.sqrt(mean)), rate * again
        else:
            streams = workload.max_concurrency or 1
            rate = streams / max(duration, 0.001)
        if requests is not None:
            streams = min(streams, requests)
        return cls(streams, rate if workload.connections == "fresh" else 0.0, is_closed, processes)


def most_per_second(workload: Workload, surges: Surges = ALWAYS) -> float:
    """How many requests of an open loop start in a second, by the mean of its busiest moments."""
    highest = DemandCurve(surges, workload.diurnal).highest
    if workload.trace is None:
        return highest * (workload.request_rate.per_second if workload.request_rate is not None else 0.0)
    rows, speed = read_rows(workload.trace), workload.trace.speed
    busiest = max(Counter(int(at / speed) // _SECOND for at in rows.at).values())
    return highest * busiest


def shortages(load: ClientLoad, workload: Workload, limits: ClientLimits, in_lab: bool) -> Iterator[tuple[str, bool]]:
    """A sentence for each thing that the machine has too little of, and whether that is certain."""
    count = f"{'' if load.is_certain else 'about '}{counted(load.streams, 'stream')} at a time"
    each = " in each process" if load.processes > 1 else ""
    lower = "lower max-concurrency" if load.is_certain else "lower request-rate"
    files = math.ceil(load.streams / load.processes) + _OWN_FILES
    if workload.connections != "shared" and files > limits.files:
        yield (
            f"{count} need {files} open files{each}, and this machine allows {limits.files} (ulimit -Hn); {lower}",
            True,
        )
    ports = load.streams + math.ceil(load.connections * limits.time_wait)
    if workload.connections != "shared" and ports > limits.ports:
        yield (
            f"{count}, and {counted(round(load.connections), 'connection')} a second, need about {ports} local ports, "
            f"and this machine has {limits.ports} (net.ipv4.ip_local_port_range); {lower}, or write connections: kept",
            load.streams > limits.ports,
        )
    prompt = largest_prompt(workload)
    memory = load.streams * (_STREAM + _COPIES * prompt)
    free = min(limits.memory, _GUEST) if in_lab else limits.memory
    if memory > free:
        where = "a guest has" if in_lab and free == _GUEST else "this machine has"
        yield (
            f"{count} with a prompt-size of {prompt} need about {_rounded(memory)} of memory, and "
            f"{where} {_rounded(free)} free; {lower} or prompt-size",
            not in_lab,
        )


def _rounded(size: int) -> str:
    return f"{size / 10**9:.1f}GB" if size >= 10**9 else f"{size / 10**6:.0f}MB"
