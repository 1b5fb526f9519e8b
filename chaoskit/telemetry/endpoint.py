"""Reads the addresses to which exporters of OTLP/HTTP send spans, and tells what is doubtful there."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from chaoskit.server.banner import is_loopback

INSTALL = "pip install 'chaoskit[otlp]'"
DEFAULT_LISTEN = "127.0.0.1:4318"
"""Where they send them unless they are told otherwise."""


def address(listen: str) -> tuple[str, int]:
    """The address and the port of `127.0.0.1:4318` or `[::1]:4318`."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def doubts(listen: str | None) -> Iterator[str]:
    """What people must know of a receiver at this address (None: the default one), as far as there is something."""
    if listen is not None and not is_loopback(address(listen)[0]):
        port = address(listen)[1]
        yield (
            f"telemetry: everyone who can reach {listen} can send spans, which decide objectives; "
            f"for this machine only: 127.0.0.1:{port}"
        )
    if reason := _obstacle():
        yield reason


def _obstacle() -> str:
    """Why most programs' spans could not be read here; "" where they can."""
    try:
        found = find_spec("opentelemetry.proto")
    except ModuleNotFoundError:  # its parent is missing
        found = None
    if found is not None:
        return ""
    return f"telemetry: spans in protobuf, which most programs export, cannot be read here: {INSTALL}"
