"""Plans an experiment on this machine: looks up interface and addresses. Changes nothing."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from chaoskit.conduct.network_namespace import enter
from chaoskit.errors import RefusedError, SpecError
from chaoskit.kernel.client_limits import client_limits
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.host_lookups import look_up
from chaoskit.plan.client_load import ClientLoad, shortages
from chaoskit.plan.compile import compile_plan
from chaoskit.plan.model import Plan
from chaoskit.plan.obstacles import classifier, key_obstacle, obstacles
from chaoskit.spec.experiment import Experiment, Workload
from chaoskit.spec.server import Server
from chaoskit.spec.stage import InterfaceStage


def prepare(experiment: Experiment, to_run: bool = False) -> Plan:
    """The plan, with everything resolved; `to_run` requires the API key too. Enters the stage's network namespace.

    Raises RefusedError where this machine cannot, or must not, run it, and SpecError without the key.
    """
    plan = _compiled(experiment, to_run)
    told = load_warnings(plan.workload, plan.target, plan.server, to_run=to_run)
    return plan.model_copy(update={"warnings": (*plan.warnings, *told)})


def load_warnings(
    workload: Workload, url: str, server: Server | None, requests: int | None = None, to_run: bool = False
) -> tuple[str, ...]:
    """What this machine's limits as a client mean for a load on this URL. `server`: of a lab.

    `to_run`: raises RefusedError for what certainly does not fit.
    """
    load, limits = ClientLoad.of(workload, server, requests), client_limits(urlsplit(url).hostname or "")
    found = list(shortages(load, workload, limits, in_lab=server is not None))
    certain = [sentence for sentence, is_certain in found if is_certain and load.is_certain]
    if to_run and certain:
        raise RefusedError("; ".join(certain))
    return tuple(sentence for sentence, _ in found)


def _compiled(experiment: Experiment, to_run: bool) -> Plan:
    stage = experiment.stage
    if not isinstance(stage, InterfaceStage):
        return compile_plan(experiment)
    if to_run and (unset := key_obstacle(stage.key_env, is_set(stage.key_env))):
        raise SpecError(unset)
    enter(stage)
    facts = detect_features()
    plan = compile_plan(experiment, look_up(stage.interface, stage.hosts), classifier(facts))
    if to_run or plan.interface is None:
        return plan
    notes = obstacles(plan.interface.name, plan.needs, facts, stage.key_env, is_set(stage.key_env))
    return plan.model_copy(update={"remarks": (*plan.remarks, *notes)})


def is_set(variable: str | None) -> bool:
    """Whether this environment variable has a value."""
    return bool(variable and os.environ.get(variable))
