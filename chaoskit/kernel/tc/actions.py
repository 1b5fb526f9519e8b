"""What a filter does with a packet, on the wire: sends it to a link, or loses it, whichever or those too long alone.

| lost or sent | which                     | actions                                                            |
|--------------|---------------------------|--------------------------------------------------------------------|
| sent         | all                       | mirred                                                             |
| sent         | longer than so many bytes | police, which lets the others go on to the next filter; mirred     |
| lost         | all                       | gact                                                               |
| lost         | longer than so many bytes | police, which lets the others go on to the next filter             |

Rules (net/sched/act_mirred.c, act_gact.c, act_police.c):
- `decode` knows exactly what `encode` makes. An action or a parameter more makes it somebody else's.
- police measures frames, with their link header, in both directions; a train of segments by its longest segment.
- An action counts each packet that reaches it, trains by their segments. police counts besides, as over its limits,
  what was too long, each train as one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from chaoskit.kernel.attributes import pack, unpack

_KIND, _OPTIONS, _STATISTICS, _COOKIE = 1, 2, 4, 6  # linux/pkt_cls.h
_BASIC, _QUEUE = 1, 3  # linux/gen_stats.h
_SEEN, _LIMITED = struct.Struct("=QI"), struct.Struct("=IIIII")  # bytes, packets; the last is overlimits
_ON, _LOST, _PIPE, _STOLEN = -1, 2, 3, 4  # TC_ACT_UNSPEC, _SHOT, _PIPE, _STOLEN
_MIRRED_PARMS, _MIRRED, _TO_EGRESS = 2, struct.Struct("=IIiiiiI"), 1
_GACT_PARMS, _GACT_PROB, _GACT = 2, 3, struct.Struct("=IIiii")
_VERDICT = struct.Struct("=8xi")  # linux/pkt_cls.h: tc_gen
_POLICE_TBF, _POLICE_RESULT, _POLICE_TIMES, _POLICE_PAD = 1, 5, 6, 7
_POLICE = struct.Struct("=IiIII12s12siiI")  # index, action, limit, burst, mtu, rate, peakrate, two counts, capab
_NO_RATE = bytes(12)


@dataclass(frozen=True)
class Action:
    """`target` is the number of the link that packets are sent to (0: one that is gone), None when they are lost;
    `frame` the longest frame that is left alone, 0 when none is."""

    target: int | None
    frame: int = 0


def encode(action: Action) -> bytes:
    """The list of actions."""
    chain: list[bytes] = []
    if action.frame:
        exceed = _LOST if action.target is None else _PIPE
        told = _POLICE.pack(0, exceed, 0, 0, action.frame, _NO_RATE, _NO_RATE, 0, 0, 0)
        chain.append(_one("police", {_POLICE_TBF: told, _POLICE_RESULT: struct.pack("=i", _ON)}))
    elif action.target is None:
        chain.append(_one("gact", {_GACT_PARMS: _GACT.pack(0, 0, _LOST, 0, 0)}))
    if action.target is not None:
        chain.append(_one("mirred", {_MIRRED_PARMS: _MIRRED.pack(0, 0, _STOLEN, 0, 0, _TO_EGRESS, action.target)}))
    return pack(dict(enumerate(chain, 1)))


def decode(data: bytes) -> Action | None:
    """The action that these say; None when it is none of ours."""
    chain = [unpack(each) for each in unpack(data).values()]
    kinds = [each.get(_KIND) for each in chain]
    options = [unpack(each.get(_OPTIONS, b"")) for each in chain]
    if any(_COOKIE in each for each in chain):
        return None
    match kinds:
        case [b"mirred\0"]:
            return _sent(options[0], 0)
        case [b"gact\0"]:
            return _lost(options[0])
        case [b"police\0"]:
            frame = _longest(options[0], _LOST)
            return Action(None, frame) if frame else None
        case [b"police\0", b"mirred\0"]:
            frame = _longest(options[0], _PIPE)
            return _sent(options[1], frame) if frame else None
        case _:
            return None


def counted(data: bytes) -> tuple[int, int, int]:
    """Of a list of actions of ours: packets that reached it, those of them that it took, and bytes that reached it."""
    chain = [unpack(each) for each in unpack(data).values()]
    if not chain:
        return 0, 0, 0
    statistics = unpack(chain[0].get(_STATISTICS, b""))
    if len(statistics.get(_BASIC, b"")) < _SEEN.size or len(statistics.get(_QUEUE, b"")) < _LIMITED.size:
        return 0, 0, 0
    size, packets = _SEEN.unpack_from(statistics[_BASIC])
    over = _LIMITED.unpack_from(statistics[_QUEUE])[-1]
    return packets, over if chain[0].get(_KIND) == b"police\0" else packets, size


def goes_on(data: bytes) -> bool | None:
    """Whether a packet goes on to the next filter after these actions, anybody's; None: it may (net/sched/act_api.c:
    tcf_action_exec). Without any it does not."""
    for each in (unpack(one) for one in unpack(data).values()):
        options = unpack(each.get(_OPTIONS, b""))
        told = options.get({b"gact\0": _GACT_PARMS, b"mirred\0": _MIRRED_PARMS}.get(each.get(_KIND, b""), 0), b"")
        if len(told) < _VERDICT.size or (each.get(_KIND) == b"gact\0" and _GACT_PROB in options):
            return None
        verdict = _VERDICT.unpack_from(told)[0]
        if verdict != _PIPE:
            return bool(verdict == _ON)
    return False


def _one(kind: str, options: dict[int, bytes]) -> bytes:
    return pack({_KIND: kind.encode() + b"\0", _OPTIONS: pack(options)})


def _sent(options: dict[int, bytes], frame: int) -> Action | None:
    if len(options.get(_MIRRED_PARMS, b"")) != _MIRRED.size:
        return None
    _, _, verdict, _, _, direction, target = _MIRRED.unpack(options[_MIRRED_PARMS])
    return Action(int(target), frame) if (verdict, direction) == (_STOLEN, _TO_EGRESS) else None


def _lost(options: dict[int, bytes]) -> Action | None:
    if len(options.get(_GACT_PARMS, b"")) != _GACT.size:
        return None
    return Action(None) if _GACT.unpack(options[_GACT_PARMS])[2] == _LOST else None


def _longest(options: dict[int, bytes], wanted: int) -> int:
    """The longest frame that a police of ours lets go on; 0 for one that is not ours."""
    others = options.keys() - {_POLICE_TBF, _POLICE_RESULT, _POLICE_TIMES, _POLICE_PAD}
    if others or options.get(_POLICE_RESULT) != struct.pack("=i", _ON):
        return 0
    if len(options.get(_POLICE_TBF, b"")) != _POLICE.size:
        return 0
    _, exceed, _, burst, frame, rate, peak, _, _, _ = _POLICE.unpack(options[_POLICE_TBF])
    is_ours = exceed == wanted and not burst and rate == peak == _NO_RATE
    return int(frame) if is_ours else 0
