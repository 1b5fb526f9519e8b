"""Takes the first tokens and the gaps of a phase from the tables of a run, for their distributions.

Where streams shared a connection, they and the others are in groups, which are independent of one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.statistics.ecdf import Ecdf, Floats, Times, of_gaps
from chaoskit.analysis.tables.run_tables import RunTables

_MS = 1e6
_NOT_COUNTED = ("client_error",)


@dataclass(frozen=True, eq=False)
class GapSample:
    """Gaps in ns, and the stream of each, or its group. `together` as in `ecdf.of_gaps`."""

    lengths: NDArray[Any]
    owners: NDArray[Any]
    together: float = 1.0

    def curve(self, points: Floats, tail: float) -> Ecdf:
        """Their distribution at these points, in ns."""
        return of_gaps(self.lengths, self.owners, points, tail, self.together)


def first_tokens(tables: RunTables, phase: str) -> Times:
    """Those of a phase, in ms."""
    streams = tables.streams
    here = (streams["ttft_phase"] == phase) & ~np.isin(streams["completion"].astype(str), _NOT_COUNTED)
    latency, numbers = streams["ttft_ns"][here], streams["stream"][here]
    lacks = np.ma.getmaskarray(latency)
    is_cut = lacks & (streams["completion"][here] == "cancelled")
    is_never = lacks & ~is_cut
    waited = (streams["end_ns"] - streams["asked_ns"])[here][is_cut]
    in_order = np.concatenate((numbers[~lacks], numbers[is_cut], numbers[is_never]))
    return Times(
        np.asarray(np.ma.getdata(latency)[~lacks], dtype=float) / _MS,
        int(is_never.sum()),
        np.asarray(waited, dtype=float) / _MS,
        _groups(tables, in_order) if tables.groups.of else None,
    )


def gaps(tables: RunTables, phase: str) -> GapSample:
    """Those of a phase."""
    tokens = tables.tokens
    numbers = np.flatnonzero(tables.phases["phase"] == phase)
    here = np.isin(tokens["gap_phase"], numbers) & ~np.ma.getmaskarray(tokens["gap_ns"])
    lengths, streams = np.ma.getdata(tokens["gap_ns"])[here], tokens["stream"][here]
    if not tables.groups.of or not len(lengths):
        return GapSample(lengths, streams)
    each, places = np.unique(streams, return_inverse=True)
    groups = _groups(tables, each)
    return GapSample(lengths, groups[places], len(each) / len(np.unique(groups)))


def _groups(tables: RunTables, streams: NDArray[Any]) -> NDArray[np.int64]:
    """The group of each of these streams."""
    return np.array(tables.groups.each(streams.tolist()), dtype=np.int64)
