"""Shows the stories of single streams: a small timeline of each, and a sentence for each of its stalls."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.console import Console

from chaoskit.analysis.attribution.stories import Stories, Story
from chaoskit.analysis.attribution.verdict import CAUSES, Verdict, shown
from chaoskit.analysis.streams.columns import Ints
from chaoskit.records.model import Request
from chaoskit.report.styles import styled
from chaoskit.units import counted

_WIDTH = 72  # characters of a timeline
_MS = 1_000_000
_LEGEND = (
    "each character is some time: a digit counts tokens (+ is ten or more), . waits for the first one, _ is a stall, "
    "- is quiet; below it ~ is a phase with faults"
)
_NAMES = {"between": "held back in between"}
_LEAST = 0.05  # of a stall: a smaller part is not named


def render(found: Stories, console: Console) -> None:
    """Print them."""
    for line in _lines(found):
        console.print(styled(line))


def _lines(found: Stories) -> Iterator[str]:
    if not found.told:
        yield f"None of {counted(found.streams, 'stream')} stalled; --stream N tells one of them."
        return
    yield f"{found.stalled} of {counted(found.streams, 'stream')} stalled."
    yield _LEGEND
    for story in found.told:
        yield ""
        yield from _told(story)


def _told(story: Story) -> Iterator[str]:
    request = story.request
    names = " > ".join(dict.fromkeys(span.name for span in story.spans))
    detail = f" ({request.detail})" if request.detail else ""
    length = shown(story.end - story.begin)
    yield (
        f"stream {request.stream}, from {_at(story, story.begin)} on, in {names}: {request.completion}{detail} "
        f"after {length}, {counted(request.tokens, 'token')}"
    )
    yield f"  first token: {_first_token(request)}"
    step = (story.end - story.begin) / _WIDTH
    yield f"  {_at(story, story.begin):<{_WIDTH // 2}}{_at(story, story.end):>{_WIDTH - _WIDTH // 2}}"
    yield f"  {_tokens(story, step)}"
    if faults := _faults(story, step):
        yield f"  {faults}"
    yield f"  ({shown(step)} each)"
    for verdict in story.verdicts:
        yield from _verdict(verdict)
    if not story.verdicts:
        yield "  no stall"


def _first_token(request: Request) -> str:
    """The parts of the time to it, as far as they are known."""
    if request.first_token is None:
        return "never"
    steps = {
        "waiting here": request.started - request.scheduled,
        "name lookup": request.dns_duration,
        "connect": request.connect_duration,
        "TLS": request.tls_duration,
        "upload": request.upload_duration,
    }
    total = request.first_token - request.scheduled
    parts = [f"{name} {shown(time)}" for name, time in steps.items() if time is not None and time >= _MS]
    if not parts:
        return f"after {shown(total)}"
    rest = max(0, total - sum(time for time in steps.values() if time is not None))
    return f"after {shown(total)}: {', '.join(parts)}, then {shown(rest)}"


def _tokens(story: Story, step: float) -> str:
    counts = np.bincount(_columns(story, story.tokens, step), minlength=_WIDTH)
    drawn = [_digit(int(count)) for count in counts]
    first = _columns(story, story.tokens[:1], step)
    before = int(first[0]) if len(first) else _WIDTH
    drawn = ["." if place < before else sign for place, sign in enumerate(drawn)]
    for verdict in story.verdicts:
        gap = verdict.stall.gap
        begin, end = _columns(story, np.array([gap.begin, gap.end]), step)
        for place in range(int(begin), int(end) + 1):
            drawn[place] = "_" if drawn[place] == "-" else drawn[place]
    return "".join(drawn)


def _digit(count: int) -> str:
    return "-" if not count else str(count) if count < 10 else "+"


def _columns(story: Story, stamps: Ints, step: float) -> Ints:
    """The place of each stamp on the timeline."""
    return np.clip(((stamps - story.begin) / step).astype(np.int64), 0, _WIDTH - 1)


def _faults(story: Story, step: float) -> str:
    """Where faults were in force; "" where there were none."""
    drawn = [" "] * _WIDTH
    for span in story.spans:
        if span.faults:
            begin, end = _columns(story, np.array([span.ready, span.cleared - 1]), step)
            drawn[int(begin) : int(end) + 1] = "~" * (int(end) + 1 - int(begin))
    return "".join(drawn).rstrip()


def _verdict(verdict: Verdict) -> Iterator[str]:
    stall = verdict.stall
    where = f"token {stall.number + 1}" if stall.after is not None else f"after token {stall.number}, to the end"
    yield f"  {where}: {shown(stall.gap.length)} of silence; {_causes(verdict)}, {_confidence(verdict)}"
    yield f"    {verdict.sentence}"
    for record in verdict.records:
        yield f"    {record}"


def _causes(verdict: Verdict) -> str:
    """The causes of a stall, that of most of it first."""
    total = sum(verdict.parts)
    parts = {cause: float(getattr(verdict.parts, cause)) for cause in CAUSES}
    named = sorted((cause for cause in CAUSES if parts[cause] >= _LEAST * total), key=lambda cause: -parts[cause])
    kind = f" ({verdict.kind})" if verdict.kind is not None else ""
    names = [_NAMES.get(cause, cause) + (kind if cause == "network" else "") for cause in named]
    if len(named) == 1:
        return names[0]
    return ", ".join(f"{name} {parts[cause] / total:.0%}" for name, cause in zip(names, named, strict=True))


def _confidence(verdict: Verdict) -> str:
    return "nobody can tell" if verdict.confidence == "none" else verdict.confidence


def _at(story: Story, stamp: int) -> str:
    return f"{(stamp - story.origin) / 1e9:.3f} s"
