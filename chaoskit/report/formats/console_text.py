"""Writes what a terminal shows as plain text, one run after the other."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import BinaryIO

from chaoskit.analysis.result import Result
from chaoskit.report import console, matrix
from chaoskit.report.formats.source import Source
from chaoskit.report.screen import Screen

_WIDTH = 100  # columns


def write_all(sources: Sequence[Source], file: BinaryIO) -> None:
    """Write them with an empty line between."""
    text = io.TextIOWrapper(file, "utf-8", "backslashreplace", write_through=True)
    show(sources, Screen(text, _WIDTH))
    text.detach()


def show(sources: Sequence[Source], screen: Screen) -> None:
    """The same on this screen."""
    for number, source in enumerate(sources):
        if number:
            screen.print()
        if isinstance(source.found, Result):
            console.render(source.found, screen)
        else:
            matrix.render(source.found, screen)
