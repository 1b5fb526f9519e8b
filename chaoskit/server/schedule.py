"""Plans each response in advance: its text, and when each token is due.

Rules: a response depends only on the seed and the identity of its request; its n-th token is due at `received +
first_token + n x interval`, whatever happened before. Texts are lower-case words that end in a space, so that no wire
format has to escape them.
"""

from __future__ import annotations

import math
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaoskit.seed import derive, source
from chaoskit.units import Duration

if TYPE_CHECKING:  # avoids importing pydantic, which would double the start time of `chaoskit serve`
    from chaoskit.spec.experiment import Server

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
class PlannedResponse:
    """One response: `first_token` and `interval` in ns, and `words` that repeat until there are `tokens`."""

    name: int
    tokens: int
    first_token: int
    interval: int
    words: tuple[str, ...]

    def due(self, received: int, seq: int) -> int:
        """When token `seq` (from 0) of a request received at `received` is due, monotonic ns."""
        return received + self.first_token + seq * self.interval

    def text(self, seq: int) -> str:
        """The text of token `seq`: a word and a space."""
        return self.words[seq % len(self.words)]

    def whole(self) -> str:
        """The text of all tokens."""
        rounds, rest = divmod(self.tokens, len(self.words))
        return "".join(self.words) * rounds + "".join(self.words[:rest])


@dataclass(frozen=True)
class Script:
    """The server's behaviour: the first token after a log-normal time, then one every `token_interval`."""

    first_token_median: Duration
    first_token_p99: Duration
    token_interval: Duration
    seed: int = 0
    tls: ssl.SSLContext | None = None

    @classmethod
    def of(cls, server: Server, seed: int) -> Script:
        """The script of an experiment file."""
        return cls(server.first_token.median, server.first_token.p99, server.token_interval, seed)

    def plan(self, tokens: int, *identity: str | int) -> PlannedResponse:
        """The response of `tokens` tokens to `identity`: always the same for the same seed and `identity`."""
        return PlannedResponse(
            name=derive(self.seed, "answer", *identity),
            tokens=tokens,
            first_token=self._first_token(*identity),
            interval=self.token_interval,
            words=tuple(f"{word} " for word in source(self.seed, "words", *identity).choices(_WORDS, k=_PERIOD)),
        )

    def _first_token(self, *identity: str | int) -> int:
        """Median x e^(sigma x z): log-normal, with the sigma that gives the requested 99th percentile."""
        if not self.first_token_median:
            return 0
        sigma = math.log(self.first_token_p99 / self.first_token_median) / _Z99
        z = source(self.seed, "first-token", *identity).gauss(0.0, 1.0)
        return round(self.first_token_median * math.exp(sigma * z))
