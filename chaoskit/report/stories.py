"""Shows the stories of single streams: a small timeline of each, and a sentence for each stall."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from rich.console import Console

from chaoskit.analysis.attribution.first_tokens import PARTS
from chaoskit.analysis.attribution.stories import Interruption, Stories, Story
from chaoskit.analysis.attribution.verdict import CAUSES, Verdict, shown
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import Request
from chaoskit.records.pcapng import CAPTURE
from chaoskit.report.link_rows import link_rows
from chaoskit.report.styles import styled
from chaoskit.units import counted

_WIDTH = 72  # characters of a timeline
_MS = 1_000_000
_LEGEND = (
    "each character is some time: a digit counts tokens (+ is ten or more), . waits for the first one, _ is a stall, "
    "- is quiet; below it the server's segments, where captured (R: one was sent again), and ~ in a phase with faults"
)
_PARTS = {
    "waiting": "waiting here",
    "name-lookup": "name lookup",
    "tls": "TLS",
    "return": "way back",
}
_NAMES = {"between": "held back in between"}
_LEAST = 0.05  # of a stall: a smaller part is not named


def render(found: Stories, console: Console) -> None:
    """Print them."""
    for line in _lines(found):
        console.print(styled(line))


def _lines(found: Stories) -> Iterator[str]:
    cut = ", ".join(f"{count} {completion}" for completion, count in found.interrupted.items())
    was = "was" if sum(found.interrupted.values()) == 1 else "were"
    ends = f"; {sum(found.interrupted.values())} {was} cut off: {cut}" if cut else ""
    stalled = f"{found.stalled or 'None'} of {counted(found.streams, 'stream')} stalled{ends}"
    if not found.told:
        yield f"{stalled}; --stream N tells one of them."
        return
    yield f"{stalled}."
    yield from found.lost
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
    yield from _first_token(story)
    yield f"  {_at(story, story.begin):<{_WIDTH // 2}}{_at(story, story.end):>{_WIDTH - _WIDTH // 2}}"
    yield f"  {_tokens(story)}"
    if segments := _segments(story):
        yield f"  {segments}"
    if faults := _faults(story):
        yield f"  {faults}"
    yield f"  ({shown((story.end - story.begin) / _WIDTH)} each)"
    for row in link_rows(story, _WIDTH, partial(_place, story)):
        yield f"  {row}"
    for verdict in story.verdicts:
        yield from _verdict(verdict)
    if story.interruption is not None:
        yield from _interrupted(story, story.interruption)
    elif not story.verdicts:
        yield "  no stall"


def _interrupted(story: Story, found: Interruption) -> Iterator[str]:
    """That it was cut off, whose that was, and who ended it."""
    whose = _NAMES.get(found.cause, found.cause)
    yield f"  cut off at {_at(story, story.end)} by {story.request.completion}; {whose}"
    if found.sentence:
        yield f"    {found.sentence.removeprefix('1 of 1 ')}"
    yield f"    {FILES[Request]}: stream {story.request.stream}"


def _first_token(story: Story) -> Iterator[str]:
    """The parts of the time to it, as far as they are known."""
    steps = story.first_token
    if steps is None:
        yield "  first token: never"
        return
    parts = [
        f"{_PARTS.get(part, part)} {shown(time)}" for part, time in zip(PARTS, steps.parts, strict=True) if time >= _MS
    ]
    told = parts[:-1] if parts and steps.parts[-1] >= _MS else parts
    rest = f"{', then ' * bool(told)}{shown(steps.parts[-1])}" if told and len(told) < len(parts) else ""
    yield f"  first token: after {shown(steps.total)}{': ' * bool(told)}{', '.join(told)}{rest}"
    if steps.path is not None:
        yield f"    {steps.path.sentence}"
        yield f"    {CAPTURE}: packets {', '.join(map(str, steps.path.packets))}"


def _tokens(story: Story) -> str:
    counts = story.tokens_in(_WIDTH)
    first = next((place for place, count in enumerate(counts) if count), _WIDTH)
    drawn = ["." if place < first else _digit(count) for place, count in enumerate(counts)]
    for verdict in story.verdicts:
        gap = verdict.stall.gap
        for place in range(_place(story, gap.begin), _place(story, gap.end) + 1):
            drawn[place] = "_" if drawn[place] == "-" else drawn[place]
    return "".join(drawn)


def _segments(story: Story) -> str:
    """The server's segments that came; "" where they were not captured."""
    found = story.segments_in(_WIDTH)
    if found is None:
        return ""
    return "".join(
        "R" if again else " " if not count else _digit(count) for count, again in zip(*found, strict=True)
    ).rstrip()


def _digit(count: int) -> str:
    return "-" if not count else str(count) if count < 10 else "+"


def _place(story: Story, stamp: int) -> int:
    """Where on the timeline this time is."""
    return max(0, min(_WIDTH - 1, (stamp - story.begin) * _WIDTH // (story.end - story.begin)))


def _faults(story: Story) -> str:
    """Where faults were in force; "" where there were none."""
    drawn = [" "] * _WIDTH
    for span in story.spans:
        if span.faults:
            begin, end = _place(story, span.ready), _place(story, span.cleared - 1)
            drawn[begin : end + 1] = "~" * (end + 1 - begin)
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
