"""Reads from a request's body how many output tokens it asks for.

| field                                                                         | what it says                    |
|-------------------------------------------------------------------------------|---------------------------------|
| `max_completion_tokens` `max_tokens` `max_output_tokens` `max_new_tokens`     | at most so many                 |
| `options.num_predict` (Ollama), `generationConfig.maxOutputTokens` (Gemini)   | at most so many                 |
| `min_tokens`, `min_new_tokens`                                                | at least so many                |
| `ignore_eos: true`                                                            | as many as `max_tokens`         |
"""

from __future__ import annotations

from typing import NamedTuple

from chaoskit.probe.protocols.events import Json, integer, mapping

_MOST = ("max_completion_tokens", "max_tokens", "max_output_tokens", "max_new_tokens", "num_predict", "maxOutputTokens")
_LEAST = ("min_tokens", "min_new_tokens")
_PLACES = ("options", "generationConfig", "parameters", "sampling_params")


class Asked(NamedTuple):
    """The most and the least tokens that a request asks for; None: it does not say."""

    most: int | None = None
    least: int | None = None


def asked_tokens(body: Json) -> Asked:
    """What this body asks for."""
    fields = dict(body)
    for place in _PLACES:
        fields.update(mapping(body.get(place)))
    most = next((count for name in _MOST if (count := integer(fields.get(name)))), None)
    least = next((count for name in _LEAST if (count := integer(fields.get(name)))), None)
    if fields.get("ignore_eos") is True:
        least = most
    return Asked(most, min(least, most) if least is not None and most is not None else least)
