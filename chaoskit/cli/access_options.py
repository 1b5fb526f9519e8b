"""Defines the options that say how an endpoint is reached, and with which key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from chaoskit.cli.option_groups import kebab


@dataclass(frozen=True)
class AccessOptions:
    """Keys, and the way to the endpoint."""

    api_key_env: Annotated[str | None, typer.Option(metavar="NAME", help="Environment variable with the key.")] = None
    api_key_file: Annotated[str | None, typer.Option(metavar="FILE", help="File with the key alone.")] = None
    api_key_header: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its header, such as api-key. Default: the protocol's.")
    ] = None
    api_key_prefix: Annotated[
        str | None, typer.Option(metavar="WORD", help="Before the key. Default: Bearer in authorization.")
    ] = None
    header: Annotated[list[str] | None, typer.Option(metavar="NAME:VALUE", help="HTTP header; repeatable.")] = None
    header_env: Annotated[
        list[str] | None, typer.Option(metavar="NAME:VARIABLE", help="One with the value of a variable.")
    ] = None
    accept_encoding: Annotated[
        str | None, typer.Option(metavar="CODINGS", help="To accept; identity: none. Default: gzip, deflate.")
    ] = None
    ca_file: Annotated[str | None, typer.Option(metavar="FILE", help="More CA certificates to trust (PEM).")] = None
    client_cert: Annotated[str | None, typer.Option(metavar="FILE", help="Certificate of this client.")] = None
    client_key: Annotated[str | None, typer.Option(metavar="FILE", help="Its key. Default: in the same file.")] = None
    insecure: Annotated[bool, typer.Option("--insecure", help="Accept any certificate; the report says so.")] = False
    proxy: Annotated[str | None, typer.Option(metavar="URL", help="HTTP proxy. Default: none.")] = None
    proxy_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="Variable with its URL, such as HTTPS_PROXY.")
    ] = None
    uds: Annotated[Path | None, typer.Option(metavar="PATH", help="Unix socket of the endpoint.")] = None
    maxseg: Annotated[int | None, typer.Option(min=88, max=32767, help="Largest TCP segment (TCP_MAXSEG).")] = None
    congestion_control: Annotated[str | None, typer.Option(metavar="NAME", help="TCP algorithm, such as bbr.")] = None

    def given(self) -> dict[str, Any]:
        """As keys of an endpoint."""
        coding = [f"accept-encoding: {self.accept_encoding}"] if self.accept_encoding else []
        headers = {"header": [*(self.header or []), *coding] or None}
        return kebab(self, "maxseg", "congestion_control", "accept_encoding") | headers
