"""Writes the page of `report/html`, for a browser: one file that loads nothing."""

from __future__ import annotations

from typing import BinaryIO

from chaoskit.report.formats.source import Source
from chaoskit.report.html.page import render


def write(source: Source, file: BinaryIO) -> None:
    """Write it in UTF-8."""
    for piece in render(source):
        file.write(piece.encode())
