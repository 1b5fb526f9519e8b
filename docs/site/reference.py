"""Generates the parts of README.md and docs/ that follow from the code: help texts, keys, metrics, reports.

Pages call these functions in cog blocks. `make reference` writes the blocks anew, and tests/rules/test_docs.py fails
when one is out of date.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

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
from chaoskit.report.formats import FORMATS
from chaoskit.report.formats.metric_names import FAMILIES, SUITE_FAMILIES, Family
from chaoskit.server.catalog import ROUTES
from chaoskit.server.formats import APIS
from chaoskit.server.malformations import GROUPS
from chaoskit.spec.examples import example
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.injection import Injection
from chaoskit.spec.metrics import TABLE
from chaoskit.spec.objectives import parse
from chaoskit.spec.sample_size import sample_sizes
from chaoskit.spec.suite import Suite

EXAMPLES = Path(__file__).parents[1] / "examples"
FREE_FORM = ("timeline", "objectives", "matrix")  # keys whose values the page explains in prose
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
    """The example on this console, as of a run whose records are kept."""
    text = (EXAMPLES / f"{name}.json").read_text()
    if '"variants"' in text:
        matrix.render(MatrixResult.model_validate_json(text), screen)
    else:
        result = Result.model_validate_json(text)
        console.render(result.model_copy(update={"run": f"runs/{name}"}), screen)


def formats() -> str:
    """A row for each format of a report."""
    rows = [
        f"| `{name}` | `{row.file}` | {'several' if row.holds_several else 'one'} | {row.help}"
        f"{f'; needs `chaoskit[{row.library[1]}]`' if row.library else ''} |"
        for name, row in FORMATS.items()
    ]
    return "\n".join(["| format | in the run directory | runs | content |", "|---|---|---|---|", *rows, ""])


def metric_families(families: Mapping[str, Family] = FAMILIES) -> str:
    """A row for each family of metrics."""
    rows = [
        f"| `{name}` | {row.kind} | {row.unit or '–'} | {', '.join(f'`{each}`' for each in row.labels) or '–'} "
        f"| {row.help} |"
        for name, row in families.items()
    ]
    return "\n".join(["| metric | type | unit | labels | what |", "|---|---|---|---|---|", *rows, ""])


def suite_metric_families() -> str:
    """The same of a suite."""
    return metric_families(SUITE_FAMILIES)


def experiment_keys() -> str:
    """A table for each mapping of an experiment file."""
    return "\n".join(_tables(Experiment, ()))


def suite_keys() -> str:
    """The same of a suite file."""
    return "\n".join(_tables(Suite, ()))


def injection_keys() -> str:
    """The same of the file of `chaoskit inject`."""
    return "\n".join(_rows(Injection, ("inject",)))


def presets() -> str:
    """The tunnels, with their arithmetic."""
    rows = [f"| `{name}` | {mtu} | {arithmetic} |" for name, (mtu, arithmetic) in PRESETS.items()]
    return "\n".join(("| preset | MTU | arithmetic and source |", "|---|--:|---|", *rows))


def metrics() -> str:
    """Every metric that an objective may name: what it is compared with, its definition, its names elsewhere."""
    bounds = {"duration": "`800ms`", "share": "`1%`", "per-minute": "`5/min`", "per-second": "`2/s`"}
    rows = []
    for metric in TABLE:
        elsewhere = " ".join(f"`{alias}`" for alias in metric.aliases)
        rows.append(f"| `{metric.name}` | {bounds[metric.kind]} | {metric.definition} | {elsewhere} |")
    return "\n".join(("| metric | bound | definition | elsewhere |", "|---|---|---|---|", *rows))


def apis() -> str:
    """Every path of the reference server that completes something, with what it is called in `--protocol`."""
    rows = []
    for api in APIS:
        paths = [f"`{'/'.join(route.methods)} {route.path.replace('*', 'MODEL')}`" for route in api.routes]
        rows.append(f"| `{api.name}` | {'<br>'.join(paths)} |")
    others = ", ".join(f"`{route.path.replace('*', 'MODEL')}`" for route in ROUTES)
    return "\n".join(("| API | paths |", "|---|---|", *rows, f"| models, health, tokens | {others} |"))


def malformations() -> str:
    """Every malformation, by group."""
    rows = []
    for group, entries in GROUPS.items():
        rows.append(f"| **{group}** | | |")
        for each in entries:
            rows.append(f"| `{each.name}` | {each.sentence} | {_which(each.apis)} |")
    return "\n".join(("| name | what the server does | of |", "|---|---|---|", *rows))


def _which(names: tuple[str, ...]) -> str:
    """The APIs that a malformation has, in the shorter way."""
    others = [api.name for api in APIS if api.name not in names]
    if not names or not others:
        return "all"
    if len(others) < len(names):
        return f"all but {', '.join(f'`{name}`' for name in others)}"
    return ", ".join(f"`{name}`" for name in names)


def experiment(name: str) -> str:
    """An included experiment without its first comment."""
    text = example(name)
    return text[text.index("name: ") :].rstrip()


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
            gaps = f" with {size.gaps} gaps" if size.gaps else ""
            rows.append(f"| `{sentence}` | {size.streams}{minutes}{gaps} |")
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
    """The key that tells this mapping from the others that may stand in its place, or the choice that only it has."""
    others = {name for each in siblings if each is not model for name in each.model_fields}
    required = [f.alias or n for n, f in model.model_fields.items() if f.is_required()]
    own = [name for name in required if name not in others]
    choices = [f"{f.alias or n}: {get_args(f.annotation)[0]}" for n, f in model.model_fields.items() if _is_fixed(f)]
    return (choices or own or required)[-1]


def _is_fixed(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1


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
    said = field.description
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
            return " or ".join(sorted(dict.fromkeys(kinds), key=lambda kind: kind == "mapping"))
        case {"type": "array"}:
            items = drawn["items"] if "items" in drawn else drawn["prefixItems"][0]
            return f"list of: {_kind(items, parts, field)}"
        case {"type": "object", "additionalProperties": dict(inner)}:
            return f"mapping to: {_kind(inner, parts, field)}" if inner else "mapping"
        case {"type": "object", "patternProperties": dict(inner)}:
            return f"mapping to: {_kind(next(iter(inner.values())), parts, field)}"
        case {"type": "integer" | "number" as kind}:
            return {"integer": "whole number", "number": "number"}[kind] + _bounds(drawn)
        case {"type": "boolean"}:
            return "`true`, `false`"
        case {"type": "string", "examples": [example, *_], "title": title} if title.islower():
            return f"{title}, `{example}`"
        case {"type": "string" | ["string", *_]}:
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
