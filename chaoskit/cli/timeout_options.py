"""Defines the options that bound what a server may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from chaoskit.cli.option_groups import kebab


@dataclass(frozen=True)
class TimeoutOptions:
    """Timeouts and limits."""

    connect_timeout: Annotated[str, typer.Option(metavar="TIME", help="For TCP and TLS.")] = "5s"
    first_token_timeout: Annotated[str, typer.Option(metavar="TIME", help="From the request on.")] = "65s"
    idle_timeout: Annotated[str, typer.Option(metavar="TIME", help="From one token to the next.")] = "65s"
    keepalive_extends_idle: Annotated[
        bool, typer.Option("--keepalive-extends-idle", help="Pings reset the idle time.")
    ] = False
    stream_timeout: Annotated[str, typer.Option(metavar="TIME", help="Maximum duration of a stream.")] = "10min"
    max_time: Annotated[str, typer.Option(metavar="TIME", help="Maximum duration of the probe.")] = "1h"
    max_events: Annotated[int | None, typer.Option(help="Most events of a stream. Default: 500000.")] = None
    max_body: Annotated[str | None, typer.Option(metavar="SIZE", help="Most bytes of one. Default: 100MB.")] = None

    def given(self) -> dict[str, Any]:
        """As keys of a workload."""
        return kebab(self, "max_time")
