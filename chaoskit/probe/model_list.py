"""Asks an endpoint for its models, where none is named, over connections like those of its requests.

| protocols                    | path instead of the requests' own | names                                  |
|------------------------------|-----------------------------------|----------------------------------------|
| OpenAI's and Anthropic's     | `/v1/models`                      | `id` of each in `data`                 |
| Ollama's                     | `/api/tags`                       | `name` of each in `models`             |
| Gemini                       | `/v1beta/models`                  | `name` of each that generates content  |

Rules: this is one request, before the first one that is measured. An endpoint that answers without a list, or not in
time, is asked for the model `default`, and says itself what it thinks of that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx

from chaoskit import __version__
from chaoskit.errors import SpecError
from chaoskit.probe.client import Client, connect_options
from chaoskit.probe.completion import PEER_ERRORS
from chaoskit.probe.credentials import Credentials
from chaoskit.probe.framing import TooLargeError
from chaoskit.probe.protocols import PROTOCOLS
from chaoskit.probe.request_url import request_url, usual_path
from chaoskit.probe.target import Target
from chaoskit.probe.transport.connection import Connection, ConnectTimings
from chaoskit.probe.transport.exchange import Exchange
from chaoskit.probe.transport.stamps import ReadStamp, StampClock
from chaoskit.probe.transport.tls import tls_context
from chaoskit.spec.access import Access
from chaoskit.spec.workload import Workload

_PATIENCE = 3.0  # s
_LARGEST = 4 * 10**6  # bytes of a list; that of a large gateway has 600 kB
_SHOWN = 12  # models in a message
_MODELS = "/models"


def with_model(target: Target, access: Access, workload: Workload) -> Target:
    """The target with the only model that it lists, where none is named.

    Raises SpecError with the list where there are several.
    """
    named = (each.model or workload.carry.workflow == "model" for each in workload.demand.values())
    is_named = access.model is not None or "model" in workload.extra_body or (workload.demand and all(named))
    if is_named or workload.protocol == "sse":
        return target
    path = _list_path(target, workload)
    names = _names(asyncio.run(_fetch(target, workload, path))) if path else ()
    if len(names) > 1:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise SpecError(
            f"the endpoint lists {len(names)} models: {', '.join(names[:_SHOWN])}{more}; choose one: "
            f"--model {names[0]}, in a file model: {names[0]}"
        )
    return replace(target, model=names[0]) if names else target


def _list_path(target: Target, workload: Workload) -> str:
    """The path of the list; "" where the requests' own path is not the usual one."""
    asked, usual = request_url(target, workload).path, usual_path(target, workload).partition("?")[0]
    if workload.protocol == "gemini":
        before, found, _ = asked.partition(f"{_MODELS}/")
        return f"{before}{_MODELS}" if found else ""
    rest = usual[usual.index("/", 1) :]
    is_ollama = workload.protocol.startswith("ollama")
    return f"{asked.removesuffix(rest)}{'/tags' if is_ollama else _MODELS}" if asked.endswith(rest) else ""


async def _fetch(target: Target, workload: Workload, path: str) -> bytes:
    """The body of a good answer, else nothing."""
    query = httpx.URL(target.url).query
    url = request_url(target, workload).copy_with(raw_path=path.encode() + (b"?" + query if query else b""))
    headers = {
        **PROTOCOLS[workload.protocol].headers,
        **target.headers,
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": f"chaoskit/{__version__}",
    }
    secrets = Credentials(target, workload.protocol).headers()
    connecting = connect_options(target, tls_context(target, workload.http))
    clock = StampClock()
    client = Client(connecting, workload, clock)
    body = b""

    def take(data: bytes, _: ReadStamp) -> None:
        nonlocal body
        body += data
        if len(body) > _LARGEST:
            raise TooLargeError("no list of models")

    try:
        async with asyncio.timeout(_PATIENCE):
            response = await client.send(httpx.Request("GET", url, headers=headers), secrets, _Unobserved())
            if not response.is_success or "json" not in (response.header(b"content-type") or ""):
                return b""
            await response.read(take)
            return body
    except (TimeoutError, *PEER_ERRORS):
        return b""
    finally:
        await client.aclose()
        clock.close()


class _Unobserved:
    """The `Observer` of a request that is not measured."""

    def connecting(self, timings: ConnectTimings) -> None:
        """See `Observer`, as the others."""

    def connected(self, connection: Connection) -> None:
        """See there."""

    def queued(self, streams: int) -> None:
        """See there."""

    def sending(self, exchange: Exchange) -> None:
        """See there."""

    def uploaded(self) -> None:
        """See there."""

    def reconnecting(self) -> None:
        """See there."""


def _names(body: bytes) -> tuple[str, ...]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    return tuple(dict.fromkeys(_each_name(answer))) if isinstance(answer, dict) else ()


def _each_name(answer: dict[str, Any]) -> Iterator[str]:
    """The names of models that generate text, as far as the list says it."""
    for key, name in (("data", "id"), ("models", "name")):
        listed = answer.get(key)
        for each in listed if isinstance(listed, list) else ():
            found = each.get(name) if isinstance(each, dict) else None
            methods = each.get("supportedGenerationMethods") if isinstance(each, dict) else None
            is_for_text = not isinstance(methods, list) or "generateContent" in methods
            if isinstance(found, str) and found.isprintable() and 0 < len(found) <= 200 and is_for_text:
                yield found.removeprefix("models/")
