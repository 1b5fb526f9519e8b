"""`chaoskit probe URL`: measures a streaming endpoint from a client's side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chaoskit.cli.namespace_options import Container, Netns, Pid, enter_chosen


def probe(
    url: Annotated[str, typer.Argument(metavar="URL", help="Endpoint; default path: the protocol's usual one.")],
    model: Annotated[str, typer.Option(help="Model to request.")] = "default",
    api_key_env: Annotated[str | None, typer.Option(metavar="NAME", help="Environment variable with the key.")] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Such as gemini, ollama. Default: as the URL's path says, or openai-chat.")
    ] = None,
    http: Annotated[str, typer.Option(help="HTTP version: 1.1 or 2.")] = "1.1",
    requests: Annotated[int, typer.Option(min=1, max=10**7, help="Number of requests.")] = 20,
    request_rate: Annotated[str | None, typer.Option(metavar="RATE", help="Open loop, such as 2/s.")] = None,
    burstiness: Annotated[float, typer.Option(help="Open loop: 1 is Poisson, 0 is regular.")] = 1.0,
    max_concurrency: Annotated[int | None, typer.Option(help="Closed loop: streams at a time. Default: 1.")] = None,
    connections: Annotated[str, typer.Option(help="fresh, kept or shared (HTTP/2).")] = "fresh",
    prompt_size: Annotated[str, typer.Option(metavar="SIZE", help="Size of the prompt.")] = "1kB",
    output_tokens: Annotated[int, typer.Option(help="Tokens to request.")] = 100,
    stall_threshold: Annotated[str, typer.Option(metavar="TIME", help="A longer gap is a stall.")] = "200ms",
    reading_rate: Annotated[str, typer.Option(metavar="RATE", help="Tokens that a reader reads.")] = "20/s",
    connect_timeout: Annotated[str, typer.Option(metavar="TIME", help="For TCP and TLS.")] = "5s",
    first_token_timeout: Annotated[str, typer.Option(metavar="TIME", help="From the request on.")] = "65s",
    idle_timeout: Annotated[str, typer.Option(metavar="TIME", help="From one token to the next.")] = "65s",
    pings: Annotated[bool, typer.Option("--keepalive-extends-idle", help="Pings reset the idle time.")] = False,
    stream_timeout: Annotated[str, typer.Option(metavar="TIME", help="Maximum duration of a stream.")] = "10min",
    max_time: Annotated[str, typer.Option(metavar="TIME", help="Maximum duration of the probe.")] = "1h",
    max_events: Annotated[int | None, typer.Option(help="Most events of a stream. Default: 500000.")] = None,
    max_body: Annotated[str | None, typer.Option(metavar="SIZE", help="Most bytes of one. Default: 100MB.")] = None,
    header: Annotated[list[str] | None, typer.Option(metavar="NAME:VALUE", help="HTTP header; repeatable.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="More CA certificates to trust (PEM).")] = None,
    maxseg: Annotated[int | None, typer.Option(min=88, max=32767, help="Largest TCP segment (TCP_MAXSEG).")] = None,
    congestion_control: Annotated[str | None, typer.Option(metavar="NAME", help="TCP algorithm, such as bbr.")] = None,
    objective: Annotated[list[str] | None, typer.Option(help="Such as 'ttft_p95 < 800ms'; repeatable.")] = None,
    netns: Netns = None,
    pid: Pid = None,
    container: Container = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of arrival times and prompts.")] = 0,
    out: Annotated[Path | None, typer.Option(help="New directory for the raw records.")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON, with the keys of vllm bench serve.")] = False,
) -> None:
    """Measure a streaming endpoint. First tokens, gaps, stalls and interruptions, with kernel receive timestamps."""
    from chaoskit.cli.probe_output import measure_and_show
    from chaoskit.conduct.probe_only import ProbeOnly
    from chaoskit.probe.target import SocketOptions, Target
    from chaoskit.spec.endpoint import protocol_of
    from chaoskit.spec.options import duration, headers, objectives, workload

    enter_chosen(netns, pid, container)
    concurrency = 1 if request_rate is None and max_concurrency is None else max_concurrency
    arrivals = {"request-rate": request_rate, "burstiness": burstiness, "max-concurrency": concurrency}
    sizes = {"prompt-size": prompt_size, "output-tokens": output_tokens}
    thresholds = {"stall-threshold": stall_threshold, "reading-rate": reading_rate}
    timeouts = {
        "connect-timeout": connect_timeout,
        "first-token-timeout": first_token_timeout,
        "idle-timeout": idle_timeout,
        "keepalive-extends-idle": pings,
        "stream-timeout": stream_timeout,
    }
    limits = {"max-events": max_events, "max-body": max_body}
    client = {"protocol": protocol or protocol_of(url), "http": http, "connections": connections}
    work = workload(client | arrivals | sizes | thresholds | timeouts | limits)
    wanted, limit = objectives(objective or []), duration("max-time", max_time)
    sockets = SocketOptions(maxseg, congestion_control)
    target = Target(url, model, headers(header or []), api_key_env, ca_file, sockets=sockets)
    raise typer.Exit(measure_and_show(ProbeOnly(target, work, wanted, seed, requests, limit), out, json))
