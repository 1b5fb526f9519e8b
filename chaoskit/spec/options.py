"""Parses the options of commands, with the same keys, limits and error messages as in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from chaoskit.errors import SpecError
from chaoskit.spec.diagnostics import brief, describe_error, describe_option_error
from chaoskit.spec.experiment import LONGEST
from chaoskit.spec.injection import Injection, To, WrittenTo
from chaoskit.spec.load import DocumentKind, parse_document
from chaoskit.spec.metrics import METRICS
from chaoskit.spec.network_namespace import NamespaceChoice
from chaoskit.spec.objectives import Objective, parse
from chaoskit.spec.server import HOUR
from chaoskit.spec.telemetry import Telemetry
from chaoskit.spec.workload import Workload
from chaoskit.units import Duration, Share

_LARGEST_FILE = 1 << 20  # bytes of a file that an option names
_DISTRIBUTIONS = {
    "prompt-size": DocumentKind("a size", "median: or p99:", "write {median: 1kB, p99: 20kB}"),
    "output-tokens": DocumentKind("a number of tokens", "median: or p99:", "write {median: 200, p99: 1000}"),
}
_MAPPINGS = {
    "demand": DocumentKind("workflows", "chat: and support:", "write {chat: 70%, support: 30%}"),
    "carry": DocumentKind("a place", "workflow:", "write {workflow: header x-workflow}"),
    "clients": DocumentKind("clients", "count:", "write {count: 20, burstiness: 40}"),
    "users": DocumentKind("users", "retry:", "write {retry: {share: 60%, patience: 10s}}"),
    "trace": DocumentKind("a trace", "file: and speed:", "write {file: trace.csv, speed: 10x}"),
}
_KEYS_ONLY = ("demand", "carry", "clients", "users")
_NETEM = DocumentKind("a netem", "delay: or loss:", "write it in tc's syntax: delay 80ms 20ms loss 1%")
_TIMEOUTS = {
    "connect-timeout": "connect",
    "first-token-timeout": "first-token",
    "idle-timeout": "idle",
    "keepalive-extends-idle": "keepalive-extends-idle",
    "stream-timeout": "stream",
}
_LIMITS = {"max-events": "events", "max-body": "body"}

_BOUNDS = {"duration": "< 800ms", "share": "<= 1%", "per-minute": "< 5", "per-second": "> 1"}


def workload(options: dict[str, Any]) -> Workload:
    """The workload of `options` (kebab-case; None: not given). Raises SpecError, a line for each wrong option.

    `prompt-size`, `output-tokens` and keys with keys below them may be YAML in braces; `extra-body` is JSON, or @ and
    the name of a file with it.
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name, kind in (_DISTRIBUTIONS | _MAPPINGS).items():
        if str(given.get(name, "")).lstrip().startswith("{"):
            given[name] = parse_document(given[name], f"--{name}", kind).words
        elif name in given and name in _KEYS_ONLY:
            raise SpecError(f"--{name}: found {brief(given[name])}, expected keys in braces; {kind.model}")
    if str(given.get("extra-body", "")).startswith("@"):
        given["extra-body"] = _content("extra-body", Path(given["extra-body"][1:]))
    timeouts = {_TIMEOUTS[name]: given.pop(name) for name in list(given) if name in _TIMEOUTS}
    limits = {_LIMITS[name]: given.pop(name) for name in list(given) if name in _LIMITS}
    try:
        found = Workload.model_validate(given | {"timeouts": timeouts, "limits": limits})
    except ValidationError as error:
        raise SpecError("\n".join(map(_described, error.errors()))) from None
    return found.model_copy(update={"carry": found.carry.at_endpoint()})


def duration(option: str, text: str, least: Duration = Duration(10**6), most: Duration = LONGEST) -> Duration:  # noqa: B008
    """The duration that an option gives, within these bounds. Raises SpecError."""
    try:
        found = Duration.parse(text)
    except ValueError as error:
        raise SpecError(f"--{option}: {error}") from None
    if not least <= found <= most:
        raise SpecError(f"--{option}: {text} is out of bounds; {least} to {most}")
    return found


def share(option: str, text: str) -> float:
    """The share that an option gives, as a part of 1. Raises SpecError."""
    try:
        return Share.parse(text) / Share.largest
    except ValueError as error:
        raise SpecError(f"--{option}: {error}") from None


def time_until_decided(is_until: bool, max_time: str | None) -> Duration | None:
    """How long a run with --until-decided may take; None without it. Raises SpecError."""
    if is_until:
        return duration("max-time", max_time or "10m")
    if max_time is not None:
        raise SpecError("--max-time ends a run that goes on until all is decided; give --until-decided as well")
    return None


def pace(option: str, text: str) -> Duration:
    """A time between tokens, of the reference server. Raises SpecError."""
    return duration(option, text, Duration(0), HOUR)


