"""Probes of Chaos Toolkit: what a streaming endpoint gives its clients.

The annotations are types and not their names, because Chaos Toolkit shows the types of arguments.
"""

from typing import Any

from chaoslib.types import Secrets

from chaoskit.chaostoolkit.activity_results import command, options_of, run_directory, summary, words_of

__all__ = ["probe", "verdict"]

_KEY = "api_key"
_VARIABLE = "CHAOSKIT_SECRET_{}"


def probe(
    url: str,
    objectives: list[str] | None = None,
    requests: int = 20,
    options: dict[str, Any] | None = None,
    out: str = "",
    secrets: Secrets | None = None,
) -> dict[str, Any]:
    """
    Measure a streaming endpoint: verdict, objectives, and latencies in ms, such as ["ttft"]["p95_ms"].

    `objectives` are sentences: "ttft_p95 < 800ms". `options` are the other options of `chaoskit probe`, such as
    protocol, model and output-tokens. The secrets are api_key, and HTTP headers by their names. `out` keeps the run
    directory. Its tolerance may be one of chaoskit.chaostoolkit.tolerances.
    """
    asked: dict[str, Any] = {"requests": requests, "objective": objectives or []} | options_of(options)
    variables = {}
    for number, (name, secret) in enumerate(sorted((secrets or {}).items())):
        variable = _VARIABLE.format(number)
        variables[variable] = str(secret)
        option, value = ("api-key-env", variable) if name == _KEY else ("header-env", f"{name}:{variable}")
        asked[option] = [*asked.get(option, []), value]
    with run_directory(out) as run:
        ended = command("probe", url, "--out", str(run), "--json", *words_of(asked), secrets=variables)
        return summary(run, ended, bool(out))


def verdict(
    url: str,
    objectives: list[str],
    requests: int = 20,
    options: dict[str, Any] | None = None,
    out: str = "",
    secrets: Secrets | None = None,
) -> str:
    """The verdict on objectives, measured as by `probe`: met, broken or undecided. Its tolerance is a word: met."""
    found: str = probe(url, objectives, requests, options, out, secrets)["verdict"]
    return found
