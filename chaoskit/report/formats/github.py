"""Writes annotations of a pull request as GitHub's workflow commands, for the log of a step.

Rules: of errors, of warnings and of notices GitHub shows 10 in a step, so there are 10 of each at most, and the last
one tells how many more there are. Escapes are those of actions/toolkit: `%` and line ends, in a property also `:` and
`,`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import BinaryIO

from chaoskit.report.annotations import Annotation, annotate
from chaoskit.report.formats.source import Source
from chaoskit.units import counted

_MOST = 10
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def write_all(sources: Sequence[Source], file: BinaryIO) -> None:
    """Write a line for each."""
    for severity, found in groupby(annotate(sources), key=lambda each: each.severity):
        every = list(found)
        for each in _bounded(every, severity):
            where = f"file={each.file.translate(_PROPERTY)},line={each.line},title={each.title.translate(_PROPERTY)}"
            file.write(f"::{severity} {where}::{each.message.translate(_DATA)}\n".encode())


def _bounded(found: Sequence[Annotation], severity: str) -> Iterator[Annotation]:
    if len(found) <= _MOST:
        yield from found
        return
    yield from found[: _MOST - 1]
    more = f"{counted(len(found) - _MOST + 1, f'more {severity}')}: see the report"
    yield found[_MOST - 1]._replace(title="more", message=more)
