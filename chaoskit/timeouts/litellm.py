"""Reads the timers of the LiteLLM proxy: those of each model, and its defaults.

The order in which settings apply, and what they mean: https://docs.litellm.ai/docs/proxy/timeout. Defaults are those of
litellm/constants.py and of its router, version 1.110: 6000 s for a whole call, 2 retries.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from chaoskit.errors import SpecError
from chaoskit.timeouts import durations
from chaoskit.timeouts.files import Files
from chaoskit.timeouts.timers import Callee, Kind, Reading, Retries, Route, Timer
from chaoskit.timeouts.yaml_lines import Value, compose

PROGRAM = "LiteLLM"
_WHOLE, _RETRIES = "6000", "2"


def read(path: str, files: Files) -> Reading:
    """The timers of this configuration. Raises SpecError."""
    document = compose(files.read(path), path)
    models = list(document["model_list"])
    if not models:
        raise SpecError(f"{path}: has no model_list")
    return Reading(PROGRAM, (), tuple(_route(each["litellm_params"], document) for each in models))


def _route(model: Value, document: Value) -> Route:
    router, general = document["router_settings"], document["litellm_settings"]
    whole = ((model, "timeout"), (router, "timeout"), (general, "request_timeout"))
    first = ((model, "stream_timeout"), (router, "stream_timeout"))
    tries = ((model, "num_retries"), (model, "max_retries"), (router, "num_retries"), (general, "num_retries"))
    number = next((block[key] for block, key in tries if block[key].text), None)
    count = number.text if number is not None else _RETRIES
    if not (count.isascii() and count.isdigit() and len(count) < 7):
        raise SpecError(f"{document.file}: {count[:40]!r} is no number of retries")
    return Route(
        callees=tuple(_callees(model["api_base"])),
        timers=(_timer("first-byte", first, "", model), _timer("total", whole, _WHOLE, model)),
        retries=Retries(
            count=int(count),
            after=frozenset({"connect", "first-byte", "total"}),
            name="num_retries",
            place=number.place if number is not None else f"the litellm_params of {model.place}",
            is_default=number is None,
        ),
    )


def _timer(kind: Kind, settings: tuple[tuple[Value, str], ...], default: str, model: Value) -> Timer:
    block, name = next(((block, name) for block, name in settings if block[name].text), settings[0])
    found = block[name]
    words = found.text or default
    value = durations.seconds(words) if words else None
    place = found.place if found.text else f"the litellm_params of {model.place}"
    return Timer(kind, value or None, name, place, f"{name}: {{}}", not found.text, PROGRAM)


def _callees(base: Value) -> Iterator[Callee]:
    try:
        url = urlsplit(base.text)
        host, port = url.hostname, url.port
    except ValueError:
        return
    if host:
        yield Callee(host, port or (443 if url.scheme == "https" else 80), base.place)
