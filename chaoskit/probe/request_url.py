"""Completes the URL of a target: a base URL, such as `https://host/v1`, gets the usual path.

| the path ends in                         | what is added                                        |
|------------------------------------------|------------------------------------------------------|
| nothing                                  | the usual path: `/v1/chat/completions`, `/api/chat`  |
| a version: `/v1`, `/openai/v1`, `/v1beta`| the usual path after its version                     |
| `/openai`, `/deployments/NAME`           | the same                                             |
| `/api`, of Ollama                        | the same                                             |
| `/anthropic`, of Anthropic's protocol    | the usual path                                       |
| anything else                            | nothing                                              |
"""

from __future__ import annotations

import re

import httpx

from chaoskit.errors import SpecError
from chaoskit.probe.protocols import PROTOCOLS
from chaoskit.probe.protocols.stream_protocol import Question
from chaoskit.probe.target import Target
from chaoskit.spec.endpoint import redacted, secret_in
from chaoskit.spec.sizes import mean_tokens
from chaoskit.spec.workload import Protocol, Workload

_VERSION = re.compile(r"v[0-9]+[a-z0-9]*")
_OPENAI_BASE = re.compile(r"/(?:openai|deployments/[^/]+)$")


def request_url(target: Target, workload: Workload, tokens: int | None = None) -> httpx.URL:
    """Where requests go that ask for so many tokens; None: as they do on average.

    Raises SpecError for what is no URL, or holds a secret; the message does not show it.
    """
    url = _parsed(target.url)
    usual, _, query = usual_path(target, workload, tokens).partition("?")
    path = completed_path(url.path, usual, workload.protocol)
    if path != url.path:
        url = url.copy_with(path=path)
    if workload.protocol == "sse" and url.query:
        return url
    missing = [each for each in query.split("&") if each and each.partition("=")[0] not in url.params]
    return url.copy_with(query="&".join([*filter(None, [url.query.decode()]), *missing]).encode()) if missing else url


def shown_url(target: Target, workload: Workload) -> str:
    """The same for people and records: without the values of its query, and without what the protocol adds to it."""
    return redacted(completed_url(target, workload))


def completed_url(target: Target, workload: Workload) -> str:
    """The URL of the target with the path that is asked, and its own query."""
    return str(_parsed(target.url).copy_with(path=request_url(target, workload).path))


def usual_path(target: Target, workload: Workload, tokens: int | None = None) -> str:
    """The path and query that requests of this protocol usually have."""
    count = round(mean_tokens(workload)) if tokens is None else tokens
    return PROTOCOLS[workload.protocol].path_for(Question(target.model, (), count))


def completed_path(path: str, usual: str, protocol: Protocol) -> str:
    """The path of a URL, completed where it is only a base."""
    base = path.rstrip("/")
    if not base:
        return usual
    if base.endswith(usual):
        return path
    first, _, rest = usual.removeprefix("/").partition("/")
    last = base.rpartition("/")[2]
    is_versioned = _VERSION.fullmatch(first) is not None
    if last == first or (is_versioned and _VERSION.fullmatch(last)):
        return f"{base}/{rest}"
    if protocol.startswith("openai") and _OPENAI_BASE.search(base):
        return f"{base}/{rest}"
    return f"{base}{usual}" if protocol == "anthropic-messages" and last == "anthropic" else path


def _parsed(text: str) -> httpx.URL:
    if secret := secret_in(text):
        raise SpecError(
            f"the URL has {secret}; take it out, and give a key by the name of a variable: "
            "export API_KEY=..., then --api-key-env API_KEY"
        )
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise SpecError(f"{redacted(text)!r} is not a URL; write for example http://127.0.0.1:8000") from None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        is_without_scheme = text.partition(":")[0].replace(".", "").isalnum() and "//" not in text
        meant = redacted(f"http://{text}") if is_without_scheme and ":/" not in text else "http://127.0.0.1:8000"
        raise SpecError(f"{redacted(text)!r} is not an http or https URL; write for example {meant}")
    if url.port is not None and not 0 < url.port < 65536:
        raise SpecError(f"{url.port} is not a port: expected 1 to 65535")
    return url
