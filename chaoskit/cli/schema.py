"""`chaoskit schema`: prints the JSON Schema of experiment files, for editors."""

from __future__ import annotations

from chaoskit.terminal import say_json


def schema() -> None:
    """Print the JSON Schema of experiment files. For editors, such as those with yaml-language-server."""
    import json

    from chaoskit.spec.json_schema import experiment_schema

    say_json(json.dumps(experiment_schema(), indent=2))
