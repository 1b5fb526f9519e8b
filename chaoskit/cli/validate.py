"""`chaoskit validate FILE...`: checks experiment files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chaoskit.terminal import say


def validate(files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Experiment files.")]) -> None:
    """Check experiment files. Each error gives file, line, and what was expected."""
    from chaoskit.conduct.planning import load_warnings
    from chaoskit.errors import SpecError
    from chaoskit.plan.compile import compile_plan
    from chaoskit.plan.decidability import decidability_warnings
    from chaoskit.plan.stage import placeholder_lookups
    from chaoskit.spec.matrix import load_variants
    from chaoskit.units import counted

    errors = []
    for file in files:
        try:
            experiments = [variant.experiment for variant in load_variants(file).each]
            plans = [compile_plan(experiment, placeholder_lookups(experiment)) for experiment in experiments]
        except SpecError as error:
            errors.append(str(error))
            continue
        found = (
            warning
            for plan in plans
            for warning in (
                *plan.warnings,
                *load_warnings(plan.workload, plan.target, plan.server),
                *decidability_warnings(plan),
            )
        )
        warnings = list(dict.fromkeys(found))
        remarks = [counted(len(plans), "variant")] if len(plans) > 1 else []
        remarks += [counted(len(warnings), "warning")] if warnings else []
        say(", ".join([f"{file}: ok", plans[0].name, *remarks]))
        for warning in warnings:
            say(f"  warning: {warning}")
    if errors:
        raise SpecError("\n".join(errors))
