"""Keeps what was said in a conversation, whose every request repeats it."""

from __future__ import annotations

from chaoskit.probe.prompts import Messages, Prompts
from chaoskit.probe.protocols.stream_protocol import Message

_NOTHING = "(nothing)"  # for a model without an answer: servers refuse a message without content


class Conversation:
    """So many turns, of which `turn` are over. `first` is the number of its first prompt, which the others follow."""

    def __init__(self, first: int, turns: int) -> None:
        self.turn = 0
        self._first = first
        self._turns = turns
        self._said: Messages = ()
        self._asked: Messages = ()

    @property
    def key(self) -> int | None:
        """The number by which its connection is kept for it; None: it is a single request."""
        return self._first if self._turns > 1 else None

    @property
    def first(self) -> int:
        """The number of its first question."""
        return self._first

    @property
    def number(self) -> int:
        """The number of its next question."""
        return self._first + self.turn

    @property
    def keeps_answers(self) -> bool:
        """Whether the text of the next answer is needed afterwards."""
        return self.turn + 1 < self._turns

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to ask."""
        return self.turn >= self._turns

    def messages(self, prompts: Prompts) -> Messages:
        """All messages of its next request; the same until that is answered."""
        self._asked = (*self._said, *prompts.messages(self.number, is_first=self.turn == 0))
        return self._asked

    def answered(self, text: str) -> None:
        """The latest request had this answer."""
        self._said = (*self._asked, Message("assistant", text or _NOTHING))
        self.turn += 1
