"""Writes a cut or an idle timeout as a table of nftables: sets of connections, and rules on them.

A connection's key is its addresses and ports, in the order of the packet that stored it, so that each lookup is made
both ways round. No connection tracking is needed. For each IP version (V is 4 or 6):

| set      | its connections                                                                    |
|----------|------------------------------------------------------------------------------------|
| `openV`  | those that are not too old, or not idle: an element lives as long as the limit       |
| `bytesV` | those with data, each with its quota of bytes                                      |
| `endedV` | those that were ended                                                              |
| `young`  | one element (tcp), while connections that are older than the table cannot be over a limit |

| chain      | what                                                                                |
|------------|-------------------------------------------------------------------------------------|
| `stateV`   | lets a SYN begin, ends what has ended, lets pass what is in time                     |
| `countedV` | of a cut: passes packets with data on to `endV`                                      |
| `endV`     | of a cut: ends the connection, or only when its quota is used up                     |

A packet without data ends nothing: the receiver of the first packet that is too late or too many gets it as an RST, and
its sender gets an RST for the data that it sends again. RSTs that this machine sends itself pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from chaoskit.knobs import Knob
from chaoskit.middlebox import Cut, Ending, IdleTimeout, TcpFlow

Version = Literal[4, 6]
Hook = Literal["input", "forward", "output"]
VERSIONS: dict[Literal["ip", "ipv6"], Version] = {"ip": 4, "ipv6": 6}
LONGEST_ACK = 100  # bytes of a packet without data: 40 of IPv6's header, 60 of TCP's with all options
YOUNG = "young"
ALL = "connections"
"""The name of the knob that is for all connections of a site; others are named after a host, or after two."""
_HOOKS: dict[Hook, frozenset[Literal["egress", "ingress"]]] = {
    "input": frozenset({"ingress"}),
    "forward": frozenset({"ingress", "egress"}),
    "output": frozenset({"egress"}),
}
"""The hooks that see what a link receives or sends. NAT is undone before the first, and done after the last."""


@dataclass(frozen=True)
class ConnectionSet:
    """A set of connections of one IP version; elements live `ms` milliseconds (0: without end)."""

    name: str
    version: Version
    ms: int = 0


@dataclass(frozen=True)
class Young:
    """The set with one element, which lives `ms` milliseconds."""

    ms: int
    name: str = YOUNG


@dataclass(frozen=True)
class Key:
    """A connection's key in a set: as the packet has it, or the other way round."""

    of: ConnectionSet
    is_reversed: bool = False


@dataclass(frozen=True)
class IsIn:
    """The packet's connection is in the set."""

    key: Key


@dataclass(frozen=True)
class IsYoung:
    """The set has its element."""

    name: str


@dataclass(frozen=True)
class Store:
    """Adds the connection to the set, updates its age as well, or deletes it.

    With `quota` the rule goes on when the packets that came here are more than so many bytes.
    """

    how: Literal["add", "update", "delete"]
    key: Key
    quota: int = 0


@dataclass(frozen=True)
class To:
    """Goes on in another chain, and comes back at its end, or not."""

    how: Literal["jump", "goto"]
    chain: str


Word = Literal["syn", "rst", "push", "long", "count", "accept", "drop", "reject", "to-reset"]
"""`syn`: a SYN without ACK; `rst`, `push`: with RST, with PSH; `long`: with data, by its length. `reject`: drops, and
sends an RST to the sender; `to-reset`: turns the packet into an RST."""
Step = Word | TcpFlow | IsIn | IsYoung | Store | To


@dataclass(frozen=True)
class Rule:
    """What a packet must be, and what happens to it, from left to right."""

    chain: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Table:
    """Sets, chains (those of hooks last) and rules, in the order of creation."""

    sets: tuple[ConnectionSet | Young, ...]
    chains: tuple[str, ...]
    hooks: tuple[Hook, ...]
    rules: tuple[Rule, ...]


