"""Defines the netem fault: delay, loss, duplication, corruption, reordering, rate and slots.

Keys follow tc-netem(8), or the text is tc's own syntax: `netem: delay 30ms loss 1%`. Shares become the kernel's u32
here and rates bytes per second, so that the plan shows what the kernel will really do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from chaoskit.faults.base import FaultBase, link_error
from chaoskit.faults.schema import SpecModel, short_form
from chaoskit.faults.tc_parse import parse_netem
from chaoskit.knobs import Change, FourState, GilbertElliott, Knob, Loss, Netem, RandomLoss, Slot
from chaoskit.seed import derive
from chaoskit.topology.edge import Direction, Segment, directions, qdiscs
from chaoskit.topology.fault_site import Site
from chaoskit.topology.steering import qdisc
from chaoskit.units import Duration, Rate, Share, Size

U32 = 2**32 - 1
_FULL = 10**9
DistributionName = Literal["uniform", "normal", "pareto", "paretonormal"]


def u32(share: Share) -> int:
    """The kernel's nearest value for a share (tc: rint(p * 0xffffffff))."""
    return (int(share) * U32 + _FULL // 2) // _FULL


def _short_form(key: str) -> BeforeValidator:
    return BeforeValidator(short_form(key), json_schema_input_type=Any)


class Table(SpecModel):
    """A custom distribution: quantiles in units of jitter/8192, as in iproute2's .dist files."""

    table: Annotated[tuple[Annotated[int, Field(ge=-32768, le=32767)], ...], Field(min_length=1, max_length=16384)]


Distribution = DistributionName | Table


class Probability(SpecModel):
    """The probability of an event per packet; `correlation` with that of the previous packet."""

    share: Share
    correlation: Share = Share(0)


class Reorder(Probability):
    """This share of packets (or of every `gap`-th one) is sent at once, ahead of the delayed ones."""

    gap: Annotated[int, Field(ge=1, le=2**32 - 1)] = 1


class Gemodel(SpecModel):
    """Gilbert-Elliott: `p` good to bad, `r` bad to good, per packet; and the loss within each state."""

    p: Share
    r: Share = Share(_FULL)
    loss_in_bad: Share = Share(_FULL)
    loss_in_good: Share = Share(0)


class State(SpecModel):
    """4-state Markov of tc-netem(8): 1 good, 2 good within a burst, 3 lost within a burst, 4 lost alone."""

    p13: Share
    p31: Share
    p32: Share = Share(0)
    p23: Share = Share(_FULL)
    p14: Share = Share(0)


class LossSpec(SpecModel):
    """Exactly one model: `share` (independent), `gemodel` or `state` (bursts)."""

    share: Share | None = None
    correlation: Share = Share(0)
    gemodel: Gemodel | None = None
    state: State | None = None

    @model_validator(mode="after")
    def _one_model(self) -> LossSpec:
        if [self.share, self.gemodel, self.state].count(None) != 2:
            raise ValueError("give exactly one of share, gemodel and state")
        if self.correlation and self.share is None:
            raise ValueError("correlation belongs to share; gemodel and state have their own memory")
        return self

    def setting(self) -> Loss:
        """The setting of the kernel."""
        if self.gemodel is not None:
            g = self.gemodel
            return GilbertElliott(u32(g.p), u32(g.r), U32 - u32(g.loss_in_bad), u32(g.loss_in_good))
        if self.state is not None:
            s = self.state
            return FourState(u32(s.p13), u32(s.p31), u32(s.p32), u32(s.p23), u32(s.p14))
        assert self.share is not None
        return RandomLoss(u32(self.share), u32(self.correlation))


class RateSpec(SpecModel):
    """A rate limit; overhead and cell size as of ATM or a tunnel."""

    rate: Rate
    packet_overhead: Annotated[int, Field(ge=-(2**31), lt=2**31)] = 0
    cell_size: Size = Size(0)
    cell_overhead: Annotated[int, Field(ge=-(2**31), lt=2**31)] = 0

    @model_validator(mode="after")
    def _at_least_a_byte(self) -> RateSpec:
        if self.rate < 8:
            raise ValueError(f"rate {self.rate} is below 8bit, the least the kernel can count")
        return self


class SlotSpec(SpecModel):
    """Packets wait for the next slot: every `min`..`max`, or `delay` and `jitter` drawn by `distribution`."""

    min: Duration | None = None
    max: Duration | None = None
    distribution: Distribution | None = None
    delay: Duration = Duration(0)
    jitter: Duration = Duration(0)
    packets: Annotated[int, Field(ge=0, lt=2**31)] = 0
    bytes: Size = Size(0)

    @model_validator(mode="after")
    def _one_form(self) -> SlotSpec:
        if (self.min is None) == (self.distribution is None):
            raise ValueError("give either min (and max), or distribution with delay and jitter")
        if self.distribution is not None and not self.jitter:
            raise ValueError("distribution needs a jitter")
        if self.min is None and self.max is not None:
            raise ValueError("max needs a min")
        if self.min is not None and self.max is not None and self.max < self.min:
            raise ValueError(f"max {self.max} is below min {self.min}")
        return self

    def setting(self) -> Slot:
        """The setting of the kernel."""
        if self.distribution is not None:
            return Slot(
                max_packets=self.packets,
                max_bytes=self.bytes,
                dist_delay=self.delay,
                dist_jitter=self.jitter,
                distribution=_table(self.distribution),
            )
        low = self.min or Duration(0)
        return Slot(low, self.max if self.max is not None else low, self.packets, self.bytes)


class NetemSpec(SpecModel):
    """All options of netem. An empty one is an error."""

    delay: Duration = Duration(0)
    jitter: Duration = Duration(0)
    correlation: Share = Field(Share(0), description="Of each packet's delay with the previous one.")
    distribution: Distribution | None = None
    loss: Annotated[LossSpec, _short_form("share")] | None = None
    ecn: bool = Field(False, description="Mark ECN-capable packets instead of dropping them.")
    duplicate: Annotated[Probability, _short_form("share")] | None = None
    corrupt: Annotated[Probability, _short_form("share")] | None = None
    reorder: Annotated[Reorder, _short_form("share")] | None = None
    rate: Annotated[RateSpec, _short_form("rate")] | None = None
    slot: SlotSpec | None = None
    limit: Annotated[int, Field(ge=1, lt=2**32)] | None = Field(None, description="Queue length in packets.")

    @model_validator(mode="after")
    def _check_combinations(self) -> NetemSpec:
        if not self.model_fields_set - {"limit"}:
            raise ValueError("an empty netem does nothing; write for example netem: {delay: 30ms}")
        if self.distribution is not None and not self.jitter:
            raise ValueError("distribution needs a jitter to scale")
        if self.correlation and not self.jitter:
            raise ValueError("correlation applies to jitter, and there is none")
        if self.reorder is not None and not self.delay:
            raise ValueError("reorder needs a delay for the other packets")
        if self.ecn and self.loss is None:
            raise ValueError("ecn marks what loss would drop, and there is no loss")
        return self

    def setting(self, limit: int, seed: int) -> Netem:
        """The setting of the kernel."""
        nothing = Probability(share=Share(0))
        duplicate, corrupt = self.duplicate or nothing, self.corrupt or nothing
        rate = self.rate
        return Netem(
            delay=self.delay,
            jitter=self.jitter,
            delay_correlation=u32(self.correlation),
            distribution=_table(self.distribution) if self.distribution is not None else None,
            limit=limit,
            loss=self.loss.setting() if self.loss is not None else None,
            ecn=self.ecn,
            duplicate=u32(duplicate.share),
            duplicate_correlation=u32(duplicate.correlation),
            corrupt=u32(corrupt.share),
            corrupt_correlation=u32(corrupt.correlation),
            reorder=u32(self.reorder.share) if self.reorder else 0,
            reorder_correlation=u32(self.reorder.correlation) if self.reorder else 0,
            gap=self.reorder.gap if self.reorder and self.reorder.share else 0,
            rate=rate.rate // 8 if rate else 0,
            packet_overhead=rate.packet_overhead if rate else 0,
            cell_size=rate.cell_size if rate else 0,
            cell_overhead=rate.cell_overhead if rate else 0,
            slot=self.slot.setting() if self.slot else None,
            seed=seed,
        )


def _parse_tc_text(words: Any) -> Any:
    return parse_netem(words) if isinstance(words, str) else words


NetemInput = Annotated[NetemSpec, BeforeValidator(_parse_tc_text, json_schema_input_type=NetemSpec | str)]


class NetemFault(FaultBase):
    """A netem on one direction of one link of the lab, or of a real interface."""

    link: Segment | None = Field(None, description="Of the lab; a real interface has none.")
    direction: Direction
    netem: NetemInput

    def site_error(self, site: Site) -> str:
        """Why it cannot be applied there; "" when it can."""
        return link_error(self.link, site)

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The settings, each qdisc with a seed of its own; `limit` applies where the author gave none."""
        del site
        limit = self.netem.limit or limit
        return tuple((knob, self.netem.setting(limit, derive(seed, "netem", knob.name))) for knob in self._knobs())

    def _knobs(self) -> tuple[Knob, ...]:
        if self.link is not None:
            return qdiscs(self.link, self.direction)
        return tuple(map(qdisc, directions(self.direction)))

    def needs(self) -> frozenset[str]:
        """The kernel features that it needs."""
        return frozenset({"netem"})

    def roundings(self) -> Iterator[tuple[str, str, str]]:
        """(where, asked, what the kernel holds) for each value that the kernel cannot hold within 1 in 10^6."""
        for where, share in _shares(self.netem, "netem"):
            held = u32(share) * _FULL / U32
            if share and abs(held / share - 1) > 1e-6:
                yield where, str(share), f"{held / 1e7:.10f}".rstrip("0") + "%"
        rate = self.netem.rate
        if rate and rate.rate % 8:
            yield "netem.rate", f"{int(rate.rate)}bit", f"{rate.rate // 8 * 8}bit"

    def warnings(self) -> Iterator[str]:
        """Pitfalls of netem."""
        words = self.netem
        if words.loss is not None and words.loss.correlation:
            yield (
                f"loss {words.loss.share} with correlation {words.loss.correlation} loses far less than stated "
                "(because of the kernel's random numbers); write gemodel: {p: ..., r: ...} for bursts"
            )
        if words.jitter > words.delay:
            yield f"jitter {words.jitter} is above delay {words.delay}: delays below zero become zero"


def _table(words: Distribution) -> str | tuple[int, ...]:
    return words.table if isinstance(words, Table) else words


def _shares(words: SpecModel, path: str) -> Iterator[tuple[str, Share]]:
    for name in type(words).model_fields:
        value, where = getattr(words, name), f"{path}.{name.replace('_', '-')}"
        if isinstance(value, Share):
            yield where, value
        elif isinstance(value, SpecModel):
            yield from _shares(value, where)
