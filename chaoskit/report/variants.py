"""Lists the variants of a matrix below the plan of one of them."""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.text import Text

from chaoskit.report.styles import safe, titled
from chaoskit.spec.matrix import Variant, Variants
from chaoskit.units import Duration


def render(matrix: Variants, shown: Variant, console: Console) -> None:
    """Print the names of all variants, and which one is `shown`."""
    lengths = (sum(span.length for span in each.experiment.timeline) * each.experiment.repeats for each in matrix.each)
    count, total = len(matrix.each), Duration(sum(lengths))
    console.print()
    console.print(titled("The variants", f" ({count}, {total.spaced()} in all)"), highlight=False)
    for variant in matrix.each:
        line = Text(f"  {safe(variant.name)}", style="bold" if variant is shown else "")
        console.print(line.append("  the plan above" if variant is shown else "", style="not bold dim"), soft_wrap=True)
    other = next((variant.name for variant in matrix.each if variant is not shown), None)
    if other is not None:
        command = shlex.join(("chaoskit", "plan", matrix.file, "--variant", other))
        console.print(Text(f"  another: {safe(command)}", style="dim"), soft_wrap=True)
