"""What a capture of packets lacks, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.analysis.load import RawRecords
from chaoskit.records.pcapng import CAPTURE, capture_name
from chaoskit.units import counted


def capture_warnings(raw: RawRecords) -> Iterator[str]:
    """One for each way in which it is incomplete."""
    if reason := raw.machine.get("uncaptured"):
        yield f"no packets were captured, so stalls are judged without them: {reason}"
    yield from _of_links(raw)
    capture = raw.capture
    if capture is None:
        return
    if capture.dropped:
        yield (
            f"the capture dropped {counted(capture.dropped, 'packet')}, because it was behind or its file was full: "
            "what rests on it is less sure"
        )
    if capture.is_torn:
        yield f"{CAPTURE} ends in the middle of a packet, as after a kill: what came later is judged without it"
    connected = [each for each in raw.requests if each.port is not None and each.sent is not None]
    missing = sum(capture.connection(each.port, each.sent or 0) is None for each in connected)
    if missing and not capture.is_torn:
        yield (
            f"{counted(missing, 'stream')} of {len(connected)} are not in the capture: it has the addresses that the "
            "target had when it began"
        )


def _of_links(raw: RawRecords) -> Iterator[str]:
    """The same of the captures at a lab's routers."""
    for router in raw.plan.topology.routers if raw.plan is not None else ():
        if reason := raw.machine.get(f"uncaptured-{router}"):
            yield f"no packets were captured at {router}, so places on its links are unknown: {reason}"
    for router, dropped in raw.links.dropped.items():
        yield f"the capture at {router} dropped {counted(dropped, 'packet')}: where packets were lost is less sure"
    for router in raw.links.torn:
        yield f"{capture_name(router)} ends in the middle of a packet, as after a kill: later places are unknown"
