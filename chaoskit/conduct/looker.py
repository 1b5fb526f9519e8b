"""Looks while a run lasts whether its objectives are decided, and says with which round to end.

Rules: a look is taken in a process of its own, which runs only where the processor is idle (SCHED_IDLE) and dies with
this one; it begins shortly before its round ends, as long before as the one before it took, so that its answer is
there in time; an answer that comes later ends the run with the round that is in force then. Whatever happens to a look
the run goes on: without an answer it has its whole length.
"""

from __future__ import annotations

import asyncio
import gc
import os
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType

from chaoskit.clock import TICK, Clock
from chaoskit.conduct import signals
from chaoskit.conduct.worker import Worker
from chaoskit.errors import ChaoskitError
from chaoskit.planning.model import Plan
from chaoskit.records.jsonl import Log, read
from chaoskit.records.look_record import Look

_LEAD = 2 * 10**9  # ns before the end of a round, at the most a tenth of it, for a look that takes no longer
_FIRST_TO_GO = "1000"  # proc(5): what is killed where memory runs out


class Looker:
    """The looks of one run that starts at `start`; a context manager. Without any in the plan it never looks."""

    def __init__(self, plan: Plan, run: Path, clock: Clock, start: int) -> None:
        self._run, self._clock = run, clock
        rounds, at = [start], start
        for phase in plan.phases:
            at += phase.length
            rounds[phase.round + 1 :] = [at]
        self._ends, self._round = rounds[1:], rounds[1] - start
        self._due = list(plan.looks.rounds[:-1]) if plan.looks is not None else []
        self._took = 0
        self._begun = 0
        self._worker: Worker | None = None
        self.end: int | None = None
        """The stamp at which the run ends, once all is decided."""

    def __enter__(self) -> Looker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._worker is not None:
            with signals.held():
                self._worker.stop(self._clock, patience=0)

    @property
    def process(self) -> int | None:
        """The process of the look that is being taken."""
        return None if self._worker is None else self._worker.pid

    @property
    def is_looking(self) -> bool:
        """Whether a look is being taken."""
        return self._worker is not None

    def check(self) -> bool:
        """Begin what is due, and take the answer that has come. Whether it is now known when the run ends."""
        if self.end is not None:
            return False
        now = self._clock.now()
        if self._worker is not None:
            self._take_answer(self._worker, now)
        elif self._due and now >= self._begin_of(self._due[0]):
            self._begin(self._due.pop(0), now)
        return self.end is not None

    def _begin_of(self, rounds: int) -> int:
        """When the look at so many rounds begins; one that takes long has half a round."""
        lead = max(min(_LEAD, self._round // 10), min(self._took, self._round // 2))
        return (self._ends[rounds - 1] - lead) // TICK * TICK

    def _begin(self, rounds: int, now: int) -> None:
        run = self._run

        async def work(_: asyncio.Event) -> None:
            gc.freeze()  # what the conductor holds is not collected here
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
            from chaoskit.analysis.looks import look  # here, not at the top: it loads numpy, in this process only

            log = Log(run, Look)
            try:
                log.add(look(run, now, rounds))
            finally:
                log.close()

        self._begun = now
        try:
            self._worker = Worker("look at the run", nullcontext(), work)
        except OSError:  # no memory or no process for it
            self._due.clear()

    def _take_answer(self, worker: Worker, now: int) -> None:
        try:
            if worker.is_alive:
                return
            found = read(self._run, Look)
        except ChaoskitError:  # the next one may do better
            found = []
        self._worker, self._took = None, now - self._begun
        while self._due and self._ends[self._due[0] - 1] <= now:  # it took longer than a round
            self._due.pop(0)
        if found and found[-1].at == self._begun and not found[-1].undecided:
            self.end = next((end for end in self._ends if end > now), None)
