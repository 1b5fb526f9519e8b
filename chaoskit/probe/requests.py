"""Builds the requests of one drive, each with its own prompt, and redacts secrets from texts.

Rules: the API key is read when a request is sent, and is put into its headers only; every text of the server that is
kept has passed `redact`, which removes secrets of the request that the server may echo.
"""

from __future__ import annotations

import json
import os
import re

import httpx

from chaoskit import __version__
from chaoskit import seed as seeds
from chaoskit.errors import SpecError
from chaoskit.probe.memory_budget import MemoryBudget
from chaoskit.probe.protocols import PROTOCOLS
from chaoskit.probe.protocols.asked_tokens import asked_tokens
from chaoskit.probe.protocols.events import Json
from chaoskit.probe.protocols.response_parser import EndMarkers
from chaoskit.probe.protocols.stream_protocol import Message, Question
from chaoskit.probe.target import Target
from chaoskit.spec.endpoint import query_values, redacted, secret_in
from chaoskit.spec.experiment import Workload

_MAX_DETAIL = 200  # characters
_MIN_SECRET = 6  # characters; shorter values occur in texts by chance
_PROMPT_POOL = 1 << 16  # bytes of text that prompts are cut from
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: a token
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?|")


def check_target(target: Target, workload: Workload) -> None:
    """Raise SpecError for an invalid URL, header or key of the target. The message never shows secrets."""
    _url(target, workload)
    _check_headers(target)


class RequestFactory:
    """Builds requests. Raises SpecError for an invalid URL, header or key of the target.

    `asked` is how many tokens they ask for, `ends` what ends a response of plain server-sent events; `memory` bounds
    what all responses hold.
    """

    def __init__(self, target: Target, workload: Workload, seed: int) -> None:
        self.workload = workload
        self._target = target
        check_target(target, workload)
        self._url = _url(target, workload)
        self._protocol = PROTOCOLS[workload.protocol]
        self._headers = {
            "accept-encoding": "identity",
            "user-agent": f"chaoskit/{__version__}",
            "content-type": "application/json",
            "accept": ", ".join(self._protocol.content_types),
            **self._protocol.headers,
            **{name.lower(): value for name, value in target.headers.items()},
        }
        self._text = _prompt_text(seed)
        self.ends = EndMarkers()
        self.memory = MemoryBudget()
        self.asked = asked_tokens(self._body(0))
        self._secrets = sorted({*query_values(target.url), *target.headers.values()}, key=len, reverse=True)

    @property
    def shown_url(self) -> str:
        """Where requests go, for people."""
        return redacted(str(self._url))

    def key_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers with the API key, read from the environment now."""
        if self._target.key_env is None:
            return []
        header = self._protocol.key
        return [(header.name.encode(), f"{header.prefix}{os.environ[self._target.key_env]}".encode())]

    def request(self, stream: int) -> httpx.Request:
        """The request of one stream, without the API key."""
        headers = {**self._headers, "x-chaoskit-stream": str(stream)}
        return httpx.Request("POST", self._url, headers=headers, content=json.dumps(self._body(stream)).encode())

    def _body(self, stream: int) -> Json:
        work = self.workload
        messages = (Message("user", self._prompt(stream)),)
        body = self._protocol.body(Question(self._target.model, messages, work.output_tokens))
        if work.protocol in ("openai-chat", "openai-completions") and self._target.asks_usage:
            body["stream_options"] = {"include_usage": True}
        return body

    def redact(self, text: str) -> str:
        """A server's text as one short line of printable characters, without the API key and other secrets."""
        key = os.environ.get(self._target.key_env or "")
        if key:
            text = text.replace(key, "(the API key)")
        for value in self._secrets:
            if len(value) >= _MIN_SECRET:
                text = text.replace(value, "(hidden)")
        line = " ".join("".join(c if c.isprintable() else " " for c in text[: 8 * _MAX_DETAIL]).split())
        return line if len(line) <= _MAX_DETAIL else line[: _MAX_DETAIL - 3] + "..."

    def _prompt(self, stream: int) -> str:
        """A prompt that begins with the stream's number, so that each is unique and misses prompt caches."""
        size = self.workload.prompt_size
        text = f"{stream} " + self._text * (size // len(self._text) + 1)
        return text[:size]


def _url(target: Target, workload: Workload) -> httpx.URL:
    text = target.url
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
    if url.path == "/":
        usual = PROTOCOLS[workload.protocol].path_for(Question(target.model, (), workload.output_tokens))
        url = url.copy_with(raw_path=usual.encode())
    if workload.protocol == "sse" and not url.query:
        url = url.copy_with(query=f"tokens={workload.output_tokens}".encode())
    return url


def _check_headers(target: Target) -> None:
    """Raise SpecError before anything is sent. The message has no values: they may be secret."""
    for name, value in target.headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise SpecError(f"the header {name!r} has characters that HTTP does not allow; give ASCII on one line")
    if target.key_env:
        key = os.environ.get(target.key_env)
        if not _VARIABLE.fullmatch(target.key_env) or secret_in(f"http://h/?{target.key_env}"):
            raise SpecError(
                "that is no name of an environment variable, and a key itself is never given: export API_KEY=..., then "
                "--api-key-env API_KEY"
            )
        if not key:
            raise SpecError(f"the environment has no {target.key_env}; type: export {target.key_env}=...")
        if not _HEADER_VALUE.fullmatch(key):
            raise SpecError(f"{target.key_env} holds characters that no HTTP header can carry; set it anew")


def _prompt_text(seed: int) -> str:
    """Random ASCII words pool from the seed."""
    source = seeds.source(seed, "prompt")
    letters = "etaoinshrdlu"
    words = ["".join(source.choices(letters, k=source.randint(2, 9))) for _ in range(500)]
    pool = " ".join(source.choices(words, k=_PROMPT_POOL // 6))
    return f"{pool} "
