"""`chaoskit doctor`: shows what this machine can do, and what to type where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chaoskit.cli.advice import fitting
from chaoskit.terminal import say_json

if TYPE_CHECKING:
    from chaoskit.substrate.doctor import Diagnosis


def doctor(
    kernel: Annotated[Path | None, typer.Option(help="User-Mode Linux kernel to examine.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Show what this machine can do. A line per feature, with the remedy if it is missing. Exit 0: experiments run."""
    import dataclasses
    import os
    from json import dumps

    from chaoskit.clock import RealClock
    from chaoskit.programs import typed_by
    from chaoskit.report.screen import say_wrapped
    from chaoskit.substrate.doctor import examine

    diagnosis = examine(kernel, RealClock())
    if json:
        say_json(typed_by(os.geteuid(), dumps(dataclasses.asdict(diagnosis), indent=1, allow_nan=False)))
    else:
        say_wrapped(*(typed_by(os.geteuid(), fitting(line, ("--kernel",))) for line in _lines(diagnosis)))
    raise typer.Exit(0 if diagnosis.here_can or diagnosis.guest_can else 3)


def _lines(diagnosis: Diagnosis) -> list[str]:
    """Three lists of findings, and a conclusion."""
    from chaoskit.substrate.findings import lines

    groups = {
        "This kernel": diagnosis.here,
        "A guest kernel": diagnosis.guest,
        "Protection of this machine": diagnosis.protection,
    }
    shown = [line for title, findings in groups.items() for line in (title, *lines(findings))]
    match diagnosis.here_can, diagnosis.guest_can:
        case True, _:
            conclusion = "Experiments run in this kernel."
        case False, True:
            conclusion = "Experiments run in a guest kernel, because this one cannot."
        case _:
            conclusion = "No experiment can run here until one of the two is fixed."
    return [*shown, conclusion]
