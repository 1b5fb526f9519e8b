"""A workload from the options of a command: the same words, limits and complaints as in a file."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from chaoskit.errors import SpecError
from chaoskit.spec.complaints import complaint
from chaoskit.spec.model import Workload
from chaoskit.spec.objectives import Objective, parse

_TIMEOUTS = {"connect-timeout": "connect", "first-token-timeout": "first-token", "idle-timeout": "idle"}


def workload(options: dict[str, Any]) -> Workload:
    """The workload of `options` (kebab-case; None: not given). Raises SpecError, a line for each wrong option."""
    given = {name: value for name, value in options.items() if value is not None}
    timeouts = {_TIMEOUTS[name]: given.pop(name) for name in list(given) if name in _TIMEOUTS}
    try:
        return Workload.model_validate(given | {"timeouts": timeouts})
    except ValidationError as error:
        raise SpecError("\n".join(f"{_option(e['loc'])}{complaint(e, e['input'])}" for e in error.errors())) from None


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
    names = {inside: option for option, inside in _TIMEOUTS.items()}
    name = str(loc[-1])
    return f"--{names.get(name, name) if loc[0] == 'timeouts' else name}: "


def pairs(headers: list[str]) -> dict[str, str]:
    """`NAME:VALUE` texts as a mapping. Raises SpecError."""
    found = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise SpecError(f"--header: {name!r} has no colon; write for example --header 'x-tenant: blue'")
        found[name.strip()] = value.strip()
    return found
