"""Decides about a probe's further requests, which accept no compression.

Rules: they are compared with its compressed answers; they have the same load, sizes from the same distributions, and
other prompts, which no cache of the endpoint has; where no answer came compressed they are not sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from chaoskit import seed as seeds
from chaoskit.errors import SpecError
from chaoskit.records.jsonl import read_numbered
from chaoskit.records.model import Request
from chaoskit.spec.access import Access
from chaoskit.spec.workload import Workload

_CODINGS = "accept-encoding"


def check(requests: int, access: Access) -> None:
    """Raise SpecError where no answer can come compressed."""
    if requests and not access.accepts_compression:
        raise SpecError(
            "--compare-compression compares compressed answers with others, and this accept-encoding accepts no "
            "compression: remove one of them"
        )


def warnings(requests: int, workload: Workload) -> Iterator[str]:
    """What is doubtful about so many requests."""
    streams = workload.max_concurrency or 1
    if requests and requests < streams:
        yield (
            f"--compare-compression {requests}: fewer than max-concurrency, {streams}, so that the load is "
            f"another than that of the requests they are compared with; give {streams} or more"
        )


def has_compressed(run: Path) -> bool:
    """Whether an answer in these records came compressed."""
    return any(request.coding is not None for _, request in read_numbered(run, Request))


def headers(given: Mapping[str, str]) -> dict[str, str]:
    """These, accepting no content coding."""
    return {name: value for name, value in given.items() if name.lower() != _CODINGS} | {_CODINGS: "identity"}


def seed(former: int) -> int:
    """That of their prompts and arrivals."""
    return seeds.derive(former, "without compression") % 2**63
