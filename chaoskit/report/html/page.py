"""Writes the page: puts together what is told of each run, and lets the templates escape it.

Rules: every text passes `printable` and then jinja2's escaping of HTML (`finalize`, `autoescape`); only the scripts and
styles of this package are written as they are. No attribute holds a script or a style.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from chaoskit import __version__
from chaoskit.analysis.matrix import MatrixResult
from chaoskit.analysis.result import ObjectiveResult, Result
from chaoskit.analysis.tables.run_tables import RunTables
from chaoskit.report.formats.source import Run, Source
from chaoskit.report.headline import headline, outcome_word, variant_word, word
from chaoskit.report.html import assets, sections
from chaoskit.report.html.answers import Answer, answers
from chaoskit.report.html.blocks import Block, blocks
from chaoskit.report.html.charts import Chart
from chaoskit.report.html.distributions import distributions, late_after
from chaoskit.report.html.interval_bars import WIDTH, IntervalBar, interval_bar
from chaoskit.report.html.network_charts import network_charts
from chaoskit.report.html.packing import pack
from chaoskit.report.html.sections import Section
from chaoskit.report.html.stream_timeline import timeline, whose, worst_stalls
from chaoskit.report.matrix import overview
from chaoskit.terminal import printable
from chaoskit.units import counted

_MOST_STALLS = 30  # of the table
_MOST_VARIANTS = 24  # whose pictures are drawn
_MOST_TEXT = 200_000  # characters of an experiment file
_LONGEST = 2000  # characters of any other text
_LONGEST_TITLE = 160
_MS = 1e6


@dataclass(frozen=True)
class Verdict:
    """A word with the name of its style."""

    word: str
    style: str


@dataclass(frozen=True)
class StallRow:
    """A row of the table of stalls."""

    stream: int
    phase: str
    at: float
    silence: float
    whose: str
    sentence: str


@dataclass(frozen=True)
class RunView:
    """All that a page tells of one run. `key` is unique in the page; `data` is for the scripts, "" without streams."""

    key: str
    name: str
    verdict: Verdict
    headline: str
    banner: str
    answers: tuple[Answer, ...]
    objectives: tuple[tuple[ObjectiveResult, IntervalBar], ...]
    numbers: tuple[Block, ...]
    causes: tuple[Section, ...]
    faults: tuple[Section, ...]
    network: tuple[Section, ...]
    service: tuple[Section, ...]
    machine: Block
    warnings: tuple[str, ...]
    compared: str
    distributions: tuple[Chart, ...]
    charts: tuple[Chart, ...]
    stalls: tuple[StallRow, ...]
    stall_count: int
    stall_threshold: float
    late: float | None
    streams: int
    left_out: str
    data: Markup


@dataclass(frozen=True)
class VariantView:
    """A variant of a matrix: its run, or why it has none."""

    name: str
    verdict: Verdict
    reason: str
    run: RunView | None


@dataclass(frozen=True)
class Page:
    """The whole page: of one `run`, or of `variants` with an overview."""

    name: str
    question: str
    kicker: str
    version: str
    verdict: Verdict
    headline: str
    answers: tuple[Answer, ...]
    body: str
    run: RunView | None
    overview: tuple[tuple[Block, ...], ...]
    variants: tuple[VariantView, ...]
    command: str
    experiment: str


def render(source: Source) -> Iterator[str]:
    """The page in pieces. Raises SpecError for damaged records."""
    template = environment().get_template("page.html")
    yield from template.generate(
        page=_page(source),
        policy=assets.policy(),
        scripts=[assets.text_of(name) for name in assets.SCRIPTS],
        styles=[assets.text_of(name) for name in assets.STYLES],
        bar_width=WIDTH,
        licence=assets.LICENCE.read_text("utf-8"),
    )


def environment() -> Environment:
    """What pages are made with: it finds the templates, and escapes every text."""
    return Environment(
        loader=FileSystemLoader(assets.FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )


def _shown(value: Any) -> Any:
    """What a template writes of a value: of a text what can be seen, on one line, and not without end."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    left = len(value) - _LONGEST
    return printable(value) if left <= 0 else f"{printable(value[:_LONGEST])}… ({left} more characters)"


def _page(source: Source) -> Page:
    found = source.found
    common: dict[str, Any] = {
        "name": found.name if len(found.name) <= _LONGEST_TITLE else f"{found.name[:_LONGEST_TITLE]}…",
        "question": found.question,
        "version": __version__,
        "verdict": Verdict(word(found), _style(found)),
        "headline": headline(found),
        "answers": answers(found),
        "command": source.command,
        "experiment": (source.experiment_text or "")[:_MOST_TEXT],
    }
    if isinstance(found, Result):
        run = _run(source.runs[0], found, "run")
        return Page(**common, kicker=_kicker(found), body="run.html", run=run, overview=(), variants=())
    drawn = [block for each in overview(found, sections.wide_console()) for block in blocks(each)]
    groups = tuple(sections.titled(drawn))
    variants = tuple(_variants(found, source))
    kicker = f"chaoskit matrix of {counted(len(found.variants), 'variant')}: {', '.join(found.axes)}"
    return Page(**common, kicker=kicker, body="matrix.html", run=None, overview=groups, variants=variants)


