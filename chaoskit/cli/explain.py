"""`chaoskit explain RUNDIR`: tells single streams of a run, and whose each of their stalls was."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def explain(
    run: Annotated[Path, typer.Argument(metavar="RUNDIR", help="Run directory.")],
    stream: Annotated[
        list[int] | None, typer.Option(metavar="N", help="Number of a stream; repeatable. Default: the worst.")
    ] = None,
    worst: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="So many with the longest stalls.")] = 5,
) -> None:
    """Tell streams of a run, and whose stalls they had.

    When tokens came, and for each stall its cause, the evidence and the records.
    """
    from chaoskit.analysis.attribution.stories import stories
    from chaoskit.report.screen import Screen
    from chaoskit.report.stories import render

    render(stories(run, stream or (), worst), Screen())
