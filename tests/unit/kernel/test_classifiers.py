"""Tests the filter codec without a kernel: encoded filters decode to themselves, others are foreign."""

from __future__ import annotations

import struct
from itertools import product
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.errors import RefusedError
from chaoskit.kernel.attributes import unpack
from chaoskit.kernel.tc import actions as done
from chaoskit.kernel.tc.actions import Action
from chaoskit.kernel.tc.classifiers import decode, encode, kind, normalized
from chaoskit.knobs import Filter, Flow, MatchAll, U32Key, U32Match

IFB = Action(77)
SKIP_SW = 2

octets = st.integers(0, 255)
ports = st.none() | st.integers(0, 65535)
bits = st.none() | st.booleans()
v4 = st.none() | st.tuples(st.ip_addresses(v=4), st.integers(0, 32)).map(lambda pair: f"{pair[0]}/{pair[1]}")
v6 = st.none() | st.tuples(st.ip_addresses(v=6), st.integers(0, 128)).map(lambda pair: f"{pair[0]}/{pair[1]}")
carriers = st.sampled_from([6, 17])
u32 = st.integers(0, 2**32 - 1)
keys = st.builds(U32Key, u32, u32, st.integers(-(2**31), 2**31 - 1))
families = {"ip": v4, "ipv6": v6}
filters = st.one_of(
    st.sampled_from([Filter(family, MatchAll(), "") for family in ("all", "ip", "ipv6")]),
    st.just(Filter("all", Flow(), "")),
    *(
        st.builds(Filter, st.just(family), st.builds(Flow, protocol, hosts, hosts, *carried, bits), st.just(""))
        for family, hosts in families.items()
        for protocol, carried in ((st.none() | octets, (st.none(), st.none())), (carriers, (ports, ports)))
    ),
    st.builds(Filter, st.just("ip"), st.builds(U32Match, st.lists(keys, max_size=5).map(tuple)), st.just("")),
)


def written(attributes: dict[int, bytes]) -> bytes:
    """Attributes in the format of netlink(7)."""
    parts = []
    for number, value in attributes.items():
        parts.append(struct.pack("=HH", 4 + len(value), number) + value + bytes(-len(value) % 4))
    return b"".join(parts)


fates = st.builds(Action, st.none() | u32, st.just(0) | u32)


@given(filters, fates)
def test_encoded_filters_decode_to_themselves(asked: Filter, then: Action) -> None:
    """Every filter decodes from its own bytes to its normalized form, with its action."""
    read = decode(kind(asked.match), asked.family, encode(asked, then))

    assert read == (normalized(asked).match, then)


def test_a_police_action_with_other_parameters_is_foreign() -> None:
    """A rate, a burst, or another verdict for oversized or other packets makes a police action foreign."""
    for then in (Action(None, 1414), Action(77, 1414)):
        chain = unpack(done.encode(then))
        parts = unpack(chain[1])
        options = unpack(parts[2])
        told = options[1]

        def read(
            changed: dict[int, bytes], chain: dict[int, bytes] = chain, parts: dict[int, bytes] = parts
        ) -> Action | None:
            return done.decode(written(chain | {1: written(parts | {2: written(changed)})}))

        assert read(options) == then
        for more in (
            {1: told[:4] + struct.pack("=i", 1) + told[8:]},
            {1: told[:12] + struct.pack("=I", 1) + told[16:]},
            {1: told[:20] + bytes([1]) + told[21:]},
            {1: told[:32] + bytes([1]) + told[33:]},
            {5: struct.pack("=i", 0)},
            {8: bytes(8)},
        ):
            assert read(options | more) is None, more
        assert read({1: told}) is None


