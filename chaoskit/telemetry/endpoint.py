"""Says where exporters of OTLP/HTTP send their spans, and reads such addresses."""

from __future__ import annotations

from importlib.util import find_spec

INSTALL = "pip install 'chaoskit[otlp]'"
DEFAULT_LISTEN = "127.0.0.1:4318"
"""Where they send them unless they are told otherwise."""


def address(listen: str) -> tuple[str, int]:
    """The address and the port of `127.0.0.1:4318` or `[::1]:4318`."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def obstacle() -> str:
    """Why most programs' spans could not be read here; "" where they can."""
    try:
        found = find_spec("opentelemetry.proto")
    except ModuleNotFoundError:  # its parent is missing
        found = None
    if found is not None:
        return ""
    return f"telemetry: spans in protobuf, which most programs export, cannot be read here: {INSTALL}"
