"""Plans an experiment on this machine: looks up interface and addresses. Changes nothing."""

from __future__ import annotations

import os

from chaoskit.conduct.network_namespace import enter
from chaoskit.errors import SpecError
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.host_lookups import look_up
from chaoskit.plan.compile import compile_plan
from chaoskit.plan.model import Plan
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.stage import InterfaceStage


def prepare(experiment: Experiment, to_run: bool = False) -> Plan:
    """The plan, with everything resolved; `to_run` requires the API key too. Enters the stage's network namespace.

    Raises RefusedError where this machine cannot, or must not, run it, and SpecError without the key.
    """
    stage = experiment.stage
    if not isinstance(stage, InterfaceStage):
        return compile_plan(experiment)
    if to_run and stage.key_env:
        _require_variable(stage.key_env)
    enter(stage)
    lookups = look_up(stage.interface, stage.hosts)
    features = detect_features().features
    return compile_plan(experiment, lookups, "u32" if "u32" in features and "flower" not in features else "flower")


def _require_variable(variable: str) -> None:
    if not os.environ.get(variable):
        raise SpecError(
            f"variable {variable} is not set: export {variable}=..., and with sudo --preserve-env={variable}"
        )
