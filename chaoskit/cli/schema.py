"""`chaoskit schema`: prints the JSON Schema of experiment files, for editors."""

from __future__ import annotations

from chaoskit.terminal import say_json


def schema() -> None:
    """Print the JSON Schema of experiment files. For editors, such as those with yaml-language-server."""
    import json

    from chaoskit.spec.experiment import Experiment

    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    say_json(json.dumps(draft | Experiment.model_json_schema(by_alias=True), indent=2))
