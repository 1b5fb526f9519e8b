"""Reads the `/metrics` of models again and again, over the links that their other requests pass.

What is read is as old as the moment at which it was asked for: a slow or dead link makes it stale.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chaoskit.clock import now
from chaoskit.tiers.deadlines import Deadline
from chaoskit.tiers.endpoints import Resolver, endpoint
from chaoskit.tiers.failures import CallError
from chaoskit.tiers.outgoing import OutgoingRequest, Pool
from chaoskit.tiers.saturation import ModelLoad, read_metrics
from chaoskit.timer import AbsoluteTimer

PATH = "/metrics"
_PATIENCE = 10**9  # ns; a page that comes later is of no use
_OK = 200


class MetricsReader:
    """Reads each model's metrics in a task of its own, one request at a time."""

    def __init__(self, timer: AbsoluteTimer, pool: Pool, resolver: Resolver) -> None:
        self._timer, self._pool, self._resolver = timer, pool, resolver
        self._latest: dict[str, tuple[ModelLoad, int]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, model: str, interval: int, told: Callable[[str], None]) -> None:
        """Read those of a model every `interval` ns, and call `told` with its name after each attempt."""
        self._tasks.append(asyncio.get_running_loop().create_task(self._read(model, interval, told)))

    def latest(self, model: str) -> tuple[ModelLoad, int] | None:
        """What was read last, and when it was asked for, ns; None: nothing yet."""
        return self._latest.get(model)

    def close(self) -> None:
        """Read no more."""
        for task in self._tasks:
            task.cancel()

    async def _read(self, model: str, interval: int, told: Callable[[str], None]) -> None:
        due = now()
        while True:
            asked = now()
            try:
                async with Deadline(self._timer, asked + _PATIENCE, "no metrics in time"):
                    load = read_metrics(await self._page(model))
            except CallError:
                load = None
            if load is not None:
                self._latest[model] = (load, asked)
            told(model)
            due += interval * max(1, -(-(now() - due) // interval))
            await self._timer.until(due)

    async def _page(self, model: str) -> str:
        """The page. Raises CallError."""
        found = endpoint(model, PATH)
        request = OutgoingRequest(found.authority, PATH, (), b"", "GET")
        exchange = await self._pool.send(self._resolver.address(found), request)
        try:
            status, body = await exchange.head(), await exchange.body()
        except BaseException:
            exchange.close()
            raise
        return body.decode(errors="replace") if status == _OK else ""
