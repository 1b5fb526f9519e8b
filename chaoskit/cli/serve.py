"""`chaoskit serve`: runs the reference server, to try a client or a probe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chaoskit.errors import SpecError
from chaoskit.terminal import complain, say


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 for any free one.")] = 8000,
    script: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="How to respond: a name of --list, or a file.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show the names for --script, and exit.")] = False,
    lab: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Serve all tiers of this experiment's lab, on 127.0.0.1, .2, ..."),
    ] = None,
    first_token: Annotated[str | None, typer.Option(help="Median time to the first token. Default: 150ms.")] = None,
    first_token_p99: Annotated[str | None, typer.Option(help="99th percentile of it. Default: 400ms.")] = None,
    token_interval: Annotated[str | None, typer.Option(help="Time between tokens. Default: 20ms.")] = None,
    tokens_per_event: Annotated[int | None, typer.Option(help="Tokens of each event. Default: 1.")] = None,
    reasoning_tokens: Annotated[int | None, typer.Option(help="Tokens of reasoning first. Default: 0.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Same seed, same texts and times.")] = 0,
    cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM), to serve TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="Private key (PEM) of the certificate.")] = None,
) -> None:
    """Run the reference token server. It speaks the OpenAI, Anthropic, Gemini and Ollama APIs over HTTP/1.1 and HTTP/2.

    With --script it answers badly, to test a client; a request may choose a name as well, in x-chaoskit-script.
    """
    import asyncio
    from dataclasses import replace

    from chaoskit.report import malformations
    from chaoskit.report.screen import Screen
    from chaoskit.server.app import listen, serve_until_signal, tls
    from chaoskit.server.banner import banner, is_loopback
    from chaoskit.spec.script import responses

    if lab is not None:
        from chaoskit.cli.given_options import given_options
        from chaoskit.conduct.loopback_lab import serve_lab

        if others := " and ".join(given_options(context, ("--lab", "--port"))):
            where = "--lab listens on 127.0.0.1, .2, ... and answers as its file says"
            raise SpecError(f"{where}; leave out {others}")
        raise typer.Exit(128 + serve_lab(lab, port))
    if list_:
        malformations.render(Screen())
        return
    if (cert is None) != (key is None):
        raise SpecError("--cert and --key go together; give both")
    if host.count(":") == 1:
        raise SpecError(f"--host: {host} has a port; write --host {' --port '.join(host.split(':'))}")
    options = {
        "first-token": first_token,
        "first-token-p99": first_token_p99,
        "token-interval": token_interval,
        "tokens-per-event": tokens_per_event,
        "reasoning-tokens": reasoning_tokens,
    }
    follows = responses(script, options).script(seed)
    follows = replace(follows, tls=tls(cert, key) if cert and key else None)
    listener = listen(host, port)
    say(banner(listener.getsockname(), follows.tls is not None))
    if not is_loopback(listener.getsockname()[0]):
        complain("everyone who can reach this address can use the server; for this machine only: --host 127.0.0.1")
    sign = asyncio.run(serve_until_signal(listener, follows))
    raise typer.Exit(128 + sign)
