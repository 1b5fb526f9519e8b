"""Finds the address of a host that a tier calls: replicas in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from chaoskit.tiers.failures import CallError
from chaoskit.tiers.outgoing import Address

PORT = 8000
"""On which reference hosts listen in a lab."""


@dataclass(frozen=True)
class Endpoint:
    """A host by its name in the lab, its port, and the path that is asked."""

    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port, for the Host field."""
        return f"{self.host}:{self.port}"


def endpoint(words: str, path: str) -> Endpoint:
    """From `NAME`, `NAME:PORT` or a URL; `path` where it has none. Raises ValueError."""
    url = urlsplit(words if "//" in words else f"//{words}")
    return Endpoint(url.hostname or "", url.port or PORT, url.path if url.path not in ("", "/") else path)


class Resolver:
    """Addresses by name; those of replicas in turn. `port`: where reference hosts listen."""

    def __init__(self, addresses: Mapping[str, tuple[str, ...]], port: int = PORT) -> None:
        self._addresses = addresses
        self._port = port
        self._turns: dict[str, int] = {}

    def address(self, found: Endpoint) -> Address:
        """The next one. Raises CallError."""
        addresses = self._addresses.get(found.host, ())
        if not addresses:
            raise CallError("unresolved", f"no address of {found.host}")
        turn = self._turns.get(found.host, 0)
        self._turns[found.host] = turn + 1
        port = self._port if found.port == PORT else found.port
        return addresses[turn % len(addresses)], port
