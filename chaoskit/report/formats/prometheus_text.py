"""Writes the same metrics as `openmetrics` in Prometheus' older text format.

The textfile collector of node_exporter and Pushgateway read this one alone: to them a stateset is an error. In it
statesets and infos are gauges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from prometheus_client.exposition import generate_latest

from chaoskit.report.formats.openmetrics import Families
from chaoskit.report.formats.source import Source


def write_all(sources: Sequence[Source], file: BinaryIO) -> None:
    """Write the metrics of all runs, family by family."""
    file.write(generate_latest(Families(sources)))
