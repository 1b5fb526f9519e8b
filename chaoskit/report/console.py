"""Renders a result on a terminal: metrics, objectives, stalls, faults, and the verdict.

The last line is the verdict: it stands above the next prompt. Colour only repeats what a word says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaoskit.analysis.formatting import FIDELITY_LABELS, format_interval, format_value
from chaoskit.analysis.result import FidelityCheck, ObjectiveResult, Outcome, PhaseResult, Result
from chaoskit.analysis.streams.phase_samples import WARM_UP
from chaoskit.report import beside, looks, retries, sparkline
from chaoskit.report.chains import chain_sections
from chaoskit.report.compression import side_by_side
from chaoskit.report.fidelity import counts
from chaoskit.report.headline import headline as sentence
from chaoskit.report.headline import outcome_word, reason, tells_effect_first
from chaoskit.report.kernel_counters import counter_rows, machine_words
from chaoskit.report.model_queue import queue_tables
from chaoskit.report.stalls import other_rows, stall_rows
from chaoskit.report.styles import VERDICT_STYLES, caveat, safe, styled
from chaoskit.report.table import could_be_chance, footnotes_needed, row_label, tables
from chaoskit.units import counted, plural

_MUCH = 0.02  # tokens an event more or less than one: the end of a stream is a token, too
_LABEL_WIDTH = max(map(len, FIDELITY_LABELS.values()))
LONGEST_LABEL = 26  # columns, a third of the narrowest usual screen
_OTHER_STREAMS = (
    "an objective counts the streams with a value in its phase, which may have begun before, and of two phases the "
    "smaller number; the table counts the streams that were scheduled in a phase"
)
UNBOUNDED_WIDTH = 10_000  # columns: to measure how wide a table is


def render(result: Result, console: Console) -> None:
    """Print the whole result."""
    print_sections([*_sections(result, console), _verdict(result)], console)


def print_sections(parts: Sequence[RenderableType], console: Console) -> None:
    """Print these with an empty line between them."""
    for number, part in enumerate(parts):
        if number:
            console.print()
        console.print(part, highlight=False)


def _sections(result: Result, console: Console) -> Iterator[RenderableType]:
    yield _title(result)
    yield from number_tables(result, console)
    if result.objectives or any(each.objectives for each in result.workloads):
        yield section("Objectives", Group(two_columns(_objectives(result)), *_streams_note(result)))
    if result.until_decided is not None:
        found = two_columns(looks.rows(result, result.until_decided))
        yield section(looks.title(result, result.until_decided), found)
    if any(phase.metrics.retries for phase in result.phases):
        yield section("Users who asked again", two_columns(retries.rows(result.phases)))
    wide = console.options.update(width=UNBOUNDED_WIDTH)
    for title, body in chain_sections(
        result, two_columns, lambda table: console.measure(table, options=wide).maximum + 2 <= console.width
    ):
        yield section(title, body)
    if result.workloads:
        yield section("Other workloads", two_columns(beside.rows(result.workloads)))
    if any(phase.metrics.failures for phase in result.phases):
        yield section("Interrupted streams", two_columns(failure_rows(result.phases)))
    if any(phase.closings for phase in result.phases):
        yield section("Who ended them", two_columns(closing_rows(result.phases)))
    if any(phase.stall_attribution.stalls for phase in result.phases):
        yield section("Stall attribution", two_columns(stall_rows(result)))
    if causes := list(other_rows(result)):
        yield section("Causes of interruptions and late first tokens", two_columns(causes))
    if counted_rows := list(counter_rows(result.phases)):
        yield section("Kernel counters, as nstat names them", two_columns(counted_rows))
    if result.intermediaries:
        yield section("Between client and server", two_columns(intermediary_rows(result)))
    if result.compression:
        yield section("With and without compression", side_by_side(result.compression))
    if result.models:
        yield section("Model queue", queue_tables(result.models))
    if any(phase.path_mtu for phase in result.phases):
        yield section("Path MTU", two_columns(path_mtu_rows(result.phases)))
    yield from _ttft_over_time(result, console.width)
    if any(phase.settings for phase in result.phases):
        yield section("Faults, requested and measured", two_columns(fault_rows(result)))
    if result.warnings:
        yield section("Warnings", two_columns((styled("warning", "magenta"), styled(each)) for each in result.warnings))


def _title(result: Result) -> Text:
    title = styled(result.name, "bold")
    if result.clock:
        told = f"  {result.clock} time, kernel {result.kernel}{machine_words(result.machine)}"
        title.append(safe(told), style="not bold dim")
    if result.model or (result.vllm is not None and result.protocol):  # a lab is described by its plan
        named = [*([f"model {result.model}"] if result.model else []), *filter(None, [result.protocol])]
        title.append(f"\n{safe(', '.join([result.target, *named]))}", style="not bold dim")
    for condition in result.conditions:
        title.append(f"\n{safe(condition)}", style="not bold yellow")
    if result.question:
        title.append("\n" + safe(result.question), style="not bold")
    return title


def number_tables(result: Result, console: Console) -> Iterator[RenderableType]:
    """The tables of metrics, in as much detail as the console is wide, and notes to them."""
    wide = console.options.update(width=UNBOUNDED_WIDTH)
    drawn, left_out = tables(result, lambda table: console.measure(table, options=wide).maximum, console.width)
    yield from drawn
    small, chance = footnotes_needed(result)
    notes = [
        *(["* the maximum: too few values for this percentile"] if small else []),
        *([could_be_chance(result.level)] if chance else []),
    ]
    notes += [
        *filter(None, [left_out]),
        *_longer(result),
        *_comparable(result),
        *_without_tokens(result),
        *_together(result),
    ]
    if notes and result.phases:
        yield Text("\n".join(notes), style="dim")
    if len(result.phases) == 1:
        yield _summary(result, console.width)
    yield from _planned_pace(result)
    yield from _token_counts(result)


def _comparable(result: Result) -> Iterator[str]:
    """What makes rates differ between phases, apart from their faults."""
    if len(result.phases) < 2:
        return
    rates = [each.arrivals / each.seconds for each in result.phases if each.seconds]
    began = f": streams began at {format_interval(min(rates), max(rates), 'per-second')} in these" if rates else ""
    first = result.phases[0].name
    empty = f"; {safe(first)} began with none open, which a warm-up before it avoids" if first != WARM_UP else ""
    yield f"goodput and tokens/s follow the arrivals of a phase, too{began}{empty}"


def _without_tokens(result: Result) -> Iterator[str]:
    """The phases in which most streams never had a token, and so have no part in what is said of tokens."""
    for phase in result.phases:
        ttft, place = phase.metrics.ttft, f"in {safe(phase.name)} " if len(result.phases) > 1 else ""
        if ttft.never and ttft.never == ttft.count:
            yield f"{place}none of {counted(ttft.count, 'stream')} had a token"
        elif 2 * ttft.never > ttft.count:
            told = f"{ttft.never} of {counted(ttft.count, 'stream')} never had a token"
            yield f"{place}{told}: ITL, stalls and waiting are of the others alone"


def _longer(result: Result) -> Iterator[str]:
    """What the sign > means, and of how many streams in each phase nothing more is known."""
    if not any(phase.metrics.ttft.at_least or phase.metrics.itl.at_least for phase in result.phases):
        return
    told = [
        f"{f'in {safe(phase.name)} ' if len(result.phases) > 1 else ''}{ttft.never} of {counted(ttft.count, 'stream')}"
        for phase in result.phases
        if (ttft := phase.metrics.ttft).at_least
    ]
    without = f", {', '.join(told)} without a first token" if told else ""
    yield f"> longer than that: streams ended first{without}"


def _together(result: Result) -> Iterator[str]:
    """The phases in which most tokens came with others in one read, as after a pause: their gaps are 0."""
    for phase in result.phases:
        found, place = phase.metrics, f"in {safe(phase.name)} " if len(result.phases) > 1 else ""
        apart = found.itl_uncoalesced.p50_ms
        if 2 * found.coalesced > found.gaps and apart is not None:
            share = format_value(found.coalesced / found.gaps, "share")
            others = f"ITL p50 of the others {format_value(apart, 'ms')}"
            yield f"{place}{share} of the gaps are of tokens that came together: {others}"


def _token_counts(result: Result) -> Iterator[Text]:
    """What a token is, where it is not just an event."""
    ratio = result.tokens_per_event
    if ratio is not None and abs(ratio - 1) >= _MUCH:
        yield styled(
            f"{ratio:.2g} tokens an event, by the server's usage: TPOT, tokens/s and waiting are of tokens, ITL and "
            "stalls of events",
            "dim",
        )


def _planned_pace(result: Result) -> Iterator[Text]:
    """The server's own pace, where it is slower than reading: with a script it is neither a stall nor waiting."""
    pace = result.overall.planned_pace.p50_ms
    if pace is not None and pace > 1000 / result.reading_rate:
        planned = f"{format_value(pace, 'ms')} per token (p50)"
        if result.models:
            told = f"the pace of the server's engine: {planned}"
        else:
            told = f"the server's own pace, as it planned: {planned}; that is neither a stall nor waiting"
        yield styled(told, "dim")


