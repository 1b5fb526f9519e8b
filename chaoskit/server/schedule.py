"""Plans each response in advance: its parts, its text, and when each token is due.

Rules: a response depends only on the seed and the identity of its request; its n-th token is due at `received +
first_token + n x interval`, whatever happened before. A pause makes tokens leave after they are due: the plan says that
the server is late. Words are in lower case and end in a space, so that no wire format has to escape them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from chaoskit.seed import derive, source
from chaoskit.server.deviations import Cut, ErrorEvent, Malformed, Pause, Refusal
from chaoskit.server.inference.settings import EngineSettings
from chaoskit.units import Duration, Share

if TYPE_CHECKING:  # loaded by servers only; experiment files know scripts as well
    import ssl

Part = Literal["reasoning", "text", "tool"]
Coding = Literal["identity", "gzip", "deflate"]

_Z99 = 2.3263478740408408  # the 99th percentile of the standard normal distribution
_PERIOD = 64  # words drawn for one response; a longer one repeats them
_VOCABULARY = """
a after air along always and any around ask away because before between both but call can city come
country day different does down earth end even eye father find follow for from garden give good group had
hand has head help here him home how if into it keep know large late leave letter light line live look
make many mean more mother move must near never next no now of often on one open other out own paper
people plant point read river run same say sea see sentence she show small some song sound stand state
stop study take tell that their then these thing this thought through to too tree turn under up use walk
was water we went what where while who will without work would year young
"""
_WORDS = tuple(_VOCABULARY.split())


@dataclass(frozen=True)
class Tool:
    """A call of a tool: the JSON of its arguments, before and after the words that stand in it."""

    name: str
    before: str
    after: str
    has_words: bool = True

    def arguments(self, text: str) -> Any:
        """The arguments as a value; empty when `text` has only a part of them."""
        try:
            return json.loads(text)
        except ValueError:
            return {}


@dataclass(frozen=True)
class PlannedResponse:
    """One response: `first_token` and `interval` in ns, and `words` that repeat until there are `tokens`.

    `reasoning` tokens come first; the rest is text, or the call of `tool`. An event holds up to `per_event` tokens.
    `pauses`: before which token, and how long in ns.
    """

    name: int
    tokens: int
    first_token: int
    interval: int
    words: tuple[str, ...]
    per_event: int = 1
    reasoning: int = 0
    tool: Tool | None = None
    pauses: tuple[tuple[int, int], ...] = ()

    def due(self, received: int, seq: int) -> int:
        """When token `seq` (from 0) of a request received at `received` is due, monotonic ns."""
        return received + self.first_token + seq * self.interval

    def leaves(self, received: int, seq: int) -> int:
        """When it is sent: after it is due by the pauses so far."""
        return self.due(received, seq) + self.paused_before(seq)

    def paused_before(self, seq: int) -> int:
        """The length of the pauses before token `seq`, ns."""
        return sum(length for after, length in self.pauses if after <= seq)

    @property
    def answer(self) -> Part:
        """What follows the reasoning."""
        return "text" if self.tool is None else "tool"

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts, in order."""
        return ("reasoning", self.answer) if self.reasoning else (self.answer,)

    def part(self, seq: int) -> Part:
        """What token `seq` belongs to."""
        return "reasoning" if seq < self.reasoning else self.answer

    def event(self, seq: int) -> int:
        """How many tokens the event holds that begins with token `seq`: of one part, at most `per_event`."""
        end = self.reasoning if seq < self.reasoning else self.tokens
        return min(self.per_event, end - seq)

    def text(self, seq: int, count: int = 1) -> str:
        """The text of `count` tokens from `seq` on: a word and a space each, or a piece of a call's arguments."""
        if self.tool is not None and seq >= self.reasoning:
            return self._arguments(seq, count)
        if count == 1:
            return self.words[seq % len(self.words)]
        return "".join(self.words[at % len(self.words)] for at in range(seq, seq + count))

    def whole(self, part: Part = "text") -> str:
        """The text of a part; empty for one that the response does not have."""
        if part == "reasoning":
            return self._words(0, self.reasoning)
        if part != self.answer:
            return ""
        if self.tool is not None:
            return self._arguments(self.reasoning, self.tokens - self.reasoning)
        return self._words(self.reasoning, self.tokens - self.reasoning)

    def after(self, tokens: int) -> PlannedResponse:
        """The same text from the token after so many on."""
        at = tokens % len(self.words)
        return replace(self, words=self.words[at:] + self.words[:at])

    def cut_to(self, tokens: int) -> PlannedResponse:
        """The same response with fewer tokens."""
        return replace(self, tokens=tokens, reasoning=min(self.reasoning, tokens))

    def _arguments(self, seq: int, count: int) -> str:
        assert self.tool is not None
        before = self.tool.before if seq == self.reasoning else ""
        after = self.tool.after if seq + count == self.tokens else ""
        return before + (self._words(seq, count) if self.tool.has_words else "") + after

    def _words(self, seq: int, count: int) -> str:
        size = len(self.words)
        turned = self.words[seq % size :] + self.words[: seq % size]
        rounds, rest = divmod(count, size)
        return "".join(turned) * rounds + "".join(turned[:rest])


@dataclass(frozen=True)
class Script:
    """The server's behaviour: the first token after a log-normal time, then one every `token_interval`.

    What deviates from that is drawn for each response by its share, from the seed and the stream's number.
    """

    first_token_median: Duration
    first_token_p99: Duration
    token_interval: Duration
    seed: int = 0
    tls: ssl.SSLContext | None = None
    tokens_per_event: int = 1
    reasoning_tokens: int = 0
    coding: Coding = "identity"
    pauses: tuple[Pause, ...] = ()
    deviations: tuple[Malformed | Refusal | ErrorEvent | Cut, ...] = ()
    engine: EngineSettings | None = None

    def plan(
        self, tokens: int, *identity: str | int, tool: Tool | None = None, reasons: bool = True
    ) -> PlannedResponse:
        """The response of `tokens` tokens to `identity`: always the same for the same seed and `identity`.

        `reasons`: whether its API has reasoning.
        """
        tokens = tokens if tool is None or tool.has_words else 1
        return PlannedResponse(
            name=derive(self.seed, "answer", *identity),
            tokens=tokens,
            first_token=self._first_token(*identity),
            interval=self.token_interval,
            words=tuple(f"{word} " for word in source(self.seed, "words", *identity).choices(_WORDS, k=_PERIOD)),
            per_event=self.tokens_per_event,
            reasoning=min(self.reasoning_tokens, tokens - 1) if reasons else 0,
            tool=tool,
            pauses=tuple(
                (pause.after, pause.length)
                for number, pause in enumerate(self.pauses)
                if self._is_drawn(pause.share, "pause", number, *identity)
            ),
        )

    def deviation(self, *identity: str | int) -> Malformed | Refusal | ErrorEvent | Cut | None:
        """What deviates in the response to `identity`: the first that is drawn."""
        for number, each in enumerate(self.deviations):
            if self._is_drawn(each.share, "deviation", number, *identity):
                return each
        return None

    def _is_drawn(self, share: Share, *names: str | int) -> bool:
        return share == Share.largest or source(self.seed, *names).random() < share.fraction

    def _first_token(self, *identity: str | int) -> int:
        """Median x e^(sigma x z): log-normal, with the sigma that gives the requested 99th percentile."""
        if not self.first_token_median:
            return 0
        sigma = math.log(self.first_token_p99 / self.first_token_median) / _Z99
        z = source(self.seed, "first-token", *identity).gauss(0.0, 1.0)
        return round(self.first_token_median * math.exp(sigma * z))
