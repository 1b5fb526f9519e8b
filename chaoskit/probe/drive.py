"""Sends a workload's requests to a target and records the responses, as one coroutine.

| arrivals    | rule                                                                                        |
|-------------|---------------------------------------------------------------------------------------------|
| open loop   | one dispatcher wakes at start times fixed in advance and never waits for a response         |
| closed loop | a fixed number of open streams, the first ones 1 ms apart; the next one starts at once,      |
|             | after a failure with a pause                                                                |

Rules: the target's failures are records, and so is a bug of chaoskit within one stream; a drive whose first requests
all fail alike is stopped; other errors are raised as single exceptions, never as a group; however a drive ends, what
happened is in the files.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from chaoskit import crash_report
from chaoskit.clock import now
from chaoskit.errors import RefusedError
from chaoskit.probe.client import Client, connect_options
from chaoskit.probe.conversation import Conversation
from chaoskit.probe.deadline import Deadline
from chaoskit.probe.fail_fast import FailFast
from chaoskit.probe.recorder import Recorder
from chaoskit.probe.requests import RequestFactory
from chaoskit.probe.stream import ScheduledRequest, Stream
from chaoskit.probe.target import DriveOptions, DriveProgress, Judge, Target
from chaoskit.probe.transport.socket_options import check_supported
from chaoskit.probe.transport.stamps import StampClock
from chaoskit.probe.transport.tls import tls_context
from chaoskit.probe.users import Users
from chaoskit.records.model import Request
from chaoskit.spec.arrivals import arrivals, schedule
from chaoskit.spec.conversations import openings
from chaoskit.spec.workload import Workload
from chaoskit.timer import AbsoluteTimer

__all__ = ["DriveOptions", "Target", "drive", "schedule", "warm_up"]

_MS = 1_000_000
_TICK = 20 * _MS  # how often the loop's lag is measured
_LOOK, _FLUSH, _VITALS, _REFRESH = 2, 12, 25, 50  # ticks between looks at streams, flushes, vitals, clock refreshes
_SPREAD = _MS  # between the first streams of a closed loop: a hundred at once would wait for each other here
_PAUSE = 100 * _MS  # after a failure in a closed loop: a server that is down is not flooded with requests


async def drive(target: Target, workload: Workload, options: DriveOptions, run: Path, stop: asyncio.Event) -> None:
    """Send requests as `options` say or until `stop` is set, then wait until the open streams have ended.

    Appends requests, tokens, tcp_info and vitals to the directory `run`. Raises SpecError for an invalid target,
    RefusedError when the records cannot be written, the kernel does not support the socket options, or the first
    requests all failed alike.
    """
    check_supported(target.sockets)
    requests = RequestFactory(target, workload, options.seed, options.classes)
    connecting = connect_options(target, tls_context(target, workload.http), options.share)
    _raise_file_limit()
    clock = StampClock()
    client = Client(connecting, workload, clock)
    await warm_up()
    try:
        with Recorder(run, options.share.process) as recorder:
            async with asyncio.TaskGroup() as tasks:
                until = None if options.fault_free is None else options.start + options.fault_free
                own = FailFast(requests.circumstances, until)
                group = StreamGroup(tasks, requests, client, recorder, options, options.judge or own)
                housekeeping = tasks.create_task(_run_housekeeping(group, recorder, clock, options.watch))
                await _run_workload(group, workload, options, stop)
                housekeeping.cancel()
        if group.fail_fast.sentence:
            raise RefusedError(group.fail_fast.sentence)
    except BaseExceptionGroup as errors:
        raise crash_report.underlying_error(errors) from None
    finally:
        gc.unfreeze()
        await client.aclose()
        clock.close()


async def warm_up() -> None:
    """Do the one-time work of the first request, about 100 ms; a second call takes almost no time.

    Existing objects are frozen in the garbage collector: scanning them causes pauses of 50 ms while streams are open.
    """
    gc.collect()
    gc.freeze()


class StreamGroup:
    """The open streams, and the task group they run in: when one of its tasks fails, it cancels the others.

    `failed_alike` is set when `fail_fast` says to stop.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        requests: RequestFactory,
        client: Client,
        recorder: Recorder,
        options: DriveOptions,
        fail_fast: Judge,
    ) -> None:
        self.tasks = tasks
        self.fail_fast = fail_fast
        self.failed_alike = asyncio.Event()
        self._requests = requests
        self._client = client
        self._recorder = recorder
        end = None if options.length is None else options.start + options.length
        self._users = Users(requests.workload.users.retry, options.seed, end)
        self._numbers = options.share.numbers()
        self._warm_ups = options.share.warm_ups(requests.workload, options.seed)
        self._asked = 0  # of which the first are warm-up requests
        self._is_cancelled = False
        self._open: dict[asyncio.Task[Request], Deadline] = {}
        self._streams: dict[int, Stream] = {}

    def prepare(self, scheduled: int, conversation: Conversation) -> ScheduledRequest:
        """The next request of a conversation, prepared as far as possible before its start time."""
        number = next(self._numbers)
        is_warmup = self._asked < self._warm_ups
        self._asked += 1
        prepared = self._requests.request(number, conversation)
        return ScheduledRequest(number, scheduled, prepared, conversation, is_warmup)

    def start(self, request: ScheduledRequest) -> asyncio.Task[Request]:
        """Start its stream, and those of the rest of its conversation."""
        deadline = self._deadline(request)
        task = self.tasks.create_task(self._converse(request, deadline))
        self._watch(task, deadline)
        task.add_done_callback(self._open.pop)
        return task

    def sample_if_silent(self) -> None:
        """Sample the sockets of streams that have received nothing for long."""
        at = now()
        for stream in self._streams.values():
            stream.sample_if_silent(at)

    def cancel(self) -> None:
        """Cancel all open streams, and begin no other."""
        self._is_cancelled = True
        for deadline in list(self._open.values()):
            deadline.cancel("cancelled")

    async def ended(self) -> None:
        """Return when no stream is open."""
        while self._open:
            await asyncio.wait(self._open)

    async def _converse(self, request: ScheduledRequest, deadline: Deadline) -> Request:
        """Ask all of a conversation, on one connection, until a request is not answered. Returns the latest record."""
        task = asyncio.current_task()
        assert task is not None
        conversation = request.conversation
        try:
            while True:
                stream, record = await self._run(request, deadline)
                if stream.how_to_ask_again:
                    request = self._again(request, now())
                elif record.completion == "complete":
                    conversation.answered(stream.answer)
                    if conversation.is_over:
                        return record
                    request = self.prepare(now(), conversation)
                else:
                    at = self._users.asks_again_at(record, conversation)
                    if at is None or not await self._has_thought(task, at):
                        return record
                    request = replace(self._again(request, at), attempt=record.attempt + 1, retry_of=record.stream)
                if self._is_cancelled:
                    return record
                deadline = self._deadline(request)
                self._watch(task, deadline)
        finally:
            self._client.end_conversation(conversation.key)

    def _again(self, former: ScheduledRequest, scheduled: int) -> ScheduledRequest:
        """The same question in a request of its own, which counts as the former one would have."""
        number = next(self._numbers)
        prepared = self._requests.request(number, former.conversation)
        return replace(former, number=number, scheduled=scheduled, prepared=prepared)

    async def _has_thought(self, task: asyncio.Task[Request], until: int) -> bool:
        """Wait until this stamp; False when the drive was cancelled before."""
        thinking = Deadline()
        self._watch(task, thinking)
        try:
            with contextlib.closing(AbsoluteTimer()) as timer:
                await timer.until(until)
        except asyncio.CancelledError:
            if thinking.reason is None:
                raise
            return False
        thinking.close()
        return True

    def _deadline(self, request: ScheduledRequest) -> Deadline:
        patience = self._users.gives_up_at(request.scheduled, request.conversation)
        return Deadline(self._requests.workload.timeouts.stream, patience)

    def _watch(self, task: asyncio.Task[Request], deadline: Deadline) -> None:
        deadline.watch(task)
        self._open[task] = deadline

    async def _run(self, request: ScheduledRequest, deadline: Deadline) -> tuple[Stream, Request]:
        stream = Stream(request, self._requests, self._client, self._recorder, deadline)
        self._streams[request.number] = stream
        try:
            record = await stream.run()
        finally:
            del self._streams[request.number]
        comes_again = self._users.asks_again_at(record, request.conversation) is not None
        self.fail_fast.ended(record, self._recorder.any_token, comes_again or bool(stream.how_to_ask_again))
        if self.fail_fast.sentence:
            self.failed_alike.set()
        return stream, record


