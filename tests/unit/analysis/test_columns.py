"""Columns give the same numbers as plain loops over records, in any form of the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from made_runs import Made
from random_runs import random_run

from chaoskit.analysis.statistics.quantiles import summarize, summarize_column
from chaoskit.analysis.streams.columns import read_signs, read_tokens, signs_of_life, token_columns
from chaoskit.analysis.streams.gaps import Reader
from chaoskit.analysis.streams.timeline import Span, Timeline
from chaoskit.records.jsonl import FILES, to_line
from chaoskit.records.model import TOKENS, Event, Keepalives, Request, SocketRead

SEEDS = range(25)


def events_of(made: Made, stream: int) -> list[tuple[SocketRead, Event]]:
    """The tokens of a stream."""
    reads = [record for record in made.records if isinstance(record, SocketRead) and record.stream == stream]
    return [(read, event) for read in reads for event in read.events if event.kind in TOKENS]


def gaps(request: Request, tokens: Sequence[tuple[SocketRead, Event]]) -> Iterator[tuple[int, int, int, bool]]:
    """Length, excess, wait, and whether both tokens came with one read: one gap after the other, by the rules."""
    if not tokens:
        return
    reader, free = Reader(), tokens[0][0].at
    for (before, one), (after, other) in pairwise(tokens):
        end = max(before.at, after.at)
        planned = max(0, other.due - one.due) if one.due is not None and other.due is not None else 0
        length, pause = end - before.at, planned if planned > reader.stall / 2 else 0
        free += max(reader.pace, planned)
        yield length, length - pause, max(0, end - free), before.number == after.number
        free = max(free, end)
    free += reader.pace
    last, end = tokens[-1][0].at, max(tokens[-1][0].at, request.ended)
    if request.completion == "complete" or (request.completion == "cancelled" and end - last <= reader.stall):
        return
    yield end - last, end - last, max(0, end - free), False


@pytest.mark.parametrize("seed", SEEDS)
def test_gaps_are_those_of_a_loop_over_tokens(seed: int) -> None:
    """Of every stream of a drawn run, every gap's length, excess, wait and whether it is coalesced."""
    made = random_run(seed)

    found = made.streams()

    for stream in found.ended:
        expected = list(gaps(stream.request, events_of(made, stream.number)))
        assert [(g.length, g.excess, g.wait, g.is_coalesced) for g in stream.gaps] == expected
        assert stream.tokens == len(events_of(made, stream.number))
    assert [gap for stream in found.ended for gap in stream.gaps] == list(found.gaps)


@pytest.mark.parametrize("seed", SEEDS)
def test_files_give_the_columns_of_their_records(seed: int, tmp_path: Path) -> None:
    """Columns parsed at once equal those of the records; so do those of a file with spaces, read line by line."""
    made = random_run(seed)
    run = made.write(tmp_path)
    records = made.written()
    tokens = token_columns(record for record in records if isinstance(record, SocketRead))
    signs = signs_of_life(record for record in records if isinstance(record, Keepalives))
    for spaced in (False, True):
        for kind in (SocketRead, Keepalives) if spaced else ():
            path = run / FILES[kind]
            path.write_text(path.read_text().replace(",", ", "))

        for column, expected in zip(read_tokens(run), tokens, strict=True):
            assert column.tolist() == expected.tolist()
        found = read_signs(run)
        for name in ("stream", "first", "last", "largest"):
            assert getattr(found, name).tolist() == getattr(signs, name).tolist()


def test_numbers_of_any_size_fit(tmp_path: Path) -> None:
    """A column of small numbers becomes one of large ones when a block has some."""
    at = 10**17
    records = [SocketRead(n, n, at + n, at + n + 10 ** (n % 18), at, 99, (Event("content"),)) for n in range(60)]
    (tmp_path / FILES[SocketRead]).write_text("".join(map(to_line, records)) * 2000)

    found = read_tokens(tmp_path)

    assert sorted(set(found.read_delay.tolist())) == [10**n for n in range(18)]
    assert found.stream.dtype.itemsize == 4


@pytest.mark.parametrize("seed", range(5))
def test_a_column_of_intervals_is_charged_as_single_ones(seed: int) -> None:
    """A column of intervals is charged to the spans that each would be charged to alone."""
    random = np.random.default_rng(seed)
    begins = np.sort(random.integers(0, 100, 7)).tolist()
    faults = [("x",) if chance < 0.4 else () for chance in random.random(7)]
    spans = tuple(
        Span(f"p{n}", 0, faults[n], begin, begin, after, random.integers(0, 120).item())
        for n, (begin, after) in enumerate(pairwise([*begins, 100]))
    )
    course = Timeline(spans)
    begin = random.integers(-10, 120, 400)
    end = begin + random.integers(0, 60, 400)

    found = [spans[index] for index in course.indices_charged(begin, end)]

    assert found == [course.span_charged(*pair) for pair in zip(begin.tolist(), end.tolist(), strict=True)]
    assert [spans[index] for index in course.indices_at(begin)] == [course.span_at(stamp) for stamp in begin.tolist()]


def test_a_column_is_summarized_as_values_are() -> None:
    """The same count, quantiles and mean, to the last digit; sums beyond 64 bits included."""
    values = np.random.default_rng(1).integers(0, 10**12, 5000)

    assert summarize_column(values.copy(), "") == summarize(values.tolist(), "")
    assert summarize_column(np.full(100, 2**60 - 1), "") == summarize([2**60 - 1] * 100, "")
    assert summarize_column(values[:0].copy(), "none") == summarize([], "none")