def table(setting: Cut | IdleTimeout) -> Table:
    """The table that does what the setting says."""
    versions = tuple(dict.fromkeys(VERSIONS[flow.family] for flow in setting.of))
    hooks = tuple(hook for hook, seen in _HOOKS.items() if any(flow.hook in seen for flow in setting.of))
    sets: list[ConnectionSet | Young] = [Young(setting.ms)] if setting.ms else []
    rules: list[Rule] = []
    for version in versions:
        found = _Sets.of(setting, version)
        sets += found.all
        rules += (*_state(setting, found), *(_cut(setting, found) if isinstance(setting, Cut) else ()))
    chains = tuple(dict.fromkeys(rule.chain for rule in rules))
    return Table(tuple(sets), chains, hooks, (*rules, *(rule for hook in hooks for rule in _enter(setting, hook))))


def table_name(knob: Knob) -> str:
    """The table of a knob: each has its own."""
    return f"chaoskit-{knob.kind}-{knob.name.replace(' ', '/')}"


def state_chain(version: Version) -> str:
    """The name of the chain of every packet of that IP version."""
    return f"state{version}"


def end_chain(version: Version) -> str:
    """The name of the chain in which a cut ends connections."""
    return f"end{version}"


@dataclass(frozen=True)
class _Sets:
    """The sets of one IP version."""

    version: Version
    ended: ConnectionSet
    open: ConnectionSet | None
    bytes: ConnectionSet | None

    @classmethod
    def of(cls, setting: Cut | IdleTimeout, version: Version) -> _Sets:
        """Those that the setting needs."""
        has_quota = isinstance(setting, Cut) and setting.bytes
        return cls(
            version,
            ConnectionSet(f"ended{version}", version),
            ConnectionSet(f"open{version}", version, setting.ms) if setting.ms else None,
            ConnectionSet(f"bytes{version}", version) if has_quota else None,
        )

    @property
    def all(self) -> tuple[ConnectionSet, ...]:
        return tuple(each for each in (self.open, self.bytes, self.ended) if each is not None)


def _state(setting: Cut | IdleTimeout, sets: _Sets) -> Iterator[Rule]:
    chain, refusal = state_chain(sets.version), _refusal(setting.by)
    fresh = [Store("delete", key) for each in (sets.ended, sets.bytes) if each for key in _both_ways(each)]
    begun = (Store("update", Key(sets.open)),) if sets.open else ()
    yield Rule(chain, ("syn", *begun, *fresh, "accept"))
    for key in _both_ways(sets.ended):
        yield Rule(chain, (IsIn(key), "count", refusal))
    if sets.open is None:
        return
    is_idle = isinstance(setting, IdleTimeout)
    for key in _both_ways(sets.open):
        yield Rule(chain, (IsIn(key), *((Store("update", key),) if is_idle else ()), "accept"))
    yield Rule(chain, (IsYoung(YOUNG), *(begun if is_idle else ()), "accept"))
    if is_idle:
        yield Rule(chain, (Store("add", Key(sets.ended)), "count", refusal))


def _cut(setting: Cut, sets: _Sets) -> Iterator[Rule]:
    counted, end = _counted_chain(sets.version), end_chain(sets.version)
    for has_data in ("push", "long"):
        yield Rule(counted, (has_data, To("goto", end)))
    over = (Store("add", Key(sets.bytes), setting.bytes),) if sets.bytes else ()
    yield Rule(end, (*over, Store("add", Key(sets.ended)), "count", "to-reset" if setting.by == "reset" else "drop"))


def _enter(setting: Cut | IdleTimeout, hook: Hook) -> Iterator[Rule]:
    """The rules of a hook: packets of all flows meet the state first, and those that are counted their limit then."""
    if hook == "output" and setting.by == "reset":
        yield Rule(hook, ("rst", "accept"))
    for flow in setting.of:
        if flow.hook in _HOOKS[hook]:
            yield Rule(hook, (flow, "count", To("jump", state_chain(VERSIONS[flow.family]))))
    for flow in setting.counted if isinstance(setting, Cut) else ():
        if flow.hook in _HOOKS[hook]:
            yield Rule(hook, (flow, To("goto", _counted_chain(VERSIONS[flow.family]))))


def _both_ways(of: ConnectionSet) -> tuple[Key, Key]:
    return Key(of), Key(of, is_reversed=True)


def _refusal(by: Ending) -> Word:
    return "reject" if by == "reset" else "drop"


def _counted_chain(version: Version) -> str:
    return f"counted{version}"
