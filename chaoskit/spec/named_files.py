"""Finds the files that an experiment names: relative to its own, and those of a load that are missing.

Files with keys and certificates may be missing where a file is only validated; the run says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from chaoskit.faults.schema import SpecModel
from chaoskit.spec.demand import Demand
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.stage import ServiceStage
from chaoskit.spec.workload import Workload

_OF_STAGE = ("key_file", "ca_file", "client_cert", "client_key")
W = TypeVar("W", bound=Workload)


def beside(experiment: Experiment, name: str) -> Experiment:
    """The experiment of the file that messages call `name`, with the paths in it, which are relative to that file."""
    stage: SpecModel = experiment.stage
    paths = {key: getattr(stage, key, None) for key in _OF_STAGE}
    stage = stage.model_copy(update={key: _beside(path, name) for key, path in paths.items() if path is not None})
    if isinstance(stage, ServiceStage):
        stage = stage.in_folder(str((Path.cwd() / name).parent))
    others = {key: _with_files(each, name) for key, each in experiment.workloads.items()}
    changed = {"stage": stage, "workload": _with_files(experiment.workload, name), "workloads": others}
    return experiment.model_copy(update=changed)


def _with_files(work: W, name: str) -> W:
    """The workload with whole paths of its prompts and its trace."""
    changed: dict[str, object] = {}
    if work.prompts is not None:
        changed["prompts"] = _beside(work.prompts, name)
    if work.trace is not None:
        changed["trace"] = work.trace.model_copy(update={"file": _beside(work.trace.file, name)})
    if any(each.prompts for each in work.demand.values()):
        found = {
            key: each if each.prompts is None else each.model_copy(update={"prompts": _beside(each.prompts, name)})
            for key, each in work.demand.items()
        }
        changed["demand"] = Demand(found)
    return work.model_copy(update=changed)


def missing_files(experiment: Experiment) -> Iterator[tuple[tuple[str, ...], str]]:
    """The location and a sentence for each file of prompts or trace that is not there; paths are whole."""
    yield from _missing(experiment.workload, ("workload",))
    for key, each in experiment.workloads.items():
        yield from _missing(each, ("workloads", key))


def _missing(work: Workload, where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    kinds: dict[tuple[str, ...], tuple[str | None, str]] = {("prompts",): (work.prompts, "JSONL")}
    for key, each in work.demand.items():
        kinds["demand", key, "prompts"] = (each.prompts, "JSONL")
    kinds["trace",] = (work.trace.file if work.trace is not None else None, "CSV or JSONL")
    for below, (written, kind) in kinds.items():
        path = Path(written or "").expanduser()
        if written is not None and not path.is_file():
            sentence = f"{path} {'is no file' if path.exists() else 'does not exist'}; give a {kind} file"
            yield (*where, *below), sentence


def _beside(path: str, name: str) -> str:
    return path if path.startswith("~") else str((Path.cwd() / name).parent / path)
