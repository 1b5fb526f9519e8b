"""Finds what makes two runs hard to compare: keys of the experiment, the clock, the kernel.

Rules: a name, a question, a seed and the bounds of objectives do not make another experiment. Two spellings of one
value, `50ms` and `0.05s`, are the same. What a probe was asked is compared but for its URL: another deployment may be
what is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from chaoskit.analysis.run_comparison.measured import MeasuredRun
from chaoskit.analysis.run_comparison.result import Difference, FieldChange
from chaoskit.faults.schema import FROM_FILE
from chaoskit.planning.model import Plan
from chaoskit.planning.probe_plan import ProbePlan
from chaoskit.spec.experiment import Experiment

_OF_NO_MATTER = ("name", "question", "seed", "objectives")
_OF_A_PROBE = ("chaoskit", "url", "seed", "objectives", "schema_version")
_OF_A_PLAN = (
    *("schema_version", "chaoskit", "name", "question", "folder", "seed", "looks", "order", "phases", "objectives"),
    *("warnings", "advice", "remarks"),
)
_MOST_LETTERS = 80  # of a value


def differences(reference: MeasuredRun, run: MeasuredRun) -> Iterator[Difference]:
    """Each of them, with what was different."""
    places = _place(reference), _place(run)
    if places[0] != places[1]:
        yield Difference(kind="target", sentence=f"{reference.name} measured {places[0]}, {run.name} {places[1]}")
    elif fields := tuple(_fields(reference, run)):
        yield Difference(kind="experiment", sentence="the experiments differ", fields=fields)
    told = (
        ("clock", "time", reference.machine.get("clock", ""), run.machine.get("clock", "")),
        (("kernel", "kernel", reference.kernel, run.kernel)),
    )
    for kind, noun, one, other in told:
        if one and other and one != other:
            words = (f"{one} time", f"{other} time") if kind == "clock" else (f"{noun} {one}", f"{noun} {other}")
            sentence = f"{reference.name} ran in {words[0]}, {run.name} in {words[1]}"
            yield Difference(kind="clock" if kind == "clock" else "kernel", sentence=sentence)
    protocols = reference.spec.protocol, run.spec.protocol
    if all(protocols) and protocols[0] != protocols[1]:
        sentence = f"{reference.name} spoke {protocols[0]}, {run.name} {protocols[1]}"
        yield Difference(kind="protocol", sentence=sentence)
    yield from unfinished(run)


def unfinished(run: MeasuredRun) -> Iterator[Difference]:
    """That a run did not come to its end."""
    if run.status == "finished":
        return
    how = "has not ended yet" if run.status == "running" else f"was {run.status}"
    detail = f" ({run.detail})" if run.detail else ""
    yield Difference(kind="unfinished", sentence=f"{run.name} {how}{detail}")


def remarks(reference: MeasuredRun, run: MeasuredRun) -> Iterator[str]:
    """What else is different: it may be what is compared, or explain a change."""
    one, other = reference.spec, run.spec
    for noun, former, latter in (("URL", one.target, other.target), ("model", one.model, other.model)):
        if isinstance(run.plan, ProbePlan) and former != latter:
            yield f"{noun}: {former or 'none'}, then {latter or 'none'}"
    if reference.provenance and run.provenance:
        versions = [
            f"{made.chaoskit}{f' ({made.chaoskit_commit[:12]})' if made.chaoskit_commit else ''}"
            for made in (reference.provenance, run.provenance)
        ]
        if versions[0] != versions[1]:
            yield f"chaoskit: {versions[0]}, then {versions[1]}"
    if reference.state and run.state:
        yield from _machines(reference, run)


def _machines(reference: MeasuredRun, run: MeasuredRun) -> Iterator[str]:
    one, other = reference.state, run.state
    assert one is not None
    assert other is not None
    if one.processors != other.processors:
        yield f"processors: {one.processors}, then {other.processors}"
    for name in sorted(one.sysctls.keys() | other.sysctls.keys()):
        if one.sysctls.get(name) != other.sysctls.get(name):
            yield f"{name}: {one.sysctls.get(name, 'unknown')}, then {other.sysctls.get(name, 'unknown')}"
    if one.offloads != other.offloads:
        changed = [name for name in one.offloads if one.offloads[name] != other.offloads.get(name)]
        yield f"offloads of {other.link or 'the link'}: {', '.join(changed) or 'others'} changed"


def _place(run: MeasuredRun) -> str:
    """What kind of target it measured."""
    match run.plan:
        case Plan(interface=None, hosts=()):
            return "the edge lab"
        case Plan(interface=None):
            return "a service lab"
        case Plan():
            return "an endpoint behind an interface"
        case ProbePlan():
            return "an endpoint, without a fault"
        case _:
            return "what its records do not tell"


def _fields(reference: MeasuredRun, run: MeasuredRun) -> Iterator[FieldChange]:
    """The keys that differ."""
    if isinstance(run.plan, ProbePlan) and isinstance(reference.plan, ProbePlan):
        yield from changes(_dump(reference.plan, _OF_A_PROBE), _dump(run.plan, _OF_A_PROBE))
        return
    if reference.words and run.words:
        one, other = ({k: v for k, v in each.words.items() if k not in _OF_NO_MATTER} for each in (reference, run))
        if one != other and _meaning(reference.words) != _meaning(run.words):
            yield from changes(one, other)
        return
    if isinstance(run.plan, Plan) and isinstance(reference.plan, Plan):
        yield from changes(_dump(reference.plan, _OF_A_PLAN), _dump(run.plan, _OF_A_PLAN))


def _meaning(words: Mapping[str, Any]) -> Any:
    """What a file says, whatever its spelling; its words where this chaoskit does not understand them."""
    try:
        return Experiment.model_validate(words, context=FROM_FILE).model_dump(mode="json", exclude=set(_OF_NO_MATTER))
    except ValidationError:
        return words


def _dump(plan: Plan | ProbePlan, without: tuple[str, ...]) -> dict[str, Any]:
    return plan.model_dump(mode="json", exclude=set(without))


def changes(reference: Any, value: Any, path: str = "") -> Iterator[FieldChange]:
    """Every leaf of two trees that differs, by its dotted path."""
    if isinstance(reference, Mapping) and isinstance(value, Mapping):
        for key in (*reference, *(key for key in value if key not in reference)):
            yield from changes(reference.get(key), value.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(reference, list | tuple) and isinstance(value, list | tuple) and len(reference) == len(value):
        for at, pair in enumerate(zip(reference, value, strict=True)):
            yield from changes(*pair, f"{path}.{at}")
    elif reference != value:
        yield FieldChange(field=path, reference=_brief(reference), value=_brief(value))


def _brief(value: Any) -> str | None:
    if value is None:
        return None
    match value:
        case Mapping():
            text = f"{{{', '.join(f'{key}: {_brief(each)}' for key, each in value.items())}}}"
        case list() | tuple():
            text = f"[{', '.join(str(_brief(each)) for each in value)}]"
        case _:
            text = str(value)
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"