def _style(found: Result | MatrixResult) -> str:
    return word(found).lower().replace("measured", "none")


def _kicker(result: Result) -> str:
    made = result.provenance
    parts = ["chaoskit report"]
    parts += [f"{result.clock} time"] if result.clock else []
    parts += [made.started] if made is not None and made.started else []
    parts += [f"commit {made.commit[:12]}"] if made is not None and made.commit else []
    return " · ".join([*parts, f"seed {result.seed}"])


def _variants(matrix: MatrixResult, source: Source) -> Iterator[VariantView]:
    for number, (row, run) in enumerate(zip(matrix.variants, source.runs, strict=True)):
        verdict = Verdict(variant_word(row), variant_word(row).lower().replace(" ", "-").replace("measured", "none"))
        view = _run(run, row.result, f"variant-{number}", number < _MOST_VARIANTS) if row.result is not None else None
        yield VariantView(row.name, verdict, run.missing, view)


def _run(run: Run, result: Result, key: str, has_pictures: bool = True) -> RunView:
    tables = run.tables
    spread = tuple(distributions(tables, result.reference, result.level)) if has_pictures else ()
    charts = tuple(network_charts(tables)) if has_pictures else ()
    late = late_after(tables, result.reference) if len(result.phases) > 1 else None
    shown = timeline(tables, {chart.key: chart.spec for chart in (*spread, *charts)}, late)
    is_drawn = has_pictures and shown.streams > 0
    return RunView(
        key=key,
        name=run.variant or result.name,
        verdict=Verdict(outcome_word(result.outcome), outcome_word(result.outcome).lower().replace("measured", "none")),
        headline=headline(result),
        banner=_banner(result),
        answers=answers(result),
        objectives=tuple((each, interval_bar(each)) for each in _objectives(result)),
        numbers=sections.numbers(result),
        causes=tuple(sections.causes(result)),
        faults=tuple(sections.faults(result)),
        network=tuple(sections.network(result)),
        service=tuple(sections.service(result)),
        machine=sections.machine(result),
        warnings=result.warnings,
        compared=_compared(result),
        distributions=spread,
        charts=charts,
        stalls=tuple(_stalls(tables)),
        stall_count=len(tables.stalls),
        stall_threshold=result.stall_threshold_ms,
        late=late,
        streams=shown.streams,
        left_out=shown.left_out if is_drawn else "",
        data=Markup(pack(shown.header, shown.columns) if is_drawn else ""),
    )


def _compared(result: Result) -> str:
    """What the numbers compare."""
    if len(result.phases) < 2 or result.find_phase(result.reference) is None:
        return "Numbers"
    has_fault = any(phase.faults for phase in result.phases)
    reference = f"{result.reference[:1].upper()}{result.reference[1:]}"
    return f"{reference} against {'fault' if has_fault else 'the other phases'}"


def _objectives(result: Result) -> Iterator[ObjectiveResult]:
    """The broken ones first; then those of other workloads."""
    order = ("broken", "undecided", "met")
    yield from sorted(result.objectives, key=lambda each: order.index(each.verdict))
    for workload in result.workloads:
        for each in workload.objectives:
            yield each.model_copy(update={"text": f"{workload.name}: {each.text}"})


def _banner(result: Result) -> str:
    """What is to be known before anything else, of a run that did not end by itself."""
    outcome = result.outcome
    detail = f": {outcome.detail}" if outcome.detail else ""
    match outcome.status:
        case "finished":
            return result.internal_error
        case "interrupted":
            return f"This run did not finish{detail}. Everything below is of what was recorded until then."
        case "refused":
            return f"This run was refused{detail}. Everything below is of what was recorded until then."
        case "dirty":
            return f"Something was not restored{detail}. Type chaoskit restore on the machine of the run."
        case "crashed":
            return f"chaoskit itself failed{detail}. Everything below is of what was recorded until then."
        case _:
            return f"This run has not ended yet{detail}. Everything below is of what was recorded until now."


def _stalls(tables: RunTables) -> Iterator[StallRow]:
    table = tables.stalls
    for row in worst_stalls(table, _MOST_STALLS):
        begin, end = int(table["begin_ns"][row]), int(table["end_ns"][row])
        yield StallRow(
            int(table["stream"][row]),
            table["phase"][row],
            begin / _MS,
            (end - begin) / _MS,
            whose(table, row),
            table["sentence"][row],
        )
