"""Decides which users give up and ask again, and when.

| the request                                           | its user                                                     |
|-------------------------------------------------------|--------------------------------------------------------------|
| shows no first token within the patience              | closes the connection: `abandoned`                           |
| failed, by itself or so                               | asks the same again after a time to think, so often at most  |
| failed for the last time, or at the end of the run    | is gone                                                      |
| was complete, or this machine could not do its part   | has nothing to ask again                                     |

Who does so, and how long he thinks, follow from the seed and the numbers of conversation and question.
"""

from __future__ import annotations

from chaoskit.probe.conversation import Conversation
from chaoskit.records.model import NOT_INTERRUPTED, Request
from chaoskit.spec.demand import Retry


class Users:
    """The users of a drive; None: nobody asks again. Nor does anybody from the monotonic stamp `end` on (ns)."""

    def __init__(self, retry: Retry | None, seed: int, end: int | None) -> None:
        self._retry, self._seed, self._end = retry, seed, end

    def gives_up_at(self, scheduled: int, conversation: Conversation) -> int | None:
        """When the user of a request gives it up if he sees nothing, ns; None: never."""
        return None if (retry := self._of(conversation)) is None else scheduled + retry.patience

    def asks_again_at(self, request: Request, conversation: Conversation) -> int | None:
        """When the user of a request that ended so asks it again, ns; None: he does not."""
        retry = self._of(conversation)
        is_served = request.completion in (*NOT_INTERRUPTED, "internal_error")
        if retry is None or is_served or request.attempt > retry.times:
            return None
        at = request.ended + retry.think_time(self._seed, conversation.number, request.attempt)
        return at if self._end is None or at < self._end else None

    def _of(self, conversation: Conversation) -> Retry | None:
        retry = self._retry
        return retry if retry is not None and retry.is_by(self._seed, conversation.opening.number) else None
