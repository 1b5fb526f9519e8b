"""Compares what requests ask with what the KV cache of an engine holds, for a small one refuses all."""

from __future__ import annotations

import math
from collections.abc import Iterator

from chaoskit.server.inference.settings import EngineSettings, Lengths
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.server import Responses
from chaoskit.spec.sizes import mean_prompt, mean_tokens
from chaoskit.spec.stage import EdgeStage, ServiceStage
from chaoskit.token_lengths import BYTES_PER_TOKEN
from chaoskit.units import counted

_STEP = 100  # tokens: what is advised is a multiple


def too_small_models(experiment: Experiment) -> Iterator[str]:
    """The engines of a lab that cannot take a usual request of its workload, and how large they must be."""
    work = experiment.workload
    prompt, answer = mean_prompt(work) / BYTES_PER_TOKEN, min(mean_tokens(work), _longest_answer(experiment))
    for where, responses in _servers(experiment):
        if responses.engine is None:
            continue
        engine = responses.engine.settings
        asked = round(_usual(engine.prompt, prompt))
        given = round(answer if engine.output is None else min(answer, _usual(engine.output, answer)))
        if asked + given > engine.longest:
            room = math.ceil((asked + given) / _STEP) * _STEP
            yield (
                f"{where} takes {counted(engine.longest, 'token')}, and a usual request has {asked} in its prompt and "
                f"{given} for its answer: it is refused with HTTP 400; write {_key(engine)}: {room} or more"
            )


def _servers(experiment: Experiment) -> Iterator[tuple[str, Responses]]:
    """Where each reference server is configured, and how it responds."""
    stage = experiment.stage
    if isinstance(stage, EdgeStage):
        yield "server.engine", experiment.server
    elif isinstance(stage, ServiceStage):
        for name, host in stage.hosts.items():
            if host.reference is not None:
                responses = host.reference if host.reference.written() else experiment.server
                yield f"the engine of {name}", responses


def _longest_answer(experiment: Experiment) -> float:
    """What gateways leave of an answer, where all their stages limit it."""
    stage = experiment.stage
    gateways = [host.gateway for host in stage.hosts.values()] if isinstance(stage, ServiceStage) else []
    limits = [
        step.generate.max_tokens or math.inf
        for gateway in gateways
        if gateway is not None
        for steps in gateway.workflows.values()
        for step in steps
        if step.generate is not None
    ]
    return max(limits, default=math.inf)


def _usual(lengths: Lengths | None, asked: float) -> float:
    """The median of what the engine draws; what is asked where it draws nothing."""
    return asked if lengths is None else min(lengths.most, math.exp(lengths.mu))


def _key(engine: EngineSettings) -> str:
    """What limits it."""
    return "max-model-len" if engine.max_model_len == engine.longest else "kv-cache-tokens"
