"""Says how many answers came compressed, and how they came beside others without compression.

The two are medians of complete answers. A read with tokens, and a burst (what came without a gap of more than 10 ms),
count once however many tokens they hold: what compresses in blocks has few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.result import Delivery
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.records.directory import UNCOMPRESSED
from chaoskit.spec.access import Access
from chaoskit.units import counted

_WITHIN = 10 * MS  # ns; see `streams.bursts`


def compare_compression(raw: RawRecords, uncompressed: RawRecords | None) -> tuple[Delivery, ...]:
    """The compressed answers of a probe, and those to requests that accepted none; nothing without such requests."""
    if uncompressed is None:
        return ()
    compressed = [stream for stream in raw.streams.ended if stream.request.coding]
    others = uncompressed.streams.ended
    still = {stream.request.coding for stream in others if stream.request.coding}
    remarks = [
        *([uncompressed.detail or uncompressed.status] if uncompressed.status != "finished" else []),
        *([f"the server compressed ({', '.join(sorted(still))}) although none was accepted"] if still else []),
    ]
    codings = ", ".join(sorted({stream.request.coding or "" for stream in compressed}))
    return _delivery(compressed, codings), _delivery(others, "none", "; ".join(remarks), UNCOMPRESSED)


def _delivery(streams: Iterable[Stream], coding: str, remark: str = "", records: str = "") -> Delivery:
    complete = [stream for stream in streams if stream.is_complete and stream.events]
    firsts = [(stream.request.first_token or 0) - stream.request.scheduled for stream in complete]
    gaps = [stream.gaps for stream in complete]
    return Delivery(
        coding=coding,
        streams=len(complete),
        first_token_ms=_median([first / MS for first in firsts]),
        events=_median([stream.events for stream in complete]),
        reads=_median([1 + int((~each.are_coalesced).sum()) for each in gaps]),
        bursts=_median([1 + int((each.length > _WITHIN).sum()) for each in gaps]),
        longest_gap_ms=_median([int(each.length.max(initial=0)) / MS for each in gaps]),
        remark=remark,
        records=records,
    )


def _median(values: Sequence[float]) -> float | None:
    return float(median(values)) if values else None


def compression_warnings(raw: RawRecords, has_comparison: bool) -> Iterator[str]:
    """How many answers came compressed, and how to see what that costs, where it is not shown."""
    streams = raw.streams.ended
    counts = Counter(stream.request.coding for stream in streams if stream.request.coding)
    for coding, count in counts.items():
        told = f"{count} of {counted(len(streams), 'answer')} came compressed ({coding})"
        yield f"{told}{_advice(raw, has_comparison)}"
    if raw.probe is not None and raw.probe.compare_compression and not has_comparison:
        why = "the probe was stopped before" if counts else "no answer came compressed"
        yield f"nothing was compared with requests without compression: {why}"


def _advice(raw: RawRecords, has_comparison: bool) -> str:
    access = _access(raw)
    if access is not None and not access.accepts_compression:
        return ", although none was accepted"
    if has_comparison or access is None:
        return ", which may hold tokens back"
    if raw.probe is not None:
        return ", which may hold tokens back; --compare-compression 10 shows what that costs"
    return ", which may hold tokens back; without: headers: {accept-encoding: identity} in stage"


def _access(raw: RawRecords) -> Access | None:
    """How the endpoint was reached; None in a lab."""
    if raw.probe is not None:
        return raw.probe.access
    return raw.plan.interface.access if raw.plan is not None and raw.plan.interface is not None else None
