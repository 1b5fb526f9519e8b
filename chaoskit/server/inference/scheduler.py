"""Schedules the steps of an engine as vLLM's V1 scheduler does, without any I/O.

The original is vllm/v1/core/sched/scheduler.py, as of 2025-12 (00024d3); prefix caching is not imitated.

Rules of a step, with `max_batched_tokens` to give away:
1. Running sequences first, in their order: one token each, or the rest of a prompt as far as it fits (a chunk).
2. Where the KV cache has no block left, the last in rank is preempted: it loses its cache, waits again, and computes
   its prompt and the tokens of its answer so far anew.
3. Waiting ones only if none was preempted, in order of rank, until one does not fit.

Rank is the time of arrival under `fcfs`, and (priority, arrival) under `priority`, lower first. Under `fcfs` all that
run came before all that wait, so that preempted ones are again the first to be admitted.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass

from chaoskit.server.inference.sequence import Sequence
from chaoskit.server.inference.settings import EngineSettings


@dataclass(frozen=True, slots=True)
class Step:
    """One step: from `begin` for `duration` ns; at its end each of `tokens` has one more token of its answer."""

    begin: int
    duration: int
    tokens: tuple[Sequence, ...]
    computed: int

    @property
    def end(self) -> int:
        """When it ends."""
        return self.begin + self.duration


class Engine:
    """The queue and the batch of a model. The caller knows the time: it calls `step` whenever the step before ends."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.running: list[Sequence] = []
        self.waiting: list[Sequence] = []
        self.free_blocks = settings.blocks
        self.preemptions = 0
        self.busy = 0
        self.computed = 0
        self._current: Step | None = None
        self._arrived = 0
        self._times: dict[int, int] = {}

    @property
    def kv_used(self) -> int:
        """Tokens that the blocks in use can hold."""
        return (self.settings.blocks - self.free_blocks) * self.settings.block

    def arrive(self, prompt: int, output: int, now: int, priority: int = 0) -> Sequence:
        """Put a request into the queue. The caller has checked that it `fits`."""
        rank = priority if self.settings.policy == "priority" else 0
        self._arrived += 1
        sequence = Sequence(self._arrived, prompt, output, rank, now)
        insort(self.waiting, sequence)
        return sequence

    def fits(self, prompt: int, output: int) -> bool:
        """Whether the model can take such a prompt and answer."""
        return prompt + output <= self.settings.longest

    @property
    def is_full(self) -> bool:
        """Whether the queue takes no more."""
        return self.settings.max_waiting is not None and len(self.waiting) >= self.settings.max_waiting

    def abort(self, sequence: Sequence) -> None:
        """Take a request out, whatever its state; the step under way computes its token for nothing."""
        if sequence.is_gone:
            return
        if sequence in self.running:
            self.running.remove(sequence)
        else:
            del self.waiting[bisect_left(self.waiting, sequence)]
        self._release(sequence)
        sequence.is_gone = True

    def step(self, now: int) -> Step | None:
        """End the step under way, and begin the next one; None where nothing is to be computed."""
        self._retire()
        if not self.running and not self.waiting:
            return None
        chosen: dict[Sequence, int] = {}
        budget = 0
        while not chosen:  # again where the first of them had to preempt itself
            budget, has_preempted = self._schedule_running(chosen, now)
            if not has_preempted:
                budget = self._admit(chosen, budget, now)
        self._current = self._compute(chosen, self.settings.max_batched_tokens - budget, now)
        return self._current

    def busy_until(self, now: int) -> int:
        """Time in which steps were computed until `now`, ns."""
        current = self._current
        return self.busy if current is None else self.busy - max(0, current.end - now)

    def _retire(self) -> None:
        """Release the sequences that the step before has finished."""
        if self._current is None:
            return
        for sequence in self._current.tokens:
            if sequence.is_finished and not sequence.is_gone:
                self.running.remove(sequence)
                self._release(sequence)
                sequence.is_gone = True
        self._current = None

    def _release(self, sequence: Sequence) -> None:
        self.free_blocks += sequence.blocks
        sequence.blocks = sequence.computed = 0

    def _schedule_running(self, chosen: dict[Sequence, int], now: int) -> tuple[int, bool]:
        """Rules 1 and 2. Returns what is left of the budget, and whether a sequence was preempted."""
        budget, has_preempted, at = self.settings.max_batched_tokens, False, 0
        while at < len(self.running) and budget > 0:
            sequence = self.running[at]
            tokens = self._wanted(sequence, budget)
            blocks = self._blocks_for(sequence, tokens)
            while blocks > self.free_blocks:
                has_preempted = True
                victim = max(self.running)
                if victim in chosen:
                    budget += chosen.pop(victim)
                    at -= 1
                self._preempt(victim, now)
                if victim is sequence:
                    return budget, True
            self._take(sequence, blocks)
            chosen[sequence] = tokens
            budget -= tokens
            at += 1
        return budget, has_preempted

    def _preempt(self, victim: Sequence, now: int) -> None:
        self.running.remove(victim)
        self._release(victim)
        victim.is_decoding = False
        victim.preemptions += 1
        if victim.preempted_at is None:
            victim.preempted_at = now
        self.preemptions += 1
        insort(self.waiting, victim)

    def _admit(self, chosen: dict[Sequence, int], budget: int, now: int) -> int:
        """Rule 3. Returns what is left of the budget."""
        admitted = 0
        for sequence in self.waiting:
            if len(self.running) >= self.settings.max_seqs or budget <= 0:
                break
            tokens = self._wanted(sequence, budget)
            blocks = self._blocks_for(sequence, tokens)
            if blocks > self.free_blocks:
                break
            self._take(sequence, blocks)
            if sequence.first_scheduled is None:
                sequence.first_scheduled = now
            self.running.append(sequence)
            chosen[sequence] = tokens
            budget -= tokens
            admitted += 1
        del self.waiting[:admitted]
        return budget

    def _wanted(self, sequence: Sequence, budget: int) -> int:
        rest = sequence.prompt + sequence.generated - sequence.computed
        threshold = self.settings.long_prefill_threshold
        return min(rest, budget, threshold) if threshold else min(rest, budget)

    def _blocks_for(self, sequence: Sequence, tokens: int) -> int:
        """How many more blocks it needs for these tokens."""
        return -(-(sequence.computed + tokens) // self.settings.block) - sequence.blocks

    def _take(self, sequence: Sequence, blocks: int) -> None:
        sequence.blocks += blocks
        self.free_blocks -= blocks

    def _compute(self, chosen: dict[Sequence, int], tokens: int, now: int) -> Step:
        """The step with these sequences, and what it does to them."""
        decoding = [sequence for sequence in chosen if sequence.is_decoding]
        context = sum(sequence.computed for sequence in chosen)
        duration = self._time(tokens) + self.settings.steps.of_context(context)
        end, done = now + duration, []
        if decoding and len(decoding) < tokens:
            own = sum(sequence.computed for sequence in decoding)
            alone = self._time(len(decoding)) + self.settings.steps.of_context(own)
            for sequence in decoding:
                sequence.interference += duration - alone
        for sequence, count in chosen.items():
            if count < tokens and sequence.first_token is None and sequence.preempted_at is None:
                alone = self._time(count) + self.settings.steps.of_context(sequence.computed)
                sequence.prefill_interference += duration - alone
            sequence.computed += count
            if sequence.computed < sequence.prompt + sequence.generated:
                continue
            sequence.generated += 1
            sequence.is_decoding = True
            if sequence.first_token is None:
                sequence.first_token = end
            if sequence.preempted_at is not None:
                sequence.preempted += end - sequence.preempted_at
                sequence.preempted_at = None
            done.append(sequence)
        self.busy += duration
        self.computed += tokens
        return Step(now, duration, tuple(done), tokens)

    def _time(self, tokens: int) -> int:
        """The time of a step with so many tokens, computed once for each number."""
        found = self._times.get(tokens)
        if found is None:
            found = self._times[tokens] = self.settings.steps.of_tokens(tokens)
        return found
