"""Says where exporters of OTLP/HTTP send their spans, and reads such addresses."""

from __future__ import annotations

DEFAULT_LISTEN = "127.0.0.1:4318"
"""Where they send them unless they are told otherwise."""


def address(listen: str) -> tuple[str, int]:
    """The address and the port of `127.0.0.1:4318` or `[::1]:4318`."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)
