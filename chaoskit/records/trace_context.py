"""Makes and reads `traceparent`, the header that tells programs which request they work for.

The format is that of W3C Trace Context (https://www.w3.org/TR/trace-context/). A run's traces begin alike, so that
spans of other requests of the same program are told from those of the run without a list.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from chaoskit.seed import derive

HEADER = "traceparent"
_FORMAT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


class TraceContext(NamedTuple):
    """A trace, 32 hexadecimal digits, and the span in it that asks, 16 digits."""

    trace: str
    parent: str

    @property
    def header(self) -> str:
        """The value of `traceparent`; a program that exports spans is asked to export those of this trace."""
        return f"00-{self.trace}-{self.parent}-01"


def trace_of_request(seed: int, stream: int) -> TraceContext:
    """That of a request of a run: the same again for the same seed."""
    trace = f"{trace_prefix(seed)}{derive(seed, 'trace', stream):016x}"
    return TraceContext(trace, f"{derive(seed, 'request', stream):016x}")


def trace_prefix(seed: int) -> str:
    """The first 16 digits of every trace of a run."""
    return f"{derive(seed, 'trace'):016x}"


def parse_traceparent(value: str) -> TraceContext | None:
    """The context that a header's value gives; None for what the standard says to ignore."""
    found = _FORMAT.fullmatch(value.strip(" \t"))
    if found is None or found[1] == "ff" or (found[1] == "00" and found[4]):
        return None
    context = TraceContext(found[2], found[3])
    return None if context.trace == _NO_TRACE or context.parent == _NO_SPAN else context
