"""Reads how `chaoskit serve` responds: a malformation or a file, and the options over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chaoskit.errors import SpecError
from chaoskit.faults.schema import suggestion
from chaoskit.server.malformations import BY_NAME
from chaoskit.spec.diagnostics import describe_option_error
from chaoskit.spec.host_tuning import Host
from chaoskit.spec.load import DocumentKind, display_name, parse_document, read_text
from chaoskit.spec.options import pace
from chaoskit.spec.server import FirstToken, Responses, Server

SCRIPT = DocumentKind("a script", "pause:, error: or malformed:", "see chaoskit serve --list")


def responses(script: str | None, options: dict[str, str | int | None]) -> Responses:
    """The responses of `script` (a malformation's name, a file, `-`), with these options (kebab-case; None: not given).

    Raises SpecError.
    """
    found = Responses() if script is None else _script(script)
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    median, p99 = given.pop("first-token", None), given.pop("first-token-p99", None)
    if median is not None or p99 is not None:
        given["first-token"] = _first_token(found.first_token, median, p99)
    if "token-interval" in given:
        given["token-interval"] = pace("token-interval", given["token-interval"])
    try:
        return Responses.model_validate(found.written() | given)
    except ValidationError as error:
        raise SpecError("\n".join(describe_option_error(each) for each in error.errors())) from None


def _first_token(found: FirstToken, median: str | None, p99: str | None) -> FirstToken:
    """The two that were given; one alone moves the other along."""
    shortest = found.median if median is None else pace("first-token", median)
    longest = found.p99 if p99 is None else pace("first-token-p99", p99)
    if longest < shortest and None not in (median, p99):
        raise SpecError(f"--first-token-p99 {longest} is below --first-token {shortest}: one of them is wrong")
    if longest < shortest:
        shortest, longest = (shortest, shortest) if p99 is None else (longest, longest)
    return FirstToken(median=shortest, p99=longest)


def _script(words: str) -> Responses:
    """The malformation of this name, or the file: its keys, or those below `server:` of an experiment."""
    if words in BY_NAME:
        return Responses.model_validate({"malformed": words})
    path = Path(words)
    if words != "-" and not path.exists() and "." not in words and "/" not in words:
        near = suggestion(words, BY_NAME)
        hint = near if near.startswith("did you mean") else "all names: chaoskit serve --list"
        raise SpecError(f"--script: {words!r} is neither a name nor a file; {hint}")
    document = parse_document(read_text(path, SCRIPT), display_name(path), SCRIPT)
    if isinstance(document.words.get("server"), dict):
        server = document.read_as(Server, ("server",)).written()
        return Responses.model_validate({key: value for key, value in server.items() if key not in Host.model_fields})
    return document.read_as(Responses)
