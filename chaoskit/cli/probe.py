"""`chaoskit probe URL`: measures a streaming endpoint from a client's side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chaoskit.cli.access_options import AccessOptions
from chaoskit.cli.history_option import HistoryOption
from chaoskit.cli.load_options import LoadOptions
from chaoskit.cli.namespace_options import Container, Netns, Pid, enter_chosen
from chaoskit.cli.option_groups import with_groups
from chaoskit.cli.question_options import QuestionOptions
from chaoskit.cli.timeout_options import TimeoutOptions


@with_groups
def probe(
    url: Annotated[str, typer.Argument(metavar="URL", help="Endpoint; a base URL such as /v1 gets the usual path.")],
    question: QuestionOptions,
    load: LoadOptions,
    access: AccessOptions,
    timeouts: TimeoutOptions,
    stall_threshold: Annotated[str, typer.Option(metavar="TIME", help="A longer gap is a stall.")] = "200ms",
    reading_rate: Annotated[str, typer.Option(metavar="RATE", help="Tokens that a reader reads.")] = "20/s",
    objective: Annotated[list[str] | None, typer.Option(help="Such as 'ttft_p95 < 800ms'; repeatable.")] = None,
    netns: Netns = None,
    pid: Pid = None,
    container: Container = None,
    telemetry: Annotated[
        str | None, typer.Option(metavar="ADDR:PORT", help="Receive spans (OTLP/HTTP), such as 127.0.0.1:4318.")
    ] = None,
    capture: Annotated[bool, typer.Option("--capture", help="Keep packet headers, to tell whose a stall was.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of arrival times and prompts.")] = 0,
    out: Annotated[Path | None, typer.Option(help="New directory for the raw records.")] = None,
    history: HistoryOption = None,
    json: Annotated[bool, typer.Option("--json", help="JSON, with the keys of vllm bench serve.")] = False,
) -> None:
    """Measure a streaming endpoint. First tokens, gaps, stalls and interruptions, with kernel receive timestamps."""
    from chaoskit.cli.probe_output import measure_and_show
    from chaoskit.conduct.probe_only import ProbeOnly
    from chaoskit.probe.target import SocketOptions
    from chaoskit.spec.access_options import access as parse_access
    from chaoskit.spec.options import duration, objectives, receiver, workload

    enter_chosen(netns, pid, container)
    thresholds = {"stall-threshold": stall_threshold, "reading-rate": reading_rate}
    asked = question.given(url) | load.given() | timeouts.given() | thresholds
    measured = ProbeOnly(
        url=url,
        access=parse_access(access.given() | {"model": question.model}),
        uds=access.uds,
        sockets=SocketOptions(access.maxseg, access.congestion_control),
        workload=workload(asked),
        objectives=objectives(objective or []),
        seed=seed,
        requests=load.requests,
        processes=load.processes,
        compare_compression=load.compare_compression,
        max_time=duration("max-time", timeouts.max_time),
        telemetry=receiver(telemetry),
        capture=capture,
    )
    raise typer.Exit(measure_and_show(measured, out, json, history))
