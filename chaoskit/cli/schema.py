"""`chaoskit schema`: prints the JSON Schema of experiment files, for editors, or that of results."""

from __future__ import annotations

from typing import Annotated

import typer

from chaoskit.terminal import say_json


def schema(
    result: Annotated[bool, typer.Option("--result", help="That of result.json instead.")] = False,
    comparison: Annotated[bool, typer.Option("--comparison", help="That of compare --format json instead.")] = False,
    suite: Annotated[bool, typer.Option("--suite", help="That of suite files instead.")] = False,
) -> None:
    """Print the JSON Schema of experiment files. For editors, such as those with yaml-language-server."""
    import json

    if result:
        from chaoskit.report.result_schema import result_schema

        say_json(json.dumps(result_schema(), indent=2))
    elif comparison:
        from chaoskit.report.result_schema import comparison_schema

        say_json(json.dumps(comparison_schema(), indent=2))
    else:
        from chaoskit.spec.json_schema import experiment_schema, suite_schema

        say_json(json.dumps(suite_schema() if suite else experiment_schema(), indent=2))
