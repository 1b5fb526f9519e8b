"""Renders the result of a search for a limit: its sentence, its doses, and what broke."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaoskit.analysis.formatting import format_value, whole_seconds
from chaoskit.analysis.limits.limit_result import LimitResult, LimitRun, LimitSearch
from chaoskit.errors import EXIT_SOFTWARE
from chaoskit.report.console import print_sections, two_columns
from chaoskit.report.dose_names import dose_words
from chaoskit.report.limit_tables import DOSES, FRONTIER, Row, dose_rows, frontier_rows, interval, label
from chaoskit.report.styles import VERDICT_STYLES, safe, styled
from chaoskit.report.table import plain_table
from chaoskit.spec.objectives import parse
from chaoskit.units import counted

_NS = 10**9
_SHORTEST = 1.0
"""ms; a shorter round trip is not that of a network, and is not told."""
_RIGHT = ("dose", "held", "broke")
_NEAREST = 7
"""Runs nearest to the limit, whose round trip is told."""
_HEADLINES = {
    0: "LIMIT",
    1: "BROKEN",
    2: "ERROR",
    3: "ERROR",
    4: "DIRTY",
    5: "UNDECIDED",
    EXIT_SOFTWARE: "CRASHED",
    130: "INTERRUPTED",
    143: "INTERRUPTED",
}


def render(found: LimitResult, console: Console) -> None:
    """Print all of it."""
    print_sections([*_parts(found)], console)


def headline(found: LimitResult) -> str:
    """The result in one word."""
    if found.status == "running":
        return "RUNNING"
    if found.at_least is not None and found.exit_code == 0:
        return "MET"
    return _HEADLINES.get(found.exit_code, "CRASHED")


def sentence(found: LimitResult, search: LimitSearch) -> str:
    """`holds up to 2.6% burst loss at 31 ms round trip (2.3% to 2.9%); breaks first on stalls per minute`."""
    estimate, conditions = search.estimate, _conditions(found, search)
    if estimate is None:
        return f"no run has an outcome yet{conditions}"
    preposition = "down to" if found.goes_down else "up to"
    first = f"; breaks first on {_metric(search.breaks_first)}" if search.breaks_first is not None else ""
    match estimate.where:
        case "above":
            said = f"holds {preposition} {dose_words(found.path, found.hard)} at least{conditions}"
        case "below":
            said = f"is broken already at {dose_words(found.path, found.easy)}{conditions}, by {search.breaks_first}"
            first = ""
        case "open" if estimate.low is None and estimate.high is None:
            said = f"the limit may still be anywhere{conditions}: {interval(found, estimate)}"
        case _:
            about = "about " if estimate.where == "open" else ""
            dose = dose_words(found.path, estimate.dose or (found.hard if estimate.high is None else found.easy))
            said = f"holds {preposition} {about}{dose}{conditions} ({interval(found, estimate)})"
    if estimate.is_reversed:
        first += "; but it is not monotone: it held again at harder doses than some that broke it"
        if estimate.where == "below":
            first += f"; if {dose_words(found.path, found.hard)} is the easy end, exchange the ends of the range"
    return f"{said}{first}"


def gate(found: LimitResult, search: LimitSearch) -> str:
    """What came of --at-least; "" without it."""
    if search.verdict is None:
        return ""
    why = f", for {_what_is_open(search)}" if search.verdict == "undecided" else ""
    return f"--at-least {found.at_least}: {search.verdict}{why}"


def _what_is_open(search: LimitSearch) -> str:
    """Why a gate is undecided, and what decides it."""
    if search.estimate is None:
        return "no run has an outcome yet"
    if search.estimate.is_reversed:
        return "it is not monotone; look at the whole range with chaoskit sweep"
    if search.estimate.where != "open":
        return "the interval encloses it; give a finer precision"
    return f"the interval encloses it{'; give a larger budget' if _has_spent_its_budget(search) else ''}"


def _has_spent_its_budget(search: LimitSearch) -> bool:
    return "--max-" in search.ended


def said_of(found: LimitResult, search: LimitSearch) -> str:
    """All that is said of a search, on one line, with why it ended before the limit was known."""
    ended = f"ended by {search.ended}" if search.ended else ""
    return "; ".join(filter(None, (sentence(found, search), gate(found, search), ended)))


def said(found: LimitResult) -> str:
    """All that is said, on one line."""
    return "; ".join(said_of(found, search) for search in found.searches)


def run_line(run: LimitRun) -> Text:
    """A run that has just ended: its dose and its outcome."""
    line = Text(f"{safe(run.dose):>8}  ")
    line.append_text(outcome(run))
    line.append(f"  {', '.join(map(safe, run.broken))}", "dim")
    return line.append(f"  {safe(run.reason)}" if run.reason else "")


def outcome(run: LimitRun) -> Text:
    """`held`, `broke`, or that there is none."""
    if run.state != "ended":
        return Text(run.state, "dim")
    if run.held is None:
        return Text("error" if run.has_failed else "no outcome", "bold magenta")
    return Text("held", VERDICT_STYLES["met"]) if run.held else Text("broke", VERDICT_STYLES["broken"])


def _parts(found: LimitResult) -> Iterator[RenderableType]:
    title = styled(found.name, "bold").append(f"  {counted(len(found.runs), 'run')}", "not bold dim")
    yield title.append(f", {found.path} from {found.easy} to {found.hard}", "not bold dim")
    is_frontier = len(found.searches) > 1
    rows_of = (FRONTIER, frontier_rows(found)) if is_frontier else (DOSES, dose_rows(found.searches[0]))
    yield Padding(_table(*rows_of), (0, 0, 0, 2))
    rows: list[tuple[RenderableType, RenderableType]] = []
    if found.folder:
        rows.append((Text("records", style="dim"), styled(found.folder)))
    rows.append((Text("took", style="dim"), Text(whole_seconds(round(found.seconds * _NS)))))
    for search in found.searches:
        at = f"{label(search)}: " if is_frontier else ""
        rows += [(Text("ended", style="dim"), styled(f"{at}by {search.ended}"))] if search.ended else []
        rows += [(Text("gate", style="dim"), styled(f"{at}{gate(found, search)}"))] if search.verdict else []
    if found.detail:
        rows.append((Text("why", style="dim"), styled(found.detail)))
    if found.folder and (how := _how_to_go_on(found)):
        rows.append((Text("go on", style="dim"), styled(f"--resume --out {found.folder}, with {how}")))
    style = {0: VERDICT_STYLES["met"], 1: VERDICT_STYLES["broken"]}.get(found.exit_code, "bold magenta")
    for number, search in enumerate(found.searches):
        word = headline(found) if number == 0 else ""
        rows.append((Text(word, style=style), styled(sentence(found, search))))
    yield two_columns(rows, indent=0)


def _how_to_go_on(found: LimitResult) -> str:
    """What makes `--resume` find more; "" where nothing does."""
    if found.status in ("interrupted", "stopped"):
        return "the same command"
    return "a larger budget" if any(map(_has_spent_its_budget, found.searches)) else ""


def _table(header: Sequence[str], rows: Iterable[Row]) -> Table:
    """The numbers of runs are aligned to the right, and the last column may be folded."""
    table = plain_table()
    *names, last = header
    for name in names:
        table.add_column(name, header_style="dim", justify="right" if name in _RIGHT else "left", no_wrap=name != "at")
    table.add_column(last, header_style="dim", overflow="fold")
    for row in rows:
        table.add_row(*map(styled, row))
    return table


def _conditions(found: LimitResult, search: LimitSearch) -> str:
    """What is worth telling: the round trip in the runs nearest to the limit, and the values of a frontier."""
    at = "".join(f", {dose_words(path, value)}" for path, value in search.at.items())
    if search.estimate is None or any(path.endswith((".delay", ".jitter")) for path in (found.path, *search.at)):
        return f" at{at[1:]}" if at else ""
    middle = (search.estimate.low_place + search.estimate.high_place) / 2
    runs = sorted(search.runs, key=lambda run: abs(run.place - middle))
    trips = [run.round_trip_ms for run in runs if run.round_trip_ms is not None][:_NEAREST]
    if trips and median(trips) >= _SHORTEST:
        return f" at {format_value(median(trips), 'ms')} round trip{at}"
    return f" at{at[1:]}" if at else ""


def _metric(objective: str | None) -> str:
    """What an objective is about: `stalls per minute`."""
    try:
        return parse(objective or "").metric.replace("_", " ")
    except ValueError:
        return objective or ""
