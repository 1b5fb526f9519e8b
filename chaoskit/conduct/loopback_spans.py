"""Exports the spans of a lab on loopback as OTLP, to the endpoint that the environment names.

Rules: to loopback only; nobody waits for an export; what cannot be exported is dropped, and told once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from chaoskit.clock import now, realtime_offset
from chaoskit.records.jsonl import Log, read
from chaoskit.records.spans import Span
from chaoskit.telemetry.span_export import export_body
from chaoskit.terminal import complain
from chaoskit.tiers.deadlines import Deadline
from chaoskit.tiers.failures import CallError
from chaoskit.tiers.outgoing import Address, OutgoingRequest, Pool
from chaoskit.timer import AbsoluteTimer

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PATH, _EVERY, _PATIENCE, _OK = "/v1/traces", 0.5, 2 * 10**9, 200
_MOST = 32 << 20  # bytes of spans that wait; more are dropped


def receiver(environment: Mapping[str, str]) -> Address | None:
    """Where spans go; None: nowhere. What is no address of loopback is told."""
    words = environment.get(ENDPOINT, "")
    with suppress(ValueError):
        url = urlsplit(words)
        host = "127.0.0.1" if url.hostname == "localhost" else url.hostname or ""
        if url.scheme == "http" and ip_address(host).is_loopback:
            return host, url.port or 80
    if words:
        hint = "for it is no address of loopback; write http://127.0.0.1:4318"
        complain(f"{ENDPOINT}: {words[:60]} gets no spans, {hint}")
    return None


class LoopbackSpans:
    """A file of spans in `folder` that is exported and emptied, twice a second; a context manager."""

    def __init__(self, folder: Path, to: Address) -> None:
        self.log = Log(folder, Span)
        self._folder, self._to = folder, to
        self._pool, self._timer = Pool(), AbsoluteTimer()
        self._has_told = False

    async def __aenter__(self) -> LoopbackSpans:
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._export()
        self._pool.close()
        self._timer.close()
        self.log.close()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await self._export()

    async def _export(self) -> None:
        self.log.flush()
        spans = read(self._folder, Span) if self.log.path.stat().st_size <= _MOST else []
        os.truncate(self.log.path, 0)
        if not spans:
            return
        host, port = self._to
        request = OutgoingRequest(f"{host}:{port}", _PATH, (), export_body(spans, realtime_offset()))
        try:
            async with Deadline(self._timer, now() + _PATIENCE, "no answer in time"):
                exchange = await self._pool.send(self._to, request)
                status, _ = await exchange.head(), await exchange.body()
        except CallError as problem:
            self._tell(str(problem))
        else:
            if status != _OK:
                self._tell(f"HTTP {status}")

    def _tell(self, problem: str) -> None:
        if not self._has_told:
            where = f"{self._to[0]}:{self._to[1]}"
            complain(f"spans cannot be exported to {where}: {problem}; a probe with --telemetry {where} takes them")
        self._has_told = True
