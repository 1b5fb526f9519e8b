"""The formulas of public benchmark clients, of the arrivals of one stream after the other; times in ms.

Each is written from the source that its docstring names, and shares nothing with the analysis.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

MS = 1e6


@dataclass(frozen=True)
class Arrival:
    """One server-sent event with JSON: when the read came that ended it, ns; and what it says."""

    at: int
    data: dict[str, Any]

    @property
    def has_choices(self) -> bool:
        """Whether it is part of the answer, be it without any text."""
        return bool(self.data.get("choices"))

    @property
    def has_content(self) -> bool:
        """Whether it has text or reasoning."""
        delta = self.data["choices"][0]["delta"] if self.has_choices else {}
        return bool(delta.get("content") or delta.get("reasoning_content"))

    @property
    def has_text(self) -> bool:
        """Whether it has text that is not reasoning."""
        return self.has_content and bool(self.data["choices"][0]["delta"].get("content"))


@dataclass(frozen=True)
class Observed:
    """One stream: its number, when its request began, ns, and its events."""

    number: int
    begin: int
    events: tuple[Arrival, ...]

    @classmethod
    def of_line(cls, line: str) -> Observed:
        """What `observed_streams.py` printed of one connection."""
        told = json.loads(line)
        events, rest, is_body = list[Arrival](), "", False
        for at, text in told["reads"]:
            rest += text
            if not is_body:
                _, end, rest = rest.partition("\r\n\r\n")
                assert end, "the head comes at once"
                is_body = True
            *whole, rest = rest.split("\n\n")
            events += [Arrival(at, json.loads(each[6:])) for each in whole if each.startswith("data: {")]
        return cls(told["stream"], told["begin"], tuple(events))

    @property
    def content(self) -> list[int]:
        """When its events with content came."""
        return [event.at for event in self.events if event.has_content]

    @property
    def tokens(self) -> int:
        """By the server's usage."""
        (usage,) = (event.data["usage"] for event in self.events if event.data.get("usage"))
        return int(usage["completion_tokens"])


@dataclass(frozen=True)
class Figures:
    """What a client says of all streams: a list of values each, ms; throughput in tokens/s."""

    ttft: list[float]
    itl: list[float]
    tpot: list[float]
    e2el: list[float]
    throughput: float


def vllm(streams: Iterable[Observed]) -> Figures:
    """`vllm bench serve`: async_request_openai_chat_completions and calculate_metrics.

    Every event with `choices` is a token, the role alone and the end alone too; the last event, usage alone too, ends
    the latency.
    """
    found = Figures([], [], [], [], _throughput(streams := list(streams), whole=True))
    for stream in streams:
        chunks = [event.at for event in stream.events if event.has_choices]
        ttft, latency = chunks[0] - stream.begin, stream.events[-1].at - stream.begin
        found.ttft.append(ttft / MS)
        found.itl.extend(_gaps(chunks))
        found.e2el.append(latency / MS)
        found.tpot.append((latency - ttft) / (stream.tokens - 1) / MS)
    return found


def aiperf(streams: Iterable[Observed]) -> Figures:
    """AIPerf 0.13, metrics/types: `itl` is its inter_chunk_latency, `tpot` its inter_token_latency."""
    found = Figures([], [], [], [], _throughput(streams := list(streams)))
    for stream in streams:
        first, last = stream.content[0], stream.content[-1]
        found.ttft.append((first - stream.begin) / MS)
        found.itl.extend(_gaps(stream.content))
        found.e2el.append((last - stream.begin) / MS)
        found.tpot.append((last - first) / (stream.tokens - 1) / MS)
    return found


def guidellm(streams: Iterable[Observed]) -> Figures:
    """GuideLLM 0.8, schemas/base/request_stats.py: `itl` is a mean of each request, `tpot` includes the first token."""
    found = Figures([], [], [], [], _throughput(streams := list(streams)))
    for stream in streams:
        first, last = stream.content[0], stream.content[-1]
        found.ttft.append((first - stream.begin) / MS)
        found.itl.append((last - first) / (stream.tokens - 1) / MS)
        found.e2el.append((last - stream.begin) / MS)
        found.tpot.append((last - stream.begin) / stream.tokens / MS)
    return found


def _gaps(stamps: list[int]) -> list[float]:
    return [(after - before) / MS for before, after in pairwise(stamps)]


def _throughput(streams: list[Observed], whole: bool = False) -> float:
    """All tokens, from the first request to the last token; `whole`: to the last event."""
    ends = [stream.events[-1].at if whole else stream.content[-1] for stream in streams]
    seconds = (max(ends) - min(stream.begin for stream in streams)) / 1e9
    return sum(stream.tokens for stream in streams) / seconds
