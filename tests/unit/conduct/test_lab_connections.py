"""A kernel that lets nobody look at a lab's connections is no reason to stop, and is written down."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError
from chaoskit.evidence.lab_connections import LabConnections
from chaoskit.topology.places import Places


class ClosedKernel:
    """Its namespaces cannot be entered."""

    @contextmanager
    def inside(self, place: str) -> Iterator[None]:
        """Never."""
        raise RefusedError(f"{place}: {errno.errorcode[errno.EPERM]}")
        yield


def test_what_cannot_be_recorded_is_noted(tmp_path: Path) -> None:
    """Both kinds of evidence, each with its reason, and no file of either."""
    places = Places(("client", "model"), ("edge",), {"10.0.0.1": "client", "10.1.0.1": "model"})

    with LabConnections(tmp_path, ClosedKernel(), places, RealClock()) as connections:
        connections.look()

    assert connections.missing == [f"{places.all[0]}: EPERM", f"{places.hosts[0]}: EPERM"]
    assert not {"connection_ends.jsonl", "host_sockets.jsonl"} & {path.name for path in tmp_path.iterdir()}
