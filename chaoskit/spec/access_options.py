"""Parses the options that say how an endpoint is reached, with the keys and messages of a file."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from chaoskit.errors import SpecError
from chaoskit.spec.access import Access
from chaoskit.spec.diagnostics import describe_error, describe_option_error
from chaoskit.spec.endpoint import holds_key


def access(options: dict[str, Any]) -> Access:
    """How the endpoint is reached, by `options` (kebab-case; None: not given). Raises SpecError.

    `header` and `header-env` are lists of `NAME:VALUE` and `NAME:VARIABLE`, `proxy-env` names a variable,
    and `uds` is only checked not to have a proxy.
    """
    given = {name: value for name, value in options.items() if value not in (None, [])}
    texts: dict[str, Any] = _pairs(given.pop("header", []), "header", "x-tenant: blue")
    texts |= {
        name: {"env": variable}
        for name, variable in _pairs(given.pop("header-env", []), "header-env", "x-tenant:TENANT").items()
    }
    if "proxy" in given and "proxy-env" in given:
        raise SpecError("--proxy and --proxy-env exclude each other: give one of them")
    if given.pop("uds", None) is not None and ("proxy" in given or "proxy-env" in given):
        raise SpecError("--proxy and --uds exclude each other: a Unix socket needs no proxy; remove one of them")
    if "proxy-env" in given:
        given["proxy"] = {"env": given.pop("proxy-env")}
    words = {name.replace("api-key", "key"): value for name, value in given.items()}
    try:
        return Access.model_validate(words | {"headers": texts})
    except ValidationError as error:
        raise SpecError(
            "\n".join(
                _with_options(
                    tuple(map(str, each["loc"])), describe_error(each, each["input"]), describe_option_error(each)
                )
                for each in error.errors()
            )
        ) from None


def _with_options(loc: tuple[str, ...], inside: str, sentence: str) -> str:
    """The sentence of an error, with the options' names for the keys of a file."""
    if loc[:1] == ("headers",):
        place = f"{loc[1]}: " if len(loc) > 1 else ""
        return f"--header{'-env' if 'env' in loc else ''}: {place}{inside}"
    if loc[:1] == ("proxy",):
        return f"--proxy{'-env' if 'env' in loc else ''}: {inside}"
    if loc == ("key-env",):
        return (
            "that is no name of an environment variable, and a key itself is never given: export API_KEY=..., then "
            "--api-key-env API_KEY"
        )
    for key in ("key-env", "key-file", "key-header", "key-prefix"):
        sentence = re.sub(rf"--{key}\b", f"--api-{key}", sentence)
    return sentence


def _pairs(texts: list[str], option: str, example: str) -> dict[str, str]:
    """`NAME:VALUE` texts as a mapping. Raises SpecError; the message has no value, which may be secret."""
    found = {}
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            shown = repr(name) if colon or not holds_key(name) else "this text"
            raise SpecError(f"--{option}: {shown} has no colon; write for example --{option} '{example}'")
        if not value.strip():
            raise SpecError(f"--{option}: {name.strip()} has no value; write for example --{option} '{example}'")
        found[name.strip()] = value.strip()
    return found
