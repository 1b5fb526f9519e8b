"""Says whether a complete response is empty, or far shorter than what was asked for.

| flag    | rule                                                                                                       |
|---------|------------------------------------------------------------------------------------------------------------|
| `empty` | no event had any output                                                                                    |
| `short` | the request set a least number (`ignore_eos`, `min_tokens`), and less than nine tenths of it came          |
| `short` | the reference server, which never ends by itself, sent less than nine tenths of what was asked for; with   |
|         | an engine, of what that meant to compute, unless the finish reason is that the limit was reached           |
| `short` | the finish reason is that the limit was reached (`length`), and less than half of what was asked for came  |
| `short` | the server gave no finish reason although its protocol has them, and less than half came                   |

A model that ends its answer early by itself (`stop`) is not accused; a remark says that it did, that it refused, or
that a content filter ended the answer. Tokens are the server's count; where it tells none, an answer has at most as
many tokens as characters, and only that is held against it.
"""

from __future__ import annotations

from chaoskit.probe.protocols.asked_tokens import Asked
from chaoskit.probe.protocols.finish_reasons import REFUSED, meaning, why_withheld
from chaoskit.probe.transcript import Transcript
from chaoskit.records.model import Flag

STOPPED_EARLY = "the model ended the answer with less than half of the tokens asked for"
_FAR_FEWER = 0.5
_CONCISE = "concise"  # a step of a gateway's ladder
_TOLERANCE = 0.9  # servers count the end of an answer as a token, or not


def due(asked: Asked, degraded: str | None, limit: str | None) -> Asked:
    """What a gateway that tells how it degraded the answer left of what was asked for."""
    if _CONCISE not in [step.strip() for step in (degraded or "").split(",")]:
        return asked
    if limit is None or not (limit.isascii() and limit.isdigit() and len(limit) < _MOST_DIGITS):
        return Asked()
    most, least = (None if each is None else min(each, int(limit)) for each in asked)
    return Asked(most, least)


def flag(transcript: Transcript, asked: Asked, tells_finish: bool) -> Flag | None:
    """What is wrong with this complete response; None for nothing."""
    if not transcript.tokens:
        return "empty"
    most = transcript.most_tokens
    if most is None:
        return None
    word = transcript.finish
    if most < _TOLERANCE * _least(transcript, asked):
        return "short"
    if asked.most is None or most >= _FAR_FEWER * asked.most:
        return None
    is_suspect = meaning(word) == "limited" if word else tells_finish
    return "short" if is_suspect else None


def _least(transcript: Transcript, asked: Asked) -> int:
    """How many tokens are owed: the client's least, and of the reference server all that it means to send."""
    owed = None
    if transcript.is_stamped:
        is_limited = transcript.computed is None or meaning(transcript.finish) == "limited"
        owed = asked.most if is_limited else transcript.computed
    return max(owed or 0, asked.least or 0)


def remarks(transcript: Transcript, asked: Asked, flag: Flag | None) -> list[str]:
    """What is odd about a complete response with this flag, beside what the flag says."""
    found = []
    word = transcript.finish
    if word and meaning(word) == "unknown":
        found.append(f"unknown finish reason {word}")
    usage = transcript.usage
    if transcript.tokens == 1 and usage is not None and usage >= _AT_ONCE:
        found.append("the whole answer in one event")
    if withheld := REFUSED if transcript.is_refused else why_withheld(word):
        found.append(withheld)
    elif flag is None and _has_stopped_early(transcript, asked):
        found.append(STOPPED_EARLY)
    return found


def _has_stopped_early(transcript: Transcript, asked: Asked) -> bool:
    most, word = transcript.most_tokens, transcript.finish
    return bool(most and word and meaning(word) == "stopped" and asked.most and most < _FAR_FEWER * asked.most)


_AT_ONCE = 8  # tokens
_MOST_DIGITS = 10
