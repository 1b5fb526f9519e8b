"""Finds objectives `for` a traffic class or `of` a workflow that the file does not have.

It works on a raw file, as the names of phases are compared on one, so that all wrong names are told together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from chaoskit.faults.schema import suggestion
from chaoskit.spec.objectives import Objective, parse


def population_mismatches(
    words: Mapping[str, Any], phases: Collection[str]
) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """A sentence and its place for each class and each workflow that an objective names and the file has not."""
    classes, workflows = class_names(words), workflow_names(words)
    for loc, sentence in _objectives(words):
        found = _parsed(sentence)
        if found is None:
            continue
        if found.traffic_class and found.traffic_class not in classes:
            yield _unknown("class", "for", found.traffic_class, classes, phases), loc
        if found.workflow and found.workflow not in workflows:
            yield _unknown("workflow", "of", found.workflow, workflows, phases), loc


def class_names(words: Mapping[str, Any]) -> list[str]:
    """The traffic classes of a raw file."""
    return _keys(words.get("classes"))


def workflow_names(words: Mapping[str, Any]) -> list[str]:
    """The workflows that the requests of a raw file name, and those of its gateways."""
    workload, stage = words.get("workload"), words.get("stage")
    asked = _keys(workload.get("demand")) if isinstance(workload, dict) else []
    hosts = stage.get("hosts") if isinstance(stage, dict) else None
    gateways = (
        [host.get("gateway") for host in hosts.values() if isinstance(host, dict)] if isinstance(hosts, dict) else []
    )
    run = [name for each in gateways if isinstance(each, dict) for name in _keys(each.get("workflows"))]
    return list(dict.fromkeys([*asked, *run]))


def _unknown(kind: str, word: str, name: str, known: Iterable[str], phases: Collection[str]) -> str:
    if name in phases:
        return f"{name!r} is a phase and no {kind}; write during {name}"
    names = list(known)
    if not names:
        return f"{name!r} is no {kind}: this file has none; remove {word} {name}"
    return f"{name!r} is no {kind}; {suggestion(name, names)}"


def _objectives(words: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Each objective of the file and of its other workloads, with its place."""
    for index, sentence in enumerate(_items(words.get("objectives"))):
        yield ("objectives", index), sentence
    others = words.get("workloads")
    for name, each in others.items() if isinstance(others, dict) else ():
        for index, sentence in enumerate(_items(each.get("objectives")) if isinstance(each, dict) else ()):
            yield ("workloads", name, "objectives", index), sentence


def _parsed(sentence: Any) -> Objective | None:
    if isinstance(sentence, Objective):
        return sentence
    try:
        return parse(sentence) if isinstance(sentence, str) else None
    except ValueError:
        return None


def _items(words: Any) -> Iterable[Any]:
    return words if isinstance(words, list | tuple) else ()


def _keys(words: Any) -> list[str]:
    return [str(name) for name in words] if isinstance(words, dict) else []
