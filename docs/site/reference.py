"""Generates the parts of README.md and docs/ that follow from the code: help texts, keys, metrics, reports.

Pages call these functions in cog blocks. `make reference` writes the blocks anew, and tests/rules/test_docs.py fails
when one is out of date.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from rich.console import Console
from typer.testing import CliRunner

from chaoskit.analysis.matrix import MatrixResult
from chaoskit.analysis.result import Result
from chaoskit.cli.app import app
from chaoskit.faults.tunnel import PRESETS
from chaoskit.report import console, matrix
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.injection import Injection
from chaoskit.spec.objectives import METRICS, parse
from chaoskit.spec.sample_size import sample_sizes

EXAMPLES = Path(__file__).parents[1] / "examples"
FREE_FORM = ("timeline", "objectives", "matrix")  # keys whose values the page explains in prose
SENTENCES = {
    "name": "Lower-case letters, digits and `-`; run directories are named after it.",
    "question": "What the experiment answers, in one sentence.",
    "stage": "The lab, or the real interface and the endpoint.",
    "workload": "The requests of the client.",
    "client": "Settings of the client's host for the whole run.",
    "server": "Settings of the server's host, and the timing of the reference server. Lab only.",
    "timeline": "The phases, in order: `[{baseline: 20s}, {wifi: 30s}]`.",
    "repeats": "How often the timeline is run, in one run.",
    "objectives": "Sentences that must hold: `ttft_p95 < 800ms during wifi`.",
    "seed": "Arrivals, prompts, the server's times and netem's losses follow from it.",
    "stage.protocol": "Only packets of this protocol are affected.",
    "stage.ip": "Only packets of this IP version are affected.",
    "workload.protocol": "What the client speaks.",
    "workload.http": "The HTTP version; quote it.",
    "workload.prompt-size": "Bytes of the prompt of each request.",
    "workload.output-tokens": "Tokens that each request asks for.",
    "workload.timeouts": "When the client gives up a stream.",
    "workload.timeouts.connect": "Name lookup, TCP and TLS handshake.",
    "workload.limits": "What one response may hold.",
    "server.first-token": "Time until the first token: a log-normal distribution.",
    "server.first-token.median": "Its median.",
    "server.first-token.p99": "Its 99th percentile.",
    "server.token-interval": "Time from one token to the next.",
    "faults.NAME.direction": "`down`: towards the client; `up`: towards the server.",
    "faults.NAME.netem": "The keys below, or a text in tc's syntax: `delay 30ms loss 1%`.",
    "faults.NAME.node": "The host whose parameters are set.",
    "faults.NAME.sysctl": "Parameters under `net.`, by name.",
    "faults.NAME.mtu": "The MTU, bytes.",
    "faults.NAME.pmtu": "The keys below, or the MTU alone.",
    "faults.NAME.pmtu.mtu": "The largest packet that the hop forwards, bytes.",
    "faults.NAME.pmtu.signal": "Whether the router's ICMP message reaches the sender.",
    "faults.NAME.size-drop": "Longer packets are lost; bytes from the IP header on.",
    "faults.NAME.tunnel": "The preset.",
    "faults.NAME.netem.delay": "Added to every packet.",
    "faults.NAME.netem.jitter": "The delay varies by about this much.",
    "faults.NAME.netem.distribution": "How the delay varies.",
    "faults.NAME.netem.loss": "Packets that are lost.",
    "faults.NAME.netem.duplicate": "Packets that are sent twice.",
    "faults.NAME.netem.corrupt": "Packets in which one bit is changed.",
    "faults.NAME.netem.reorder": "Packets that overtake the delayed ones.",
    "faults.NAME.netem.rate": "The bandwidth.",
    "faults.NAME.netem.slot": "Packets are delivered in bursts.",
    "faults.NAME.netem.distribution.table": "The quantiles.",
    "faults.NAME.netem.loss.share": "Independent loss.",
    "faults.NAME.netem.loss.correlation": "Of each loss with the one before; use `gemodel` for bursts instead.",
    "faults.NAME.netem.loss.gemodel": "The Gilbert-Elliott model.",
    "faults.NAME.netem.loss.state": "The 4-state Markov model.",
    "faults.NAME.netem.loss.gemodel.p": "Transition from good to bad.",
    "faults.NAME.netem.loss.gemodel.r": "Transition from bad to good.",
    "faults.NAME.netem.loss.gemodel.loss-in-bad": "Loss in the bad state.",
    "faults.NAME.netem.loss.gemodel.loss-in-good": "Loss in the good state.",
    "faults.NAME.netem.loss.state.p13": "Transition from 1 to 3.",
    "faults.NAME.netem.loss.state.p31": "Transition from 3 to 1.",
    "faults.NAME.netem.loss.state.p32": "Transition from 3 to 2.",
    "faults.NAME.netem.loss.state.p23": "Transition from 2 to 3.",
    "faults.NAME.netem.loss.state.p14": "Transition from 1 to 4.",
    "faults.NAME.netem.duplicate.share": "How often.",
    "faults.NAME.netem.duplicate.correlation": "With what happened to the packet before.",
    "faults.NAME.netem.reorder.share": "How often.",
    "faults.NAME.netem.reorder.correlation": "With what happened to the packet before.",
    "faults.NAME.netem.reorder.gap": "Every n-th packet instead of a share.",
    "faults.NAME.netem.rate.rate": "Bits per second.",
    "faults.NAME.netem.rate.packet-overhead": "Bytes added to each packet when its time is computed.",
    "faults.NAME.netem.rate.cell-size": "Packets take whole cells of this size.",
    "faults.NAME.netem.rate.cell-overhead": "Bytes added to each cell.",
    "faults.NAME.netem.slot.min": "The shortest time between two slots.",
    "faults.NAME.netem.slot.max": "The longest; without it the same as `min`.",
    "faults.NAME.netem.slot.distribution": "How the time between two slots varies.",
    "faults.NAME.netem.slot.delay": "The mean time between two slots, with `distribution`.",
    "faults.NAME.netem.slot.jitter": "How much it varies, with `distribution`.",
    "faults.NAME.netem.slot.packets": "Packets for each slot at most; 0: no limit.",
    "faults.NAME.netem.slot.bytes": "Bytes for each slot at most; 0: no limit.",
    "inject.protocol": "Only packets of this protocol are affected.",
    "inject.ip": "Only packets of this IP version are affected.",
    "inject.seed": "The same losses again.",
}
"""What a key means, for the keys whose fields in the code do not say so themselves."""

Place = tuple[str, ...]


def helps(*commands: str) -> str:
    """The help text of each command, under a heading of its own."""
    return "\n".join(f"## {name}\n\n```text\n$ {name} --help\n{_help(name)}\n```\n" for name in commands)


def _help(command: str) -> str:
    program, *words = command.split()
    # On a terminal of 80 columns help is 78 wide.
    answer = CliRunner().invoke(app, [*words, "--help"], prog_name=program, terminal_width=78)
    assert answer.exit_code == 0, command
    return answer.output.rstrip()


def report(name: str, width: int = 80, begin: str = "", end: str = "") -> str:
    """What `chaoskit report` prints of an example: from the line that begins with `begin`, to before that of `end`."""
    file = io.StringIO()
    render(name, Console(file=file, width=width, color_system=None))
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    first = next(at for at, line in enumerate(lines) if line.startswith(begin))
    after = next((at for at, line in enumerate(lines) if end and at > first and line.startswith(end)), len(lines))
    return "\n".join(lines[first:after]).rstrip()


def render(name: str, screen: Console) -> None:
    """The example on this console."""
    text = (EXAMPLES / f"{name}.json").read_text()
    if '"rows"' in text:
        matrix.render(MatrixResult.model_validate_json(text), screen)
    else:
        console.render(Result.model_validate_json(text), screen)


def experiment_keys() -> str:
    """A table for each mapping of an experiment file."""
    return "\n".join(_tables(Experiment, ()))


def injection_keys() -> str:
    """The same of the file of `chaoskit inject`."""
    return "\n".join(_rows(Injection, ("inject",)))


def presets() -> str:
    """The tunnels, with their arithmetic."""
    rows = [f"| `{name}` | {mtu} | {arithmetic} |" for name, (mtu, arithmetic) in PRESETS.items()]
    return "\n".join(("| preset | MTU | arithmetic and source |", "|---|--:|---|", *rows))


def objective_metrics() -> str:
    """Every metric that an objective may name, by what it is compared with."""
    bounds = {"duration": "a duration: `800ms`", "share": "a share: `1%`", "number": "a number: `5`"}
    quantiles: dict[str, list[str]] = {}
    rows = []
    for metric, kind in METRICS.items():
        if kind == "duration":
            name, _, quantile = metric.rpartition("_")
            quantiles.setdefault(name, []).append(f"`{quantile}`")
        else:
            rows.append(f"| `{metric}` | | {bounds[kind]} |")
    times = [f"| `{name}` | {' '.join(each)} | {bounds['duration']} |" for name, each in quantiles.items()]
    return "\n".join(("| metric | followed by `_` and one of | compared with |", "|---|---|---|", *times, *rows))


def needed_streams() -> str:
    """What some objectives need at the least."""
    rows = []
    for sentences in (
        ("ttft_p50 < 1s", "ttft_p90 < 1s", "ttft_p95 < 1s", "ttft_p99 < 1s"),
        ("ttft_p50 during wifi < 2x baseline", "ttft_p95 during wifi < 2x baseline"),
        ("interruption_rate <= 10%", "interruption_rate <= 5%", "interruption_rate <= 1%", "interruption_rate <= 0.1%"),
        ("stall_ratio <= 5%", "delivered_fraction >= 99%", "itl_p99 < 50ms", "ttft_mean < 1s", "ttft_max < 2s"),
        ("stalls_per_minute < 5", "stalls_per_minute < 1"),
    ):
        for sentence in sentences:
            size = sample_sizes(parse(sentence)).to_be_decided
            assert size is not None
            minutes = f" with {math.ceil(size.minutes * 60)} s of streaming" if size.minutes else ""
            rows.append(f"| `{sentence}` | {size.streams}{minutes} |")
    return "\n".join(("| objective | streams |", "|---|--:|", *rows))


def _tables(model: type[BaseModel], place: Place) -> Iterator[str]:
    """The table of this mapping, then those of the mappings in it; one that stands in two places is shown once."""
    known: dict[type[BaseModel], list[str]] = {}
    for part, _, title in _mappings(model, place, "Top level"):
        known.setdefault(part, []).append(title)
    shown: set[type[BaseModel]] = set()
    for part, where, _ in _mappings(model, place, ""):
        if part not in shown:
            shown.add(part)
            yield f"### {', '.join(dict.fromkeys(known[part]))}\n\n{_intro(part)}\n"
            yield from _rows(part, where)
            yield ""


def _mappings(model: type[BaseModel], place: Place, title: str) -> Iterator[tuple[type[BaseModel], Place, str]]:
    """Every mapping with its place and what it is called, depth first."""
    yield model, place, title
    drawn = model.model_json_schema(by_alias=True)["properties"]
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in FREE_FORM and not place:
            continue
        inner = list(models(field.annotation)) if _may_be_mapping(drawn[key]) else []
        where = (*place, key, "NAME") if key == "faults" else (*place, key)
        for each in inner:
            called = f"`{'.'.join(where)}`" + (f" with `{_own_key(each, inner)}`" if len(inner) > 1 else "")
            yield from _mappings(each, where, called)


def _may_be_mapping(drawn: dict[str, Any]) -> bool:
    """Whether an author may write a mapping; a part of the schema that says nothing allows one."""
    return "$ref" in str(drawn) or {} in drawn.get("anyOf", [drawn.keys() - {"default", "title"} or {}])


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The mappings that a type may be."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif not isinstance(annotation, str | FieldInfo):
        for part in get_args(annotation):
            yield from models(part)


def _own_key(model: type[BaseModel], siblings: list[type[BaseModel]]) -> str:
    """The key that tells this mapping from the others that may stand in its place."""
    others = {name for each in siblings if each is not model for name in each.model_fields}
    own = (f.alias or n for n, f in model.model_fields.items() if f.is_required() and n not in others)
    return list(own)[-1]


def _intro(model: type[BaseModel]) -> str:
    """The first sentence about it, as an editor shows it."""
    return " ".join((model.__doc__ or "").split()).partition(". ")[0].rstrip(".") + "."


def _rows(model: type[BaseModel], place: Place) -> Iterator[str]:
    drawn = model.model_json_schema(by_alias=True)
    yield "| key | value | default | |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        key = field.alias or name
        kind = _kind(drawn["properties"][key], drawn.get("$defs", {}), field)
        yield f"| `{key}` | {kind} | {_default(field)} | {_sentence((*place, key), field)} |"


def _sentence(place: Place, field: FieldInfo) -> str:
    said = field.description or SENTENCES.get(".".join(place), "")
    assert said, f"no sentence about {'.'.join(place)}: give its field a description"
    return said.replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "**required**"
    if value is None or isinstance(value, BaseModel) or value in ((), {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _kind(drawn: dict[str, Any], parts: dict[str, Any], field: FieldInfo) -> str:
    """What may be written, from the JSON Schema."""
    match drawn:
        case {"const": value}:
            return f"`{value}`"
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"$ref": name}:
            return "mapping" if parts[name.rpartition("/")[2]]["type"] == "object" else "value"
        case {"anyOf": choices} | {"oneOf": choices}:
            kinds = [_kind(each, parts, field) for each in choices if each.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
        case {"type": "array"}:
            return f"list of: {_kind(drawn['items'], parts, field)}"
        case {"type": "object", "additionalProperties": dict(inner)}:
            return f"mapping to: {_kind(inner, parts, field)}" if inner else "mapping"
        case {"type": "integer" | "number" as kind}:
            return {"integer": "whole number", "number": "number"}[kind] + _bounds(drawn)
        case {"type": "boolean"}:
            return "`true`, `false`"
        case {"type": "string", "examples": [example, *_], "title": title} if title.islower():
            return f"{title}, `{example}`"
        case {"type": "string"}:
            return "text"
    model = next(models(field.annotation), None)  # written in short as its first key alone
    if model is None:
        return "any"
    first = next(iter(model.model_fields))
    short = model.model_json_schema(by_alias=True)["properties"][first]
    return f"{_kind(short, {}, model.model_fields[first])} or mapping"


def _bounds(drawn: dict[str, Any]) -> str:
    low = drawn.get("minimum")
    high = drawn.get("maximum", drawn.get("exclusiveMaximum", 0) - 1 if "exclusiveMaximum" in drawn else None)
    if high is not None and high > 2**31:
        high = None
    if low is not None and high is not None:
        return f", {low:,} to {high:,}"
    return f", at least {low:,}" if low is not None else ""
