"""`chaoskit serve`: runs the reference server, to try a client or a probe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chaoskit.errors import SpecError
from chaoskit.terminal import complain, say


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 for any free one.")] = 8000,
    first_token: Annotated[str, typer.Option(help="Median time to the first token.")] = "150ms",
    first_token_p99: Annotated[str, typer.Option(help="99th percentile of it.")] = "400ms",
    token_interval: Annotated[str, typer.Option(help="Time between tokens.")] = "20ms",
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Same seed, same texts and times.")] = 0,
    cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM), to serve TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="Private key (PEM) of the certificate.")] = None,
) -> None:
    """Run the reference token server. It speaks the OpenAI, Anthropic and Ollama APIs over HTTP/1.1 and HTTP/2."""
    import asyncio

    from chaoskit.server.app import listen, serve_until_signal, tls
    from chaoskit.server.schedule import Script
    from chaoskit.spec.options import pace

    if (cert is None) != (key is None):
        raise SpecError("--cert and --key go together; give both")
    if host.count(":") == 1:
        raise SpecError(f"--host: {host} has a port; write --host {' --port '.join(host.split(':'))}")
    script = Script(
        first_token_median=pace("first-token", first_token),
        first_token_p99=pace("first-token-p99", first_token_p99),
        token_interval=pace("token-interval", token_interval),
        seed=seed,
        tls=tls(cert, key) if cert and key else None,
    )
    if script.first_token_p99 < script.first_token_median:
        raise SpecError(f"--first-token-p99 {first_token_p99} is below --first-token {first_token}")
    listener = listen(host, port)
    say(_banner(listener.getsockname(), script.tls is not None))
    if not _is_loopback(listener.getsockname()[0]):
        complain("everyone who can reach this address can use the server; for this machine only: --host 127.0.0.1")
    sign = asyncio.run(serve_until_signal(listener, script))
    raise typer.Exit(128 + sign)


def _is_loopback(host: str) -> bool:
    """Whether the address can be reached from this machine only."""
    from ipaddress import ip_address

    address = ip_address(host.partition("%")[0])
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _banner(address: tuple[str, int], secure: bool) -> str:
    """The URL, and a command to try."""
    host, port = address[:2]
    url = f"http{'s' if secure else ''}://{f'[{host}]' if ':' in host else host}:{port}"
    body = '{"model":"any","messages":[{"role":"user","content":"hi"}],"stream":true,"max_tokens":50}'
    return f"{url} until Ctrl-C; try: curl -N{'k' if secure else ''} {url}/v1/chat/completions -d '{body}'"
