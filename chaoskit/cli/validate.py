"""`chaoskit validate FILE...`: checks experiment and suite files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def validate(files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Experiment files, or suites.")]) -> None:
    """Check experiment files and suites. Each error gives file, line, and what was expected."""
    from chaoskit.conduct.file_check import check
    from chaoskit.errors import SpecError
    from chaoskit.gameday.planned import check_suite
    from chaoskit.report.screen import say_wrapped
    from chaoskit.spec.matrix import load_variants
    from chaoskit.spec.suite_load import is_suite_file
    from chaoskit.units import counted

    errors = []
    for file in files:
        try:
            if is_suite_file(file):
                say_wrapped(*check_suite(file))
                continue
            found = check([variant.experiment for variant in load_variants(file).each])
        except SpecError as error:
            errors.append(str(error))
            continue
        remarks = [counted(len(found.plans), "variant")] if len(found.plans) > 1 else []
        remarks += [counted(len(found.all_warnings), "warning")] if found.all_warnings else []
        say_wrapped(", ".join([f"{file}: ok", found.plans[0].name, *remarks]))
        say_wrapped(*(f"  warning: {warning}" for warning in found.all_warnings))
        say_wrapped(*(f"  advice: {advice}" for advice in found.all_advice))
        say_wrapped(*(f"  note: {note}" for note in found.notes))
    if errors:
        raise SpecError("\n".join(errors))
