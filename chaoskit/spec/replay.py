"""Reads the traces of requests that a workload replays: when each started, and its tokens.

| layout                | time                                  | tokens                               | file  |
|-----------------------|---------------------------------------|--------------------------------------|-------|
| chaoskit's own        | `seconds`, or `milliseconds`          | `input_tokens`, `output_tokens`      | CSV   |
| Azure LLM 2023, 2024  | `TIMESTAMP`, a date with a time       | `ContextTokens`, `GeneratedTokens`   | CSV   |
| BurstGPT              | `Timestamp`, seconds                  | `Request tokens`, `Response tokens`  | CSV   |
| Mooncake              | `timestamp`, milliseconds             | `input_length`, `output_length`      | JSONL |

The first line tells which: a layout names its unit, and is never guessed from numbers. Other columns are ignored. A
request without an answer (BurstGPT's failures have 0 tokens) asks for 1 token.

Rules: bad lines are told with their numbers; a trace that goes back in time is refused; a file is read once.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TextIO

from pydantic import BeforeValidator, Field

from chaoskit.errors import SpecError
from chaoskit.faults.schema import SpecModel, short_form
from chaoskit.spec.asking import MOST_TOKENS
from chaoskit.spec.multiple import Multiple

_MS, _SECOND = 10**6, 10**9
_LARGEST_FILE, _MOST_ROWS = 1_000_000_000, 2_000_000
_LONGEST_LINE = 100_000  # characters; less than what the csv module takes
_MOST_PROMPT = 25_000_000  # tokens: 100 MB, as for all prompts
_MOST_TOLD = 10  # bad lines of one file
_LONGEST = 366 * 24 * 3600 * _SECOND  # ns from the first to the last
_EXAMPLE = "a CSV with the columns seconds,input_tokens,output_tokens"


class Replay(SpecModel):
    """Requests that start when those of a trace did, and ask for as many tokens."""

    file: Annotated[str, Field(min_length=1)] = Field(
        description="CSV or JSONL, beside this file: chaoskit's own layout, or that of Azure, BurstGPT or Mooncake."
    )
    speed: Annotated[Multiple, Field(gt=0)] = Field(
        1.0, description="How many times faster than it was: 10x.", json_schema_extra={"default": "1x"}
    )


WrittenReplay = Annotated[Replay, BeforeValidator(short_form("file"), json_schema_input_type=Replay | str)]


@dataclass(frozen=True)
class Rows:
    """The requests of a trace in order: ns from the first one, tokens of the prompt, tokens of the answer."""

    at: tuple[int, ...]
    prompt: tuple[int, ...]
    output: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True)
class _Layout:
    """The columns of time, prompt and answer, and how a time is read, as ns from some moment."""

    time: str
    prompt: str
    output: str
    read: Callable[[Any], int]


def _number(unit: int) -> Callable[[Any], int]:
    def read(words: Any) -> int:
        try:
            return round(float(words) * unit)
        except (ValueError, OverflowError):
            raise ValueError("is no number") from None

    return read


def _date(words: Any) -> int:
    """`2023-11-16 18:15:46.6805900`, with any number of decimals, in UTC."""
    whole, _, rest = str(words).strip().partition(".")
    decimals, zone = re.match(r"([0-9]{0,9})[0-9]*(.*)", rest).groups()  # type: ignore[union-attr]  # matches all
    try:
        found = datetime.fromisoformat(f"{whole}{zone}")
    except ValueError:
        raise ValueError("is no date with a time, such as 2023-11-16 18:15:46.68") from None
    seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return round(seconds) * _SECOND + int(decimals.ljust(9, "0"))


_TABLES = (
    _Layout("seconds", "input_tokens", "output_tokens", _number(_SECOND)),
    _Layout("milliseconds", "input_tokens", "output_tokens", _number(_MS)),
    _Layout("TIMESTAMP", "ContextTokens", "GeneratedTokens", _date),
    _Layout("Timestamp", "Request tokens", "Response tokens", _number(_SECOND)),
)
_LINES = _Layout("timestamp", "input_length", "output_length", _number(_MS))


def read_rows(replay: Replay) -> Rows:
    """The requests of its trace, at the trace's own speed. Raises SpecError with the bad lines."""
    path = Path(replay.file).expanduser()
    try:
        if not path.is_file():
            raise SpecError(f"trace: {path} {'is no file' if path.exists() else 'does not exist'}; give {_EXAMPLE}")
        known = path.stat()
        if known.st_size > _LARGEST_FILE:
            raise SpecError(f"trace: {path} is larger than 1 GB; cut it: head -n 100000 {path}")
        return _read(path, known.st_mtime_ns, known.st_size)
    except OSError as error:
        raise SpecError(f"trace: {path}: {error.strerror}; give {_EXAMPLE}") from None


