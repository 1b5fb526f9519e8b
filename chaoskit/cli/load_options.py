"""Defines the options that say how many requests are sent, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from chaoskit.cli.option_groups import kebab


@dataclass(frozen=True)
class LoadOptions:
    """Load."""

    requests: Annotated[int, typer.Option(min=1, max=10**7, help="Number of requests that count.")] = 20
    warm_up: Annotated[int, typer.Option(help="Requests before them, which do not count.")] = 0
    request_rate: Annotated[str | None, typer.Option(metavar="RATE", help="Open loop, such as 2/s.")] = None
    burstiness: Annotated[float, typer.Option(help="Open loop: 1 is Poisson, 0 is regular.")] = 1.0
    clients: Annotated[
        str | None, typer.Option(metavar="KEYS", help="Open loop: '{count: 20, burstiness: 40, skew: 1}'.")
    ] = None
    trace: Annotated[
        str | None, typer.Option(metavar="FILE", help="Open loop as recorded, or '{file: FILE, speed: 10x}'.")
    ] = None
    max_concurrency: Annotated[int | None, typer.Option(help="Closed loop: streams at a time. Default: 1.")] = None
    users: Annotated[
        str | None, typer.Option(metavar="KEYS", help="Who asks again: '{retry: {share: 60%, patience: 10s}}'.")
    ] = None
    compare_compression: Annotated[
        int, typer.Option(metavar="N", min=0, max=10**6, help="N more requests without compression, to compare.")
    ] = 0
    processes: Annotated[int, typer.Option(min=1, max=256, help="Processes that share the load.")] = 1
    connections: Annotated[str, typer.Option(help="fresh, kept or shared (HTTP/2).")] = "fresh"
    http: Annotated[str, typer.Option(help="HTTP version: 1.1 or 2.")] = "1.1"

    def given(self) -> dict[str, Any]:
        """As keys of a workload: a closed loop of one, where no other load is given."""
        is_given = any(each is not None for each in (self.request_rate, self.trace, self.max_concurrency))
        one = {} if is_given else {"max-concurrency": 1}
        return kebab(self, "requests", "processes", "compare_compression") | one
