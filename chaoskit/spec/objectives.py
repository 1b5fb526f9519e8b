"""Parses objectives, `METRIC [during PHASE] < BOUND`.

    ttft_p95 < 800ms during wifi
    interruption_rate <= 1%
    ttft_p95 during wifi < 3x baseline

The phase may stand before or after the comparison; without one the whole run counts. A bound is a
quantity of the metric's kind, or a multiple of the same metric in another phase.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from chaoskit.spec.metrics import METRICS, Kind, advice
from chaoskit.units import Duration, Frequency, Quantity, Share

_SENTENCE = re.compile(
    r"^\s*(?P<metric>[^<>=]+?)\s*(?:\sduring\s+(?P<before>\S+)\s+)?(?P<operator><=|>=|<|>)\s*"
    r"(?:(?P<factor>[0-9.]+)\s*x\s+(?P<reference>\S+)|(?P<bound>\S.*?))"
    r"(?:\s+during\s+(?P<after>\S+))?\s*$",
    re.DOTALL,
)
# other ways of saying it, by whole bounds: `800ms in wifi`, `3 * baseline`, `300% of baseline`, `baseline`
_IN_PHASE = re.compile(r"(?P<bound>[0-9.]+\s*\S*)\s+(?:in|on|at|for|when|while|under|within)\s+(?P<phase>\S+)")
_TIMES = re.compile(r"(?P<factor>[0-9.]+)\s*(?:x|\*|×|times)\s*(?:of\s+)?(?P<phase>[A-Za-z]\S*)?")
_PERCENT_OF = re.compile(r"(?P<percent>[0-9]+(?:\.[0-9]+)?)\s*%\s*(?:of\s+)?(?P<phase>[A-Za-z]\S*)")
_SIGNS = (
    (r"≤|=<|\b(?:is )?at most\b", "<="),
    (r"≥|=>|\b(?:is )?at least\b", ">="),
    (r"\b(?:is )?(?:less than|below|under)\b", "<"),
    (r"\b(?:is )?(?:more than|greater than|above|over)\b", ">"),
    (r"==?", "<="),
)
_OPPOSITE = re.compile(r"(?:success(?:es|ful)?|availability|completion|ok)(?:[_ -](?:rate|ratio))?|uptime|checks")
_MEANT = re.compile(r"did you mean ([^?]+)\?")
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,15})?|\.[0-9]{1,15}"
_QUANTITIES: dict[Kind, type[Quantity]] = {"duration": Duration, "share": Share}
_FREQUENCY = Frequency.pattern().strip("^$").replace("(?=.*", "(?=[0-9.]*")


class Objective(BaseModel):
    """`bound` in the metric's base unit (ns, parts per billion, per minute or second), or `factor` x `reference`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    metric: str
    operator: Literal["<", "<=", ">", ">="]
    phase: str | None = None
    bound: float | None = None
    factor: float | None = None
    reference: str | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Objective:
        if self.metric not in METRICS:
            raise ValueError(f"{self.metric!r} is not a metric; {advice(self.metric)}")
        if (self.bound is None) == (self.factor is None) or (self.factor is None) != (self.reference is None):
            raise ValueError("an objective has either a bound, or a factor of a reference")
        return self

    @property
    def kind(self) -> Kind:
        """The kind of the metric's values."""
        return METRICS[self.metric].kind


def pattern() -> str:
    """What `parse` accepts, as a regular expression of ECMA-262."""
    sentences = []
    for kind in dict.fromkeys(metric.kind for metric in METRICS.values()):
        metrics = "|".join(name for name, metric in METRICS.items() if metric.kind == kind)
        value = _QUANTITIES[kind].pattern().strip("^$") if kind in _QUANTITIES else rf"{_NUMBER}|{_FREQUENCY}"
        bound = rf"(?:<=|>=|<|>)\s*(?:(?:{_NUMBER})\s*x\s+\S+|{value})"
        sentences.append(rf"(?:{metrics})(?:\s+during\s+\S+\s+{bound}|\s*{bound}(?:\s+during\s+\S+)?)")
    return rf"^\s*(?:{'|'.join(sentences)})\s*$"


_WORD = re.compile(r"[<>]=?\S*|[0-9.]+[a-z%/]*|during")


def begins_objective(word: str) -> bool:
    """Whether an objective can begin with this word: a metric, perhaps with its bound."""
    return re.split("[<>]", word)[0] in METRICS


