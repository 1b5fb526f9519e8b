"""Encodes and decodes the actions of filters: redirect or drop packets, all or oversized ones alone.

| effect   | packets             | actions                                                        |
|----------|---------------------|----------------------------------------------------------------|
| redirect | all                 | mirred                                                         |
| redirect | longer than a size  | police, which passes the others on to the next filter; mirred  |
| drop     | all                 | gact                                                           |
| drop     | longer than a size  | police, which passes the others on to the next filter          |

Rules (net/sched/act_mirred.c, act_gact.c, act_police.c):
- `decode` accepts exactly what `encode` produces. Any other action or parameter makes a filter foreign.
- police measures frames, with their link header, in both directions; a GSO packet by its longest segment.
- An action counts each packet that reaches it, GSO packets by their segments. police also counts oversized packets
  as overlimits, each GSO packet as one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from chaoskit.kernel.attributes import pack, unpack

_KIND, _OPTIONS, _STATISTICS, _COOKIE = 1, 2, 4, 6  # linux/pkt_cls.h
_BASIC, _QUEUE = 1, 3  # linux/gen_stats.h
_BASIC_STATS, _QUEUE_STATS = struct.Struct("=QI"), struct.Struct("=IIIII")  # bytes, packets; the last is overlimits
_CONTINUE, _DROP, _PIPE, _STOLEN = -1, 2, 3, 4  # TC_ACT_UNSPEC, _SHOT, _PIPE, _STOLEN
_MIRRED_PARMS, _MIRRED, _TO_EGRESS = 2, struct.Struct("=IIiiiiI"), 1
_GACT_PARMS, _GACT_PROB, _GACT = 2, 3, struct.Struct("=IIiii")
_VERDICT = struct.Struct("=8xi")  # linux/pkt_cls.h: tc_gen
_POLICE_TBF, _POLICE_RESULT, _POLICE_TIMES, _POLICE_PAD = 1, 5, 6, 7
_POLICE = struct.Struct("=IiIII12s12siiI")  # index, action, limit, burst, mtu, rate, peakrate, two counts, capab
_NO_RATE = bytes(12)


@dataclass(frozen=True)
class Action:
    """`target` is the index of the link that packets are redirected to (0: a deleted link), None when they are dropped;
    `frame` is the longest frame that the action does not apply to, 0 when it applies to all."""

    target: int | None
    frame: int = 0


def encode(action: Action) -> bytes:
    """The action list as netlink attributes."""
    chain: list[bytes] = []
    if action.frame:
        exceed = _DROP if action.target is None else _PIPE
        parms = _POLICE.pack(0, exceed, 0, 0, action.frame, _NO_RATE, _NO_RATE, 0, 0, 0)
        chain.append(_action("police", {_POLICE_TBF: parms, _POLICE_RESULT: struct.pack("=i", _CONTINUE)}))
    elif action.target is None:
        chain.append(_action("gact", {_GACT_PARMS: _GACT.pack(0, 0, _DROP, 0, 0)}))
    if action.target is not None:
        chain.append(_action("mirred", {_MIRRED_PARMS: _MIRRED.pack(0, 0, _STOLEN, 0, 0, _TO_EGRESS, action.target)}))
    return pack(dict(enumerate(chain, 1)))


def decode(data: bytes) -> Action | None:
    """The action of these attributes; None for a foreign one."""
    chain = [unpack(each) for each in unpack(data).values()]
    kinds = [each.get(_KIND) for each in chain]
    options = [unpack(each.get(_OPTIONS, b"")) for each in chain]
    if any(_COOKIE in each for each in chain):
        return None
    match kinds:
        case [b"mirred\0"]:
            return _decode_mirred(options[0], 0)
        case [b"gact\0"]:
            return _decode_gact(options[0])
        case [b"police\0"]:
            frame = _decode_police(options[0], _DROP)
            return Action(None, frame) if frame else None
        case [b"police\0", b"mirred\0"]:
            frame = _decode_police(options[0], _PIPE)
            return _decode_mirred(options[1], frame) if frame else None
        case _:
            return None


def counters(data: bytes) -> tuple[int, int, int]:
    """Counters of a chaoskit action list: packets that reached it, packets that it took, and bytes that reached it."""
    chain = [unpack(each) for each in unpack(data).values()]
    if not chain:
        return 0, 0, 0
    statistics = unpack(chain[0].get(_STATISTICS, b""))
    if len(statistics.get(_BASIC, b"")) < _BASIC_STATS.size or len(statistics.get(_QUEUE, b"")) < _QUEUE_STATS.size:
        return 0, 0, 0
    size, packets = _BASIC_STATS.unpack_from(statistics[_BASIC])
    over = _QUEUE_STATS.unpack_from(statistics[_QUEUE])[-1]
    return packets, over if chain[0].get(_KIND) == b"police\0" else packets, size


def continues(data: bytes) -> bool | None:
    """Whether a packet continues to the next filter after these actions, ours or foreign; None: unknown
    (net/sched/act_api.c: tcf_action_exec). Without actions it does not."""
    for each in (unpack(one) for one in unpack(data).values()):
        options = unpack(each.get(_OPTIONS, b""))
        parms = options.get({b"gact\0": _GACT_PARMS, b"mirred\0": _MIRRED_PARMS}.get(each.get(_KIND, b""), 0), b"")
        if len(parms) < _VERDICT.size or (each.get(_KIND) == b"gact\0" and _GACT_PROB in options):
            return None
        verdict = _VERDICT.unpack_from(parms)[0]
        if verdict != _PIPE:
            return bool(verdict == _CONTINUE)
    return False


def _action(kind: str, options: dict[int, bytes]) -> bytes:
    return pack({_KIND: kind.encode() + b"\0", _OPTIONS: pack(options)})


def _decode_mirred(options: dict[int, bytes], frame: int) -> Action | None:
    if len(options.get(_MIRRED_PARMS, b"")) != _MIRRED.size:
        return None
    _, _, verdict, _, _, direction, target = _MIRRED.unpack(options[_MIRRED_PARMS])
    return Action(int(target), frame) if (verdict, direction) == (_STOLEN, _TO_EGRESS) else None


def _decode_gact(options: dict[int, bytes]) -> Action | None:
    if len(options.get(_GACT_PARMS, b"")) != _GACT.size:
        return None
    return Action(None) if _GACT.unpack(options[_GACT_PARMS])[2] == _DROP else None


def _decode_police(options: dict[int, bytes], wanted: int) -> int:
    """The longest frame that a chaoskit police action passes on; 0 for a foreign one."""
    others = options.keys() - {_POLICE_TBF, _POLICE_RESULT, _POLICE_TIMES, _POLICE_PAD}
    if others or options.get(_POLICE_RESULT) != struct.pack("=i", _CONTINUE):
        return 0
    if len(options.get(_POLICE_TBF, b"")) != _POLICE.size:
        return 0
    _, exceed, _, burst, frame, rate, peak, _, _, _ = _POLICE.unpack(options[_POLICE_TBF])
    is_ours = exceed == wanted and not burst and rate == peak == _NO_RATE
    return int(frame) if is_ours else 0
