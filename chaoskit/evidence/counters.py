"""What each shaped queue let through and dropped, a line a second and at every change of phase."""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.knobs import Kernel, Knob
from chaoskit.records.files import Log
from chaoskit.records.model import Counters, Phase


def sample(kernel: Kernel, knobs: Iterable[Knob], phase: Phase, at: int, log: Log) -> None:
    """Add the counters of every qdisc among `knobs` that is there now."""
    for knob in knobs:
        seen = kernel.counters(knob) if knob.kind == "qdisc" else None
        if seen is not None:
            log.add(
                Counters(
                    at=at,
                    place=knob.place,
                    name=knob.name,
                    phase=phase.name,
                    round=phase.round,
                    packets=seen.packets,
                    bytes=seen.bytes,
                    drops=seen.drops,
                    overlimits=seen.overlimits,
                    qlen=seen.qlen,
                    backlog=seen.backlog,
                )
            )
    log.flush()
