"""Runs the probe alone against an endpoint: no lab, no fault, nothing to restore."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chaoskit import __version__, crash_report, keyboard_interrupt, loop_signals, terminal
from chaoskit.clock import RealClock, now
from chaoskit.conduct import comparison, signals
from chaoskit.conduct.capture_process import capture_of_probe, check_asked
from chaoskit.conduct.planning import load_warnings
from chaoskit.conduct.probe_processes import Task, forked
from chaoskit.conduct.provenance import collect
from chaoskit.conduct.span_receiver import ReceiverTask, SpanReceiver, listeners_at_target
from chaoskit.errors import ChaoskitError, RefusedError, SpecError
from chaoskit.planning.decidability import probe_warnings
from chaoskit.planning.probe_plan import ProbePlan
from chaoskit.probe import credentials
from chaoskit.probe.drive import drive, warm_up
from chaoskit.probe.fail_fast import FailFast
from chaoskit.probe.model_list import with_model
from chaoskit.probe.proxy_variables import unused_proxy
from chaoskit.probe.request_url import shown_url
from chaoskit.probe.requests import RequestFactory
from chaoskit.probe.shares import WHOLE, Share, divide
from chaoskit.probe.target import DriveOptions, DriveProgress, SocketOptions, Target, check_socket, endpoint
from chaoskit.probe.transport import event_loop
from chaoskit.probe.transport.tls import tls_context
from chaoskit.records.directory import OUTCOME, PROBE, PROVENANCE, UNCOMPRESSED, conclude, create, kept_records
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import Request
from chaoskit.seed import derive
from chaoskit.spec.access import Access, recorded
from chaoskit.spec.objectives import Objective
from chaoskit.spec.replay import read_rows
from chaoskit.spec.telemetry import Telemetry
from chaoskit.spec.workload import Workload
from chaoskit.telemetry.endpoint import doubts as telemetry_doubts
from chaoskit.terminal import ascii_json
from chaoskit.units import Duration, counted

if TYPE_CHECKING:
    from chaoskit.analysis.result import Result

_LEAD = 50_000_000  # ns until the first request


@dataclass(frozen=True)
class ProbeOnly:
    """A number of requests of this workload to this endpoint, for at most `max_time`.

    `requests` count; those of the workload's `warm-up` come before them. `uds` is the endpoint's Unix socket. The
    `processes` share the load. Where answers came compressed, `compare_compression` more requests follow that accept no
    compression, with records of their own. With `telemetry`, spans of the endpoint's programs are received meanwhile;
    with `capture`, the headers of its packets are kept.
    """

    url: str
    access: Access
    uds: Path | None
    sockets: SocketOptions
    workload: Workload
    objectives: tuple[Objective, ...]
    seed: int
    requests: int
    max_time: Duration
    processes: int = 1
    compare_compression: int = 0
    telemetry: Telemetry | None = None
    capture: bool = False

    def measure(
        self,
        out: Path | None,
        watch: Callable[[DriveProgress], None],
        keep: Callable[[Result, Path], None] | None = None,
    ) -> Result:
        """Send the requests, and analyse the responses. The records stay in `out`, a new directory, or are deleted.

        `keep` gets the result, and where the records are, before that.

        Ctrl-C and `max_time` end the requests; the result is about what was received until then. So is that of a
        drive that was refused midway. Raises SpecError for a comparison of nothing, RefusedError for a drive that was
        refused before its first request, and KeyboardInterrupt, with where the records are, for a Ctrl-C before or
        after the requests.
        """
        comparison.check(self.compare_compression, self.access)
        target = endpoint(self.url, self.access, uds=self.uds, sockets=self.sockets)
        if self.uds is not None:
            check_socket(self.uds)
        if self.capture:
            check_asked(target)
        factory = RequestFactory(target, self.workload, self.seed)
        self._check_trace()
        shares = divide(self.workload, self.seed, self.all_requests, self.processes)
        tls_context(target, self.workload.http)
        doubts = [
            *load_warnings(self.workload, self.url, None, self.all_requests, to_run=True, processes=self.processes),
            *probe_warnings(
                self.objectives,
                self.workload,
                self.url,
                self.requests,
                self.max_time,
                has_spans=self.telemetry is not None,
            ),
            *self.access.exposed(),
            *credentials.warnings(target),
            *unused_proxy(target, os.environ),
            *_too_many(self.processes),
            *comparison.warnings(self.compare_compression, self.workload),
            *(() if self.telemetry is None else telemetry_doubts(self.telemetry.listen)),
        ]
        terminal.note(*(f"warning: {sentence}" for sentence in doubts))
        target = with_model(target, self.access, self.workload)
        listeners = listeners_at_target(self.telemetry)
        with _directory(out) as folder:
            run = create(folder, {PROBE: self._description(target), PROVENANCE: collect()})
            traces = None if self.telemetry is None else derive(self.seed, "run", now())
            spans = ReceiverTask(run, traces or 0, self.telemetry)
            try:
                with (
                    signals.kept(),
                    SpanReceiver(spans, listeners, RealClock()) as receiver,
                    capture_of_probe(target, run, self.capture) as capture,
                ):
                    if capture.missing:
                        raise RefusedError(f"--capture: {'; '.join(capture.missing.values())}; remove it")
                    until = now() + self.max_time
                    if self._send(replace(target, traces=traces), run, watch, shares, factory):
                        if self.telemetry is not None:
                            terminal.note("waiting some seconds for the last spans: programs export them with a delay")
                        receiver.await_last()
                        self._compare_compression(target, run, until)
            except RefusedError as error:
                conclude(run, "refused", str(error))
                if not (run / FILES[Request]).exists():
                    raise
            from chaoskit.analysis.analyse import analyse  # numpy starts threads, before which processes must be forked

            result = analyse(run)
            result = result if out else result.model_copy(update={"run": ""})
            if keep is not None:
                keep(result, run)
            return result

    @property
    def all_requests(self) -> int:
        """Those that count, and the warm-up requests before them."""
        return self.workload.warm_up + self.requests

    def _check_trace(self) -> None:
        """Raise SpecError where the trace has fewer requests than are asked for."""
        rows = self.all_requests if self.workload.trace is None else len(read_rows(self.workload.trace))
        if rows < self.all_requests:
            raise SpecError(
                f"--requests: the trace has {counted(rows, 'request')}, and {self.all_requests} are asked for; give "
                f"--requests {max(1, rows - self.workload.warm_up)}"
            )

    def _description(self, target: Target) -> str:
        """What is asked, for `probe.json`."""
        asked = ProbePlan(
            chaoskit=__version__,
            url=shown_url(target, self.workload),
            model=target.model,
            access=recorded(self.access, target.proxy),
            uds=str(self.uds) if self.uds else None,
            maxseg=self.sockets.maxseg,
            congestion_control=self.sockets.congestion_control,
            workload=self.workload,
            requests=self.requests,
            max_time=self.max_time,
            objectives=self.objectives,
            seed=self.seed,
            processes=self.processes,
            compare_compression=self.compare_compression,
            telemetry=self.telemetry,
            capture=self.capture,
        )
        return ascii_json(asked.model_dump_json(indent=1)) + "\n"

    def _send(
        self,
        target: Target,
        run: Path,
        watch: Callable[[DriveProgress], None],
        shares: Sequence[Share],
        factory: RequestFactory,
    ) -> bool:
        """Send the requests, from this process or from several. Returns whether they all ended by themselves."""

        async def alone(stop: asyncio.Event) -> str:
            await warm_up()
            options = DriveOptions(self.seed, now() + _LEAD, length=None, requests=self.all_requests, watch=watch)
            await drive(target, self.workload, options, run, stop)
            return ""

        if len(shares) == 1:
            return event_loop.run(self._supervise(run, alone))
        task = Task(target, self.workload, self.seed, self.all_requests, run)
        judge = FailFast(factory.circumstances, None)
        with forked(task, shares, judge) as processes:
            return event_loop.run(self._supervise(run, lambda stop: processes.drive(stop, watch)))

    def _compare_compression(self, target: Target, run: Path, until: int) -> None:
        """After compressed answers, send more requests that accept none. What befalls them is in their records only."""
        left = Duration(until - now())
        if not self.compare_compression or left <= 0 or not comparison.has_compressed(run):
            return
        plain = replace(
            self,
            access=self.access.without_compression(),
            workload=self.workload.model_copy(update={"warm_up": 0}),
            objectives=(),
            seed=comparison.seed(self.seed),
            requests=self.compare_compression,
            max_time=left,
            processes=1,
            compare_compression=0,
        )
        own = replace(target, headers=comparison.headers(target.headers))
        factory = RequestFactory(own, plain.workload, plain.seed)
        folder = create(run / UNCOMPRESSED, {PROBE: plain._description(own), PROVENANCE: collect()})
        try:
            plain._send(own, folder, _unwatched, (WHOLE,), factory)
        except RefusedError as error:
            conclude(folder, "refused", str(error))

    async def _supervise(self, run: Path, work: Callable[[asyncio.Event], Awaitable[str]]) -> bool:
        """Do the work until it ends, by itself or by a signal or `max_time`, and record how; it says what it lacks.

        Returns whether it ended by itself.
        """
        stop = asyncio.Event()

        def interrupt(sign: signal.Signals) -> None:
            conclude(run, "interrupted", sign.name)
            stop.set()

        def time_is_up() -> None:
            if not stop.is_set():
                conclude(run, "finished", f"stopped after {self.max_time}, before all requests had ended")
                stop.set()

        asyncio.get_running_loop().call_later(self.max_time.seconds, time_is_up)
        with loop_signals.handled((signal.SIGINT, signal.SIGTERM), interrupt):
            try:
                lacking = await work(stop)
            except Exception as error:
                if not isinstance(cause := crash_report.underlying_error(error), ChaoskitError):
                    conclude(run, "crashed", crash_report.summary(cause))
                raise
        if not stop.is_set():
            conclude(run, "finished", lacking)
        return not stop.is_set()


def _unwatched(_: DriveProgress) -> None:
    """Shows nothing."""


def _too_many(processes: int) -> tuple[str, ...]:
    """What is doubtful about more processes than processors."""
    available = len(os.sched_getaffinity(0))
    if processes <= max(1, available):
        return ()
    return (
        f"--processes {processes}: this machine has {counted(available, 'processor')} for them; more processes than "
        "that carry no more streams, and make each other late",
    )


@contextmanager
def _directory(out: Path | None) -> Iterator[Path]:
    """`out`, or a folder that is deleted afterwards."""
    scratch = None
    try:
        if out is None:
            with signals.held():
                scratch = tempfile.mkdtemp(prefix="chaoskit-")
        yield out or Path(scratch or "")
    except KeyboardInterrupt:
        keyboard_interrupt.ignore()  # only the end is left, which a second one must not cut short
        raise KeyboardInterrupt(*([kept_records(out)] if out and (out / OUTCOME).exists() else [])) from None
    finally:
        if scratch is not None:
            with signals.held():
                shutil.rmtree(scratch, ignore_errors=True)