@given(filters, st.integers(0, 1000))
def test_an_additional_attribute_makes_a_filter_foreign(asked: Filter, which: int) -> None:
    """An attribute that we do not set, or hardware-only offload, makes a filter foreign."""
    sent = unpack(encode(asked, IFB))
    flags = {"matchall": 3, "flower": 22, "u32": 11}[kind(asked.match)]
    ours = {"matchall": {2, 3, 4, 5}, "flower": {3, 22, 86}, "u32": {2, 5, 7, 9, 11, 12}}[kind(asked.match)]

    assert decode(kind(asked.match), asked.family, written(sent | {flags: struct.pack("=I", SKIP_SW)})) is None
    more = set(range(1, 110)) - ours - sent.keys()
    if isinstance(asked.match, Flow):
        more -= {8, 9, *range(10, 22), 35, 36, 37, 38, 47, 48}  # what another flow has: told by their values
    number = sorted(more)[which % len(more)]
    assert decode(kind(asked.match), asked.family, written(sent | {number: bytes(16)})) is None, number


@given(filters.filter(lambda each: isinstance(each.match, Flow)), st.integers(0, 200), octets)
def test_a_changed_byte_gives_another_flow_or_a_foreign_filter(asked: Filter, number: int, value: int) -> None:
    """A changed byte in the attributes of a flow decodes to another flow or to a foreign filter."""
    sent = unpack(encode(asked, IFB))
    said = sorted(each for each in sent if each not in (3, 22))
    if not said:
        return
    changed = said[number % len(said)]
    other = bytes([sent[changed][0] ^ (value or 1), *sent[changed][1:]])

    read = decode("flower", asked.family, written(sent | {changed: other}))

    assert read is None or read[0] != normalized(asked).match


def test_other_actions_make_a_filter_foreign() -> None:
    """No action, two actions, another kind, a cookie, another direction or verdict: all are foreign."""
    sent = unpack(encode(Filter("all", MatchAll(), ""), IFB))
    (action,) = unpack(sent[2]).values()
    parts = unpack(action)
    parameters = unpack(parts[2])[2]
    ours = {1: action}

    def read(actions: dict[int, bytes]) -> object:
        return decode("matchall", "all", written(sent | {2: written(actions)}))

    def with_parameters(data: bytes) -> dict[int, bytes]:
        return {1: written(parts | {2: written({2: data})})}

    assert read(ours) == (MatchAll(), IFB)
    assert read(with_parameters(parameters[:24] + struct.pack("=I", 0))) == (MatchAll(), Action(0))
    for actions in (
        {},
        {1: action, 2: action},
        {1: written(parts | {1: b"gact\0"})},
        {1: written(parts | {6: b"cookie"})},
        {1: written({1: parts[1]})},
        with_parameters(parameters[:20] + struct.pack("=i", 3) + parameters[24:]),
        with_parameters(parameters[:8] + struct.pack("=i", 3) + parameters[12:]),
    ):
        assert read(actions) is None, actions


def test_flows_that_flower_cannot_match_are_refused() -> None:
    """Ports without TCP or UDP, addresses of the other family, flows of any family: refused with a message."""
    cases: tuple[tuple[Literal["all", "ip", "ipv6"], Flow, str], ...] = (
        ("ip", Flow(source_port=1), "give tcp or udp"),
        ("ip", Flow(1, destination_port=1), "give tcp or udp"),
        ("ip", Flow(source="fd00::1/128"), "no address of ip"),
        ("ipv6", Flow(destination="10.0.0.1/32"), "no address of ipv6"),
        ("all", Flow(6), "give ip or ipv6"),
    )
    for family, flow, words in cases:
        with pytest.raises(RefusedError, match=words):
            encode(Filter(family, flow, ""), IFB)


def test_masks_that_are_no_prefixes_are_foreign() -> None:
    """A mask with holes, or an address with bits beyond its prefix, makes a filter foreign."""
    sent = unpack(encode(Filter("ip", Flow(source="10.0.0.0/8"), ""), IFB))
    for value, mask in product((b"\x0a\0\0\0", b"\x0a\0\0\1"), (b"\xff\0\xff\0", b"\0\0\0\xff")):
        assert decode("flower", "ip", written(sent | {10: value, 11: mask})) is None
    assert decode("flower", "ip", written(sent | {10: b"\x0a\0\0\1"})) is None
    assert decode("bpf", "ip", written(sent)) is None
