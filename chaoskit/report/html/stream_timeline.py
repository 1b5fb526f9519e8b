"""Chooses what the timeline of streams shows: streams, tokens, stalls with sentences, phases.

Its size is bounded: of a long run the worst streams are shown, and others evenly spaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.streams.worst_first import worst_first
from chaoskit.analysis.tables.run_tables import RunTables
from chaoskit.analysis.tables.table import Table
from chaoskit.report.html.network_charts import phases_of
from chaoskit.terminal import printable
from chaoskit.units import counted

CAUSES = ("server", "network", "client", "between", "unknown")
"""In the order that `scripts/run.js` has them."""
CAUSE_WORDS = {
    "server": "The server",
    "network": "The network",
    "client": "This client",
    "between": "Held back in between",
    "unknown": "Nobody can tell",
}
_MOST_STREAMS, _MOST_TOKENS, _MOST_STALLS = 3000, 800_000, 20_000
_TICK = 1000  # ns
_LONGEST_TEXT = 600  # characters of a sentence
_LEAST_PART = 0.1  # of the time to a first token: a smaller part is not named
_NOT_INTERRUPTED = ("complete", "cancelled", "client_error")
_MS = 1e6


@dataclass(frozen=True)
class Timeline:
    """What the page's scripts need, and what was left out in words."""

    header: Mapping[str, Any]
    columns: Mapping[str, NDArray[np.integer[Any]]]
    streams: int
    left_out: str


def timeline(tables: RunTables, charts: Mapping[str, Any], late: float | None) -> Timeline:
    """That of a run, with the charts beside it. A first token after `late` seconds is marked."""
    streams, chosen = tables.streams, _chosen(tables)
    numbers = streams["stream"][chosen]
    rows = np.flatnonzero(np.isin(tables.tokens["stream"], numbers))
    tokens = tables.tokens["stream"][rows]
    stalls, sentences = _stalls(tables.stalls, numbers)
    endings, ending = _distinct(chosen, lambda row: (streams["completion"][row], streams["detail"][row]))
    waits, wait = _distinct(chosen, lambda row: _wait(streams, row))
    header = {
        "tick": _TICK / 1e9,
        "end": max(tables.end_ns, int(streams["end_ns"].max(initial=0))) / 1e9,
        "late": late,
        "phases": [
            {"name": printable(each.name), "begin": each.begin, "end": each.end, "isFault": bool(each.faults)}
            for each in phases_of(tables)
        ],
        "completions": [
            {"word": word, "detail": _text(detail), "interrupted": word not in _NOT_INTERRUPTED}
            for word, detail in endings
        ],
        "waits": waits,
        "sentences": sentences,
        "charts": charts,
    }
    columns = {
        "number": numbers,
        "scheduled": streams["scheduled_ns"][chosen] // _TICK,
        "ended": streams["end_ns"][chosen] // _TICK,
        "completion": ending,
        "wait": wait,
        "tokens": np.diff([*np.searchsorted(tokens, numbers), len(tokens)]),
        "at": tables.tokens["at_ns"][rows] // _TICK,
        **stalls,
    }
    return Timeline(header, columns, len(chosen), _left_out(tables, len(chosen), len(sentences)))


