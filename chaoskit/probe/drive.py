"""The probe as one coroutine: asks a target as a workload says, and writes down what came.

| arrivals    | rule                                                                                        |
|-------------|---------------------------------------------------------------------------------------------|
| open loop   | one dispatcher wakes at times that were fixed beforehand and never waits for an answer      |
| closed loop | so many streams at a time; each is followed at once, after a failure with a short pause     |

Rules: the target's failures are records, and so is a mistake of ours in one stream; other mistakes are exceptions, each
by itself and none in a group; however it ends, what happened is in the files.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import resource
from collections.abc import Iterator
from pathlib import Path

from chaoskit.clock import now
from chaoskit.errors import RefusedError
from chaoskit.probe.arrivals import arrivals, schedule
from chaoskit.probe.connections import ClientPool, rehearse, trust
from chaoskit.probe.deadline import Deadline
from chaoskit.probe.receive_stamps import StampClock
from chaoskit.probe.recorder import Recorder
from chaoskit.probe.requests import RequestFactory
from chaoskit.probe.socket_options import try_out
from chaoskit.probe.stream import Job, Stream
from chaoskit.probe.target import DriveOptions, Target
from chaoskit.records.model import Completion
from chaoskit.spec.experiment import Workload
from chaoskit.timer import AbsoluteTimer

__all__ = ["DriveOptions", "Target", "drive", "schedule", "warm_up"]

_MS = 1_000_000
_TICK = 20 * _MS  # how often the loop's lag is measured
_FLUSH, _VITALS, _REFRESH = 12, 25, 50  # ticks between flushes, lines of vitals, looks at the clocks
_PAUSE = 100 * _MS  # after a failure in a closed loop: a dead server is not to be hammered


async def drive(target: Target, workload: Workload, order: DriveOptions, run: Path, stop: asyncio.Event) -> None:
    """Ask until the order is carried out or `stop` is set, then until the open streams have ended.

    Appends requests, tokens, tcp_info and vitals to the directory `run`. Raises SpecError when the target makes
    no sense, RefusedError when the records cannot be written or the kernel will not have its sockets so.
    """
    try_out(target.sockets)
    asking = RequestFactory(target, workload, order.seed)
    tls = trust(target)
    _allow_many_sockets()
    clock = StampClock()
    lines = ClientPool(target, workload, clock, tls)
    await warm_up()
    try:
        with Recorder(run) as books:
            async with asyncio.TaskGroup() as tasks:
                crew = Crew(tasks, asking, lines, books)
                heart = tasks.create_task(_beat(crew, books, clock))
                await _carry_out(crew, workload, order, stop)
                heart.cancel()
    except BaseExceptionGroup as group:
        raise _first(group.subgroup(RefusedError) or group) from None
    finally:
        gc.unfreeze()
        await lines.aclose()
        clock.close()


async def warm_up() -> None:
    """Pay for what the first request would pay for, some 100 ms; hardly anything the second time.

    Objects that exist now are taken out of the garbage collector's sight: looking through them makes pauses of
    50 ms while streams are open.
    """
    await rehearse()
    gc.collect()
    gc.freeze()


class Crew:
    """The streams that are under way, and the group of all tasks: when one of them fails, it cancels the others."""

    def __init__(self, tasks: asyncio.TaskGroup, asking: RequestFactory, lines: ClientPool, books: Recorder) -> None:
        self.tasks = tasks
        self._asking = asking
        self._lines = lines
        self._books = books
        self._numbers = itertools.count()
        self._open: dict[asyncio.Task[Completion], Deadline] = {}
        self._streams: dict[int, Stream] = {}

    def prepare(self, scheduled: int) -> Job:
        """The next request, with all that can be done before its time."""
        number = next(self._numbers)
        return Job(number, scheduled, self._asking.request(number))

    def start(self, job: Job) -> asyncio.Task[Completion]:
        """Set it off."""
        guard = Deadline(self._asking.workload.timeouts.stream)
        task = self.tasks.create_task(self._run(job, guard))
        guard.watch(task)
        self._open[task] = guard
        task.add_done_callback(self._open.pop)
        return task

    def look(self) -> None:
        """See which of them have waited long."""
        at = now()
        for stream in self._streams.values():
            stream.look(at)

    def cut(self) -> None:
        """Cancel all."""
        for guard in list(self._open.values()):
            guard.cut("cancelled")

    async def ended(self) -> None:
        """Return when no stream is open."""
        while self._open:
            await asyncio.wait(self._open)

    async def _run(self, job: Job, guard: Deadline) -> Completion:
        line = self._lines.take()
        self._streams[job.number] = stream = Stream(job, self._asking, line, self._books, guard)
        try:
            completion = await stream.run()
        finally:
            del self._streams[job.number]
        await self._lines.give_back(line, stream.is_clean)
        return completion


async def _carry_out(crew: Crew, workload: Workload, order: DriveOptions, stop: asyncio.Event) -> None:
    """Start streams, let them end, cut those that do not."""
    loop = _open_loop if workload.request_rate is not None else _closed_loop
    stopping = asyncio.create_task(stop.wait())
    starting = crew.tasks.create_task(loop(crew, workload, order))
    ending = asyncio.create_task(_ended(starting, crew))
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            patience = None if order.drain is None else order.drain / 1e9
            await asyncio.wait({ending, stopping}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (starting, stopping, ending):
            task.cancel()
        crew.cut()
    await crew.ended()


async def _ended(starting: asyncio.Task[None], crew: Crew) -> None:
    await asyncio.wait({starting})
    await crew.ended()


async def _open_loop(crew: Crew, workload: Workload, order: DriveOptions) -> None:
    with contextlib.closing(AbsoluteTimer()) as pacer:
        for offset in _within(order, arrivals(workload, order.seed)):
            job = crew.prepare(order.start + offset)
            await pacer.until(job.scheduled)
            crew.start(job)
        if order.length is not None and order.requests is None:
            await pacer.until(order.start + order.length)


def _within(order: DriveOptions, offsets: Iterator[int]) -> Iterator[int]:
    if order.length is not None:
        length = order.length
        offsets = itertools.takewhile(lambda offset: offset < length, offsets)
    return itertools.islice(offsets, order.requests)


async def _closed_loop(crew: Crew, workload: Workload, order: DriveOptions) -> None:
    with contextlib.closing(AbsoluteTimer()) as pacer:
        await pacer.until(order.start)
    turns = itertools.count() if order.requests is None else iter(range(order.requests))
    end = None if order.length is None else order.start + order.length

    async def keep_one_open() -> None:
        for _ in turns:
            due = now()
            if end is not None and due >= end:
                return
            stream = crew.start(crew.prepare(due))
            await asyncio.wait({stream})  # unlike a bare await, it lets the stream live when this is cancelled
            if stream.result() != "complete":
                await asyncio.sleep(_PAUSE / 1e9)

    keepers = [crew.tasks.create_task(keep_one_open()) for _ in range(workload.max_concurrency or 1)]
    try:
        await asyncio.wait(keepers, timeout=None if end is None else (end - now()) / 1e9)
    finally:
        for keeper in keepers:
            keeper.cancel()


async def _beat(crew: Crew, books: Recorder, clock: StampClock) -> None:
    """Measure the loop's lag, look at the streams, flush, write vitals, look at the clocks, until cancelled."""
    begun = now()
    tick = lag = 0
    try:
        with contextlib.closing(AbsoluteTimer()) as pacer:
            while True:
                due = begun + (tick + 1) * _TICK
                await pacer.until(due)
                lag = max(lag, now() - due)
                former, tick = tick, (now() - begun) // _TICK  # those that were missed are passed over
                if former // _FLUSH != tick // _FLUSH:
                    crew.look()
                    books.flush()
                if former // _VITALS != tick // _VITALS:
                    books.vitals(lag)
                    lag = 0
                if former // _REFRESH != tick // _REFRESH:
                    clock.refresh()
    finally:
        books.vitals(lag)


def _first(error: BaseException) -> BaseException:
    """The exception itself, of a group its first one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _allow_many_sockets() -> None:
    """Take as many open files as this process may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
