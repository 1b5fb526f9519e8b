"""A plan on the screen: what will be touched, what the kernel makes of it, how long it takes."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from chaoskit.faults.show import describe
from chaoskit.knobs import Netem
from chaoskit.plan.model import Plan, PlannedPhase
from chaoskit.units import Duration


def render(plan: Plan, console: Console) -> None:
    """Print the whole plan. Touches nothing."""
    console.print(f"[bold]{escape(plan.name)}[/bold]  {escape(plan.question)}", highlight=False)
    console.print(f"\n[bold]Takes[/bold]   {_length(plan)}", highlight=False)
    console.print(f"[bold]Needs[/bold]   {', '.join(sorted(plan.needs))}", highlight=False)
    console.print(f"[bold]Asks[/bold]    {_traffic(plan)}", highlight=False)
    console.print("\n[bold]Timeline[/bold]")
    console.print(Padding(_timeline(plan), (0, 0, 0, 2)))
    console.print("\n[bold]Objectives[/bold]")
    for objective in plan.objectives:
        console.print(f"  {escape(objective.text)}", highlight=False)
    if not plan.objectives:
        console.print("  none: the run measures, and exits with 0", highlight=False)
    console.print(f"\n[bold]The lab[/bold] ({len(plan.stage)} changes, all in namespaces of its own, all put back)")
    for line in _stage(plan):
        console.print(f"  {line}", highlight=False, markup=False)
    for rounding in plan.roundings:
        console.print(
            f"[yellow]rounds[/yellow]  {rounding.where}: asked {rounding.asked}, the kernel does {rounding.kernel}",
            highlight=False,
        )
    for warning in plan.warnings:
        console.print(f"[yellow]warning[/yellow] {escape(warning)}", highlight=False)


def _length(plan: Plan) -> str:
    phases = Duration(plan.length)
    return (
        f"{phases} in {len(plan.phases)} phases, then at most {Duration(plan.drain // 10**8 * 10**8)} for open streams"
    )


def _traffic(plan: Plan) -> str:
    work = plan.workload
    if work.request_rate is not None:
        arrivals = (
            f"{work.request_rate} open loop (about {round(work.request_rate.per_second * plan.length / 1e9)} streams)"
        )
    else:
        arrivals = f"{work.max_concurrency} streams at a time"
    return f"{work.protocol} over HTTP/{work.http}, {arrivals}, {work.prompt_size} prompts, {work.output_tokens} tokens"


def _timeline(plan: Plan) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("at", "for", "phase", "sets"):
        table.add_column(column, justify="right" if column in ("at", "for") else "left")
    at = 0
    for phase in plan.phases:
        table.add_row(str(Duration(at)), str(Duration(phase.length)), escape(phase.name), "\n".join(_sets(phase)))
        at += phase.length
    return table


def _sets(phase: PlannedPhase) -> Iterator[str]:
    changed = [change for change in phase.changes if change.setting is not None]
    if not changed:
        yield "nothing"
    for change in changed:
        noun = "netem" if isinstance(change.setting, Netem) else change.knob.kind
        yield escape(f"{noun} on {change.knob.place} {change.knob.name}: {describe(change.setting)}")


def _stage(plan: Plan) -> Iterator[str]:
    for change in plan.stage:
        place = f"{change.knob.place}: " if change.knob.place else ""
        yield f"{place}{change.knob.kind} {change.knob.name}" + _value(change.setting)


def _value(setting: object) -> str:
    values = {k: v for k, v in vars(setting).items() if k != "type"}
    return " " + " ".join(f"{k.replace('_', '-')}={v}" for k, v in values.items()) if values else ""
