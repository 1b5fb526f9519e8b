"""The option `--history` of commands that measure something."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from chaoskit.history.adding import History

HistoryOption = Annotated[
    Path | None, typer.Option("--history", metavar="DIR|FILE", help="Add the result to this history (SQLite).")
]


def open_history(given: Path | None) -> History | None:
    """That of a command without an experiment file. Raises SpecError and RefusedError."""
    if given is None:
        return None
    from chaoskit.history.adding import History

    return History.opened(given, None)
