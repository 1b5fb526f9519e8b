"""`chaoskit run FILE`: from an experiment to a verdict."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Where(StrEnum):
    """The substrates, and the choice between them."""

    AUTO = "auto"
    HERE = "here"
    UML = "uml"


class Time(StrEnum):
    """The clocks, and the choice between them."""

    AUTO = "auto"
    REAL = "real"
    VIRTUAL = "virtual"


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An experiment file.")],
    out: Annotated[Path | None, typer.Option(help="The run directory, new or empty. Default: runs/NAME-TIME.")] = None,
    substrate: Annotated[Where, typer.Option(help="Where: this kernel, or a User-Mode Linux guest.")] = Where.AUTO,
    kernel: Annotated[Path | None, typer.Option(help="The User-Mode Linux kernel to boot.")] = None,
    clock: Annotated[Time, typer.Option(help="virtual: waiting costs nothing, and delays are exact.")] = Time.AUTO,
) -> None:
    """Run an experiment and give its verdict. The run directory keeps everything that was seen."""
    from rich.console import Console

    from chaoskit.analysis.analyse import analyse
    from chaoskit.cli.watch import watch
    from chaoskit.clock import wall
    from chaoskit.plan.compile import compile_plan
    from chaoskit.records.directory import create
    from chaoskit.report import console as report
    from chaoskit.report.files import write_result
    from chaoskit.spec.load import load
    from chaoskit.substrate.choose import Wish, choose

    plan = compile_plan(load(file))
    chosen, why = choose(plan.needs, Wish(substrate.value, kernel, clock.value))
    stamp = wall().replace(":", "").replace("-", "").removesuffix("+0000")
    files = {"experiment.yaml": file.read_text(), "plan.json": plan.model_dump_json(indent=1) + "\n"}
    directory = create(out or Path("runs") / f"{plan.name}-{stamp}", files)
    screen = Console()
    screen.print(f"[bold]{plan.name}[/bold]: {why}", highlight=False)
    watch(chosen.start(directory, plan.length + plan.drain, plan.seed), plan, directory, screen)
    result = analyse(directory)
    write_result(result, directory)
    report.render(result, screen)
    raise typer.Exit(result.exit_code)