async def _run_workload(group: StreamGroup, workload: Workload, options: DriveOptions, stop: asyncio.Event) -> None:
    """Start streams, wait until they end, cancel those that do not."""
    loop = _open_loop if workload.is_open_loop else _closed_loop
    stopping = asyncio.create_task(_first_set(stop, group.failed_alike))
    starting = group.tasks.create_task(loop(group, workload, options))
    ending = asyncio.create_task(_ended(starting, group))
    told = set() if options.ending is None else {asyncio.create_task(options.ending.reached())}
    try:
        await asyncio.wait({starting, stopping, *told}, return_when=asyncio.FIRST_COMPLETED)
        starting.cancel()  # where it is told to
        if not stopping.done():
            drain = None if options.drain is None else options.drain / 1e9
            await asyncio.wait({ending, stopping}, timeout=drain, return_when=asyncio.FIRST_COMPLETED)
        if ending.done() and not stop.is_set():
            group.fail_fast.drive_ended()
    finally:
        for task in (starting, stopping, ending, *told):
            task.cancel()
        group.cancel()
    await group.ended()


async def _first_set(*events: asyncio.Event) -> None:
    """Return when one of them is set."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


async def _ended(starting: asyncio.Task[None], group: StreamGroup) -> None:
    await asyncio.wait({starting})
    await group.ended()


async def _open_loop(group: StreamGroup, workload: Workload, options: DriveOptions) -> None:
    with contextlib.closing(AbsoluteTimer()) as timer:
        conversations = _conversations(workload, options)
        offsets = options.share.of(_within(options, arrivals(workload, options.seed, options.surges)))
        for offset, conversation in zip(offsets, conversations, strict=False):
            request = group.prepare(options.start + offset, conversation)
            await timer.until(request.scheduled)
            if options.ending is not None and options.ending.is_before(request.scheduled):
                return
            group.start(request)
        if options.length is not None and options.requests is None:
            await timer.until(options.start + options.length)


def _within(options: DriveOptions, offsets: Iterator[int]) -> Iterator[int]:
    if options.length is None:
        return offsets
    length = options.length
    return itertools.takewhile(lambda offset: offset < length, offsets)


def _conversations(workload: Workload, options: DriveOptions) -> Iterator[Conversation]:
    """Its share of as many as give all requests; the last one has what is left of them."""
    return map(Conversation, options.share.of(openings(workload, options.seed, options.requests)))


async def _closed_loop(group: StreamGroup, workload: Workload, options: DriveOptions) -> None:
    conversations = _conversations(workload, options)
    end = None if options.length is None else options.start + options.length

    async def run_one_at_a_time(timer: AbsoluteTimer, begin: int) -> None:
        await timer.until(begin)
        due = begin
        for conversation in conversations:
            if (end is not None and due >= end) or (options.ending is not None and options.ending.is_before(due)):
                return
            stream = group.start(group.prepare(due, conversation))
            await asyncio.wait({stream})  # unlike a bare await, does not cancel the stream when this is cancelled
            if stream.result().completion != "complete":
                await asyncio.sleep(_PAUSE / 1e9)
            due = now()

    with contextlib.closing(AbsoluteTimer()) as timer:
        start = max(options.start, now())
        numbers = options.share.of(range(workload.max_concurrency or 1))
        begins = (start + number * _SPREAD for number in numbers)
        workers = [group.tasks.create_task(run_one_at_a_time(timer, begin)) for begin in begins]
        try:
            await asyncio.wait(workers, timeout=None if end is None else (end - now()) / 1e9)
        finally:
            for worker in workers:
                worker.cancel()


async def _run_housekeeping(
    group: StreamGroup, recorder: Recorder, clock: StampClock, watch: Callable[[DriveProgress], None] | None
) -> None:
    """Measure the loop's lag, sample stuck streams, flush, write vitals and refresh the clock, until cancelled."""
    begun = now() // _TICK * _TICK  # so that what it does meets the same moments in every run in virtual time
    tick = lag = 0
    try:
        with contextlib.closing(AbsoluteTimer()) as timer:
            while True:
                due = begun + (tick + 1) * _TICK
                await timer.until(due)
                lag = max(lag, now() - due)
                former, tick = tick, (now() - begun) // _TICK  # missed ticks are skipped
                if former // _LOOK != tick // _LOOK:
                    group.sample_if_silent()
                if former // _FLUSH != tick // _FLUSH:
                    recorder.flush()
                if former // _VITALS != tick // _VITALS:
                    recorder.vitals(lag)
                    lag = 0
                    if watch is not None:
                        watch(recorder.progress())
                if former // _REFRESH != tick // _REFRESH:
                    clock.refresh()
    finally:
        recorder.vitals(lag)


def _raise_file_limit() -> None:
    """Raise the open-file limit of this process to its hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