def _chosen(tables: RunTables) -> NDArray[np.intp]:
    """The rows of the streams that are shown, in their order."""
    streams = tables.streams
    count, tokens = len(streams), len(tables.tokens)
    most = min(_MOST_STREAMS, count, max(1, _MOST_TOKENS * count // tokens) if tokens > _MOST_TOKENS else count)
    if most == count:
        return np.arange(count)
    is_interrupted = ~np.isin(streams["completion"].astype(str), _NOT_INTERRUPTED)
    interrupted = np.flatnonzero(is_interrupted)
    stalled = worst_first(dict(enumerate(streams["stalled_ns"].tolist())))
    worst = np.array(list(dict.fromkeys([*interrupted.tolist(), *stalled])), dtype=np.intp)[: most // 2]
    even = np.linspace(0, count - 1, most - len(worst)).astype(int)
    return np.union1d(worst, even)


def _left_out(tables: RunTables, streams: int, stalls: int) -> str:
    told = []
    if streams < len(tables.streams):
        told.append(
            f"{streams} of {counted(len(tables.streams), 'stream')}: those with the longest stalls, and others evenly "
            "spaced; the CSV and Parquet formats have all"
        )
    if stalls >= _MOST_STALLS:
        told.append(f"the {_MOST_STALLS} longest stalls of {len(tables.stalls)}")
    return f"The picture shows {', and '.join(told)}." if told else ""


def _stalls(table: Table, numbers: NDArray[Any]) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The stalls of these streams by stream, and a sentence for each."""
    here = np.flatnonzero(np.isin(table["stream"], numbers))
    longest = here[np.argsort(-table["stalled_ns"][here], kind="stable")[:_MOST_STALLS]]
    rows = np.sort(longest)
    rows = rows[np.lexsort((table["begin_ns"][rows], table["stream"][rows]))]
    columns = {
        "stall_stream": np.searchsorted(numbers, table["stream"][rows]),
        "stall_begin": table["begin_ns"][rows] // _TICK,
        "stall_end": table["end_ns"][rows] // _TICK,
        "stall_cause": np.array([CAUSES.index(each) for each in table["cause"][rows]], dtype=np.int64),
        "stall_sentence": np.arange(len(rows)),
    }
    return columns, [_evidence(table, row) for row in rows.tolist()]


def _evidence(table: Table, row: int) -> str:
    return _text(f"{whose(table, row)}. {_sentence(table['sentence'][row])} Records: {table['records'][row]}.")


def whose(table: Table, row: int) -> str:
    """`The network (loss), on router to-client, exact`."""
    kind, place, confidence = table["kind"][row], table["place"][row], table["confidence"][row]
    doubt = "likely " * (table["kind_confidence"][row] != "exact" == confidence)
    parts = [CAUSE_WORDS[table["cause"][row]] + f" ({doubt}{kind})" * bool(kind)]
    parts += [*([f"on {place}"] if place else []), *([confidence] if confidence != "none" else [])]
    return ", ".join(parts)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _wait(streams: Table, row: int) -> str:
    """What most of the time to a first token was, as far as this client saw it; "" where nothing stands out."""
    whole = streams["ttft_ns"][row]
    if whole is np.ma.masked or not whole:
        return ""
    waited = int(streams["started_ns"][row]) - int(streams["asked_ns"][row])
    parts = {"waiting in this client": waited} | {
        word: streams[column][row]
        for word, column in (
            ("the name lookup", "dns_ns"),
            ("the TCP handshake", "connect_ns"),
            ("the TLS handshake", "tls_ns"),
            ("sending the request", "upload_ns"),
        )
    }
    named = [
        f"{format_value(float(time) / _MS, 'ms')} {word}"
        for word, time in parts.items()
        if time is not np.ma.masked and time >= _LEAST_PART * whole
    ]
    return f"Of that: {', '.join(named)}." if named else ""


def _distinct(rows: NDArray[np.intp], of: Callable[[int], Any]) -> tuple[list[Any], NDArray[np.int64]]:
    """Each value once, and the place of that of each row."""
    places: dict[Any, int] = {}
    found = [places.setdefault(of(row), len(places)) for row in rows.tolist()]
    return list(places), np.array(found, dtype=np.int64)


def _text(text: str) -> str:
    """On one line, without what a reader cannot see, and not too long."""
    return printable(text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…")


def worst_stalls(table: Table, most: int) -> Sequence[int]:
    """The rows of the longest stalls, the longest first."""
    return np.argsort(-table["stalled_ns"], kind="stable")[:most].tolist()  # type: ignore[no-any-return]
