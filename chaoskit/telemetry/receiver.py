"""Receives OTLP over HTTP as a collector does (https://opentelemetry.io/docs/specs/otlp/).

| path          | what happens                                                                              |
|---------------|-------------------------------------------------------------------------------------------|
| `/v1/traces`  | spans are read, from protobuf or JSON, also compressed by gzip                            |
| `/v1/metrics` | accepted and not read, so that exporters stay quiet                                       |
| `/v1/logs`    | the same                                                                                  |

Rules: every size and every wait is bounded; an export that cannot be read is answered 4xx, and counted; nothing else is
served. No answer makes an exporter send the same again.
"""

from __future__ import annotations

import asyncio
import json
import socket
import zlib
from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType

from chaoskit.records.jsonl import Log
from chaoskit.server.app import serve_with
from chaoskit.server.limits import PUBLIC, Budget
from chaoskit.server.requests import JSON, Reply, Request
from chaoskit.server.writer import ResponseWriter
from chaoskit.telemetry import otlp_json
from chaoskit.telemetry.endpoint import INSTALL
from chaoskit.telemetry.exported_span import UnreadableError
from chaoskit.telemetry.intake import Intake

LIMITS = replace(PUBLIC, connections=256, requests=256, body_size=8 * 2**20, memory=64 * 2**20)
"""Those of a public server, with less for each client: exporters send some 512 spans at a time."""

_TRACES, _ACCEPTED = "/v1/traces", ("/v1/metrics", "/v1/logs")
_PROTOBUF = "application/x-protobuf"
_MOST_BODY = 32 * 2**20  # bytes after decompression
_GZIP = 16 + zlib.MAX_WBITS
_MOST_TOLD = 200  # characters


async def receive(
    listeners: Mapping[str | None, socket.socket], intake: Intake, exports: Log, stop: asyncio.Event
) -> None:
    """Receive on all listeners until `stop` is set, then write down what each program had exported.

    A key is the host whose programs reach the listener; None: they say themselves who they are.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            for host, listener in listeners.items():
                tasks.create_task(serve_with(_Receiver(host, intake), listener, stop, ()))
    finally:
        for each in intake.totals():
            exports.add(each)
        exports.flush()


class _Receiver:
    """Answers the exporters of one host. Implements `server.dispatcher.Dispatcher`."""

    def __init__(self, host: str | None, intake: Intake) -> None:
        self.limits = LIMITS
        self.memory = Budget(LIMITS.memory)
        self.requests = Budget(LIMITS.requests)
        self.unacked: Log | None = None
        self.read_headers = frozenset({"content-type", "content-encoding"})
        self._host, self._intake = host, intake

    def take(self, request: Request, writer: ResponseWriter) -> None:
        """Answer at once."""
        reply = self._answer(request)
        writer.open(reply.status, reply.headers, reply.body)
        writer.finish(b"")

    def _answer(self, request: Request) -> Reply:
        path, kind = request.target.partition("?")[0], _kind(request)
        if path != _TRACES and path not in _ACCEPTED:
            return _reply(404, JSON, _told(f"there is no {path}; this takes spans, at {_TRACES}"))
        if request.method != "POST":
            return _reply(405, JSON, _told(f"{path} takes POST"), (("allow", "POST"),))
        if path in _ACCEPTED:
            self._intake.accept_other(self._host)
            return _reply(200, kind, b"{}" if kind == JSON else b"")
        try:
            return self._spans(request, kind)
        except UnreadableError as error:
            self._intake.refuse(self._host, str(error))
            return _reply(error.status, JSON, _told(str(error)))

    def _spans(self, request: Request, kind: str) -> Reply:
        if kind == JSON:
            batch = otlp_json.read_spans(_plain(request))
        elif kind == _PROTOBUF:
            batch = _protobuf().read_spans(_plain(request))
        else:
            raise UnreadableError(f"content-type {kind[:60]!r}; expected {_PROTOBUF} or {JSON}", 415)
        wrong = self._intake.take(self._host, batch)
        if not wrong:
            return _reply(200, kind, b"{}" if kind == JSON else b"")
        why = "a span without an identity, with an end before its begin, or years away"
        if kind == JSON:
            told = {"partialSuccess": {"rejectedSpans": str(wrong), "errorMessage": why}}
            return _reply(200, kind, json.dumps(told).encode())
        return _reply(200, kind, _protobuf().partial_success(wrong, why))


def _protobuf() -> ModuleType:
    try:
        from chaoskit.telemetry import otlp_protobuf
    except ImportError:
        sentence = f"spans in protobuf cannot be read without opentelemetry-proto: {INSTALL}"
        raise UnreadableError(sentence, 415) from None
    return otlp_protobuf


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _plain(request: Request) -> bytes:
    """The body without its compression. Raises UnreadableError."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding in ("", "identity"):
        return request.body
    if coding != "gzip":
        raise UnreadableError(f"content-encoding {coding[:60]!r}; expected gzip or none", 415)
    unpacking = zlib.decompressobj(_GZIP)
    try:
        body = unpacking.decompress(request.body, _MOST_BODY)
    except zlib.error:
        raise UnreadableError("the body is not compressed by gzip, as its content-encoding says") from None
    if unpacking.unconsumed_tail:
        raise UnreadableError(f"the body has more than {_MOST_BODY >> 20} MiB", 413)
    if not unpacking.eof:
        raise UnreadableError("the compressed body has no end")
    return body


def _told(sentence: str) -> bytes:
    return json.dumps({"message": sentence[:_MOST_TOLD]}).encode()


def _reply(status: int, kind: str, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    return Reply(status, (("content-type", kind), ("content-length", str(len(body))), *headers), body)
