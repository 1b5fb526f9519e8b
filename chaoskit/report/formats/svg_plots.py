"""Writes the main plots of a run as a drawing whose text can be searched (SVG)."""

from __future__ import annotations

from typing import BinaryIO

from chaoskit.report.formats.source import Source
from chaoskit.report.plots.figures import save, whole


def write(source: Source, file: BinaryIO) -> None:
    """Write the plots of this run; of a matrix, the distributions of all variants."""
    save(whole(source), file, "svg")
