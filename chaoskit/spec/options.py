"""What a command is told by its options: the same words, limits and complaints as in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from chaoskit.errors import SpecError
from chaoskit.spec.diagnostics import complaint, option_complaint
from chaoskit.spec.experiment import Workload
from chaoskit.spec.injection import Injection, To, WrittenTo
from chaoskit.spec.load import Sort, document
from chaoskit.spec.objectives import Objective, parse
from chaoskit.units import Duration

_NETEM = Sort("a netem", "delay: or loss:", "write it in tc's words: delay 80ms 20ms loss 1%")
_TIMEOUTS = {
    "connect-timeout": "connect",
    "first-token-timeout": "first-token",
    "idle-timeout": "idle",
    "keepalive-extends-idle": "keepalive-extends-idle",
    "stream-timeout": "stream",
}
_LIMITS = {"max-events": "events", "max-body": "body"}


def workload(options: dict[str, Any]) -> Workload:
    """The workload of `options` (kebab-case; None: not given). Raises SpecError, a line for each wrong option."""
    given = {name: value for name, value in options.items() if value is not None}
    timeouts = {_TIMEOUTS[name]: given.pop(name) for name in list(given) if name in _TIMEOUTS}
    limits = {_LIMITS[name]: given.pop(name) for name in list(given) if name in _LIMITS}
    try:
        return Workload.model_validate(given | {"timeouts": timeouts, "limits": limits})
    except ValidationError as error:
        raise SpecError("\n".join(f"{_option(e['loc'])}{complaint(e, e['input'])}" for e in error.errors())) from None


def duration(option: str, text: str) -> Duration:
    """The time that an option says. Raises SpecError."""
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise SpecError(f"--{option}: {error}") from None


def injection(options: dict[str, Any]) -> Injection:
    """The injection of `options` (kebab-case; None: not given). Raises SpecError, a line for each wrong option.

    `down` and `up` are in tc's words, or in YAML's between braces.
    """
    given = {name: value for name, value in options.items() if value is not None and value != []}
    try:
        return Injection.model_validate(netems(given))
    except ValidationError as error:
        raise SpecError("\n".join(option_complaint(e) for e in error.errors())) from None


def far_end(words: str) -> To:
    """One host and perhaps its port: `HOST`, `HOST:PORT`, `[IPV6]:PORT`. Raises SpecError."""
    try:
        to: To = TypeAdapter(WrittenTo).validate_python(words)
    except ValidationError as error:
        raise SpecError(
            "\n".join(": ".join((*map(str, e["loc"]), complaint(e, e["input"]))) for e in error.errors())
        ) from None
    if to.host is None or "/" in to.host:
        raise SpecError(f"{words!r} is no single host; write for example api.example.com:443")
    return to


def netems(options: dict[str, Any]) -> dict[str, Any]:
    """The same options, `down` and `up` read where they are in YAML's words. Raises SpecError."""
    return options | {
        way: document(options[way], f"--{way}", _NETEM).words
        for way in ("down", "up")
        if str(options.get(way, "")).lstrip().startswith("{")
    }


def alone(file: Path, options: dict[str, Any]) -> Path:
    """The file, when no option stands beside it. Raises SpecError."""
    given = [f"--{name}" for name, value in options.items() if value is not None and value != []]
    if given:
        raise SpecError(f"{file} says it all, so {', '.join(given)} cannot stand beside it: take one of them away")
    return file


def objectives(sentences: list[str]) -> tuple[Objective, ...]:
    """The objectives of a command without phases. Raises SpecError."""
    try:
        found = tuple(parse(sentence) for sentence in sentences)
    except ValueError as error:
        raise SpecError(f"--objective: {error}") from None
    for objective in found:
        if objective.phase or objective.reference:
            raise SpecError(f"--objective: {objective.text!r} names a phase, and a probe has none; leave it out")
    return found


def _option(loc: tuple[str | int, ...]) -> str:
    if not loc:
        return ""
    sections = {"timeouts": _TIMEOUTS, "limits": _LIMITS}
    names = {inside: option for option, inside in sections.get(str(loc[0]), {}).items()}
    name = str(loc[-1])
    return f"--{names.get(name, name)}: "


def pairs(headers: list[str]) -> dict[str, str]:
    """`NAME:VALUE` texts as a mapping. Raises SpecError."""
    found = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise SpecError(f"--header: {name!r} has no colon; write for example --header 'x-tenant: blue'")
        found[name.strip()] = value.strip()
    return found