def _summary(result: Result, width: int) -> Text:
    metrics = result.phases[0].metrics
    counts = [counted(metrics.started, "stream"), f"{metrics.complete} complete", f"{metrics.interrupted} interrupted"]
    counts += [f"{count} {word}" for word, count in (("empty", metrics.empty), ("short", metrics.short)) if count]
    rates = [
        f"goodput {format_value(metrics.goodput.value, 'per-second')}",
        f"{format_value(metrics.tokens_per_second.value, 'per-second').removesuffix('/s')} tokens/s",
        f"{row_label(result, 'stalls_per_minute')} {format_value(metrics.stalls_per_minute.value, 'per-minute')}",
        f"{row_label(result, 'stall_ratio')} {format_value(metrics.stall_ratio.value, 'share')}",
    ]
    return Text("\n".join((*_filled(counts, width), *_filled(rates, width))))


def _filled(parts: Iterable[str], width: int) -> Iterator[str]:
    """Lines of that width with commas between the parts: no number stands on another line than its unit."""
    line = ""
    for part in parts:
        if line and len(f"{line}, {part}") > width - 1:
            yield f"{line},"
            line = part
        else:
            line = f"{line}, {part}" if line else part
    yield line


def _streams_note(result: Result) -> Iterator[RenderableType]:
    """Why the numbers of streams differ from those of the table, where they do."""
    if any(each.observed.value is not None and each.streams != each.streams_started for each in result.objectives):
        yield Padding(styled(_OTHER_STREAMS, "dim"), (0, 0, 0, 2))