@lru_cache(maxsize=4)
def _read(path: Path, *_: int) -> Rows:
    """As `read_rows`; read once for each time that the file was changed."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = _lines(path, file)
        first = next(lines, "")
        if not first.strip():
            raise SpecError(f"trace: {path} is empty, or begins with an empty line; give {_EXAMPLE}")
        if first.lstrip().startswith("{"):
            layout, rows = _LINES, _objects([first], lines)
        else:
            header = [name.strip() for name in next(csv.reader([first]))]
            layout = _layout(header, path)
            rows = _cells(header, lines)
        found = _collected(path, layout, rows)
    if not found:
        raise SpecError(f"trace: {path} has no request; give {_EXAMPLE}")
    at, prompt, output = zip(*found, strict=True)
    return Rows(tuple(each - at[0] for each in at), prompt, output)


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    """Its lines. Raises SpecError for one that is too long."""
    for number in itertools.count(1):
        line = file.readline(_LONGEST_LINE)
        if len(line) == _LONGEST_LINE:
            raise SpecError(f"trace: {path}:{number}: a line of more than 100,000 characters; give {_EXAMPLE}")
        if not line:
            return
        yield line


def _layout(header: Sequence[str], path: Path) -> _Layout:
    for each in _TABLES:
        if {each.time, each.prompt, each.output} <= set(header):
            return each
    lacks = "" if any(name.isidentifier() for name in header) else ", which has no header"
    shown = ", ".join(header)[:100]
    raise SpecError(
        f"trace: {path}:1: found {shown!r}{lacks}; expected the columns seconds (or milliseconds), input_tokens and "
        "output_tokens, or those of a trace of Azure, BurstGPT or Mooncake"
    )


Row = tuple[int, Mapping[str, Any]]


def _cells(header: Sequence[str], lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 2):
        cells = line.strip().split(",") if '"' not in line else next(csv.reader([line]))
        if line.strip():
            yield number, dict(zip(header, cells, strict=False))


def _objects(first: list[str], rest: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate((*first, *rest), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        yield number, found if isinstance(found, dict) else {}


def _collected(path: Path, layout: _Layout, rows: Iterable[Row]) -> list[tuple[int, int, int]]:
    """All requests. Raises SpecError with the bad lines, or the first of very many."""
    found: list[tuple[int, int, int]] = []
    wrong: list[str] = []
    for number, row in rows:
        try:
            one = (
                _value(row, layout.time, layout.read),
                _value(row, layout.prompt, _tokens(_MOST_PROMPT)),
                _value(row, layout.output, _tokens(MOST_TOKENS)),
            )
            if found and one[0] < found[-1][0]:
                raise ValueError(f"{layout.time} is before that of the line above; sort the file by time")
            if found and one[0] - found[0][0] > _LONGEST:
                raise ValueError(f"{layout.time} is more than a year after the first one; is its unit another?")
        except ValueError as error:
            wrong.append(f"{path}:{number}: {error}")
            if len(wrong) > _MOST_TOLD:
                wrong[-1] = "and perhaps more"
                break
        else:
            found.append(one)
            if len(found) > _MOST_ROWS:
                raise SpecError(f"trace: {path} has more than {_MOST_ROWS:,} rows; cut it: head -n 100000 {path}")
    if wrong:
        raise SpecError("\n".join(["trace: " + wrong[0], *wrong[1:]]))
    return found


def _value(row: Mapping[str, Any], name: str, read: Callable[[Any], int]) -> int:
    words = row.get(name)
    if words is None or words == "":
        raise ValueError(f"has no {name}")
    try:
        return read(words)
    except ValueError as error:
        raise ValueError(f"{name} {str(words)[:40]!r} {error}") from None


def _tokens(most: int) -> Callable[[Any], int]:
    def read(words: Any) -> int:
        try:
            found = float(words)
        except (TypeError, ValueError):
            raise ValueError("is no number of tokens") from None
        if not 0 <= found <= most or found != int(found):
            raise ValueError(f"is no number of tokens from 0 to {most}")
        return max(1, int(found))

    return read
