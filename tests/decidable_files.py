"""Experiment files in words, what is warned of their objectives, and the files with what is advised."""

from __future__ import annotations

import json
import re
from typing import Any

from chaoskit.planning.compile import compile_plan
from chaoskit.planning.decidability import decidability_warnings
from chaoskit.planning.stage import placeholder_lookups
from chaoskit.spec.load import parse

Words = dict[str, Any]
LAB: Words = {
    "name": "made-up",
    "question": "Can it be decided?",
    "stage": {"lab": "edge"},
    "workload": {"request-rate": "2/s", "burstiness": "0", "output-tokens": "60"},
    "faults": {"wifi": {"link": "client-router", "direction": "down", "netem": {"delay": "30ms", "loss": "1%"}}},
    "timeline": [{"warm-up": "10s"}, {"baseline": "20s"}, {"wifi": "30s"}, {"recovery": "10s"}],
    "objectives": [],
    "seed": "42",
}
ENDPOINT = {
    **LAB,
    "stage": {"target": "http://127.0.0.1:8000"},
    "workload": {"max-concurrency": "2", "output-tokens": "60"},
    "faults": {"wifi": {"direction": "down", "netem": {"delay": "30ms", "loss": "1%"}}},
}


def warned(base: Words, *sentences: str, **changed: Any) -> tuple[str, ...]:
    """The warnings for this file with these objectives."""
    experiment = parse(json.dumps(base | {"objectives": list(sentences)} | changed), "made.yaml")
    return decidability_warnings(compile_plan(experiment, placeholder_lookups(experiment)))


def advice(sentence: str) -> list[str]:
    """The alternatives that a warning ends with."""
    return sentence.rpartition("; write ")[2].removeprefix("one of: ").split(", ")


def applied(base: Words, one: str, sentence: str) -> Words:
    """The file with one of the alternatives."""
    if re.search(r"[<>]", one):
        return base | {"objectives": [one]}
    file: Words = json.loads(json.dumps(base | {"objectives": [sentence]}))
    for part in one.split(" and "):
        key, value = part.split(": ")
        if key in ("request-rate", "max-concurrency", "connections", "output-tokens"):
            file["workload"][key] = value
        elif key == "repeats":
            file[key] = value
        else:
            assert any(key in span for span in file["timeline"]), one
            file["timeline"] = [{key: value} if key in span else span for span in file["timeline"]]
    return file