def _objectives(result: Result) -> Iterator[tuple[Text, Text]]:
    judged = [("", verdict) for verdict in result.objectives]
    judged += [(f"{each.name}: ", verdict) for each in result.workloads for verdict in each.objectives]
    for whose, verdict in judged:
        word = styled(verdict.verdict.upper(), VERDICT_STYLES[verdict.verdict])
        yield word, _objective(whose, verdict, bool(result.run))


def _objective(whose: str, verdict: ObjectiveResult, is_kept: bool) -> Text:
    """The objective, why it has its verdict, and its evidence, with the file if the records are kept."""
    text = styled(whose + verdict.text, "bold").append("\n" + safe(verdict.reason), style="default not bold")
    for evidence in verdict.evidence[:1]:
        if verdict.verdict != "met" and evidence.worst:
            where = f" in {evidence.file}" if is_kept else ""
            text.append(f"\nworst: {_streams(evidence.worst)}{where}", style="dim not bold")
    return text


def failure_rows(phases: Iterable[PhaseResult]) -> Iterator[tuple[Text, Text]]:
    """How many streams failed in which way, and which ones."""
    for phase in phases:
        for failure in phase.metrics.failures:
            text = styled(f"{failure.count} {failure.completion}")
            if failure.detail:
                text.append(f": {safe(failure.detail)}")
            rest = ", …" if failure.count > len(failure.streams) else ""
            yield styled(phase.name), text.append(f"  ({_streams(failure.streams)}{rest})", style="dim")


def closing_rows(phases: Iterable[PhaseResult]) -> Iterator[tuple[Text, Text]]:
    """Who ended streams."""
    for phase in phases:
        for each in phase.closings:
            yield styled(phase.name), styled(each.sentence).append(caveat(each.confidence, each.reason), style="dim")


def _streams(numbers: Sequence[int]) -> str:
    return f"{plural(len(numbers), 'stream')} " + ", ".join(str(number) for number in numbers)


def intermediary_rows(result: Result) -> Iterator[tuple[Text, Text]]:
    """What stands between client and server."""
    for each in result.intermediaries:
        yield styled(each.kind), styled(each.sentence).append(caveat(each.confidence, each.reason), style="dim")