def injection(options: dict[str, Any]) -> Injection:
    """The injection of `options` (kebab-case; None: not given). Raises SpecError, a line for each wrong option.

    `down` and `up` are in tc's syntax, or YAML in braces.
    """
    given = {name: value for name, value in options.items() if value is not None and value != []}
    try:
        return Injection.model_validate(parse_faults(given))
    except ValidationError as error:
        raise SpecError("\n".join(describe_option_error(e) for e in error.errors())) from None


def namespace_choice(netns: str | None, pid: str | None, container: str | None) -> NamespaceChoice:
    """The network namespace that a command's options choose. Raises SpecError."""
    given = {"netns": netns, "pid": pid, "container": container}
    try:
        return NamespaceChoice.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise SpecError("\n".join(describe_option_error(e) for e in error.errors())) from None


def receiver(listen: str | None) -> Telemetry | None:
    """A receiver of spans at this address and port, where one is given. Raises SpecError."""
    if listen is None:
        return None
    try:
        return Telemetry.model_validate({"listen": listen})
    except ValidationError as error:
        sentences = (describe_error(e, e["input"]) for e in error.errors())
        raise SpecError(f"--telemetry: {'; '.join(sentences)}") from None


def parse_far_end(words: str) -> To:
    """One host with an optional port: `HOST`, `HOST:PORT`, `[IPV6]:PORT`. Raises SpecError."""
    try:
        to: To = TypeAdapter(WrittenTo).validate_python(words)
    except ValidationError as error:
        raise SpecError(
            "\n".join(": ".join((*map(str, e["loc"]), describe_error(e, e["input"]))) for e in error.errors())
        ) from None
    if to.host is None or "/" in to.host:
        raise SpecError(f"{words!r} is no single host; write for example api.example.com:443")
    return to


def parse_faults(options: dict[str, Any]) -> dict[str, Any]:
    """The same options, with `down` and `up` parsed where they are YAML. Raises SpecError."""
    return options | {
        direction: _yaml_keys(options[direction], f"--{direction}")
        for direction in ("down", "up")
        if str(options.get(direction, "")).lstrip().startswith("{")
    }


def _yaml_keys(text: str, option: str) -> dict[str, Any]:
    document = parse_document(text, option, _NETEM)
    with document.every_error():
        return document.words


def require_no_options(file: Path, options: dict[str, Any]) -> Path:
    """The file, if no option is given as well. Raises SpecError."""
    given = [f"--{name}" for name, value in options.items() if value is not None and value != []]
    if given:
        names = ", ".join(given)
        raise SpecError(f"{file} is read as FILE, and a file cannot be combined with {names}: remove one of them")
    return file


def objectives(sentences: list[str]) -> tuple[Objective, ...]:
    """The objectives of a command without phases. Raises SpecError."""
    if bare := next((sentence for sentence in sentences if sentence in METRICS), None):
        raise SpecError(
            f"--objective: {bare} has no bound; write both in quotes, because a shell takes < for itself: "
            f"--objective '{bare} {_BOUNDS[METRICS[bare].kind]}'"
        )
    try:
        found = tuple(parse(sentence) for sentence in sentences)
    except ValueError as error:
        raise SpecError(f"--objective: {error}") from None
    for objective in found:
        if objective.phase or objective.reference:
            raise SpecError(f"--objective: {objective.text!r} names a phase, and a probe has none; remove it")
        for what, name in (("a traffic class", objective.traffic_class), ("a workflow", objective.workflow)):
            if name:
                raise SpecError(f"--objective: {objective.text!r} names {what}, and a probe has none; remove it")
    return found


def _described(error: ErrorDetails) -> str:
    """One error of a workload's option, and the key of a distribution that it is about."""
    where = error["loc"]
    key = next(iter((*where[2:], *error.get("ctx", {}).get("below", ()))), "") if where[:1] else ""
    key = key if where and where[0] in _DISTRIBUTIONS else ""
    if key and error["type"] == "missing":
        return f"{_option(where)}{key}: missing; add {key}: ..."
    return f"{_option(where)}{f'{key}: ' if key else ''}{describe_error(error, error['input'])}"


def _option(loc: tuple[str | int, ...]) -> str:
    if not loc:
        return ""
    sections = {"timeouts": _TIMEOUTS, "limits": _LIMITS}
    names = {inside: option for option, inside in sections.get(str(loc[0]), {}).items()}
    name = str(loc[1] if names and len(loc) > 1 else loc[0])
    return f"--{names.get(name, name)}: "


def _content(option: str, path: Path) -> str:
    """The text of this file. Raises SpecError."""
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
        text = raw.decode()
    except OSError as error:
        raise SpecError(f"--{option}: {path}: {error.strerror}; give @ and the path of a JSON file") from None
    except UnicodeDecodeError:
        raise SpecError(f"--{option}: {path} is not UTF-8; give @ and the path of a JSON file") from None
    if len(raw) > _LARGEST_FILE:
        raise SpecError(f"--{option}: {path} is longer than 1 MiB; give long texts as prompts")
    return text
