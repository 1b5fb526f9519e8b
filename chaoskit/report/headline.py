"""Says what a run found in a word and one sentence: what broke, by how much, and whose fault it was.

Every report begins with it, or ends. Pure: a function of the result. Its text is plain, and each format escapes it.
"""

from __future__ import annotations

from chaoskit.analysis.formatting import ANYTHING, format_interval, format_value, whole_seconds
from chaoskit.analysis.matrix import MatrixResult, VariantResult
from chaoskit.analysis.result import ObjectiveResult, Outcome, Result
from chaoskit.errors import EXIT_SOFTWARE
from chaoskit.report.blame import whose
from chaoskit.report.matrix_findings import told
from chaoskit.report.summary_line import summary_line
from chaoskit.spec.objectives import Objective
from chaoskit.spec.objectives import parse as parse_objective
from chaoskit.units import counted

_NS = 10**9
_MATRIX_WORDS = {
    4: "DIRTY",
    EXIT_SOFTWARE: "CRASHED",
    143: "INTERRUPTED",
    130: "INTERRUPTED",
    3: "REFUSED",
    1: "BROKEN",
    5: "UNDECIDED",
}
_WORST_FIRST = (
    "running",
    "dirty",
    "crashed",
    "interrupted",
    "refused",
    "broken",
    "undecided",
    "unreadable",
    "not run",
    "met",
    "measured",
)


def word(found: Result | MatrixResult) -> str:
    """The status, or the verdict, in one word: `BROKEN`."""
    return outcome_word(found.outcome) if isinstance(found, Result) else matrix_word(found)


def matrix_word(matrix: MatrixResult) -> str:
    """The same of a matrix: that of its worst variant."""
    if matrix.status == "running":
        return "RUNNING"
    is_judged = any(result.objectives for result in matrix.results)
    return _MATRIX_WORDS.get(matrix.exit_code, "MET" if is_judged else "MEASURED")


def outcome_word(outcome: Outcome) -> str:
    """The same of a run."""
    if outcome.status != "finished":
        return outcome.status.upper()
    return "MEASURED" if outcome.verdict == "none" else outcome.verdict.upper()


def variant_word(row: VariantResult) -> str:
    """The same of a variant, which may have no result."""
    if row.result is not None:
        return outcome_word(row.result.outcome)
    return "NOT RUN" if row.is_not_run else "UNREADABLE"


def reason(result: Result) -> str:
    """The first reason for the word."""
    outcome = result.outcome
    if outcome.status == "refused":
        return f"after {whole_seconds(round(result.seconds * _NS))}: {outcome.detail}"
    if outcome.status != "finished":
        detail = f" ({outcome.detail})" if outcome.detail else ""
        verdict = "" if outcome.verdict == "none" else f"so far: {outcome.verdict}, "
        return f"after {whole_seconds(round(result.seconds * _NS))}{detail}; {verdict}{outcome.reason}"
    if outcome.verdict == "none" and (interrupted := result.overall.interrupted):
        return f"{outcome.reason}; {interrupted} of {counted(result.overall.started, 'stream')} interrupted"
    count = sum(verdict.verdict == outcome.verdict for verdict in result.objectives)
    is_counted = outcome.verdict in ("broken", "undecided") and count
    is_alone = len(result.objectives) == 1
    of = f"{count} of {counted(len(result.objectives), 'objective')}, " if is_counted and not is_alone else ""
    return of + outcome.reason


def summary(matrix: MatrixResult) -> str:
    """How many variants have which verdict, the worst first."""
    verdicts = [variant_word(row).lower() for row in matrix.variants]
    counts = {word: verdicts.count(word) for word in _WORST_FIRST if word in verdicts}
    listed = ", ".join(f"{count} {word}" for word, count in counts.items())
    of = counted(len(verdicts), "variant")
    total = f"all {of} {verdicts[0]}" if len(counts) == 1 else f"of {of} {listed}"
    return total + (f" ({matrix.detail})" if matrix.detail else "")


def headline(found: Result | MatrixResult) -> str:
    """What broke, by how much, and whose fault it was; of a matrix over all its variants, with how many broke."""
    if not isinstance(found, Result):
        what = told(found)
        return f"{summary(found)}{': ' * bool(what)}{what}."
    broken = [each for each in found.objectives if each.verdict == "broken"]
    if found.outcome.status != "finished" or not broken:
        why, line = f"{reason(found)}.", summary_line(found)
        if not line:
            return why
        return f"{line} {why[:1].upper()}{why[1:]}" if tells_effect_first(found) else f"{why} {line}"
    others = len(broken) - 1
    more = f" {others} more of {counted(len(found.objectives), 'objective')} broken, too." if others else ""
    return f"{what_broke(found, broken[0])}{more}"


def tells_effect_first(result: Result) -> bool:
    """Whether what its phases show matters more than the reason for the verdict: nothing was judged."""
    return result.outcome.status == "finished" and result.outcome.verdict == "none" and bool(result.comparisons)


def what_broke(result: Result, broken: ObjectiveResult) -> str:
    """The same of one objective."""
    told = f"{broken.text} is broken: {format_value(broken.observed.value, broken.unit)}{_interval(result, broken)}"
    try:
        objective = parse_objective(broken.text)
    except ValueError:  # a sentence of an older version
        return f"{told}."
    phases = [each for each in result.phases if objective.phase in (None, each.name)]
    return "; ".join([f"{told}{instead_of(result, objective)}", *whose(phases, objective.metric)]) + "."


def _interval(result: Result, broken: ObjectiveResult) -> str:
    observed = broken.observed
    interval = format_interval(observed.low, observed.high, broken.unit)
    is_known = observed.value is not None and observed.low != observed.high and interval != ANYTHING
    return f" ({100 * result.level:.3g} %: {interval})" if is_known else ""


def instead_of(result: Result, objective: Objective) -> str:
    """What it was in the reference phase, where that is another one."""
    for each in result.comparisons:
        if (each.phase, each.metric) == (objective.phase, objective.metric) and each.reference is not None:
            return f", and {format_value(each.reference, each.unit)} in {result.reference}"
    return ""
