"""`chaoskit doctor`: what this machine can and cannot do, and what to type about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chaoskit.terminal import say, say_json

if TYPE_CHECKING:
    from chaoskit.substrate.doctor import Diagnosis


def doctor(
    kernel: Annotated[Path | None, typer.Option(help="The User-Mode Linux kernel to examine.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The findings as JSON.")] = False,
) -> None:
    """Say what this machine can do. One line each, with the remedy where it cannot. Exit 0 when experiments can run."""
    import dataclasses
    from json import dumps

    from chaoskit.clock import RealClock
    from chaoskit.substrate.doctor import examine

    checkup = examine(kernel, RealClock())
    if json:
        say_json(dumps(dataclasses.asdict(checkup), indent=1))
    else:
        say(*_lines(checkup))
    raise typer.Exit(0 if checkup.here_can or checkup.guest_can else 3)


def _lines(checkup: Diagnosis) -> list[str]:
    """Three lists and a conclusion."""
    lines = []
    groups = {"This kernel": checkup.here, "A guest kernel": checkup.guest, "What guards this machine": checkup.guards}
    for title, findings in groups.items():
        lines.append(title)
        for each in findings:
            said = f"{each.name}{': ' if each.says else ''}{each.says}".splitlines()
            lines += [f"  {'yes' if each.is_able else 'no ':3}  {said[0]}", *(f"       {line}" for line in said[1:])]
    match checkup.here_can, checkup.guest_can:
        case True, _:
            conclusion = "Experiments run in this kernel."
        case False, True:
            conclusion = "Experiments run in a guest kernel, because this one cannot."
        case _:
            conclusion = "No experiment can run here until one of the two is mended."
    return [*lines, conclusion]
