"""A result on a screen: what happened, is it bad, whose fault was it, where is the evidence.

The last line is the verdict: it stands above the next prompt. Colour only repeats what a word says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaoskit.analysis.formatting import said
from chaoskit.analysis.result import Achievement, Outcome, PhaseResult, Result, Verdict
from chaoskit.report import sparkline
from chaoskit.report.styles import JUDGED, safe, styled
from chaoskit.report.table import has_marks, tables

UNBOUNDED = 10_000  # columns: asks a table how wide it would like to be


def render(result: Result, console: Console) -> None:
    """Print the whole result."""
    show([*_sections(result, console), _verdict(result)], console)


def show(parts: Sequence[RenderableType], console: Console) -> None:
    """Print these with an empty line between."""
    for number, part in enumerate(parts):
        if number:
            console.print()
        console.print(part, highlight=False)


def _sections(result: Result, console: Console) -> Iterator[RenderableType]:
    yield _title(result)
    yield from _numbers(result, console)
    if result.objectives:
        yield section("Objectives", pairs(_objectives(result)))
    if any(phase.metrics.failures for phase in result.phases):
        yield section("Interrupted streams", pairs(_failures(result.phases)))
    if any(phase.blame.stalls for phase in result.phases):
        yield section("Whose stalls", pairs(_blame(result.phases)))
    if any(phase.path_mtu for phase in result.phases):
        yield section("Full segments", pairs(_path_mtu(result.phases)))
    yield from _course(result, console.width)
    if any(phase.asked for phase in result.phases):
        yield section("Faults, as asked and as achieved", pairs(_faults(result)))
    if result.warnings:
        yield section("Warnings", pairs((styled("warning", "magenta"), styled(each)) for each in result.warnings))


def _title(result: Result) -> Text:
    title = styled(result.name, "bold")
    if result.clock:
        title.append(f"  {safe(result.clock)} time, kernel {safe(result.kernel)}", style="not bold dim")
    if result.question:
        title.append("\n" + safe(result.question), style="not bold")
    return title


def _numbers(result: Result, console: Console) -> Iterator[RenderableType]:
    wide = console.options.update(width=UNBOUNDED)
    yield from tables(result, lambda table: console.measure(table, options=wide).maximum <= console.width)
    small, chance = has_marks(result)
    notes = [
        *(["* the maximum: too few values for this percentile"] if small else []),
        *(["≈ could be chance: the 95 % interval includes no change"] if chance else []),
    ]
    if notes and result.phases:
        yield Text("\n".join(notes), style="dim")
    if len(result.phases) == 1:
        yield _summary(result.phases[0])


def _summary(phase: PhaseResult) -> Text:
    found = phase.metrics
    counts = [f"{found.started} streams", f"{found.complete} complete", f"{found.interrupted} interrupted"]
    rates = [
        f"goodput {said(found.goodput.value, 'per-second')}",
        f"{said(found.throughput.value, 'per-second').removesuffix('/s')} tokens/s",
        f"stalls {said(found.stalls_per_minute.value, 'per-minute')}",
        f"stall ratio {said(found.stall_ratio.value, 'share')}",
    ]
    return Text(", ".join(counts) + "\n" + ", ".join(rates))


def _objectives(result: Result) -> Iterator[tuple[Text, Text]]:
    for verdict in result.objectives:
        yield styled(verdict.judgement.upper(), JUDGED[verdict.judgement]), _objective(verdict)


def _objective(verdict: Verdict) -> Text:
    text = styled(verdict.text, "bold").append("\n" + safe(verdict.reason), style="default not bold")
    for evidence in verdict.evidence[:1]:
        if verdict.judgement != "met" and evidence.worst:
            text.append(f"\nworst: {_streams(evidence.worst)} in {evidence.file}", style="dim not bold")
    return text


def _failures(phases: Iterable[PhaseResult]) -> Iterator[tuple[Text, Text]]:
    for phase in phases:
        for failure in phase.metrics.failures:
            text = styled(f"{failure.count} {failure.completion}")
            if failure.detail:
                text.append(f": {safe(failure.detail)}")
            more = ", …" if failure.count > len(failure.streams) else ""
            yield styled(phase.name), text.append(f"  ({_streams(failure.streams)}{more})", style="dim")


def _streams(numbers: Sequence[int]) -> str:
    return ("stream " if len(numbers) == 1 else "streams ") + ", ".join(str(number) for number in numbers)


def _blame(phases: Iterable[PhaseResult]) -> Iterator[tuple[Text, Text]]:
    for phase in phases:
        blame = phase.blame
        shares = {
            "network": blame.network_ms,
            "server": blame.server_ms,
            "client": blame.client_ms,
            "nobody knows": blame.unknown_ms,
        }
        total = sum(shares.values())
        if not blame.stalls or not total:
            continue
        told = ", ".join(
            f"{name} {said(share / total, 'share')}"
            for name, share in sorted(shares.items(), key=lambda item: -item[1])
            if share / total >= 0.005
        )
        noun = "stall" if blame.stalls == 1 else "stalls"
        severe = f", {phase.metrics.severe_stalls} over 1 s" if phase.metrics.severe_stalls else ""
        text = f"{blame.stalls} {noun}{severe}; {said(total, 'ms')} beyond 200 ms: {told}"
        reason = f"\n{blame.confidence.replace('none', 'not sure')}: {safe(blame.reason)}" if blame.reason else ""
        yield styled(phase.name), styled(text).append(reason, style="dim")


def _path_mtu(phases: Iterable[PhaseResult]) -> Iterator[tuple[Text, Text]]:
    for phase in phases:
        for found in phase.path_mtu:
            doubt = f"\n{found.confidence.replace('none', 'not sure')}: {safe(found.reason)}" if found.reason else ""
            yield styled(phase.name), styled(found.sentence).append(doubt, style="dim")


def _course(result: Result, width: int) -> Iterator[RenderableType]:
    label = max((len(phase.name) for phase in result.phases), default=0)
    longest = max((len(phase.timeline) for phase in result.phases), default=0)
    step = max(1, -(-longest // max(8, width - label - 4)))
    merged = {phase.name: sparkline.merge(phase.timeline, step) for phase in result.phases}
    ends = sparkline.scale([bucket for buckets in merged.values() for bucket in buckets])
    if ends is None:
        return
    lines = {name: sparkline.line(buckets, ends) for name, buckets in merged.items()}
    deaths = {name: sparkline.deaths(buckets) for name, buckets in merged.items()}
    signs = {
        f"{said(ends[0], 'ms')} ▁ to {said(ends[1], 'ms')} █": True,
        f"a sign for {result.bucket_s * step:g} s": True,
        "! no first token came": any("!" in line for line in lines.values()),
        "× an interrupted stream": any(deaths.values()),
    }
    rows = ((styled(name), Text("\n".join(filter(str.strip, (lines[name], deaths[name]))))) for name in merged)
    yield section(f"TTFT over time: {', '.join(sign for sign, seen in signs.items() if seen)}", pairs(rows))


def _faults(result: Result) -> Iterator[tuple[Text, RenderableType]]:
    """What was asked of each place with what came of it there, then what came of it all."""
    for phase in result.phases:
        if not phase.asked:
            continue
        achieved = [each for each in result.fidelity if each.phase == phase.name]
        lines: list[RenderableType] = []
        for number, asked in enumerate(phase.asked, 1):
            lines.append(styled(asked))
            done = [each for each in achieved if _is_last_of(f"{each.where}:", asked, phase.asked[number:])]
            lines += map(_achieved, done)
            achieved = [each for each in achieved if each not in done]
        yield styled(phase.name), Group(*lines, *map(_achieved, achieved))


def _is_last_of(place: str, asked: str, rest: Sequence[str]) -> bool:
    """Whether all that was asked of this place is told with that."""
    return asked.startswith(place) and not any(each.startswith(place) for each in rest)


def _achieved(each: Achievement) -> RenderableType:
    text = Text(f"{_counts(each)}: ")
    text.append(each.verdict.replace("-", " "), style=JUDGED[each.verdict])
    if each.remark:
        text.append(f" ({safe(each.remark)})")
    return pairs([(styled(each.what.replace("-", " ").ljust(len("round trip")), "dim"), text)], indent=0)


def _counts(each: Achievement) -> str:
    """What was asked, where that is a number, and what was seen."""
    sign = "+" if each.what == "round-trip" else ""
    seen = sign + said(each.achieved, each.unit) if each.achieved is not None else "nothing seen"
    match each.what:
        case "loss" | "round-trip":
            asked = sign + said(each.asked, each.unit) if each.asked is not None else "no share"
            noun = "packets" if each.what == "loss" else "handshakes"
            return f"asked {asked}, was {seen} of {each.samples} {noun}"
        case _ if each.achieved is None:
            return seen
        case "segment" | "mtu":
            return f"asked {said(each.asked, each.unit)} at most, was {seen} of {each.samples} connections"
        case "too-long" | "told":
            return f"{seen} of {each.samples} packets"
        case "untold":
            return f"{seen} of {each.samples} signals"


def _verdict(result: Result) -> RenderableType:
    rows = [(headline(result.outcome), sentence(result))]
    if result.run:
        rows.insert(0, (Text("records", style="dim"), styled(result.run)))
    return pairs(rows, indent=0)


def headline(outcome: Outcome) -> Text:
    """How it went, or what it found, in one word."""
    if outcome.how != "finished":
        return Text(outcome.how.upper(), style="bold red" if outcome.how in ("dirty", "crashed") else "bold magenta")
    word = "MEASURED" if outcome.found == "none" else outcome.found.upper()
    return Text(word, style=JUDGED[outcome.found])


def sentence(result: Result) -> Text:
    """The first reason for that word."""
    outcome = result.outcome
    if outcome.how != "finished":
        detail = f" ({outcome.detail})" if outcome.detail else ""
        return styled(f"after {result.seconds:.0f} s{detail}; so far: {outcome.found}, {outcome.reason}")
    count = sum(verdict.judgement == outcome.found for verdict in result.objectives)
    counted = outcome.found in ("broken", "undecided") and count
    of = f"{count} of {len(result.objectives)} objectives, " if counted else ""
    return styled(of + outcome.reason)


def section(title: str, body: RenderableType) -> RenderableType:
    """Something under its title."""
    return Group(styled(title, "bold"), body)


def pairs(rows: Iterable[tuple[RenderableType, RenderableType]], indent: int = 2) -> RenderableType:
    """Two columns: a word, and what there is to say about it; long sentences wrap within theirs."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for word, rest in rows:
        table.add_row(word, rest)
    return Padding(table, (0, 0, 0, indent))
