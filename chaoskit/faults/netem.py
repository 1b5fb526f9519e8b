"""Defines the netem fault: delay, loss, duplication, corruption, reordering, rate and slots.

Keys follow tc-netem(8), or the text is tc's own syntax: `netem: delay 30ms loss 1%`. Shares become the kernel's u32
here and rates bytes per second, so that the plan shows what the kernel will really do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from chaoskit.faults.base import DIRECTION, Aimed, Direction, one_way
from chaoskit.faults.schema import Flag, SpecModel, bounded, exactly_one, short_form
from chaoskit.faults.tc_parse import parse_netem
from chaoskit.knobs import Change, FourState, GilbertElliott, Knob, Loss, Netem, RandomLoss, Slot
from chaoskit.seed import derive
from chaoskit.topology.fault_site import Interface, Site
from chaoskit.topology.steering import qdisc
from chaoskit.topology.ways import queue
from chaoskit.units import Duration, Quantity, Rate, Share, Size

U32 = 2**32 - 1
_FULL = 10**9
DistributionName = Literal["uniform", "normal", "pareto", "paretonormal"]


def u32(share: Share) -> int:
    """The kernel's nearest value for a share (tc: rint(p * 0xffffffff))."""
    return (int(share) * U32 + _FULL // 2) // _FULL


def _short_form(key: str, mapping: type[SpecModel], bare: type[Quantity]) -> BeforeValidator:
    return BeforeValidator(short_form(key), json_schema_input_type=mapping | bare)


class Table(SpecModel):
    """A custom distribution: quantiles in units of jitter/8192, as in iproute2's .dist files."""

    table: Annotated[tuple[Annotated[int, Field(ge=-32768, le=32767)], ...], Field(min_length=1, max_length=16384)] = (
        Field(description="The quantiles.")
    )


Distribution = DistributionName | Table


class Probability(SpecModel):
    """The probability of an event per packet; `correlation` with that of the previous packet."""

    share: Share = Field(description="How often.")
    correlation: Share = Field(Share(0), description="With what happened to the packet before.")


class Reorder(Probability):
    """This share of packets (or of every `gap`-th one) is sent at once, ahead of the delayed ones."""

    gap: Annotated[int, Field(ge=1, le=2**32 - 1)] = Field(1, description="Every n-th packet instead of a share.")


class Gemodel(SpecModel):
    """Gilbert-Elliott: `p` good to bad, `r` bad to good, per packet; and the loss within each state."""

    p: Share = Field(description="Transition from good to bad.")
    r: Share = Field(Share(_FULL), description="Transition from bad to good.")
    loss_in_bad: Share = Field(Share(_FULL), description="Loss in the bad state.")
    loss_in_good: Share = Field(Share(0), description="Loss in the good state.")


class State(SpecModel):
    """4-state Markov of tc-netem(8): 1 good, 2 good within a burst, 3 lost within a burst, 4 lost alone."""

    p13: Share = Field(description="Transition from 1 to 3.")
    p31: Share = Field(description="Transition from 3 to 1.")
    p32: Share = Field(Share(0), description="Transition from 3 to 2.")
    p23: Share = Field(Share(_FULL), description="Transition from 2 to 3.")
    p14: Share = Field(Share(0), description="Transition from 1 to 4.")


class LossSpec(SpecModel):
    """Exactly one model: `share` (independent), `gemodel` or `state` (bursts)."""

    model_config = exactly_one("share", "gemodel", "state")

    share: Share | None = Field(None, description="Independent loss.")
    correlation: Share = Field(
        Share(0), description="Of each loss with the one before; use `gemodel` for bursts instead."
    )
    gemodel: Gemodel | None = Field(None, description="The Gilbert-Elliott model.")
    state: State | None = Field(None, description="The 4-state Markov model.")

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


Signed = Annotated[int, Field(ge=-(2**31), lt=2**31)]


PacketDelay = Annotated[
    Duration, bounded(None, Duration(3600 * 10**9), "TCP gives up after about 15 minutes, see net.ipv4.tcp_retries2")
]


class RateSpec(SpecModel):
    """A rate limit; overhead and cell size as of ATM or a tunnel."""

    rate: Rate = Field(description="Bits per second.")
    packet_overhead: Signed = Field(0, description="Bytes added to each packet when its time is computed.")
    cell_size: Size = Field(Size(0), description="Packets take whole cells of this size.")
    cell_overhead: Signed = Field(0, description="Bytes added to each cell.")

    @model_validator(mode="after")
    def _at_least_a_byte(self) -> RateSpec:
        if self.rate < 8:
            raise ValueError(f"rate {self.rate} is below 8bit, the least the kernel can count")
        return self


class SlotSpec(SpecModel):
    """Packets wait for the next slot: every `min`..`max`, or `delay` and `jitter` drawn by `distribution`."""

    model_config = exactly_one("min", "distribution")

    min: PacketDelay | None = Field(None, description="The shortest time between two slots.")
    max: PacketDelay | None = Field(None, description="The longest; without it the same as `min`.")
    distribution: Distribution | None = Field(None, description="How the time between two slots varies.")
    delay: PacketDelay = Field(Duration(0), description="The mean time between two slots, with `distribution`.")
    jitter: PacketDelay = Field(Duration(0), description="How much it varies, with `distribution`.")
    packets: Annotated[int, Field(ge=0, lt=2**31)] = Field(0, description="Packets for each slot at most; 0: no limit.")
    bytes: Size = Field(Size(0), description="Bytes for each slot at most; 0: no limit.")

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

    delay: PacketDelay = Field(Duration(0), description="Added to every packet.")
    jitter: PacketDelay = Field(Duration(0), description="The delay varies by about this much.")
    correlation: Share = Field(Share(0), description="Of each packet's delay with the previous one.")
    distribution: Distribution | None = Field(None, description="How the delay varies.")
    loss: Annotated[LossSpec, _short_form("share", LossSpec, Share)] | None = Field(
        None, description="Packets that are lost."
    )
    ecn: Flag = Field(False, description="Mark ECN-capable packets instead of dropping them.")
    duplicate: Annotated[Probability, _short_form("share", Probability, Share)] | None = Field(
        None, description="Packets that are sent twice."
    )
    corrupt: Annotated[Probability, _short_form("share", Probability, Share)] | None = Field(
        None, description="Packets in which one bit is changed."
    )
    reorder: Annotated[Reorder, _short_form("share", Reorder, Share)] | None = Field(
        None, description="Packets that overtake the delayed ones."
    )
    rate: Annotated[RateSpec, _short_form("rate", RateSpec, Rate)] | None = Field(None, description="The bandwidth.")
    slot: SlotSpec | None = Field(None, description="Packets are delivered in bursts.")
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


_TcText = Annotated[str, Field(json_schema_extra={"type": "string", "pattern": r"^\s*[a-z]"})]
NetemInput = Annotated[NetemSpec, BeforeValidator(_parse_tc_text, json_schema_input_type=NetemSpec | _TcText)]


class NetemFault(Aimed):
    """A netem on one direction of some packets of the lab, or of a real interface."""

    direction: Direction = Field(description=DIRECTION)
    netem: NetemInput = Field(description="Options of netem, or a text in tc's syntax: `delay 30ms loss 1%`.")

    def site_error(self, site: Site) -> str:
        """Why it cannot be applied there; "" when it can."""
        return self.aim_error(site, self.direction)

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The settings, each qdisc with a seed of its own; `limit` applies where the author gave none."""
        limit = self.netem.limit or limit
        return tuple((knob, self.netem.setting(limit, derive(seed, "netem", knob.name))) for knob in self._knobs(site))

    def _knobs(self, site: Site) -> tuple[Knob, ...]:
        if isinstance(site, Interface):
            return tuple(map(qdisc, one_way(self.direction)))
        return tuple(queue(site.topology, way) for way in self.ways(site, self.direction))

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