def is_objective_word(word: str) -> bool:
    """Whether this word can stand in an objective, after its metric."""
    return _WORD.fullmatch(word) is not None


def is_objective(text: str) -> bool:
    """Whether the text is an objective, and no part of it is missing."""
    try:
        parse(text)
    except ValueError:
        return False
    return True


def parse(text: str) -> Objective:
    """Parse one objective. Raises ValueError with what was expected."""
    match = _SENTENCE.match(text)
    if match is None:
        raise ValueError(_why_not(text))
    metric = match["metric"]
    if metric not in METRICS:
        opposite = _OPPOSITE.fullmatch(metric.strip().lower())
        hint = "write its opposite, interruption_rate < 1%" if opposite else advice(metric)
        raise ValueError(f"{metric!r} is not a metric; {hint}")
    if match["before"] and match["after"]:
        raise ValueError(f"{text!r} names two phases; one is enough")
    factor, phase = match["factor"], match["before"] or match["after"]
    if not factor and (meant := _bound_meant(match["bound"])):
        raise ValueError(f"{text!r} is not an objective; write {text[: match.start('bound')].strip()} {meant}")
    if re.search("[<>]", match["bound"] or ""):
        raise ValueError(f"{text!r} compares twice; write an objective for each")
    if match["bound"] == "=":
        raise ValueError(f"{text!r} has no bound; write for example 'ttft_p95 <= 800ms'")
    return Objective(
        text=" ".join(text.split()),
        metric=metric,
        operator=match["operator"],
        phase=phase,
        bound=None if factor else _bound(metric, match["bound"]),
        factor=_factor(factor) if factor else None,
        reference=match["reference"],
    )


def _why_not(text: str) -> str:
    """What to write in place of a sentence without a comparison, or with another sign."""
    for signs, ours in () if re.search(r"(?<!=)[<>]", text) else _SIGNS:
        if (found := re.search(signs, text)) is not None:
            meant = " ".join(f"{text[: found.start()]} {ours} {text[found.end() :]}".split())
            return f"{text!r} is not an objective; write {_corrected(meant)}"
    return f"{text!r} is not an objective; write for example 'ttft_p95 < 800ms'"


def _corrected(text: str) -> str:
    """The text with the metric, the phase and the unit that it means, as far as these are known."""
    match = _SENTENCE.match(text)
    if match is None or is_objective(text):
        return text
    metric, bound, phase = match["metric"], match["bound"] or "", match["before"] or match["after"]
    if metric not in METRICS and (name := _MEANT.search(advice(metric))):
        metric = name[1]
    if (words := _IN_PHASE.fullmatch(bound)) is not None and not phase:
        bound, phase = words["bound"], words["phase"]
    if metric in METRICS and bound:
        try:
            _bound(metric, bound)
        except ValueError as error:
            bound = found[1] if (found := _MEANT.search(str(error))) else bound
    factor = f"{match['factor']}x {match['reference']}" if match["factor"] else ""
    during = f" during {phase}" if phase else ""
    return f"{metric} {match['operator']} {factor or bound}{during}"


def _bound_meant(bound: str) -> str:
    """What to write in place of a bound with a phase or a factor in other words; "" where it has none."""
    if (words := _IN_PHASE.fullmatch(bound)) is not None:
        return f"{words['bound']} during {words['phase']}"
    if (words := _TIMES.fullmatch(bound)) is not None:
        return f"{words['factor']}x {words['phase'] or 'baseline'}"
    if (words := _PERCENT_OF.fullmatch(bound)) is not None:
        return f"{float(words['percent']) / 100:g}x {words['phase']}"
    return "1x baseline" if bound == "baseline" else ""


def _bound(metric: str, text: str) -> float:
    kind = METRICS[metric].kind
    match kind:
        case "duration" | "share":
            return float(_QUANTITIES[kind].parse(text))
        case "per-second":
            return _rate(text)
        case "per-minute":
            return float(text) if re.fullmatch(_NUMBER, text) else round(60 * _rate(text), 3)


def _rate(text: str) -> float:
    """A number of events per second, or a frequency."""
    return float(text) if re.fullmatch(_NUMBER, text) else Frequency.parse(text).per_second


def _factor(text: str) -> float:
    if not re.fullmatch(_NUMBER, text):
        raise ValueError(f"{text!r} is not a number; write for example 3")
    return float(text)
