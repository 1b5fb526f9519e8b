"""Holds one request of an engine, and what became of it."""

from __future__ import annotations


class Sequence:
    """A prompt of `prompt` tokens and an answer of `output` tokens. Stamps are ns, None before their time.

    `computed` tokens are in the KV cache, `generated` ones of the answer exist. `preempted` is the time from each
    preemption to the next token, `interference` how much longer its decode steps took because of others' prompts, and
    `prefill_interference` the same of the steps before its first token, because of all others.
    """

    __slots__ = (
        "arrival",
        "blocks",
        "computed",
        "first_scheduled",
        "first_token",
        "generated",
        "interference",
        "is_decoding",
        "is_gone",
        "number",
        "output",
        "preempted",
        "preempted_at",
        "preemptions",
        "prefill_interference",
        "prompt",
        "rank",
    )

    def __init__(self, number: int, prompt: int, output: int, priority: int, arrival: int) -> None:
        self.number = number
        self.prompt = prompt
        self.output = output
        self.arrival = arrival
        self.rank = (priority, arrival, number)
        self.computed = 0
        self.generated = 0
        self.blocks = 0
        self.is_decoding = False
        self.is_gone = False
        self.first_scheduled: int | None = None
        self.first_token: int | None = None
        self.preemptions = 0
        self.preempted = 0
        self.preempted_at: int | None = None
        self.interference = 0
        self.prefill_interference = 0

    @property
    def is_finished(self) -> bool:
        """Whether its answer is complete."""
        return self.generated >= self.output

    def __lt__(self, other: Sequence) -> bool:
        """Whether it comes before another in the queue."""
        return self.rank < other.rank
