"""Shows the queues of models by phase: the gauge that most people look at, and those that tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.tiers.queue_result import ModelPhase, ModelQueue
from chaoskit.report.styles import safe, styled

_COLUMNS = ("requests", "GPU busy", "running", "waiting", "(max)", "KV", "preempted", "first p95")


def queue_tables(queues: Sequence[ModelQueue]) -> RenderableType:
    """A table for each model, and a sentence below it."""
    return Group(*(part for queue in queues for part in _parts(queue)))


def _parts(queue: ModelQueue) -> Iterator[RenderableType]:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(safe(queue.host))
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for phase in queue.phases:
        table.add_row(safe(phase.name), *_cells(phase))
    yield Padding(table, (0, 0, 0, 2))
    refused = [f"{phase.refused} refused during {phase.name}" for phase in queue.phases if phase.refused]
    for line in filter(None, [queue.sentence, ", ".join(refused)]):
        yield Padding(styled(line), (0, 0, 0, 2))


def _cells(phase: ModelPhase) -> Iterator[Text | str]:
    yield format_value(phase.requests_per_second, "per-second")
    yield format_value(phase.busy, "share")
    yield format_value(phase.running, "count")
    yield format_value(phase.waiting, "count")
    yield format_value(phase.waiting_max, "count")
    yield format_value(phase.kv_usage_max, "share")
    yield str(phase.preemptions)
    yield format_value(phase.first_token_p95_ms, "ms")