def path_mtu_rows(phases: Iterable[PhaseResult]) -> Iterator[tuple[Text, Text]]:
    """What happened to full segments."""
    for phase in phases:
        for finding in phase.path_mtu:
            limit = caveat(finding.confidence, finding.reason)
            yield styled(phase.name), styled(finding.sentence).append(limit, style="dim")


def _ttft_over_time(result: Result, width: int) -> Iterator[RenderableType]:
    label = max((len(phase.name) for phase in result.phases), default=0)
    label = label if label <= LONGEST_LABEL else 0
    longest = max((len(phase.timeline) for phase in result.phases), default=0)
    step = max(1, -(-longest // max(8, width - label - 4)))
    merged = {phase.name: sparkline.merge(phase.timeline, step) for phase in result.phases}
    ends = sparkline.scale([bucket for buckets in merged.values() for bucket in buckets])
    if ends is None:
        return
    lines = {name: sparkline.line(buckets, ends) for name, buckets in merged.items()}
    interruptions = {name: sparkline.interruption_marks(buckets) for name, buckets in merged.items()}
    legend = (
        sparkline.latency_legend((bucket for buckets in merged.values() for bucket in buckets), ends),
        f"{result.bucket_s * step:g} s per character",
        "! no first token" if any("!" in line for line in lines.values()) else "",
        sparkline.mark_legend("".join(interruptions.values())),
    )
    rows = ((styled(name), Text("\n".join(filter(str.strip, (lines[name], interruptions[name]))))) for name in merged)
    yield section(f"Median TTFT over time: {', '.join(filter(None, legend))}", two_columns(rows))


def fault_rows(result: Result) -> Iterator[tuple[Text, RenderableType]]:
    """Each phase's settings, each with the checks of its place, then the checks without a place."""
    for phase in result.phases:
        if not phase.settings:
            continue
        checks = [each for each in result.fidelity if each.phase == phase.name]
        lines: list[RenderableType] = []
        for number, requested in enumerate(phase.settings, 1):
            lines.append(styled(requested))
            shown = [each for each in checks if _is_last_of(f"{each.where}:", requested, phase.settings[number:])]
            lines += map(_check, shown)
            checks = [each for each in checks if each not in shown]
        yield styled(phase.name), Group(*lines, *map(_check, checks))


def _is_last_of(place: str, requested: str, rest: Sequence[str]) -> bool:
    """Whether this is the last setting of its place."""
    return requested.startswith(place) and not any(each.startswith(place) for each in rest)


def _check(each: FidelityCheck) -> RenderableType:
    told = counts(each)
    text = Text(f"{told}: " if told else "")
    text.append(each.verdict.replace("-", " "), style=VERDICT_STYLES[each.verdict])
    if each.remark:
        text.append(f" ({safe(each.remark)})")
    return two_columns([(styled(FIDELITY_LABELS[each.kind].ljust(_LABEL_WIDTH), "dim"), text)], indent=0)


def _verdict(result: Result) -> RenderableType:
    told = sentence(result) if tells_effect_first(result) else reason(result)
    rows = [(headline(result.outcome), styled(told))]
    if result.run:
        rows.insert(0, (Text("records", style="dim"), styled(result.run)))
    return two_columns(rows, indent=0)


def headline(outcome: Outcome) -> Text:
    """The run's status, or its verdict, in one word."""
    word = outcome_word(outcome)
    if outcome.status != "finished":
        return Text(word, style="bold red" if outcome.status in ("dirty", "crashed") else "bold magenta")
    return Text(word, style=VERDICT_STYLES[outcome.verdict])


def section(title: str, body: RenderableType) -> RenderableType:
    """A body under its title."""
    return Group(styled(title, "bold"), body)


def two_columns(rows: Iterable[tuple[RenderableType, RenderableType]], indent: int = 2) -> RenderableType:
    """Two columns: a word and its text; long text wraps within its column.

    Where a word would take too much of a narrow screen, each stands above its text.
    """
    pairs = list(rows)
    if any(isinstance(word, Text) and word.cell_len > LONGEST_LABEL for word, _ in pairs):
        lines = chain.from_iterable((word, Padding(rest, (0, 0, 0, 2))) for word, rest in pairs)
        return Padding(Group(*lines), (0, 0, 0, indent))
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for word, rest in pairs:
        table.add_row(word, rest)
    return Padding(table, (0, 0, 0, indent))
