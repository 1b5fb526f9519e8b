"""Finds numbers that cannot be in a result: in its JSON and in the text of its report."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaoskit.analysis.result import Result
from chaoskit.records.jsonl import FILES
from chaoskit.report.console import render
from chaoskit.report.result_json import as_json
from chaoskit.report.screen import Screen
from chaoskit.terminal import SafeStream

_SIGNED = (".comparisons.difference", ".provenance")  # what may be below 0
_SHARES = ("interruption_rate", "stall_ratio", "stall_interval_fraction", "delivered_fraction")
_NEGATIVE = re.compile(r"(?<![\w.+%)–-])-\d")


def impossible(result: Result) -> Iterator[str]:
    """What cannot be, each with its place."""
    document = json.loads(as_json(result))
    yield from _in_document(document, "")
    for each in document["objectives"]:
        if (each["streams_needed"] or each["streams"] + 1) <= each["streams"]:
            yield f"{each['text']}: needs {each['streams_needed']} streams and had {each['streams']}"
    for width in (80, 120):
        lines = text(result, width)
        yield from (f"{width} columns: {line}" for line in _below_the_table(lines) if _NEGATIVE.search(line))
        yield from (f"{width} columns: {line}" for line in lines if "at least -" in line or " nan" in line.lower())


def text(result: Result, width: int) -> list[str]:
    """The lines of its report."""
    raw = io.BytesIO()
    render(result, Screen(SafeStream(raw, "utf-8", newline="\n"), width))
    return raw.getvalue().decode().splitlines()


def _below_the_table(lines: list[str]) -> list[str]:
    """What follows the numbers of the phases: no difference stands there."""
    titles = ("Objectives", "Interrupted streams", "Stall attribution", "Median TTFT over time", "records")
    return lines[next((at for at, line in enumerate(lines) if line.startswith(titles)), 0) :]


def _in_document(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from _of_interval(value, path)
        for key, below in value.items():
            if key != "null_because":
                yield from _in_document(below, f"{path}.{key}")
    elif isinstance(value, list):
        for below in value:
            yield from _in_document(below, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if value < 0 and not path.startswith(_SIGNED) and not path.endswith(".added_ms"):
            yield f"{path} is {value}"
        if path.split(".")[-2:-1] and path.split(".")[-2] in _SHARES and value > 1:
            yield f"{path} is {value}"


def _of_interval(value: dict[str, Any], path: str) -> Iterator[str]:
    ends = [value.get(key) for key in ("low", "value", "high")]
    known = [end for end in ends if end is not None]
    if len(known) > 1 and {"low", "high"} <= value.keys() and known != sorted(known):
        yield f"{path}: {ends}"


def cut_in_time(run: Path, until: int) -> None:
    """What a run that was killed then has written: no outcome, and no record that is later."""
    for name in ("outcome.json", "result.json"):
        (run / name).unlink(missing_ok=True)
    for file in set(FILES.values()):
        path = run / file
        if path.exists():
            lines = path.read_text().splitlines(keepends=True)
            path.write_text("".join(line for line in lines if _stamp(line) <= until))


def _stamp(line: str) -> int:
    """When a record was written: its last stamp that is no plan."""
    value: Any = json.loads(line)
    if isinstance(value, list):
        return int(value[3])
    return max(value.get(name) or 0 for name in ("at", "ended", "ready"))
