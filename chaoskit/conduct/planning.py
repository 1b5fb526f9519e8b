"""Plans an experiment on this machine: looks up interface and addresses. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from chaoskit.conduct.hosts.program import check
from chaoskit.conduct.lab_setup import LabSetup
from chaoskit.conduct.lab_timers import with_timers
from chaoskit.conduct.network_namespace import enter
from chaoskit.errors import RefusedError, SpecError
from chaoskit.kernel.client_limits import client_limits
from chaoskit.kernel.features import detect_features
from chaoskit.planning.client_load import ClientLoad, shortages
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.decidability import never_decided
from chaoskit.planning.model import InterfacePlan, Plan
from chaoskit.planning.obstacles import classifier, obstacles
from chaoskit.planning.until_decided import with_rounds
from chaoskit.probe import credentials
from chaoskit.probe.model_list import with_model
from chaoskit.probe.prompts import read_prompts
from chaoskit.probe.proxy_variables import unused_proxy
from chaoskit.probe.request_url import completed_url
from chaoskit.probe.requests import RequestFactory
from chaoskit.probe.target import Target, endpoint
from chaoskit.probe.transport.tls import tls_context
from chaoskit.spec.demand_curve import ALWAYS, Surges
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.server import Server
from chaoskit.spec.stage import InterfaceStage
from chaoskit.spec.workload import Workload
from chaoskit.telemetry.endpoint import doubts
from chaoskit.units import Duration


def prepare(experiment: Experiment, to_run: bool = False, max_time: Duration | None = None) -> Plan:
    """The plan, with everything resolved; `to_run` requires the API key too. Enters the stage's network namespace.

    With `max_time` the run ends when its objectives are decided, at the latest after as many rounds as fit into it.
    Raises RefusedError where this machine cannot, or must not, run it, and SpecError without the key, and for an
    objective that `max_time` cannot decide.
    """
    looks = None
    if max_time is not None:
        experiment, looks = with_rounds(experiment, max_time)
    plan = _compiled(experiment, to_run).model_copy(update={"looks": looks})
    if looks is not None and (never := never_decided(plan)):
        raise SpecError("--until-decided: " + "; ".join(never))
    told = load_warnings(plan.workload, plan.target, plan.server, to_run=to_run, surges=plan.surges)
    of_spans = () if plan.telemetry is None else doubts(plan.telemetry.listen)
    return plan.model_copy(update={"warnings": (*plan.warnings, *told, *of_spans)})


def load_warnings(
    workload: Workload,
    url: str,
    server: Server | None,
    requests: int | None = None,
    to_run: bool = False,
    processes: int = 1,
    surges: Surges = ALWAYS,
) -> tuple[str, ...]:
    """What this machine's limits as a client mean for a load on this URL. `server`: of a lab.

    `to_run`: raises RefusedError for what certainly does not fit.
    """
    load = ClientLoad.of(workload, server, requests, processes, surges)
    limits = client_limits(urlsplit(url).hostname or "")
    found = list(shortages(load, workload, limits, in_lab=server is not None))
    certain = [sentence for sentence, is_certain in found if is_certain and load.is_certain]
    if to_run and certain:
        raise RefusedError("; ".join(certain))
    return tuple(sentence for sentence, _ in found)


def _compiled(experiment: Experiment, to_run: bool) -> Plan:
    stage, work = experiment.stage, experiment.workload
    read_prompts(work)
    if not isinstance(stage, InterfaceStage):
        plan = with_timers(compile_plan(experiment), experiment.key_lines)
        missing = tuple(missing_programs(plan))
        if to_run and missing:
            raise RefusedError("; ".join(missing))
        return plan.model_copy(update={"remarks": (*plan.remarks, *missing)})
    target = endpoint(stage.target, stage.access) if to_run else None
    if target is not None:
        RequestFactory(target, work, experiment.seed)
        tls_context(target, work.http)
    enter(stage)
    facts = detect_features()
    from chaoskit.kernel.host_lookups import look_up  # here, not at the top: it loads pyroute2, for this stage only

    plan = compile_plan(experiment, look_up(stage.interface, stage.hosts), classifier(facts))
    if plan.interface is None:
        return plan
    if target is not None:
        return _completed(plan, plan.interface, target)
    notes = obstacles(plan.interface.name, plan.needs, facts, unset(stage.variables))
    asked = completed_url(Target(stage.target, stage.access.model or "MODEL"), work)
    return plan.model_copy(update={"target": asked, "remarks": (*plan.remarks, *notes)})


def _completed(plan: Plan, interface: InterfacePlan, target: Target) -> Plan:
    """The plan of a run with the model that is asked, and with what is doubtful about its target."""
    access = interface.access
    named = with_model(replace(target, addresses=interface.target_addresses), access, plan.workload)
    asked = interface.model_copy(update={"access": access.model_copy(update={"model": named.model})})
    doubts = (*credentials.warnings(target), *unused_proxy(target, os.environ))
    url = completed_url(named, plan.workload)
    return plan.model_copy(update={"interface": asked, "target": url, "warnings": (*plan.warnings, *doubts)})


def missing_programs(plan: Plan) -> Iterator[str]:
    """Why the programs of a lab's hosts could not be started on this machine now, in the words of the refusal."""
    if not plan.hosts:
        return
    try:
        setup = LabSetup.of(plan)
    except SpecError as error:
        yield str(error)
        return
    for program in setup.programs:
        try:
            check(program)
        except (RefusedError, SpecError) as error:
            yield str(error)


def unset(variables: Iterable[str]) -> tuple[str, ...]:
    """Those of these environment variables that have no value."""
    return tuple(variable for variable in variables if not os.environ.get(variable))
