"""The option `--history` of commands that run something: opens the file before, and adds each result after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chaoskit.terminal import complain

if TYPE_CHECKING:
    from chaoskit.analysis.result import Result
    from chaoskit.history.adding import History

HistoryOption = Annotated[
    Path | None, typer.Option("--history", metavar="DIR|FILE", help="Add the result to this history (SQLite).")
]


def open_history(given: Path | None, measured: Path | None = None) -> History | None:
    """The history that was asked for; `measured` is the experiment file. Raises SpecError and RefusedError."""
    if given is None:
        return None
    from chaoskit.history.adding import History

    return History.opened(given, measured)


def add_to(history: History | None, result: Result, directory: Path) -> None:
    """Add a result. A run that was made counts without its row, too: it can be added again."""
    from chaoskit.errors import ChaoskitError
    from chaoskit.folder import display_path

    if history is None:
        return
    try:
        history.add(result, directory)
    except ChaoskitError as error:
        later = f"chaoskit history add {display_path(directory)} --history {history.path}" if result.run else ""
        complain(f"not in the history: {error}" + (f"; afterwards: {later}" if later else ""))
