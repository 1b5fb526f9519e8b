"""Keeps what was said in a conversation, whose every request repeats it."""

from __future__ import annotations

from chaoskit.probe.prompts import Messages, Prompts
from chaoskit.probe.protocols.stream_protocol import Message
from chaoskit.spec.conversations import Opening

_NOTHING = "(nothing)"  # for a model without an answer: servers refuse a message without content


class Conversation:
    """A conversation as its `opening` says, of whose turns `turn` are over."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.turn = 0
        self._said: Messages = ()
        self._asked: Messages = ()

    @property
    def key(self) -> int | None:
        """The number by which its connection is kept for it; None: it is a single request."""
        return self.opening.first if self.opening.turns > 1 else None

    @property
    def number(self) -> int:
        """The number of its next question."""
        return self.opening.first + self.turn

    @property
    def keeps_answers(self) -> bool:
        """Whether the text of the next answer is needed afterwards."""
        return self.turn + 1 < self.opening.turns

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to ask."""
        return self.turn >= self.opening.turns

    def messages(self, prompts: Prompts) -> Messages:
        """All messages of its next request; the same until that is answered."""
        self._asked = (*self._said, *prompts.messages(self.number, is_first=self.turn == 0))
        return self._asked

    def answered(self, text: str) -> None:
        """The latest request had this answer."""
        self._said = (*self._asked, Message("assistant", text or _NOTHING))
        self.turn += 1
