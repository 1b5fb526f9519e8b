"""Shows the queues of models: the gauge that most people look at, and those that tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from chaoskit.analysis.chains.queue_result import ModelPhase, ModelQueue
from chaoskit.analysis.formatting import format_value
from chaoskit.report.styles import styled
from chaoskit.report.table import plain_table

_COLUMNS = ("rate", "GPU busy", "running", "waiting (most)", "KV", "preempts", "first p95")
Row = tuple[Sequence[Text], ModelPhase]


def queue_tables(queues: Sequence[ModelQueue]) -> RenderableType:
    """A table for each model with a row for each phase, and a sentence below it."""
    parts: list[RenderableType] = []
    for queue in queues:
        rows = [([styled(phase.name)], phase) for phase in queue.phases]
        parts += [queue_table([queue.host], rows), *_below(queue)]
    return Group(*parts)


def queue_table(labels: Sequence[str], rows: Sequence[Row]) -> RenderableType:
    """A table with these rows; `labels` are the headers of their first cells."""
    table = plain_table()
    for label in labels:
        table.add_column(styled(label), no_wrap=True, header_style="dim")
    for column in _COLUMNS:
        table.add_column(column, justify="right", header_style="bold")
    for first, phase in rows:
        table.add_row(*first, *_cells(phase))
    return Padding(table, (0, 0, 0, 2))


def _below(queue: ModelQueue) -> Iterator[RenderableType]:
    refused = [f"{phase.refused} refused during {phase.name}" for phase in queue.phases if phase.refused]
    for line in filter(None, [queue.sentence, ", ".join(refused)]):
        yield Padding(styled(line), (0, 0, 0, 2))


def _cells(phase: ModelPhase) -> Iterator[Text | str]:
    yield format_value(phase.requests_per_second, "per-second")
    yield format_value(phase.busy, "share")
    yield format_value(phase.running, "count")
    yield f"{format_value(phase.waiting, 'count')} ({format_value(phase.waiting_max, 'count')})"
    yield format_value(phase.kv_usage_max, "share")
    yield str(phase.preemptions)
    yield format_value(phase.first_token_p95_ms, "ms")
