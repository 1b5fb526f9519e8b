"""From an experiment to its plan on this machine: what the stage needs to know is looked up. Changes nothing."""

from __future__ import annotations

import os

from chaoskit.errors import SpecError
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.host_lookups import look_up
from chaoskit.plan.compile import compile_plan
from chaoskit.plan.model import Plan
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.stage import InterfaceStage


def prepare(experiment: Experiment, to_run: bool = False) -> Plan:
    """The plan, with everything resolved; `to_run` asks for the API key to be there too.

    Raises RefusedError where this machine cannot, or must not, do it, and SpecError without the key.
    """
    stage = experiment.stage
    if not isinstance(stage, InterfaceStage):
        return compile_plan(experiment)
    if to_run and stage.key_env:
        _require(stage.key_env)
    ground = look_up(stage.interface, stage.hosts)
    features = detect_features().features
    return compile_plan(experiment, ground, "u32" if "u32" in features and "flower" not in features else "flower")


def _require(variable: str) -> None:
    if not os.environ.get(variable):
        raise SpecError(
            f"the environment has no {variable}: export {variable}=..., and with sudo --preserve-env={variable}"
        )
