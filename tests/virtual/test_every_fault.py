"""Who recovers under which fault of a path's MTU, when, and what the sender's socket shows: the whole table."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from every_fault import AMOUNT, MTU, PATIENCE, cases

from chaoskit.clock import RealClock
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

PROGRAM = Path(__file__).parent / "every_fault.py"
HEADERS = {4: 52, 6: 72}  # of IP and TCP with its stamps
SEED = 1
Row = dict[str, Any]


@pytest.fixture(scope="module")
def rows(kernel: uml.GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Every case, in one guest in virtual time."""
    place = tmp_path_factory.mktemp("faults")
    answer = place / "answer.json"
    command = Command((sys.executable, str(PROGRAM), str(answer)), place, Duration.parse("100s"))
    guest = uml.Uml(kernel, options=uml.virtual_time(SEED)).launch(command, RealClock())
    assert guest.finish() == 0, guest.log.read_text()
    found: list[Row] = json.loads(answer.read_text())
    return found


@pytest.fixture(scope="module")
def under(rows: list[Row]) -> Callable[..., list[Row]]:
    """The rows of these faults, with one value of tcp_mtu_probing or with any."""

    def pick(*faults: str, probing: int | None = None) -> list[Row]:
        found = [row for row in rows if row["fault"] in faults and probing in (None, row["probing"])]
        assert len(found) == len(faults) * 4 * (3 if probing is None else 1)
        return found

    return pick


def all_arrived(row: Row) -> bool:
    """Whether the last byte came."""
    return bool(row["arrived"] == AMOUNT)


def segment(row: Row, mtu: int) -> int:
    """What TCP can carry in a packet of this size."""
    return mtu - HEADERS[row["ip"]]


def test_every_case_was_tried(rows: list[Row]) -> None:
    """Each fault, direction, version and value of tcp_mtu_probing."""
    assert [(row["fault"], row["direction"], row["ip"], row["probing"]) for row in rows] == list(cases())


def test_without_a_fault_nothing_is_in_the_way(under: Callable[..., list[Row]]) -> None:
    """At once, in full segments; and a black hole on the other way is none to a sender."""
    for row in under("nothing", "other-way", probing=0):
        assert all_arrived(row)
        assert row["seconds"] < 1
        assert (row["info"]["snd_mss"], row["info"]["pmtu"]) == (segment(row, 1500), 1500)
        assert row["info"]["total_retrans"] == 0


def test_a_signal_is_heard(under: Callable[..., list[Row]]) -> None:
    """All arrives within a second, in segments that fit; the socket knows the path's MTU, at the price of some
    segments that are sent again."""
    for row in under("signalled"):
        assert all_arrived(row)
        assert row["seconds"] < 1
    for row in under("signalled", probing=0):
        assert (row["info"]["snd_mss"], row["info"]["pmtu"]) == (segment(row, MTU), MTU)
        assert row["info"]["total_retrans"] > 0


@pytest.mark.parametrize("fault", ["black-hole", "size-drop", "wireguard", "jumbo-mismatch"])
def test_a_black_hole_is_never_left_without_probing(under: Callable[..., list[Row]], fault: str) -> None:
    """Not a byte arrives; full segments die again and again, all that is out is lost, and the socket learns nothing."""
    known = 9000 if fault == "jumbo-mismatch" else 1500
    for row in under(fault, probing=0):
        info = row["info"]
        assert row["arrived"] == 0
        assert row["seconds"] >= PATIENCE / 1e9
        assert (info["snd_mss"], info["pmtu"]) == (segment(row, known), known)
        assert info["lost"] == info["unacked"] > 0
        assert info["backoff"] >= 3
        assert info["ca_state"] == 4  # linux/tcp.h: TCP_CA_Loss


@pytest.mark.parametrize("fault", ["black-hole", "size-drop", "wireguard", "jumbo-mismatch"])
def test_probing_after_silence_recovers_in_seconds(under: Callable[..., list[Row]], fault: str) -> None:
    """With 1 all arrives, between two and nine seconds late, in segments of tcp_base_mss at first; the socket's path
    MTU stays what it was."""
    for row in under(fault, probing=1):
        assert all_arrived(row), row
        assert 2 < row["seconds"] < 9
        assert row["info"]["snd_mss"] <= segment(row, {"wireguard": 1420, "jumbo-mismatch": 1500}.get(fault, MTU))
        assert row["info"]["pmtu"] == (9000 if fault == "jumbo-mismatch" else 1500)


@pytest.mark.parametrize("fault", ["black-hole", "size-drop", "wireguard", "jumbo-mismatch"])
def test_probing_from_the_start_is_for_who_connects(under: Callable[..., list[Row]], fault: str) -> None:
    """With 2 a sender that has connected notices nothing. One that has accepted begins with full segments all the
    same (net/ipv4/tcp_input.c: probing is enabled after the first segment size is set), and recovers as with 1."""
    for row in under(fault, probing=2):
        assert all_arrived(row), row
        has_connected = row["direction"] == "up"
        assert row["seconds"] < 1 if has_connected else 2 < row["seconds"] < 9


def test_a_clamp_and_a_link_that_both_ends_know_cost_nothing(under: Callable[..., list[Row]]) -> None:
    """Handshakes ask for what fits: no segment is sent again, whatever probing is set to."""
    for row in under("clamped-hole", "smaller-link"):
        assert all_arrived(row)
        assert row["seconds"] < 1
        assert row["info"]["total_retrans"] == 0
        assert row["info"]["snd_mss"] <= segment(row, MTU)
    for row in under("smaller-link", probing=0):
        assert row["info"]["snd_mss"] == segment(row, MTU)
    for row in under("clamped-hole", probing=0):
        assert row["info"]["snd_mss"] == MTU - 60 - 12
