"""Does one probe in several processes, each on its share of the load, and joins their records.

Rules: all are forked before there is a thread or an event loop, and begin together when each is ready; whether the
first requests all fail alike is decided here, over all of them; when one ends early the others are stopped, because the
load is no longer what was asked; however it ends, no process is left and their records are joined.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaoskit import crash_report
from chaoskit.clock import RealClock, now
from chaoskit.conduct import signals
from chaoskit.conduct.probe_channel import NewsFromProcess, NewsToProbe, pair, progress_of, request_of
from chaoskit.conduct.worker import Work, Worker
from chaoskit.errors import RefusedError
from chaoskit.folder import display_path
from chaoskit.probe.drive import drive, warm_up
from chaoskit.probe.fail_fast import FailFast
from chaoskit.probe.shares import Share
from chaoskit.probe.target import DriveOptions, DriveProgress, Target
from chaoskit.records.join import join
from chaoskit.spec.workload import Workload

_LEAD = 50_000_000  # ns until the first request
_REFRESH = 0.5  # s between two lines of progress
_POLL = 0.005  # s
_PATIENCE = 10.0  # s for the end of a process that was told to stop


@dataclass(frozen=True)
class Task:
    """What all of them do together, with records in the directory `run`."""

    target: Target
    workload: Workload
    seed: int
    requests: int
    run: Path


@contextmanager
def forked(task: Task, shares: Sequence[Share], judge: FailFast) -> Iterator[Processes]:
    """A process for each share, that waits for `Processes.drive`. At the end they are gone and their records joined.

    Raises RefusedError when one cannot be started, or the records cannot be joined.
    """
    processes = Processes(judge)
    parts = [task.run / f"process-{share.index}" for share in shares]
    try:
        with signals.held():
            gc.collect()
            gc.freeze()  # what is there now is shared with the children, and stays shared
            for share, part in zip(shares, parts, strict=True):
                processes.fork(task, share, part)
        yield processes
    finally:
        with signals.held():
            gc.unfreeze()
            processes.close()
            join(task.run, [part for part in parts if part.exists()])


class Processes:
    """The processes of one probe."""

    def __init__(self, judge: FailFast) -> None:
        self._judge = judge
        self._workers: list[Worker] = []
        self._channels: list[NewsToProbe] = []
        self._ready = 0
        self._finished: set[int] = set()
        self._progress: dict[int, DriveProgress] = {}
        self._is_stopped = asyncio.Event()
        self._lost = ""  # what happened to the first one that ended early

    def fork(self, task: Task, share: Share, part: Path) -> None:
        """Start the process of a share, with records in the folder `part`, and with signals blocked until it runs."""
        name = f"process {share.index + 1} of {share.processes}"
        try:
            part.mkdir()
        except OSError as error:
            raise RefusedError(f"cannot make the folder {display_path(part)}: {error.strerror}") from None
        try:
            own, its = pair()
        except OSError as error:
            raise _not_started(name, error) from None
        self._channels.append(NewsToProbe(own))
        try:
            self._workers.append(Worker(name, signals.unblocked(), _work(task, share, part, its)))
        except OSError as error:
            raise _not_started(name, error) from None
        finally:
            its.close()

    async def drive(self, stop: asyncio.Event, watch: Callable[[DriveProgress], None]) -> str:
        """Let them do their shares, until `stop` is set; `watch` is told the sum of their progress.

        Returns which one was killed, "" when all ended by themselves. Raises RefusedError when the first requests all
        failed alike, and an error that one of them had.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                beside = [tasks.create_task(each) for each in (self._pass_on(stop), self._end(), self._show(watch))]
                await asyncio.wait([tasks.create_task(self._follow(index)) for index in range(len(self._workers))])
                for each in beside:
                    each.cancel()
        except BaseExceptionGroup as errors:
            raise crash_report.underlying_error(errors) from None
        if not stop.is_set() and not self._is_stopped.is_set():
            self._judge.drive_ended()
        if self._judge.sentence:
            raise RefusedError(self._judge.sentence)
        return self._lost

    def close(self) -> None:
        """End those that are left: at once, and after some seconds by SIGKILL."""
        self._send(signal.SIGTERM)
        for worker in self._workers:
            worker.stop(RealClock())
        for channel in self._channels:
            channel.close()

    async def _pass_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._is_stopped.set()

    async def _end(self) -> None:
        """When they are to stop: cancel their open streams, and kill what does not end."""
        await self._is_stopped.wait()
        self._send(signal.SIGTERM)
        await asyncio.sleep(_PATIENCE)
        self._send(signal.SIGKILL)

    def _send(self, sign: signal.Signals) -> None:
        for worker in self._workers:
            worker.send(sign)

    async def _follow(self, index: int) -> None:
        """Read what a process tells until it has ended."""
        while (message := await self._channels[index].next()) is not None:
            if "progress" in message:
                self._progress[index] = progress_of(message)
            elif "ended" in message:
                self._judge.ended(request_of(message), message["token"], message["again"])
                if self._judge.sentence:
                    self._is_stopped.set()
            elif "finished" in message:
                self._finished.add(index)
            else:
                self._one_is_ready()
        await self._reap(index)

    def _one_is_ready(self) -> None:
        self._ready += 1
        if self._ready == len(self._workers):
            at = now() + _LEAD
            for channel in self._channels:
                channel.start(at)

    async def _reap(self, index: int) -> None:
        """Wait until it is gone. One that ended early stops the others; an error of its own is raised."""
        worker = self._workers[index]
        how = "was stopped by SIGTERM"
        try:
            while worker.is_alive:
                await asyncio.sleep(_POLL)
        except RefusedError:
            if worker.killed_by is None:
                raise
            how = f"was killed by {worker.killed_by.name}"
        if index not in self._finished and not self._is_stopped.is_set():
            self._lost = f"{worker.name} {how}, and the others were stopped"
            self._is_stopped.set()

    async def _show(self, watch: Callable[[DriveProgress], None]) -> None:
        while True:
            await asyncio.sleep(_REFRESH)
            if self._progress:
                watch(total(self._progress.values()))


def _not_started(name: str, error: OSError) -> RefusedError:
    return RefusedError(f"cannot start {name}: {error.strerror}; give fewer --processes")


def total(parts: Iterable[DriveProgress]) -> DriveProgress:
    """The progress of all processes together."""
    latest_first = sorted(parts, key=lambda part: part.at, reverse=True)
    return DriveProgress(
        at=latest_first[0].at,
        open=sum(part.open for part in latest_first),
        ended=sum(part.ended for part in latest_first),
        interrupted=sum(part.interrupted for part in latest_first),
        last_ttft=next((part.last_ttft for part in latest_first if part.last_ttft is not None), None),
    )


def _work(task: Task, share: Share, part: Path, channel: socket.socket) -> Work:
    async def work(stop: asyncio.Event) -> None:
        await warm_up()
        news = NewsFromProcess(channel)
        start = await news.start(stop)
        if start is None:
            return
        options = DriveOptions(
            task.seed, start, length=None, requests=task.requests, watch=news.progress, share=share, judge=news
        )
        await drive(task.target, task.workload, options, part, stop)
        if not stop.is_set():
            news.finished()

    return work
