"""Finds the files that an experiment names: relative to its own, and where one of prompts is missing.

Files with keys and certificates may be missing where a file is only validated; the run says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chaoskit.faults.schema import SpecModel
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.stage import ServiceStage

_PATHS = ("prompts", "key_file", "ca_file", "client_cert", "client_key")  # keys of a workload and of a stage


def beside(experiment: Experiment, name: str) -> Experiment:
    """The experiment of the file that messages call `name`, with the paths in it, which are relative to that file."""
    found: dict[str, SpecModel] = {"workload": experiment.workload, "stage": experiment.stage}
    for part, model in found.items():
        paths = {key: getattr(model, key, None) for key in _PATHS}
        absolute = {key: _beside(path, name) for key, path in paths.items() if path is not None}
        found[part] = model.model_copy(update=absolute) if absolute else model
    others = {
        key: each if each.prompts is None else each.model_copy(update={"prompts": _beside(each.prompts, name)})
        for key, each in experiment.workloads.items()
    }
    if isinstance(stage := found["stage"], ServiceStage):
        found["stage"] = stage.in_folder(str((Path.cwd() / name).parent))
    return experiment.model_copy(update={**found, "workloads": others})


def missing_prompts(experiment: Experiment) -> Iterator[tuple[tuple[str, ...], str]]:
    """The location and a sentence for each file of prompts that is not there, of an experiment with whole paths."""
    named: dict[tuple[str, ...], str | None] = {("workload", "prompts"): experiment.workload.prompts}
    named |= {("workloads", key, "prompts"): each.prompts for key, each in experiment.workloads.items()}
    for where, written in named.items():
        path = Path(written or "").expanduser()
        if written is not None and not path.is_file():
            yield where, f"{path} {'is no file' if path.exists() else 'does not exist'}; give a JSONL file"


def _beside(path: str, name: str) -> str:
    return path if path.startswith("~") else str((Path.cwd() / name).parent / path)
