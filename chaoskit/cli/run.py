"""`chaoskit run FILE`: from an experiment to a verdict."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from chaoskit.analysis.result import Result
    from chaoskit.plan.model import Plan
    from chaoskit.substrate.choose import Substrate


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
    verify_repeatable: Annotated[bool, typer.Option(help="Run twice, and compare every byte.")] = False,
) -> None:
    """Run an experiment and give its verdict. The run directory keeps everything that was seen."""
    from rich.console import Console

    from chaoskit.clock import wall
    from chaoskit.plan.compile import compile_plan
    from chaoskit.records.directory import create, first_difference
    from chaoskit.report import console as report
    from chaoskit.spec.load import load
    from chaoskit.substrate.choose import Wish, choose

    plan = compile_plan(load(file))
    chosen, why = choose(plan.needs, Wish(substrate.value, kernel, clock.value))
    stamp = wall().replace(":", "").replace("-", "").removesuffix("+0000")
    files = {"experiment.yaml": file.read_text(), "plan.json": plan.model_dump_json(indent=1) + "\n"}
    directory = create(out or Path("runs") / f"{plan.name}-{stamp}", files)
    screen = Console()
    screen.print(f"[bold]{plan.name}[/bold]: {why}", highlight=False)
    result, code = _once(chosen, plan, directory, screen)
    report.render(result, screen)
    if verify_repeatable and result.outcome.how == "finished":
        again = create(directory / "again", files)
        _once(chosen, plan, again, screen)
        difference = first_difference(directory, again)
        screen.print(f"repeated: {difference or 'every byte the same'}", highlight=False, markup=False)
        raise typer.Exit(5 if difference else result.exit_code)
    raise typer.Exit(max(code, result.exit_code))


def _once(chosen: Substrate, plan: Plan, directory: Path, screen: Console) -> tuple[Result, int]:
    from chaoskit.analysis.analyse import analyse
    from chaoskit.cli.watch import watch
    from chaoskit.report.files import write_result

    code = watch(chosen.start(directory, plan.length + plan.drain, plan.seed), plan, directory, screen)
    result = analyse(directory)
    write_result(result, directory)
    return result, code
