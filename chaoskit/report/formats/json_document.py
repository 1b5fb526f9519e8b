"""Writes results as JSON: one as in `result.json`, several as a list of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from chaoskit.report.formats.source import Source
from chaoskit.report.result_json import as_json


def write_all(sources: Sequence[Source], file: BinaryIO) -> None:
    """Write them, in ASCII."""
    texts = [as_json(source.found) for source in sources]
    text = texts[0] if len(texts) == 1 else f"[\n{','.join(texts)}]\n"
    file.write(text.encode("ascii"))
