"""Parses objectives, `METRIC [during PHASE] [for CLASS] [of WORKFLOW] < BOUND`.

    ttft_p95 < 800ms during wifi
    interruption_rate <= 1%
    ttft_p95 during wifi < 3x baseline
    toolchain_p95 < 4s during vpn for premium of support
    recovers within 30s after surge

Phase, traffic class and workflow may stand before or after the comparison, in any order; without a phase the whole run
counts, without a class or workflow every request. A bound is a quantity of the metric's kind, or a multiple of the same
metric in another phase. The last sentence is another way to write `recovery_time <= 30s during surge`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chaoskit.spec.metrics import METRICS, Kind, advice
from chaoskit.units import Duration, Frequency, Quantity, Share

SURGE = "surge"
"""What a phase to recover from is called where nothing tells of one."""
_CLAUSES = {"during": "phases", "for": "traffic classes", "of": "workflows"}
_CLAUSE = rf"(?:{'|'.join(_CLAUSES)})\s+[^\s<>=]+"
_SENTENCE = re.compile(
    rf"^\s*(?P<metric>[^<>=]+?)(?P<before>(?:\s+{_CLAUSE})*)\s*(?P<operator><=|>=|<|>)\s*"
    r"(?:(?P<factor>[0-9.]+)\s*x\s+(?P<reference>\S+)|(?P<bound>\S.*?))"
    rf"(?P<after>(?:\s+{_CLAUSE})*)\s*$",
    re.DOTALL,
)
_RECOVERS = re.compile(r"^\s*recovers(?P<clauses>(?:\s+(?:within|after|for|of)\s+\S+)+)\s*$")
# other ways of saying it, by whole bounds: `800ms in wifi`, `3 * baseline`, `300% of baseline`, `baseline`
_IN_PHASE = re.compile(r"(?P<bound>[0-9.]+\s*\S*)\s+(?:in|on|at|when|while|under|within)\s+(?P<phase>\S+)")
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
_TURNED = str.maketrans("<>", "><")
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
    traffic_class: str | None = Field(default=None, exclude_if=lambda value: value is None)
    workflow: str | None = Field(default=None, exclude_if=lambda value: value is None)
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

    @property
    def clauses(self) -> str:
        """What it is about, as it is written: ` during wifi for premium`; "" for all requests of the whole run."""
        return _written(self.phase, self.traffic_class, self.workflow)


def pattern() -> str:
    """What `parse` accepts, as a regular expression of ECMA-262."""
    sentences = []
    for kind in dict.fromkeys(metric.kind for metric in METRICS.values()):
        metrics = "|".join(name for name, metric in METRICS.items() if metric.kind == kind)
        value = _QUANTITIES[kind].pattern().strip("^$") if kind in _QUANTITIES else rf"{_NUMBER}|{_FREQUENCY}"
        bound = rf"(?:<=|>=|<|>)\s*(?:(?:{_NUMBER})\s*x\s+\S+|{value})"
        sentences.append(rf"(?:{metrics})(?:\s+{_CLAUSE})*\s*{bound}(?:\s+{_CLAUSE})*")
    within = Duration.pattern().strip("^$")
    sentences.append(
        rf"(?=[\s\S]*\swithin\s)(?=[\s\S]*\safter\s)recovers(?:\s+(?:within\s+(?:{within})|(?:after|for|of)\s+[^\s<>=]+))+"
    )
    once = "".join(rf"(?![\s\S]*\s{word}\s[\s\S]*\s{word}\s)" for word in (*_CLAUSES, "within", "after"))
    return rf"^{once}\s*(?:{'|'.join(sentences)})\s*$"


_WORD = re.compile(r"[<>]=?\S*|[0-9.]+[a-z%/]*|during|for|of|within|after")


def begins_objective(word: str) -> bool:
    """Whether an objective can begin with this word: a metric, perhaps with its bound."""
    return word == "recovers" or re.split("[<>]", word)[0] in METRICS


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


def parse(text: str, disturbed: str = SURGE) -> Objective:
    """Parse one objective. Raises ValueError with what was expected; `disturbed`: a phase to recover from."""
    if re.match(r"\s*recovers\s", text):
        return _recovery(text, disturbed)
    match = _SENTENCE.match(text)
    if match is None:
        raise ValueError(_why_not(text))
    metric = match["metric"]
    if metric not in METRICS:
        is_opposite = _OPPOSITE.fullmatch(metric.strip().lower())
        hint = f"write its opposite, {_opposite(match)}" if is_opposite else advice(metric)
        raise ValueError(f"{metric!r} is not a metric; {hint}")
    named, factor = _named(text, f"{match['before']} {match['after']}"), match["factor"]
    if not factor and (meant := _bound_meant(match["bound"], metric, named)):
        raise ValueError(f"{text!r} is not an objective; write {text[: match.start('bound')].strip()} {meant}")
    if re.search("[<>]", match["bound"] or ""):
        raise ValueError(f"{text!r} compares twice; write an objective for each")
    if match["bound"] == "=":
        raise ValueError(f"{text!r} has no bound; write for example 'ttft_p95 <= 800ms'")
    return Objective(
        text=" ".join(text.split()),
        metric=metric,
        operator=match["operator"],
        phase=named.get("during"),
        traffic_class=named.get("for"),
        workflow=named.get("of"),
        bound=None if factor else _bound(metric, match["bound"]),
        factor=_factor(factor) if factor else None,
        reference=match["reference"],
    )


def phase_of(text: str) -> str:
    """The phase of an objective that was parsed before; "" for the whole run, and for a sentence of another version."""
    try:
        return parse(text).phase or ""
    except ValueError:
        return ""


def _opposite(match: re.Match[str]) -> str:
    """`availability > 99.9% during wifi` as a sentence about interruptions, with the same bound and clauses."""
    number = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,12})?)\s*(%?)", match["bound"] or "")
    good = Decimal(number[1]) * (1 if number[2] else 100) if number else Decimal(99)
    bad = (100 - good if 0 <= good < 100 else Decimal(1)).normalize()
    operator = match["operator"].translate(_TURNED) if number and 0 <= good < 100 else "<"
    return " ".join(f"interruption_rate {operator} {bad:f}% {match['before']} {match['after']}".split())


def _recovery(text: str, disturbed: str) -> Objective:
    """`recovers within 30s after surge`, in any order. Raises ValueError."""
    match, usual = _RECOVERS.match(text), {"within": "30s", "after": disturbed}
    named = _named(text, match["clauses"]) if match is not None else {}
    clauses = "".join(f" {word} {value}" for word, value in (usual | named).items())
    if match is None:
        raise ValueError(f"{text!r} is not an objective; write for example 'recovers{clauses}'")
    for word in usual:
        if word not in named:
            raise ValueError(f"{text!r} does not say {word}; write for example 'recovers{clauses}'")
    clauses = _written(named["after"], named.get("for"), named.get("of"))
    found = parse(f"recovery_time <= {named['within']}{clauses}")
    return found.model_copy(update={"text": " ".join(text.split())})


def _named(text: str, clauses: str) -> dict[str, str]:
    """What each clause names, by its first word. Raises ValueError where two begin alike."""
    words = clauses.split()
    found: dict[str, str] = {}
    for word, name in zip(words[::2], words[1::2], strict=True):
        if word in found:
            what = _CLAUSES.get(word, "times" if word == "within" else "phases")
            raise ValueError(f"{text!r} names two {what}; one is enough")
        found[word] = name
    return found


def _written(phase: str | None, traffic_class: str | None, workflow: str | None) -> str:
    clauses = zip(_CLAUSES, (phase, traffic_class, workflow), strict=True)
    return "".join(f" {word} {name}" for word, name in clauses if name)


def _why_not(text: str) -> str:
    """What to write in place of a sentence without a comparison, or with another sign."""
    if (after := re.search(r"(?P<bound>[0-9.]+\s*[a-z]+)\s+(?P<phase>after\s+\S+)", text)) is not None:
        return f"{text!r} is not an objective; write recovers within {after['bound']} {after['phase']}"
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
    metric, bound = match["metric"], match["bound"] or ""
    try:
        named = _named(text, f"{match['before']} {match['after']}")
    except ValueError:
        return text
    if metric not in METRICS and (name := _MEANT.search(advice(metric))):
        metric = name[1]
    if (words := _IN_PHASE.fullmatch(bound)) is not None and "during" not in named:
        bound, named["during"] = words["bound"], words["phase"]
    if metric in METRICS and bound:
        try:
            _bound(metric, bound)
        except ValueError as error:
            bound = found[1] if (found := _MEANT.search(str(error))) else bound
    factor = f"{match['factor']}x {match['reference']}" if match["factor"] else ""
    return f"{metric} {match['operator']} {factor or bound}{_written(*map(named.get, _CLAUSES))}"


def _bound_meant(bound: str, metric: str, named: Mapping[str, str]) -> str:
    """What to write in place of a bound with a phase or a factor in other words; "" where it has none."""
    if "of" in named and METRICS[metric].kind != "share":
        bound = f"{bound} of {named['of']}" if bound.endswith("%") else bound
    if (words := _IN_PHASE.fullmatch(bound)) is not None:
        return f"{words['bound']} during {words['phase']}"
    if (after := re.fullmatch(r"(?P<bound>\S+)\s+after\s+(?P<phase>\S+)", bound)) is not None:
        return f"{after['bound']} during {after['phase']}"
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
